"""Table 2 on a cluster: one job a row, for an existing scheduler, from a template."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from netgen import paper
from netgen.render import render
from netgen.variants import variants

Scheduler = Literal["slurm", "kubernetes"]


@dataclass(frozen=True)
class Cluster:
    """What only its user knows of a cluster.

    Attributes
    ----------
    folder
        Where `models/`, `solvers/` and `data/` are, on every node; runs are written there too.
    weights
        He's ResNet-50-model.caffemodel, relative to that folder or absolute.
    memory, hours
        What a job may have: GiB of the machine's memory (not the GPU's), and time.
    image, claim, user
        Kubernetes only: the image of docker/cuda, the volume claim that holds the folder, and the
        number of the user who owns it.
    """

    folder: str
    weights: str
    memory: int = 16
    hours: int = 72
    image: str = "netgen:cuda"
    claim: str = "netgen"
    user: int = 1000


def jobs(scheduler: Scheduler, cluster: Cluster) -> str:
    """Return the script or manifest that trains and evaluates every network of Table 2."""
    rows = list(variants(list(paper.TASKS)))
    return render(f"cluster_{scheduler}", variants=rows, **asdict(cluster))
