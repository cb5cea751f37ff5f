"""`netgen init`: make the weights that a training starts from."""

from __future__ import annotations

import json
import shlex
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.output_files import check_not_read, check_outputs
from netgen.commands.shared_options import refuse_given, table_console, variant_option
from netgen.commands.terminal_progress import show_work
from netgen.commands.trained_options import newest_of_run
from netgen.network.training_commands import HES_WEIGHTS, TrainingCommands
from netgen.paper import Recipe
from netgen.system.files import write_all

if TYPE_CHECKING:
    from netgen.weights.initial import InitialWeights
    from netgen.weights.proof import Compared

MOVED_FROM = ("branch2c", "branch1", "fold", "fresh")
MOST_LEFT_OVER = 6
MOVED = "moved behind a sum, and none has between this source and this network"
STYLES = ("caffe", "pytorch")


@click.command("init", short_help="Make initial weights from a pretrained network.")
@click.pass_context
@variant_option(
    help="The network models/NAME, from `netgen build`.",
)
@click.option(
    "--net",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Instead of --variant: any network's train_val.prototxt.",
)
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(path_type=Path),
    callback=newest_of_run,
    metavar="FILE|RUN",
    help=f"What to start from: a caffemodel, such as He's {HES_WEIGHTS} or a snapshot; the folder"
    " of a training: its newest snapshot; or the ResNet-50 of Keras (.h5), of torchvision or timm"
    " (.pth, .safetensors), or in ONNX.",
)
@click.option(
    "--style",
    type=click.Choice(STYLES),
    help="What .pth, .safetensors and ONNX do not say: caffe, the pixels are B, G, R, 0 to 255 less"
    " a mean, and a block's 1 x 1 has the stride (mmdetection's resnet50_caffe and msra); pytorch,"
    " they are R, G, B, 0 to 1, normalised, and the 3 x 3 has it (torchvision, timm).",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The caffemodel to write.  [default: initial.caffemodel in the network's folder]",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option(
    "--moved-norm",
    type=click.Choice(MOVED_FROM),
    default=MOVED_FROM[0],
    show_default=True,
    help="What the normalisations after res5a's sum start from: those of one branch, both folded"
    " into the convolutions, or their fillers.",
)
@click.option(
    "--keep-heads",
    is_flag=True,
    help="Copy classifiers of the same name and shape, where there are any.",
)
@click.option(
    "--fresh",
    multiple=True,
    metavar="LAYER",
    help="Start this layer from its filler too, * allowed; repeatable.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=Recipe.random_seed,
    show_default=True,
    help="Seed of the fillers; the same seed gives the same file.",
)
@click.option(
    "--prove",
    is_flag=True,
    help="Run the source by its own program and the network by Caffe on the same images, and print"
    " the largest difference in each stage that both have.",
)
@click.option("--layers", "by_layer", is_flag=True, help="Print one row per layer, with shapes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one entry per layer.")
def command(
    ctx: click.Context,
    variant: str | None,
    net: Path | None,
    source: Path,
    style: str | None,
    out: Path | None,
    force: bool,
    moved_norm: str,
    keep_heads: bool,
    fresh: tuple[str, ...],
    seed: int,
    prove: bool,
    by_layer: bool,
    as_json: bool,
) -> None:
    """Make a network's initial weights from a pretrained network (section 5.2).

    Each layer is copied from the layer of the same name. Layers after the branching point are
    copied from the same layer for every task. Classifiers and cross weights start from their
    fillers. The file has every layer of the network; if a layer has no counterpart, nothing is
    written.
    """
    from netgen.caffe.caffemodel import to_caffemodel
    from netgen.caffe.schema import SchemaWarning
    from netgen.weights import report
    from netgen.weights.incoming.units import Style
    from netgen.weights.initial import initial_weights
    from netgen.weights.moved import MovedFrom, moved_layers
    from netgen.weights.origins import InitOptions
    from netgen.weights.proof import prove as proof

    file = _network_file(variant, net)
    target = out or file.with_name("initial.caffemodel")
    _check_target(target, (source, file), force)
    options = InitOptions(MovedFrom[moved_norm.upper()], keep_heads, fresh)
    work = show_work(f"making weights from {source}")
    with work, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SchemaWarning)
        made = initial_weights(file, source, options, seed, Style[style.upper()] if style else None)
        if not moved_layers(made.network.layers, made.source):
            refuse_given(("moved_norm",), f"is for a normalisation that {MOVED}: omit it")
        compared = proof(made) if prove else []
    # The source is read for the last time before anything is written: it may vanish.
    notes = [*(str(warning.message) for warning in caught), *report.notes(made)]
    write_all({target: to_caffemodel(made.network.name, made.weights)})
    if as_json:
        written = {"written": str(target), "seed": seed, "notes": notes}
        if prove:
            written["proof"] = [{"stage": one.stage, "relative": one.relative} for one in compared]
        click.echo(json.dumps(report.as_data(made) | written, indent=2))
    else:
        _print(made, report.layers(made) if by_layer else report.stages(made), notes)
        _print_proof(compared)
    click.echo(f"\n{target} has all {len(made.origins)} layers with weights.", err=True)
    for line in _next(file, target):
        click.echo(line, err=True)
    if prove and not all(one.is_same for one in compared):
        ctx.exit(1)


def _network_file(variant: str | None, net: Path | None) -> Path:
    if (variant is None) == (net is None):
        raise click.UsageError("give --variant NAME (from `netgen list`) or --net FILE")
    if net is not None:
        return net
    file = Path("models") / str(variant) / "train_val.prototxt"
    if not file.exists():
        raise click.BadParameter(
            f"{file} is not there: `netgen build --variant {shlex.quote(str(variant))}` writes it"
            " (names: `netgen list`); give a network elsewhere with --net FILE",
            param_hint="--variant",
        )
    return file


def _check_target(target: Path, read: Iterable[Path], force: bool) -> None:
    check_not_read({"--out": target}, read)
    check_outputs({"--out": target}, made=(".caffemodel",))
    if target.exists() and not force:
        raise click.UsageError(
            f"{target} is there already: --force replaces it, --out names another"
        )


def _next(file: Path, target: Path) -> list[str]:
    """Tell the commands that use the weights; netgen's networks have a solver of their name."""
    out = file.parent.parent.parent  # of models/NAME/train_val.prototxt
    training = TrainingCommands(file.parent.name, out, gpu=None, initial=target)
    if not training.solver.exists():
        return ["Train with:", f"  caffe train -solver SOLVER -weights {shlex.quote(str(target))}"]
    return list(training.lines)


def _print(made: InitialWeights, rows: list[dict[str, str]], notes: Iterable[str]) -> None:
    from rich.table import Table

    from netgen.system.text import listed

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in rows[0]:
        table.add_column(heading, justify="right" if heading == "parameters" else "left")
    for row in rows:
        table.add_row(*row.values())
    table_console(piped_width=10_000).print(table)
    click.echo(f"\nNot used from the source: {listed(made.left_over, MOST_LEFT_OVER) or 'none'}.")
    for note in notes:
        click.echo(f"note: {note}")


def _print_proof(compared: Sequence[Compared]) -> None:
    if not compared:
        return
    click.echo("\nBoth networks on the same images, the largest difference of each stage:")
    for one in compared:
        click.echo(
            f"  {one.stage:6} {one.difference:.1e} of {one.largest:.4g}, {one.relative:.1e} of it"
        )
    far = [one.stage for one in compared if not one.is_same]
    click.echo("  They compute the same." if not far else f"  They differ from {far[0]} on.")
