"""What differs between two networks, whoever wrote them: a sentence for each layer and field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netgen.audit.comparison.differences import DifferenceKind, LayerDifference, compare
from netgen.audit.comparison.graph import graph_of
from netgen.audit.comparison.nodes import Node
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import Phase
from netgen.system.text import unique_names, value_text


@dataclass(frozen=True)
class Distinction:
    """What differs in one layer; `layers` are its places in the two, None in one that lacks it."""

    what: str
    layers: tuple[int | None, int | None]


def distinctions(
    first: Sequence[LayerParameter], second: Sequence[LayerParameter], phase: Phase
) -> list[Distinction]:
    """Return what differs between two networks, compared by what they compute.

    Parameters
    ----------
    first, second
        The layers of each network in the phase, in their order, the same names or not.
    phase
        The phase.

    Raises
    ------
    SchemaError
        The layers of one do not connect.
    """
    nets = [_told_apart(layers) for layers in (first, second)]
    compared = compare(*(graph_of(net, phase) for net in nets))
    numbers = [{layer.name: number for number, layer in enumerate(net.layer)} for net in nets]

    def place(network: int, node: Node | None) -> int | None:
        return numbers[network][node.name] if node else None

    return [
        Distinction(SENTENCES[one.kind](one), (place(0, one.found), place(1, one.wanted)))
        for one in compared.differences
    ]


def _told_apart(layers: Sequence[LayerParameter]) -> NetParameter:
    """Return a network of these layers, no two of which have the same name."""
    net = NetParameter(layer=layers)
    for layer, name in zip(net.layer, unique_names([x.name for x in layers]), strict=True):
        layer.name = name
        for rules in ("include", "exclude"):  # by which they are chosen already
            layer.ClearField(rules)
    return net


def _field(difference: LayerDifference) -> str:
    found, wanted = map(value_text, difference.values)
    return f"{difference.field}: {found} in the first, {wanted} in the second"


def _type(difference: LayerDifference) -> str:
    found, wanted = difference.values
    return f"a {found} in the first, a {wanted} in the second"


def _bottoms(difference: LayerDifference) -> str:
    more, less = difference.values
    only = (
        f"only in the first: {more}" if more else "",
        f"only in the second: {less}" if less else "",
    )
    return "reads " + "; ".join(filter(None, only))


def _extra(difference: LayerDifference) -> str:
    reads, readers = difference.values
    used = f", used by {readers}" if readers else ""
    return f"a {difference.node.type} on {reads}{used}, only in the first"


def _missing(difference: LayerDifference) -> str:
    return f"a {difference.node.type}, only in the second"


SENTENCES: dict[DifferenceKind, Callable[[LayerDifference], str]] = {
    DifferenceKind.FIELD: _field,
    DifferenceKind.TYPE: _type,
    DifferenceKind.BOTTOMS: _bottoms,
    DifferenceKind.EXTRA: _extra,
    DifferenceKind.MISSING: _missing,
}
