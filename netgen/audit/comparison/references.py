"""The paper's networks as graphs, in every reading, and the search for the nearest one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from netgen import paper
from netgen.audit.comparison.differences import compare
from netgen.audit.comparison.explanations import start_of
from netgen.audit.comparison.graph import Graph, GraphCount, graph_of_layers, similarity
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import Phase, layers_in, parse_net
from netgen.network.build import BuildSpec, NetKind, prototxt
from netgen.network.options import READINGS, Choice, Option
from netgen.network.variants import Architecture, Variant, variants

TEST_BATCH = 3  # divides the test set
CLIMBS = 2  # networks to climb from: with two changed readings, another may be nearest at first
# Readings of initial values, which compute the same: likeness does not tell them apart.
STARTS = (READINGS["cross-filler"],)
# The types of the layers that a reading adds, removes or changes. Where a graph has the same layers
# of these types as a reference, the reading cannot bring them nearer, and is not tried.
CHANGES = {
    "branch": {"Convolution"},
    "moved-norm": {"BatchNorm", "Scale"},
    "sharing": {"Scale"},
    "projection-relu": {"ReLU"},
    "stride": {"Convolution"},
    "conv1": {"Convolution"},
    "conv1-bias": {"Convolution"},
}


@dataclass(frozen=True)
class Reference:
    """One of the paper's networks, in one reading."""

    variant: Variant
    kind: NetKind

    @property
    def title(self) -> str:
        """Its name, and the readings that are not ours."""
        row, ours = self.variant.row, variants(self.variant.tasks)[self.variant.name].row
        others = [
            f"{name}={getattr(row, option.field).slug}"
            for name, option in READINGS.items()
            if getattr(row, option.field) is not getattr(ours, option.field)
        ]
        return self.variant.name + (f" read as {', '.join(others)}" if others else "")

    @property
    def is_ours(self) -> bool:
        """Whether every reading is the one that netgen builds."""
        return self.title == self.variant.name

    @property
    def printed(self) -> str:
        """Table 2's count of parameters, in millions."""
        return paper.TABLE_2_PARAMETERS[self.variant.name]

    @property
    def whole(self) -> Reference:
        """The network with all that it learns: auxiliary heads are not in deploy."""
        return self if self.is_counted("TEST") else replace(self, kind="train_val")

    def is_counted(self, phase: Phase) -> bool:
        """Return whether Table 2 counts a phase's net: auxiliary heads are in TRAIN only."""
        return phase == "TRAIN" or self.variant.row.architecture is not Architecture.INCEPTION

    def net(self) -> NetParameter:
        """Return the network, parsed."""
        return _net(self.variant, self.kind)

    def graph(self, phase: Phase) -> Graph:
        """Return the network's graph in a phase."""
        return _graph(self.variant, self.kind, phase)


Scored = tuple[Reference, float]


def nearest(found: Graph, kind: NetKind) -> Scored:
    """Return the paper's network most similar to a graph, and the similarity (1: equal function).

    A graph with sums is compared with Table 2's residual networks, another with the rest. Unless
    one of them is equal, other readings of the nearest are tried, one change at a time for as long
    as the likeness grows.
    """
    residual = any(node.type == "Eltwise" for node in found.nodes)
    rows = [
        Reference(row, kind)
        for row in variants(list(paper.TASKS)).values()
        if row.row.is_residual == residual and (kind == "deploy" or row.row.is_trained)
    ]
    scored = sorted((_scored(row, found) for row in rows), key=_likeness, reverse=True)
    if scored[0][1] == 1:
        return _started(scored[0], found)
    climbed = ((start, _climbed(start, found)) for start in scored[:CLIMBS])
    start, best = max(climbed, key=lambda pair: pair[1][1])
    return _started(_plainer(start, best, found), found)


def _plainer(ours: Scored, other: Scored, found: Graph) -> Scored:
    """Return our reading, unless another explains more of what differs, or all of it."""
    if other[1] == 1 or other[0] == ours[0]:
        return other
    kinds = [
        {
            (one.kind, one.node.type, one.field, one.values)
            for one in compare(found, reference.graph(found.phase)).differences
        }
        for reference, _ in (ours, other)
    ]
    return other if len(kinds[1]) < len(kinds[0]) else ours


def _climbed(best: Scored, found: Graph) -> Scored:
    """Change one reading at a time, to the one that brings the graph nearest."""
    while best[1] < 1:
        others = [_scored(other, found) for other in _neighbours(best[0], found)]
        nearer = max(others, key=_likeness, default=best)
        if nearer[1] <= best[1]:
            break
        best = nearer
    return best


def _likeness(scored: Scored) -> float:
    return scored[1]


def _scored(reference: Reference, found: Graph) -> Scored:
    return reference, similarity(found, reference.graph(found.phase))


def _neighbours(reference: Reference, found: Graph) -> Iterator[Reference]:
    """Yield the references that differ in one reading, and may be nearer to a graph."""
    row, unlike = reference.variant.row, _unlike(reference.graph(found.phase), found)
    for name, option in READINGS.items():
        tried = name not in CHANGES or CHANGES[name] & unlike
        if tried and option not in STARTS and row.has(option.needs):
            others = (value for value in option.values if value is not getattr(row, option.field))
            yield from (_read(reference, option, value) for value in others)


def _unlike(one: Graph, other: Graph) -> set[str]:
    """Return the types of which two graphs do not have the same layers."""
    layers = [Counter(zip(_types(graph), graph.own, strict=True)) for graph in (one, other)]
    more = (layers[0] - layers[1]) + (layers[1] - layers[0])
    return {kind for kind, _ in more}


def _types(graph: Graph) -> list[str]:
    return [node.type for node in graph.nodes]


def _read(reference: Reference, option: Option, value: Choice) -> Reference:
    """Return a reference with one reading changed."""
    row = replace(reference.variant.row, **{option.field: value})  # type: ignore[arg-type]  # any
    return replace(reference, variant=replace(reference.variant, row=row))


def _started(best: Scored, found: Graph) -> Scored:
    """Change what only concerns initial values to what most layers of the graph start from."""
    reference, score = best
    for option in STARTS:
        if reference.variant.row.has(option.needs) and _starts(found) - _starts_of(
            reference, found
        ):
            own = getattr(reference.variant.row, option.field)
            values = sorted(option.values, key=lambda value: value is not own)
            read = [_read(reference, option, value) for value in values]
            reference = max(read, key=lambda one: (_starts(found) & _starts_of(one, found)).total())
    return reference, score


def _starts_of(reference: Reference, found: Graph) -> Counter[str]:
    return _starts(reference.graph(found.phase))


def _starts(graph: Graph) -> Counter[str]:
    """Count how scales start."""
    scales = (node for node in graph.nodes if node.type == "Scale")
    return Counter(start_of(node.traits.learns.get("filler")) for node in scales)


@cache
def _graph(variant: Variant, kind: NetKind, phase: Phase) -> Graph:
    return graph_of_layers(layers_in(_net(variant, kind), phase), phase, GraphCount())


@cache
def _net(variant: Variant, kind: NetKind) -> NetParameter:
    return parsed(prototxt(BuildSpec(variant), kind, TEST_BATCH))


def parsed(text: str) -> NetParameter:
    """Parse one of our own networks, as a list of layers: each layer once, whichever it is in."""
    return NetParameter(layer=[_layer(chunk) for chunk in text.split("\nlayer {")[1:]])


@cache
def _layer(text: str) -> LayerParameter:
    """Parse one layer, once: readings of one network have most of their layers in common."""
    return parse_net("layer {" + text).layer[0]
