"""What differs between two networks, whoever wrote them: a sentence for each layer and field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netgen.audit.comparison.differences import DifferenceKind, LayerDifference, compare
from netgen.audit.comparison.graph import graph_of
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import Phase
from netgen.system.text import value_text


@dataclass(frozen=True)
class Distinction:
    """What differs in one layer; `layers` are its names in the two networks, "" where it lacks."""

    what: str
    layers: tuple[str, str]


def distinctions(first: NetParameter, second: NetParameter, phase: Phase) -> list[Distinction]:
    """Return what differs between two networks in a phase, compared by what they compute.

    Raises
    ------
    SchemaError
        The layers of one do not connect.
    """
    compared = compare(graph_of(first, phase), graph_of(second, phase))
    return [
        Distinction(
            SENTENCES[one.kind](one),
            (one.found.name if one.found else "", one.wanted.name if one.wanted else ""),
        )
        for one in compared.differences
    ]


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
