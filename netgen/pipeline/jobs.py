"""Table 2 on a cluster: one job a network, for an existing scheduler, from a template.

A job is a `netgen table --only NAME`, which does what is left to do for a network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from netgen.network.render import render
from netgen.pipeline.table2 import networks

Scheduler = Literal["slurm", "kubernetes"]
GRACE = 120  # seconds from being told to stop to the end: a snapshot takes a few


@dataclass(frozen=True)
class Cluster:
    """What only its user knows of a cluster.

    Attributes
    ----------
    folder
        Where `data/` and the weights are, on every node; networks, runs and results go there too.
    weights
        The folder of the published caffemodels, relative to that folder or absolute.
    memory, hours
        What a job may have: GiB of the machine's memory (not the GPU's), and time.
    image, claim, user
        Kubernetes only: the image of docker/cuda, the volume claim that holds the folder, and the
        number of the user who owns it.
    """

    folder: str
    weights: str
    memory: int
    hours: int
    image: str
    claim: str
    user: int


def jobs(scheduler: Scheduler, cluster: Cluster, names: Iterable[str] = ()) -> str:
    """Return the script or manifest for every network of Table 2, or for those of these names.

    Raises
    ------
    ValueError
        One of the names is no network's.
    """
    rows = [variant.name for variant in networks(dict.fromkeys(names))]
    return render(f"cluster_{scheduler}", variants=rows, grace=GRACE, **asdict(cluster))
