"""`netgen cluster`: Table 2 as a job array or an indexed Job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.shared_options import PrintablePath

if TYPE_CHECKING:
    from netgen.pipeline.jobs import Scheduler


@click.command("cluster", short_help="Write the jobs that run Table 2 on a cluster.")
@click.option("--slurm", "scheduler", flag_value="slurm", help="A script for `sbatch`.")
@click.option("--kubernetes", "scheduler", flag_value="kubernetes", help="A manifest of a Job.")
@click.option(
    "--only", "names", multiple=True, metavar="NAME", help="A network of `netgen list`; repeatable."
)
@click.option(
    "--folder",
    type=PrintablePath(),
    default="/work",
    show_default=True,
    metavar="DIR",
    help="Where data/ and the weights are, on every node; results go there.",
)
@click.option(
    "--weights",
    type=PrintablePath(),
    default="weights",
    show_default=True,
    metavar="DIR",
    help="The published caffemodels, in that folder or absolute.",
)
@click.option(
    "--memory",
    type=click.IntRange(1, 4096),
    default=16,
    show_default=True,
    metavar="GIB",
    help="The machine's memory for a job.",
)
@click.option(
    "--hours",
    type=click.IntRange(1, 8760),
    default=72,
    show_default=True,
    metavar="N",
    help="Slurm: a job's time; submitted again, it goes on.",
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
    help="Kubernetes: the claim of the volume with the folder.",
)
@click.option(
    "--user",
    type=click.IntRange(1, 2**31 - 1),
    default=1000,
    show_default=True,
    metavar="UID",
    help="Kubernetes: the number of the folder's owner.",
)
def command(
    scheduler: Scheduler | None, names: tuple[str, ...], folder: Path, weights: Path, **options: Any
) -> None:
    """Print the jobs that make Table 2, one network a job, resumable.

    Each is a `netgen table --only NAME`; docs/cluster.md tells what they need and how to run them.
    """
    from netgen.pipeline.jobs import Cluster, jobs

    if scheduler is None:
        raise click.UsageError("say --slurm or --kubernetes")
    if not folder.is_absolute():
        what = f"{folder}: jobs start elsewhere: give it from the root on, as in /work"
        raise click.BadParameter(what, param_hint="--folder")
    try:
        text = jobs(scheduler, Cluster(str(folder), str(weights), **options), names)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--only") from None
    click.echo(text, nl=False)
