"""Run netgen's commands: in a process of their own here, or as jobs on a cluster."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from netgen.network.render import render
from netgen.pipeline.table2 import networks

Words = tuple[str, ...]  # a command of netgen, without `netgen`
Scheduler = Literal["slurm", "kubernetes"]
GRACE = 120  # seconds between a scheduler's SIGTERM and its SIGKILL: a snapshot takes a few


def as_typed(words: Words) -> str:
    """Return a command as a user types it."""
    return shlex.join(("netgen", *words))


def start(words: Words, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command in a new process, which gets SIGTERM when the calling thread ends.

    A training then leaves a snapshot. The process has its own session, so it gets signals such as
    Ctrl-C from this process only. `options` are those of `subprocess.Popen`.
    """
    program = [sys.executable, "-m", "netgen.commands.as_child", str(os.getpid())]
    return subprocess.Popen([*program, *words], start_new_session=True, **options)


@dataclass(frozen=True)
class JobSettings:
    """The settings of a cluster's jobs.

    Attributes
    ----------
    folder
        The folder of `data/` and the weights on every node, also for networks, runs and results.
    weights
        The folder of the published caffemodels, relative to `folder` or absolute.
    solver_mode
        "gpu", or "cpu" for jobs that ask for no GPU.
    memory, hours
        Limits of a job: GiB of the machine's memory (not the GPU's), and time.
    image, claim, user
        Kubernetes only: the image of docker/cuda, the volume claim that holds the folder, and the
        id of the user who owns it.
    """

    folder: str
    weights: str
    solver_mode: str
    memory: int
    hours: int
    image: str
    claim: str
    user: int


def cluster_jobs(scheduler: Scheduler, settings: JobSettings, names: Iterable[str] = ()) -> str:
    """Return the script or manifest with one job per network of Table 2, or per name in `names`.

    A job is a `netgen table --only NAME`, which runs what is left to do for a network.

    Raises
    ------
    ValueError
        A name is not a network of Table 2.
    """
    variants = [variant.name for variant in networks(dict.fromkeys(names))]
    return render(f"cluster_{scheduler}", variants=variants, grace=GRACE, **asdict(settings))
