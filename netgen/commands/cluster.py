"""`netgen cluster`: Table 2 as a job array or an indexed Job."""

from __future__ import annotations

from typing import Any

import click

from netgen.commands.options import PrintablePath


@click.command("cluster", short_help="Write the jobs that run Table 2 on a cluster.")
@click.option("--slurm", "scheduler", flag_value="slurm", help="A script for `sbatch`.")
@click.option("--kubernetes", "scheduler", flag_value="kubernetes", help="A manifest, for a Job.")
@click.option(
    "--folder",
    type=PrintablePath(),
    default="/work",
    show_default=True,
    help="Where models/, solvers/ and data/ are, on every node.",
)
@click.option(
    "--weights",
    type=PrintablePath(),
    default="ResNet-50-model.caffemodel",
    show_default=True,
    help="He's caffemodel, in that folder or absolute.",
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
    "--hours", type=click.IntRange(1, 8760), default=72, show_default=True, help="Slurm: its time."
)
@click.option("--image", default="netgen:cuda", show_default=True, help="Kubernetes: the image.")
@click.option(
    "--claim", default="netgen", show_default=True, help="Kubernetes: the claim of the volume."
)
@click.option(
    "--user",
    type=click.IntRange(1, 2**31 - 1),
    default=1000,
    show_default=True,
    metavar="UID",
    help="Kubernetes: the number of the folder's owner.",
)
def command(scheduler: str | None, **options: Any) -> None:
    """Print the jobs that train and evaluate Table 2, one row a job, resumable.

    docs/cluster.md tells how they are run.
    """
    from netgen.cluster import Cluster, jobs

    if scheduler is None:
        raise click.UsageError("say --slurm or --kubernetes")
    for path in ("folder", "weights"):
        options[path] = str(options[path])
    text = jobs("slurm" if scheduler == "slurm" else "kubernetes", Cluster(**options))
    click.echo(text, nl=False)
