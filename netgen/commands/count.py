"""`netgen count`: shapes, parameters, multiply-adds and memory of any prototxt."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.network_options import RequestedNetwork, network_options
from netgen.commands.shared_options import dataset_option, find_variant, load_dataset, table_console
from netgen.system.text import GIB, MIB, gib, shape_text

if TYPE_CHECKING:  # protobuf loads slowly, and `netgen --help` does not need it
    from rich.table import Table

    from netgen.caffe.caffe_pb2 import NetParameter
    from netgen.caffe.schema import Phase
    from netgen.cost.complexity import LayerCost, NetCost, Top

Sizes = tuple[int, ...]  # of a record: channels, height and width of an image


@dataclass(frozen=True)
class RequestedState:
    """The state that selects layers: Caffe's NetState; a phase of None follows from the network."""

    phase: str | None
    stages: tuple[str, ...]
    level: int | None


class BlobShape(click.ParamType[tuple[str, Sizes]]):
    """A blob and the sizes of its records, as in ``data=3x224x224``, or ``data=128`` of vectors."""

    name = "BLOB=CxHxW"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Sizes]:
        """Return the blob's name and the sizes."""
        match = re.fullmatch(r"(.+)=([1-9]\d{0,8}(?:x[1-9]\d{0,8})*)", str(value))
        if not match:
            self.fail(
                f"{value!r} is not a blob's shape, such as data=3x224x224 or data=128", param, ctx
            )
        return match[1], tuple(map(int, match[2].split("x")))


@click.command("count", short_help="Count a network's parameters, multiply-adds and memory.")
@click.argument("file", required=False, type=click.Path())
@click.option("--variant", metavar="NAME", help="Count a network of `netgen list` instead.")
@dataset_option
@network_options
@click.option(
    "--phase",
    type=click.Choice(["train", "test"]),
    help="The phase to count.  [default: train; test for networks without a loss]",
)
@click.option(
    "--input",
    "inputs",
    type=BlobShape(),
    multiple=True,
    help="Sizes of a record, where the prototxt and its data do not give them: of images, or BLOB=D"
    " of vectors. Also for Python and HDF5 layers; repeatable.",
)
@click.option(
    "--stage",
    "stages",
    metavar="NAME",
    multiple=True,
    help="A stage that the rules (`include`, `exclude`) of layers ask for; repeatable.",
)
@click.option(
    "--level",
    type=click.IntRange(-(2**31), 2**31 - 1),
    metavar="N",
    help="The level that these rules compare with.",
)
@click.option("--layers", "by_layer", is_flag=True, help="One row per layer, with shapes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str | None,
    variant: str | None,
    dataset: Path | None,
    requested: RequestedNetwork,
    phase: str | None,
    inputs: tuple[tuple[str, Sizes], ...],
    stages: tuple[str, ...],
    level: int | None,
    by_layer: bool,
    as_json: bool,
) -> None:
    """Count parameters, multiply-adds and memory of FILE, any network's prototxt.

    With --variant: of a network of `netgen list`, with the options of `netgen build`.

    Multiply-adds are those of Convolution, Deconvolution, InnerProduct and the recurrent layers;
    memory is an estimate of what Caffe's own loops allocate, in the train phase with the solver's.
    On a CPU, the faster loops of `./run setup` take less.
    """
    from netgen.caffe.schema import SchemaWarning, read_net

    if (file is None) == (variant is None):
        raise click.UsageError("give either a FILE or --variant NAME (`netgen list`)")
    if file is not None and not (dataset is None and requested.is_papers):
        raise click.UsageError(f"options for building a network do not apply to {file}")
    state = RequestedState(phase, stages, level)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SchemaWarning)
        if file is not None:
            cost = _count(read_net(file), file, state, dict(inputs))
        else:
            net, images = _built(str(variant), dataset, requested)
            cost = _count(net, f"variant {variant}", state, images | dict(inputs))
    notices = [*(str(warning.message) for warning in caught), *cost.notices]
    if as_json:
        click.echo(json.dumps(_json(cost, notices), indent=2))
    else:
        _print(cost, notices, by_layer)


def _count(
    net: NetParameter, name: str, state: RequestedState, inputs: Mapping[str, Sizes]
) -> NetCost:
    from netgen.caffe.schema import SchemaError
    from netgen.cost.complexity import count

    try:
        phase = _phase(net, state)
        return count(net, phase, stages=state.stages, level=state.level, inputs=inputs)
    except SchemaError as error:
        raise SchemaError(f"{name}: {error}") from None


def _built(
    variant: str, dataset: Path | None, requested: RequestedNetwork
) -> tuple[NetParameter, dict[str, Sizes]]:
    """Return a network as it is built, and its images' shape, which the prototxt lacks."""
    from netgen.caffe.schema import parse_net
    from netgen.network.build import BuildSpec, prototxt

    data = load_dataset(dataset)
    found = requested.of(find_variant(variant, data))
    net = parse_net(prototxt(BuildSpec(found, data, requested.backbone)), f"variant {variant}")
    images = data.images
    shape = (images.channels, images.height, images.width)
    return net, {"data": shape} if found.row.is_trained else {}


def _phase(net: NetParameter, state: RequestedState) -> Phase:
    from netgen.caffe.schema import layers_in
    from netgen.cost.wiring import loss_weight

    if state.phase:
        return "TRAIN" if state.phase == "train" else "TEST"
    layers = layers_in(net, "TRAIN", state.stages, state.level)
    learns = any(loss_weight(layer, 0) for layer in layers)
    return "TRAIN" if learns else "TEST"


def _json(cost: NetCost, notices: list[str]) -> dict[str, Any]:
    """Return the cost's own fields, and what the table derives from them."""
    from netgen.cost.memory import PROGRAM_BYTES

    return {
        "assumed": cost.assumed,
        **asdict(cost),
        "multiply_adds_per_image": cost.multiply_adds_per_image,
        "memory_bytes": cost.memory.total,
        "memory_bytes_per_image": cost.memory.per_image,
        "process_bytes": cost.memory.total + PROGRAM_BYTES,
        "notices": notices,
    }


def _print(cost: NetCost, notices: list[str], by_layer: bool) -> None:
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
