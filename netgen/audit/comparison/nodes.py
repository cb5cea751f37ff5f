"""The layers of a phase as nodes without names: what each computes, and from what.

Layers in place, Splits, Silences, data sources and layers that only carry labels are removed: the
image, the labels, and the layers between them remain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from netgen.audit.comparison.traits import Traits, traits_of
from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.schema import Phase
from netgen.cost.complexity import READS_LABELS
from netgen.cost.layers.layer_types import Shape
from netgen.cost.wiring import Version, Wired

IMAGE, LABEL = -2, -3  # the two leaves; Python hashes -1 as it does -2
REPORTS = {"Accuracy", "ArgMax"}  # through which no gradient goes
VANISHES = {"Silence", "Split"}
CARRIES = {"Concat", "Flatten", "Reshape", "Slice", "Split"}  # labels, on their way to a loss
CHANGES = {  # them, or nothing: a Pooling of one number, a Power of 1
    "AbsVal", "Bias", "Dropout", "Eltwise", "Exp", "Log", "Pooling", "Power", "ReLU", "Scale",
    "Sigmoid", "TanH", "Threshold", "Tile",
}  # fmt: skip


@dataclass(frozen=True)
class Edge:
    """An input of a layer: a node's number or a leaf, the index of its top, and the weight."""

    source: int
    top: int = 0
    coefficient: float = 1.0


@dataclass(frozen=True)
class Node:
    """A layer of the graph, or several that one layer could replace.

    Attributes
    ----------
    name, type
        The layer's name; its type in the normal form.
    traits
        What it computes, and how it learns.
    reads
        Its inputs.
    layer
        The layer that gives it its name.
    layers
        All layers that it stands for, in the order of their parameter blobs.
    bottom
        The shape of its first bottom, where that is known.
    """

    name: str
    type: str
    traits: Traits
    reads: tuple[Edge, ...]
    layer: LayerParameter
    layers: tuple[LayerParameter, ...]
    bottom: Shape | None = None

    @property
    def weighs(self) -> bool:
        """Whether it is a part of the objective."""
        weights = self.traits.learns.get("loss_weight")
        return isinstance(weights, tuple) and any(weights)

    @property
    def bound(self) -> bool:
        """Whether it stops gradients, or shares weights with another layer."""
        return bool({"propagate_down", "param.name"} & self.traits.learns.keys())


def label_versions(wired: Sequence[Wired]) -> set[Version]:
    """Find the blobs with labels: read as labels, and from a source, possibly through a Slice.

    What else a layer on that way makes belongs to them, if nothing but a Silence reads it.
    """
    sourced: set[Version] = set()
    for one in wired:
        passes = one.layer.type in CARRIES | CHANGES and sourced.issuperset(one.bottoms)
        if passes or not one.bottoms:
            sourced.update(one.tops)
    readers = [one for one in wired if one.layer.type in READS_LABELS]
    labels = sourced.intersection(bottom for one in readers for bottom in one.bottoms[1:2])
    silenced = {b for one in wired if one.layer.type == "Silence" for b in one.bottoms}
    for one in reversed(wired):
        if labels.intersection(one.tops):
            labels.update(one.bottoms)
            unread = [top for top in one.tops if top.readers == (top in silenced)]
            labels.update(unread if one.bottoms else ())
    return labels


def axis_along(layer: LayerParameter) -> int:
    """Return the axis that a Concat or a Slice works along, as it is written: -1 is the last."""
    axis = traits_of(layer, "TRAIN", None).computes["axis"]
    return axis if isinstance(axis, int) else 1


class Maker:
    """Makes the nodes of a graph, layer by layer."""

    def __init__(
        self,
        wired: Sequence[Wired],
        phase: Phase,
        shapes: Sequence[Shape | None],
        labels: set[Version],
    ) -> None:
        self.phase: Phase = phase
        self.names = Counter(spec.name for one in wired for spec in one.layer.param)
        self.shapes, self.labels = shapes, labels
        self.nodes: list[Node] = []
        self.images: list[LayerParameter] = []
        self.labelled: dict[int, tuple[LayerParameter, ...]] = {}
        self._made: dict[Version, Edge] = {}
        self._used: dict[int, int] = {}
        self._sources: dict[Version, tuple[LayerParameter, ...]] = {}
        self._order: dict[int, int] = {}  # of layers, by identity
        self._seen = 0

    def add(self, one: Wired) -> None:
        """Add a layer as leaves or as a node, or skip it."""
        layer, index = one.layer, self._seen
        self._seen += 1
        self._order[id(layer)] = index
        if not one.bottoms:
            self._add_source(one)
        elif one.tops and set(one.tops) <= self.labels:  # slices labels apart, for example
            self._made |= dict.fromkeys(one.tops, Edge(LABEL))
            self._sources |= dict.fromkeys(one.tops, (layer, *self._before(one)))
        elif layer.type in VANISHES and all(layer.propagate_down) and not any(layer.loss_weight):
            self._made |= dict.fromkeys(one.tops, self._made[one.bottoms[0]])
        else:
            self._add_node(one, self.shapes[index] if self.shapes else None)

    def _before(self, one: Wired) -> list[LayerParameter]:
        """List the layers that lead to a layer of labels: each once, the latest first."""
        found = {id(x): x for bottom in one.bottoms for x in self._sources.get(bottom, ())}
        return sorted(found.values(), key=lambda layer: -self._order[id(layer)])

    def _add_source(self, one: Wired) -> None:
        place = len(self.images)
        for top in one.tops:
            self._made[top] = Edge(LABEL) if top in self.labels else Edge(IMAGE, place)
            self._sources[top] = (one.layer,)
        if set(one.tops) - self.labels:
            self.images.append(one.layer)

    def _add_node(self, one: Wired, bottom: Shape | None) -> None:
        layer = one.layer
        sums = layer.type == "Eltwise" and len(layer.eltwise_param.coeff) == len(one.bottoms)
        weights = layer.eltwise_param.coeff if sums else [1.0] * len(one.bottoms)
        reads = [
            replace(self._read(version), coefficient=weight)
            for version, weight in zip(one.bottoms, weights, strict=True)
        ]
        for version in one.bottoms:
            if version in self.labels:
                self.labelled[len(self.nodes)] = self._sources.get(version, ())
        self._made |= {top: Edge(len(self.nodes), place) for place, top in enumerate(one.tops)}
        traits = self._traits(layer, bottom, reads)
        self.nodes.append(
            Node(layer.name, traits.type, traits, tuple(reads), layer, (layer,), bottom)
        )

    def _read(self, version: Version) -> Edge:
        """Return where a blob comes from; sources of images are told apart as they are read."""
        edge = self._made[version]
        if edge.source != IMAGE:
            return edge
        return Edge(IMAGE, self._used.setdefault(edge.top, len(self._used)))

    def _traits(self, layer: LayerParameter, bottom: Shape | None, reads: Sequence[Edge]) -> Traits:
        """Return a layer's traits, without names and stopped gradients that are of no effect."""
        traits = traits_of(layer, self.phase, bottom)
        learns = dict(traits.learns)
        if not self._shares(layer):
            learns.pop("param.name", None)
        bottoms = zip(layer.propagate_down, reads, strict=False)
        stops = any(not passes and edge.source >= 0 for passes, edge in bottoms)
        if layer.type in REPORTS or not stops:
            learns.pop("propagate_down", None)
        return replace(traits, learns=learns)

    def _shares(self, layer: LayerParameter) -> bool:
        return any(spec.name and self.names[spec.name] > 1 for spec in layer.param)
