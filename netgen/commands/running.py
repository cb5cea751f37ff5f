"""Options that `netgen eval` and `netgen predict` share: a network, its weights, an engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from netgen.commands.options import dataset_option

Command = Callable[..., Any]
READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


def newest_of_run(_ctx: click.Context, _param: click.Parameter, path: Path) -> Path:
    """Return the caffemodel: of a run's folder, its newest whole snapshot.

    Not its best one, which the test images chose.
    """
    if not path.is_dir():
        return path
    from netgen.training.rundir import RunFolder
    from netgen.training.snapshots import newest_whole

    snapshot = newest_whole(RunFolder(path).snapshots, lambda said: click.echo(said, err=True))
    if snapshot is None:
        raise click.BadParameter(f"{path}: a folder without a snapshot of `netgen train`")
    return snapshot.model


def network_options(command: Command) -> Command:
    """Give a command the options that say which network runs, and on what."""
    options = (
        click.option(
            "--variant", required=True, metavar="NAME", help="The network: see `netgen list`."
        ),
        click.option(
            "--weights",
            type=click.Path(exists=True, path_type=Path),
            callback=newest_of_run,
            required=True,
            metavar="FILE|RUN",
            help="A caffemodel, or the folder of a `netgen train`: its newest snapshot.",
        ),
        dataset_option,
        click.option(
            "--net",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The network's deploy prototxt.  [default: models/NAME/deploy.prototxt]",
        ),
        click.option(
            "--engine",
            type=click.Choice(["caffe", "opencv"]),
            default="caffe",
            show_default=True,
            help="What runs the network; OpenCV needs no Caffe and no GPU.",
        ),
        click.option(
            "--gpu",
            type=click.IntRange(min=0),
            metavar="N",
            help="Run Caffe on this GPU.  [default: on the CPU]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def deploy_file(net: Path | None, variant: str) -> Path:
    """Return the deploy prototxt: the one named, else where `netgen build` writes it."""
    file = net or Path("models") / variant / "deploy.prototxt"
    if not file.is_file():
        raise click.BadParameter(
            f"{file} does not exist: name the deploy.prototxt that `netgen build` wrote for these"
            " weights",
            param_hint="--net",
        )
    return file
