"""`netgen figure`: draw the paper's figures, and charts of training and test results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from netgen.commands.network_options import RequestedNetwork, network_options
from netgen.commands.shared_options import (
    complete_variant,
    dataset_option,
    find_variant,
    load_dataset,
)
from netgen.commands.terminal_progress import show_work
from netgen.commands.trained_options import newest_of_run
from netgen.network.dataset import Dataset
from netgen.network.options import Branch
from netgen.network.residual import RESNET50, network
from netgen.network.variants import Variant, variants

SUFFIXES = (".png", ".svg", ".pdf")
ACCEPTED = ".png, .svg or .pdf"
FIGURE_4 = ("x0", "xs")  # and, on the right, the single-task networks


class PictureFile(click.Path):
    """A file to write a picture to, in its suffix's format."""

    name = "picture"

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path."""
        file = Path(str(value))
        if file.suffix.lower() not in SUFFIXES:
            self.fail(f"{str(file)!r} must end in {ACCEPTED}", param, ctx)
        return Path(str(super().convert(str(file), param, ctx)))


@click.group("figure", short_help="Draw the paper's figures and training charts.")
def command() -> None:
    """Draw the paper's figures, and charts of training and test results."""


out_option = click.option(
    "--out",
    type=PictureFile(),
    required=True,
    metavar="FILE",
    help=f"The picture's file; its name ends in {ACCEPTED}.",
)


@command.command("architecture")
@out_option
@click.option(
    "--variant",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_variant,
    help="A network from `netgen list`; repeat it to draw several."
    "  [default: x0, xs and the single-task networks, as in Figure 4]",
)
@dataset_option
@network_options
def architecture(
    out: Path, names: tuple[str, ...], dataset: Path | None, requested: RequestedNetwork
) -> None:
    """Draw networks side by side, as in Figure 4.

    Options for building networks apply to all networks in the picture.
    """
    data = load_dataset(dataset)
    backbone = requested.backbone or RESNET50
    nets = [network(requested.of(variant), data, backbone) for variant in _chosen(names, data)]

    from netgen.figures.drawing import draw_picture
    from netgen.figures.layout import network_picture

    with show_work("drawing"):
        draw_picture(network_picture(nets), out)
    click.echo(out.as_posix())


@command.command("weights")
@click.argument("caffemodel", type=click.Path(path_type=Path), callback=newest_of_run)
@out_option
def weights(caffemodel: Path, out: Path) -> None:
    """Draw the cross weights of an X_S network, as in Figure 5.

    The weights are read from a caffemodel, or from the newest snapshot in a folder of `netgen
    train`.

    There is one chart per cross-residual layer, and one line per connection, named source-target:
    its weights, not normalised, sorted over the channels.
    """
    from netgen.figures.cross_weights import draw_cross_weights

    with show_work("drawing"):
        draw_cross_weights(caffemodel, out)
    click.echo(out.as_posix())


@command.command("curves")
@click.argument(
    "logs",
    metavar="RUN_OR_LOG...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@out_option
def curves(logs: tuple[Path, ...], out: Path) -> None:
    """Draw losses and test accuracies over the iterations.

    RUN_OR_LOG is a folder that `netgen train` made, its log.jsonl, or a log that `caffe train`
    wrote; several are drawn into one picture.
    """
    from netgen.figures.curves import draw_curves

    with show_work("drawing"):
        draw_curves(logs, out)
    click.echo(out.as_posix())


@command.command("confusion", short_help="Draw confusion matrices of a result.")
@click.argument("result", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="A task; repeat it for several.  [default: all]",
)
@out_option
def confusion(result: Path, tasks: tuple[str, ...], out: Path) -> None:
    """Draw confusion matrices; RESULT is a file that `netgen eval --out` wrote."""
    from netgen.evaluation.results import read_result
    from netgen.figures.confusion import draw_confusions

    read = read_result(result)
    known = [task.name for task in read.tasks]
    for task in tasks:
        if task not in known:
            raise click.BadParameter(
                f"{task!r} is not in {result}: choose from {', '.join(known)}", param_hint="--task"
            )
    with show_work("drawing"):
        draw_confusions(read, tasks or known, out)
    click.echo(out.as_posix())


def _chosen(names: Sequence[str], dataset: Dataset) -> list[Variant]:
    known = variants([task.name for task in dataset.tasks])
    single = [
        name for name, of in known.items() if of.row.is_residual and of.row.branch is Branch.NEVER
    ]
    chosen = [find_variant(name, dataset) for name in dict.fromkeys(names or (*FIGURE_4, *single))]
    for variant in chosen:
        if not variant.row.is_residual:
            raise click.BadParameter(
                f"{variant.name} is not a residual network: only those can be drawn by block",
                param_hint="--variant",
            )
    return chosen
