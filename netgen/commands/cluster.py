"""`netgen cluster`: the plan of Table 2, printed as a Slurm job array or a Kubernetes Job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.cluster_options import cluster_options, job_settings
from netgen.commands.shared_options import PrintablePath, solver_mode_option
from netgen.commands.table import networks, table_plan

if TYPE_CHECKING:
    from netgen.pipeline.running.jobs import Scheduler


@click.command("cluster", short_help="Print jobs that reproduce Table 2 on a cluster.")
@click.option("--slurm", is_flag=True, help="Print a script for `sbatch`.")
@click.option("--kubernetes", is_flag=True, help="Print a Job for `kubectl`.")
@click.option(
    "--only",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this network of `netgen list`; repeatable.",
)
@click.option(
    "--weights",
    type=PrintablePath(),
    default="weights",
    show_default=True,
    metavar="DIR",
    help="The folder of the published caffemodels, relative to --folder or absolute.",
)
@solver_mode_option("cpu: jobs that ask for no GPU, and train on the processor.")
@cluster_options
def command(
    slurm: bool,
    kubernetes: bool,
    names: tuple[str, ...],
    weights: Path,
    solver_mode: str,
    jobs: dict[str, Any],
) -> None:
    """Print the jobs that reproduce Table 2: one network per job, resumable.

    Each job is a `netgen table --only NAME`. docs/cluster.md says what it needs and how to run it.
    `netgen study plan --on` prints those of any other study.
    """
    from netgen.pipeline.running.jobs import cluster_jobs

    if slurm == kubernetes:
        raise click.UsageError("choose --slurm or --kubernetes: one of them")
    scheduler: Scheduler = "slurm" if slurm else "kubernetes"
    where = ("--gpu", "0") if solver_mode == "gpu" else ("--solver-mode", "cpu")
    settings = job_settings(
        jobs | {"scheduler": scheduler}, ("netgen", "table", "--only"),
        ("--weights", str(weights), *where), solver_mode,
    )  # fmt: skip
    plan = table_plan(weights)
    click.echo(cluster_jobs(scheduler, plan, networks(plan, names), settings), nl=False)
