"""`netgen cluster`: print Table 2 as a Slurm job array or a Kubernetes Job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.shared_options import PrintablePath, solver_mode_option

if TYPE_CHECKING:
    from netgen.pipeline.launch import Scheduler


# Options that only one of the schedulers knows.
ONLY: dict[str, Scheduler] = {
    "hours": "slurm", "image": "kubernetes", "claim": "kubernetes", "user": "kubernetes",
}  # fmt: skip


def _check_options(context: click.Context, scheduler: Scheduler) -> None:
    """Refuse what would be ignored."""
    for name, of in ONLY.items():
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and of != scheduler:
            raise click.UsageError(f"--{name} is for --{of}: omit it with --{scheduler}")


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
    "--folder",
    type=PrintablePath(),
    default="/work",
    show_default=True,
    metavar="DIR",
    help="The folder with data/ and the weights, the same on every node; results go there too.",
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
@click.option(
    "--memory",
    type=click.IntRange(1, 4096),
    default=16,
    show_default=True,
    metavar="GIB",
    help="Memory per job (of the machine, not of the GPU).",
)
@click.option(
    "--hours",
    type=click.IntRange(1, 8760),
    default=72,
    show_default=True,
    metavar="N",
    help="Slurm: time limit per job; a job submitted again resumes.",
)
@click.option(
    "--image",
    default="netgen:cuda",
    show_default=True,
    metavar="NAME",
    help="Kubernetes: the image of docker/cuda.",
)
@click.option(
    "--claim",
    default="netgen",
    show_default=True,
    metavar="NAME",
    help="Kubernetes: the volume claim that holds --folder.",
)
@click.option(
    "--user",
    type=click.IntRange(1, 2**31 - 1),
    default=1000,
    show_default=True,
    metavar="UID",
    help="Kubernetes: the user id of the folder's owner.",
)
def command(
    slurm: bool,
    kubernetes: bool,
    names: tuple[str, ...],
    folder: Path,
    weights: Path,
    **options: Any,
) -> None:
    """Print the jobs that reproduce Table 2: one network per job, resumable.

    Each job is a `netgen table --only NAME`. docs/cluster.md says what it needs and how to run it.
    """
    from netgen.pipeline.launch import JobSettings, cluster_jobs

    if slurm == kubernetes:
        raise click.UsageError("choose --slurm or --kubernetes: one of them")
    scheduler: Scheduler = "slurm" if slurm else "kubernetes"
    _check_options(click.get_current_context(), scheduler)
    if not folder.is_absolute():
        what = f"{folder}: jobs start in another folder: give an absolute path, such as /work"
        raise click.BadParameter(what, param_hint="--folder")
    try:
        text = cluster_jobs(scheduler, JobSettings(str(folder), str(weights), **options), names)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--only") from None
    click.echo(text, nl=False)
