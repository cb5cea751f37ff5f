"""A phase of a network as a graph without names: what each layer computes, and from what.

Layers in place, Splits, Silences, data sources and layers that only carry labels are removed: the
image, the labels, and the layers between them remain. Two fingerprints per layer, one of all that
leads to it and one of all that it leads to, make layers of different networks comparable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from netgen.audit.inspection.traits import Traits, traits_of
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import Phase, SchemaError, layers_in
from netgen.cost.complexity import READS_LABELS, count
from netgen.cost.layers.layer_types import Shape
from netgen.cost.wiring import Version, Wired, WiringError, wire

IMAGE, LABEL = -2, -3  # the two leaves; Python hashes -1 as it does -2
COMMUTES = {"Eltwise"}
VANISHES = {"Silence", "Split"}
CARRIES = {"Concat", "Flatten", "Reshape", "Slice", "Split"}  # labels, on their way to a loss
ROUNDS = 4  # of refining: a cross weight's task follows from the head of its source
Key = int


@dataclass(frozen=True)
class GraphCount:
    """The results of counting a network, as far as it could be counted.

    Attributes
    ----------
    bottoms
        The shape of each layer's first bottom; empty where the network was not counted.
    parameters
        Elements of all parameter blobs; None where a layer is unknown or Caffe refuses the network.
    notices
        What was assumed and what is unknown.
    refused
        Why Caffe would refuse the network, or None.
    """

    bottoms: tuple[Shape | None, ...] = ()
    parameters: int | None = None
    notices: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True)
class Edge:
    """An input of a layer: a node's number or a leaf, the index of its top, and the weight."""

    source: int
    top: int = 0
    coefficient: float = 1.0


@dataclass(frozen=True)
class Node:
    """A layer of the graph."""

    name: str
    type: str
    traits: Traits
    reads: tuple[Edge, ...]
    layer: LayerParameter


@dataclass(frozen=True)
class Graph:
    """A network in one phase.

    Attributes
    ----------
    phase
        The phase.
    nodes
        Layers, each after what it reads.
    images
        The layers that the image comes from.
    labels
        For each node that reads labels, the names that its labels come from: sources' paths first.
    counted
        The results of counting it.
    """

    phase: Phase
    nodes: tuple[Node, ...]
    images: tuple[LayerParameter, ...]
    labels: Mapping[int, tuple[LayerParameter, ...]]
    counted: GraphCount

    @cached_property
    def readers(self) -> list[list[tuple[int, int]]]:
        """For each node, its readers: (node, position among its bottoms)."""
        readers: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for index, node in enumerate(self.nodes):
            for position, edge in enumerate(node.reads):
                if edge.source >= 0:
                    readers[edge.source].append((index, position))
        return readers

    @cached_property
    def own(self) -> list[Key]:
        """For each node, a fingerprint of only its type and traits."""
        return [hash((n.type, tuple(sorted(n.traits.computes.items())))) for n in self.nodes]

    @cached_property
    def forward(self) -> list[Key]:
        """For each node, a fingerprint of all that leads to it."""
        keys: list[Key] = []
        for index, node in enumerate(self.nodes):
            bottoms = [
                (keys[edge.source] if edge.source >= 0 else edge.source, edge.top, edge.coefficient)
                for edge in node.reads
            ]
            keys.append(hash((self.own[index], _ordered(node, bottoms))))
        return keys

    @cached_property
    def backward(self) -> list[Key]:
        """For each node, a fingerprint of all that it leads to."""
        keys = [0] * len(self.nodes)
        for index in reversed(range(len(self.nodes))):
            uses = [(keys[r], *self._port(r, position)) for r, position in self.readers[index]]
            keys[index] = hash((self.own[index], tuple(sorted(uses))))
        return keys

    @cached_property
    def whole(self) -> list[Key]:
        """For each node, a fingerprint of its place in the whole graph."""
        keys = [hash(pair) for pair in zip(self.forward, self.backward, strict=True)]
        for _ in range(ROUNDS):
            keys = [self._refined(index, keys) for index in range(len(self.nodes))]
        return keys

    def _refined(self, index: int, keys: Sequence[Key]) -> Key:
        node = self.nodes[index]
        bottoms = [
            (keys[edge.source] if edge.source >= 0 else edge.source, edge.top, edge.coefficient)
            for edge in node.reads
        ]
        uses = sorted((keys[r], *self._port(r, position)) for r, position in self.readers[index])
        return hash((keys[index], _ordered(node, bottoms), tuple(uses)))

    def _port(self, reader: int, position: int) -> tuple[int, float]:
        node = self.nodes[reader]
        place = 0 if node.type in COMMUTES else position
        return place, node.reads[position].coefficient


def graph_of(net: NetParameter, phase: Phase) -> Graph:
    """Return the graph of a network in a phase.

    Raises
    ------
    SchemaError
        When its layers do not connect: a bottom that no layer makes, a cycle.
    """
    layers = layers_in(net, phase)
    try:
        wired = wire(layers)  # before the counting, which would only say that Caffe refuses it
    except WiringError as error:
        raise SchemaError(str(error)) from None
    return graph_of_layers(layers, phase, _counted(net, phase, _sizes(wired)))


