"""`netgen init`: make the weights that a training starts from."""

from __future__ import annotations

import json
import shlex
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.shared_options import table_console
from netgen.network.training_commands import HES_WEIGHTS, TrainingCommands
from netgen.paper import Recipe
from netgen.system.files import write_all

if TYPE_CHECKING:
    from netgen.weights.initial import InitialWeights

MOVED_FROM = ("branch2c", "branch1", "fold", "fresh")
MOST_LEFT_OVER = 6


@click.command("init", short_help="Make initial weights from a pretrained network.")
@click.option("--variant", metavar="NAME", help="The network models/NAME, from `netgen build`.")
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
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"The caffemodel to start from: He's {HES_WEIGHTS}, or a snapshot.",
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
@click.option("--layers", "by_layer", is_flag=True, help="Print one row per layer, with shapes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one entry per layer.")
def command(
    variant: str | None,
    net: Path | None,
    source: Path,
    out: Path | None,
    force: bool,
    moved_norm: str,
    keep_heads: bool,
    fresh: tuple[str, ...],
    seed: int,
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
    from netgen.weights.initial import initial_weights
    from netgen.weights.moved import MovedFrom
    from netgen.weights.origins import InitOptions

    file = _network_file(variant, net)
    target = out or file.with_name("initial.caffemodel")
    _check_target(target, source, force)
    options = InitOptions(MovedFrom[moved_norm.upper()], keep_heads, fresh)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SchemaWarning)
        made = initial_weights(file, source, options, seed)
    # The source is read for the last time before anything is written: it may vanish.
    notes = [*(str(warning.message) for warning in caught), *report.notes(made)]
    write_all({target: to_caffemodel(made.network.name, made.weights)})
    if as_json:
        written = {"written": str(target), "seed": seed, "notes": notes}
        click.echo(json.dumps(report.as_data(made) | written, indent=2))
    else:
        _print(made, report.layers(made) if by_layer else report.stages(made), notes)
    click.echo(f"\n{target} has all {len(made.origins)} layers with weights.", err=True)
    for line in _next(file, target):
        click.echo(line, err=True)


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


def _check_target(target: Path, source: Path, force: bool) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise click.UsageError(f"{target} is the file that --from reads: give --out another file")
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
