"""Networks to count, a file's or one of `netgen list`: the same for `netgen count` and pages."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netgen.commands.network_options import RequestedNetwork
from netgen.commands.shared_options import find_variant, load_dataset, with_options

if TYPE_CHECKING:  # protobuf loads slowly, and `netgen --help` does not need it
    from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
    from netgen.caffe.schema import Phase
    from netgen.cost.complexity import NetCost

Sizes = tuple[int, ...]  # of a record: channels, height and width of an image


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


@dataclass(frozen=True)
class RequestedState:
    """The state that selects layers, Caffe's NetState, and the sizes of what sources read.

    A phase of None follows from the network.
    """

    phase: str | None
    stages: tuple[str, ...]
    level: int | None
    inputs: Mapping[str, Sizes]


STATE = (
    click.option(
        "--phase",
        type=click.Choice(["train", "test"]),
        help="The phase to count.  [default: train; test for networks without a loss]",
    ),
    click.option(
        "--input",
        "inputs",
        type=BlobShape(),
        multiple=True,
        help="Sizes of a record, where the prototxt and its data do not give them: of images, or"
        " BLOB=D of vectors. Also for Python and HDF5 layers; repeatable.",
    ),
    click.option(
        "--stage",
        "stages",
        metavar="NAME",
        multiple=True,
        help="A stage that the rules (`include`, `exclude`) of layers ask for; repeatable.",
    ),
    click.option(
        "--level",
        type=click.IntRange(-(2**31), 2**31 - 1),
        metavar="N",
        help="The level that these rules compare with.",
    ),
)


def state_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, which gets them as one argument: ``state``."""

    @wraps(command)
    def called(
        *arguments: Any,
        phase: str | None,
        stages: tuple[str, ...],
        level: int | None,
        inputs: tuple[tuple[str, Sizes], ...],
        **others: Any,
    ) -> None:
        state = RequestedState(phase, stages, level, dict(inputs))
        command(*arguments, state=state, **others)

    return with_options(called, *STATE)


@dataclass(frozen=True)
class CountedNetwork:
    """A network in one phase.

    Attributes
    ----------
    net, layers
        The network, and the layers of the phase.
    cost
        What it costs, with one entry per layer.
    notices
        Of its file, and of the count.
    """

    net: NetParameter
    layers: tuple[LayerParameter, ...]
    cost: NetCost
    notices: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """Return the cost's own fields, and what tables derive from them: `netgen count --json`."""
        from netgen.cost.memory import PROGRAM_BYTES

        cost = self.cost
        return {
            "assumed": cost.assumed,
            **asdict(cost),
            "multiply_adds_per_image": cost.multiply_adds_per_image,
            "memory_bytes": cost.memory.total,
            "memory_bytes_per_image": cost.memory.per_image,
            "process_bytes": cost.memory.total + PROGRAM_BYTES,
            "notices": self.notices,
        }


def counted_file(file: str, state: RequestedState) -> CountedNetwork:
    """Return a prototxt's network, counted.

    Raises
    ------
    SchemaError
        It is no network that Caffe would build.
    """
    from netgen.caffe.schema import SchemaWarning, read_net

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SchemaWarning)
        net = read_net(file)
        counted = _count(net, file, state, state.inputs)
    return replace(counted, notices=(*(str(one.message) for one in caught), *counted.notices))


def counted_variant(
    variant: str, dataset: Path | None, requested: RequestedNetwork, state: RequestedState
) -> CountedNetwork:
    """Return a network as it is built, counted with its images' shape, which the prototxt lacks.

    Raises
    ------
    click.BadParameter
        There is no such variant or option.
    ValueError
        It cannot be built.
    """
    from netgen.caffe.schema import parse_net
    from netgen.network.build import BuildSpec, prototxt

    data = load_dataset(dataset)
    found = requested.of(find_variant(variant, data))
    net = parse_net(prototxt(BuildSpec(found, data, requested.backbone)), f"variant {variant}")
    images = data.images
    shape = (images.channels, images.height, images.width)
    known = {"data": shape} if found.row.is_trained else {}
    return _count(net, f"variant {variant}", state, known | dict(state.inputs))


def _count(
    net: NetParameter, name: str, state: RequestedState, inputs: Mapping[str, Sizes]
) -> CountedNetwork:
    from netgen.caffe.schema import SchemaError, layers_in
    from netgen.cost.complexity import count

    try:
        phase = _phase(net, state)
        cost = count(net, phase, stages=state.stages, level=state.level, inputs=inputs)
    except SchemaError as error:
        raise SchemaError(f"{name}: {error}") from None
    layers = layers_in(net, phase, state.stages, state.level)
    return CountedNetwork(net, tuple(layers), cost, cost.notices)


def _phase(net: NetParameter, state: RequestedState) -> Phase:
    from netgen.caffe.schema import layers_in
    from netgen.cost.wiring import loss_weight

    if state.phase:
        return "TRAIN" if state.phase == "train" else "TEST"
    layers = layers_in(net, "TRAIN", state.stages, state.level)
    learns = any(loss_weight(layer, 0) for layer in layers)
    return "TRAIN" if learns else "TEST"