def graph_of_layers(layers: Sequence[LayerParameter], phase: Phase, counted: GraphCount) -> Graph:
    """Return the graph of the layers of a phase, given the results of counting them."""
    wired = wire(layers)
    made = _Maker(phase, counted.bottoms, _label_versions(wired))
    for one in wired:
        made.add(one)
    return Graph(phase, tuple(made.nodes), tuple(made.images), made.labelled, counted)


def similarity(a: Graph, b: Graph) -> float:
    """Return the similarity of two graphs: 1 if every layer has its equal in the same place."""
    kinds = [(a.own, b.own), (a.forward, b.forward), (a.backward, b.backward), (a.whole, b.whole)]
    shared = sum((Counter(left) & Counter(right)).total() for left, right in kinds)
    return 2 * shared / (len(kinds) * max(1, len(a.nodes) + len(b.nodes)))


def _ordered(
    node: Node, bottoms: list[tuple[Key, int, float]]
) -> tuple[tuple[Key, int, float], ...]:
    return tuple(sorted(bottoms) if node.type in COMMUTES else bottoms)


def _sizes(wired: Sequence[Wired]) -> dict[str, tuple[int, int, int]]:
    """Return the shape of sources that are sliced into labels: one number per label."""
    labels = _label_versions(wired)
    sources = {top for one in wired if one.layer.type == "Data" for top in one.tops}
    return {
        one.layer.bottom[0]: (len(one.layer.top), 1, 1)
        for one in wired
        if one.layer.type == "Slice" and one.bottoms[0] in labels & sources
    }


def _counted(
    net: NetParameter, phase: Phase, sizes: Mapping[str, tuple[int, int, int]]
) -> GraphCount:
    try:
        cost = count(net, phase, inputs=sizes)
    except SchemaError as error:
        return GraphCount(refused=str(error))
    current: dict[str, Shape | None] = {}
    bottoms = []
    for layer, made in zip(layers_in(net, phase), cost.layers, strict=True):
        bottoms.append(current.get(layer.bottom[0]) if layer.bottom else None)
        current |= {top.name: top.shape for top in made.tops}
    parameters = cost.parameters if cost.complete else None
    return GraphCount(tuple(bottoms), parameters, cost.notices)


def _label_versions(wired: Sequence[Wired]) -> set[Version]:
    """Find the blobs with labels: read as labels, and from a source, possibly through a Slice."""
    sourced: set[Version] = set()
    for one in wired:
        if not one.bottoms or (one.layer.type in CARRIES and sourced.issuperset(one.bottoms)):
            sourced.update(one.tops)
    readers = [one for one in wired if one.layer.type in READS_LABELS]
    labels = sourced.intersection(bottom for one in readers for bottom in one.bottoms[1:2])
    for one in reversed(wired):
        if labels.intersection(one.tops):
            labels.update(one.bottoms)
    return labels


class _Maker:
    """Makes the nodes of a graph, layer by layer."""

    def __init__(self, phase: Phase, shapes: Sequence[Shape | None], labels: set[Version]) -> None:
        self.phase: Phase = phase
        self.shapes, self.labels = shapes, labels
        self.nodes: list[Node] = []
        self.images: list[LayerParameter] = []
        self.labelled: dict[int, tuple[LayerParameter, ...]] = {}
        self._made: dict[Version, Edge] = {}
        self._sources: dict[Version, tuple[LayerParameter, ...]] = {}
        self._seen = 0

    def add(self, one: Wired) -> None:
        """Add a layer as leaves or as a node, or skip it."""
        layer, index = one.layer, self._seen
        self._seen += 1
        if not one.bottoms:
            self._add_source(one)
        elif one.tops and set(one.tops) <= self.labels:  # slices labels apart, for example
            sources = tuple(s for bottom in one.bottoms for s in self._sources.get(bottom, ()))
            self._made |= dict.fromkeys(one.tops, Edge(LABEL))
            self._sources |= dict.fromkeys(one.tops, (layer, *sources))
        elif layer.type in VANISHES:
            self._made |= dict.fromkeys(one.tops, self._made[one.bottoms[0]])
        else:
            self._add_node(one, self.shapes[index] if self.shapes else None)

    def _add_source(self, one: Wired) -> None:
        for top in one.tops:
            self._made[top] = Edge(LABEL if top in self.labels else IMAGE)
            self._sources[top] = (one.layer,)
        if set(one.tops) - self.labels:
            self.images.append(one.layer)

    def _add_node(self, one: Wired, bottom: Shape | None) -> None:
        layer = one.layer
        sums = layer.type == "Eltwise" and len(layer.eltwise_param.coeff) == len(one.bottoms)
        weights = layer.eltwise_param.coeff if sums else [1.0] * len(one.bottoms)
        reads = [
            Edge(self._made[version].source, self._made[version].top, weight)
            for version, weight in zip(one.bottoms, weights, strict=True)
        ]
        for version in one.bottoms:
            if version in self.labels:
                self.labelled[len(self.nodes)] = self._sources.get(version, ())
        self._made |= {top: Edge(len(self.nodes), place) for place, top in enumerate(one.tops)}
        traits = traits_of(layer, self.phase, bottom)
        self.nodes.append(Node(layer.name, layer.type, traits, tuple(reads), layer))
