"""A plan as jobs of a scheduler: one cell per job, after those that it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from netgen.network.render import render
from netgen.pipeline.study.cells import Cell
from netgen.pipeline.study.study_plan import Plan

Scheduler = Literal["slurm", "kubernetes"]
GRACE = 120  # seconds between a scheduler's SIGTERM and its SIGKILL: a snapshot takes a few
NOT_YET = 75  # <sysexits.h>'s EX_TEMPFAIL: a cell that this one depends on is not done


@dataclass(frozen=True)
class JobSettings:
    """The settings of a cluster's jobs.

    Attributes
    ----------
    folder
        The folder of `data/` and the weights on every node, also for networks, runs and results.
    command
        What makes a cell, up to its name, such as ``("netgen", "table", "--only")``; and the
        options after it.
    options
        The options after the cell's name.
    solver_mode
        "gpu", or "cpu" for jobs that ask for no GPU.
    memory, hours
        Limits of a job: GiB of the machine's memory (not the GPU's), and time.
    image, claim, user
        Kubernetes only: the image of docker/cuda, the volume claim that holds the folder, and the
        id of the user who owns it.
    """

    folder: str
    command: tuple[str, ...]
    options: tuple[str, ...]
    solver_mode: str
    memory: int
    hours: int
    image: str
    claim: str
    user: int


def cluster_jobs(
    scheduler: Scheduler, plan: Plan, cells: Sequence[Cell], settings: JobSettings
) -> str:
    """Return the script or the manifest with one job per cell, in their order.

    For Slurm, cells that do not depend on each other are an array, a script for `sbatch`; others
    are a script that submits each with its dependencies. On Kubernetes, which knows none, a pod
    waits for what it depends on, and is replaced when that takes long.
    """
    names = {cell.name for cell in cells}
    needs = {cell.name: [need for need in cell.needs if need in names] for cell in cells}
    depends = any(needs.values())
    template = f"cluster_{scheduler}"
    if scheduler == "slurm" and depends:
        template = "cluster_slurm_after"
    return render(
        template, plan=plan, name=plan.study.name, title=plan.study.title or plan.study.name,
        cells=[cell.name for cell in cells], needs=needs, depends=depends, grace=GRACE,
        not_yet=NOT_YET, **vars(settings),
    )  # fmt: skip
