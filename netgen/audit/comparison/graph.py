"""A phase of a network as a graph without names: what each layer computes, and from what.

The graph is in normal form: see `netgen.audit.comparison.normal_form`. Two fingerprints per layer,
one of all that leads to it and one of all that it leads to, make layers of different networks
comparable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from netgen.audit.comparison.nodes import Maker, Node, axis_along, label_versions
from netgen.audit.comparison.normal_form import Rewrite, normal_form
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import Phase, SchemaError, layers_in
from netgen.cost.complexity import count
from netgen.cost.layers.layer_types import Shape
from netgen.cost.wiring import Version, Wired, WiringError, wire
from netgen.paper import IMAGE_SHAPE

COMMUTES = {"Eltwise"}
UNSEEN = {"HDF5Data", "Python"}  # sources whose sizes a file or a program alone has
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
        For each node that reads labels, the layers that its labels come from, the latest first.
    counted
        The results of counting it.
    rewrites
        What the normal form changed.
    """

    phase: Phase
    nodes: tuple[Node, ...]
    images: tuple[LayerParameter, ...]
    labels: Mapping[int, tuple[LayerParameter, ...]]
    counted: GraphCount
    rewrites: tuple[Rewrite, ...] = ()

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
    made = Maker(wired, phase, counted.bottoms, label_versions(wired))
    for one in wired:
        made.add(one)
    form = normal_form(made.nodes, made.labelled)
    return Graph(phase, form.nodes, tuple(made.images), form.labels, counted, form.rewrites)


def fed_shapes(net: NetParameter, phase: Phase) -> dict[str, Shape]:
    """Return the shape of every blob that a source makes, as far as the network can be counted.

    Raises
    ------
    SchemaError
        When Caffe would refuse the network.
    """
    layers = layers_in(net, phase)
    sources = {top for layer in layers if not layer.bottom for top in layer.top}
    cost = count(net, phase, inputs=_sizes(wire(layers)))
    tops = [top for layer in cost.layers for top in layer.tops]
    return {top.name: top.shape for top in tops if top.name in sources and top.shape}


def similarity(a: Graph, b: Graph) -> float:
    """Return the similarity of two graphs: 1 if every layer has its equal in the same place."""
    kinds = [(a.own, b.own), (a.forward, b.forward), (a.backward, b.backward), (a.whole, b.whole)]
    shared = sum((Counter(left) & Counter(right)).total() for left, right in kinds)
    return 2 * shared / (len(kinds) * max(1, len(a.nodes) + len(b.nodes)))


def _ordered(
    node: Node, bottoms: list[tuple[Key, int, float]]
) -> tuple[tuple[Key, int, float], ...]:
    return tuple(sorted(bottoms) if node.type in COMMUTES else bottoms)


def _sizes(wired: Sequence[Wired]) -> dict[str, Shape]:
    """Return the shapes that no prototxt states: of labels that layers carry, one number per label.

    A program's images, or a file's, are taken to be of the paper's size.
    """
    labels = label_versions(wired)
    sources = {top for one in wired if one.layer.type == "Data" for top in one.tops[:1]}
    carried: dict[str, Shape] = {
        version.name: (width, 1, 1)
        for version, width in _widths(wired, labels).items()
        if version in sources
    }
    images: dict[str, Shape] = {
        top.name: IMAGE_SHAPE
        for one in wired
        if one.layer.type in UNSEEN and not one.bottoms
        for top in one.tops
        if top not in labels and top.readers
    }
    return carried | images


def _widths(wired: Sequence[Wired], labels: set[Version]) -> dict[Version, int]:
    """Count the labels per image of each blob of labels that other layers of labels read."""
    widths: dict[Version, int] = {}
    for one in reversed(wired):
        if one.tops and labels.issuperset(one.tops):
            width = _width(one, [widths.get(top, 1) for top in one.tops])
            widths |= {bottom: max(widths.get(bottom, 1), width) for bottom in one.bottoms}
    return widths


def _width(one: Wired, tops: Sequence[int]) -> int:
    """Count the labels per image, N x C x 1 x 1, of what a layer reads, given those of its tops."""
    if one.layer.type not in ("Concat", "Slice") or axis_along(one.layer) not in (1, -3):
        return max(tops)
    if one.layer.type == "Concat":
        return 1 if len(one.bottoms) > 1 else max(tops)
    points = one.layer.slice_param.slice_point
    return points[-1] + tops[-1] if points else len(tops) * max(tops)


def _counted(net: NetParameter, phase: Phase, sizes: Mapping[str, Shape]) -> GraphCount:
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
