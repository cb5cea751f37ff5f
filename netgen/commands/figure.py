"""`netgen figure`: the paper's figures, and charts of what was trained and tested."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from netgen.commands.network_options import RequestedNetwork, network_options
from netgen.commands.shared_options import dataset_option, find_variant, load_dataset, newest_of_run
from netgen.network.dataset import Dataset
from netgen.network.options import Branch
from netgen.network.residual import RESNET50, network
from netgen.network.variants import Variant, variants

SUFFIXES = (".png", ".svg", ".pdf")
ACCEPTED = ".png, .svg or .pdf"
FIGURE_4 = ("x0", "xs")  # and, on the right, the single-task networks


class PictureFile(click.Path):
    """A file to write a picture to, in the format that its suffix says."""

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


@click.group("figure")
def command() -> None:
    """Draw the paper's figures, and charts of what was trained and tested."""


out_option = click.option(
    "--out",
    type=PictureFile(),
    required=True,
    metavar="FILE",
    help=f"Where to draw it: a file that ends in {ACCEPTED}.",
)


@command.command("architecture")
@out_option
@click.option(
    "--variant",
    "names",
    multiple=True,
    metavar="NAME",
    help="A network from `netgen list`; say it again for a picture of several."
    "  [default: x0, xs and the single-task networks, as in Figure 4]",
)
@dataset_option
@network_options
def architecture(
    out: Path, names: tuple[str, ...], dataset: Path | None, requested: RequestedNetwork
) -> None:
    """Draw networks side by side, as in Figure 4.

    The options that say how networks are built are for all in the picture.
    """
    data = load_dataset(dataset)
    backbone = requested.backbone or RESNET50
    nets = [network(requested.of(variant), data, backbone) for variant in _chosen(names, data)]

    from netgen.figures.drawing import write
    from netgen.figures.layout import picture

    write(picture(nets), out)
    click.echo(out.as_posix())


@command.command("weights")
@click.argument("caffemodel", type=click.Path(exists=True, path_type=Path), callback=newest_of_run)
@out_option
def weights(caffemodel: Path, out: Path) -> None:
    """Draw the cross weights of an X_S network, as in Figure 5.

    Those of a caffemodel, or of the newest snapshot in the folder of a `netgen train`.

    A chart a cross-residual layer, a line a connection, named source-target: its weights, not
    normalised, sorted over the channels.
    """
    from netgen.figures.cross_weights import draw

    draw(caffemodel, out)
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
    """Draw how losses fell and accuracies rose.

    RUN_OR_LOG is a folder that `netgen train` made, its log.jsonl, or what `caffe train` wrote;
    several are drawn into one picture.
    """
    from netgen.figures.curves import draw_all

    draw_all(logs, out)
    click.echo(out.as_posix())


@command.command("confusion")
@click.argument("result", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="A task; say it again for several.  [default: all]",
)
@out_option
def confusion(result: Path, tasks: tuple[str, ...], out: Path) -> None:
    """Draw which class is taken for which; RESULT is what `netgen eval --out` wrote."""
    from netgen.evaluation.results import read_result
    from netgen.figures.confusion import draw

    read = read_result(result)
    known = [task.name for task in read.tasks]
    for task in tasks:
        if task not in known:
            raise click.BadParameter(
                f"{task!r} is not in {result}: choose from {', '.join(known)}", param_hint="--task"
            )
    draw(read, tasks or known, out)
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
                f"{variant.name} is no residual network: Figure 4 draws those, block by block",
                param_hint="--variant",
            )
    return chosen
