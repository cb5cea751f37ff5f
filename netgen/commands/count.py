"""`netgen count`: shapes, parameters, multiply-adds and memory of any prototxt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.counted_network import (
    RequestedState,
    counted_file,
    counted_variant,
    state_options,
)
from netgen.commands.network_options import RequestedNetwork, network_options
from netgen.commands.shared_options import dataset_option, table_console, variant_option
from netgen.system.text import GIB, MIB, gib, shape_text

if TYPE_CHECKING:
    from rich.table import Table

    from netgen.cost.complexity import LayerCost, NetCost, Top


@click.command("count", short_help="Count a network's parameters, multiply-adds and memory.")
@click.argument("file", required=False, type=click.Path())
@variant_option(
    help="Count a network of `netgen list` instead.",
)
@dataset_option
@network_options
@state_options
@click.option("--layers", "by_layer", is_flag=True, help="One row per layer, with shapes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str | None,
    variant: str | None,
    dataset: Path | None,
    requested: RequestedNetwork,
    state: RequestedState,
    by_layer: bool,
    as_json: bool,
) -> None:
    """Count parameters, multiply-adds and memory of FILE, any network's prototxt.

    With --variant: of a network of `netgen list`, with the options of `netgen build`.

    Multiply-adds are those of Convolution, Deconvolution, InnerProduct and the recurrent layers;
    memory is an estimate of what Caffe's own loops allocate, in the train phase with the solver's.
    On a CPU, the faster loops of `./run setup` take less.
    """
    if (file is None) == (variant is None):
        raise click.UsageError("give either a FILE or --variant NAME (`netgen list`)")
    if file is not None:
        if not (dataset is None and requested.is_papers):
            raise click.UsageError(f"options for building a network do not apply to {file}")
        counted = counted_file(file, state)
    else:
        counted = counted_variant(str(variant), dataset, requested, state)
    if as_json:
        click.echo(json.dumps(counted.as_data(), indent=2))
    else:
        _print(counted.cost, counted.notices, by_layer)


def _print(cost: NetCost, notices: Sequence[str], by_layer: bool) -> None:
    console = table_console(piped_width=10_000)
    for assumption in cost.assumed:
        console.print(f"note: {assumption}", style="bold", soft_wrap=True)
    if by_layer:
        heads = ("layer", "type", "tops", "parameters", "multiply-adds", "buffers")
        console.print(_table(map(_row, cost.layers), heads, "lllrrr"))
        console.print()
    console.print(f"{cost.name or 'unnamed'}, {cost.phase}, batch {cost.batch}", style="bold")
    console.print(_table(_summary(cost), (), "lrrl"))
    for notice in (notice for notice in notices if notice not in cost.assumed):
        console.print(f"note: {notice}", soft_wrap=True)


def _table(rows: Iterable[Sequence[str]], heads: Sequence[str], justify: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, show_header=bool(heads))
    for index, side in enumerate(justify):
        head = heads[index] if heads else ""
        table.add_column(head, justify="right" if side == "r" else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _row(layer: LayerCost) -> list[str]:
    tops = [f"{top.name} {_size(top)}" for top in layer.tops]
    numbers = [f"{layer.parameters:,}", f"{layer.multiply_adds:,}", _bytes(layer.buffer_bytes)]
    return [layer.name, layer.type, "; ".join(tops), *(numbers if layer.known else ["?"] * 3)]


def _size(top: Top) -> str:
    return "unknown" if top.shape is None else shape_text(top.shape).replace(" ", "")


def _summary(cost: NetCost) -> list[list[str]]:
    """Return rows: the quantity, the full number, the short one, and an explanation."""
    from netgen.cost.memory import PROGRAM_BYTES

    memory, counted = cost.memory, {layer.type for layer in cost.layers if layer.multiply_adds}
    holds = "gradients, momentum, buffers" if cost.phase == "TRAIN" else "parameters, buffers"
    numbers = [
        ("parameters", cost.parameters, _millions, "all blobs"),
        ("  trainable", cost.trainable, _millions, "lr_mult not 0"),
        ("multiply-adds", cost.multiply_adds, _billions, "one each; the whole batch"),
        ("  per image", cost.multiply_adds_per_image, _billions, ", ".join(sorted(counted))),
        ("activations", cost.activation_bytes, _bytes, "all named blobs"),
        ("memory", memory.total, _bytes, f"and {holds}"),
        ("  fixed", memory.fixed, _bytes, "for any batch size"),
        ("  per image", round(memory.per_image), _bytes, "for each image of the batch"),
        ("process", memory.total + PROGRAM_BYTES, _bytes, "and the program, at most, on a CPU"),
    ]
    least = "" if cost.complete else "at least "
    return [[what, f"{least}{n:,}", short(n), remark] for what, n, short, remark in numbers]


def _millions(number: int) -> str:
    """Print as Table 2 does: 43.18, in millions."""
    return f"{number / 1e6:,.2f} M"


def _billions(number: int) -> str:
    return f"{number / 1e9:,.2f} G" if number >= 1e9 else _millions(number)


def _bytes(number: int) -> str:
    return f"{gib(number):.2f} GiB" if number >= GIB else f"{number / MIB:.1f} MiB"
