"""Pairs the layers of two graphs, and lists what differs, layer by layer and field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from netgen.audit.comparison.graph import Graph
from netgen.audit.comparison.matching import Pairs, match
from netgen.audit.comparison.nodes import IMAGE, LABEL, Edge, Node

BlobRead = tuple[int, int, float]  # a node of the wanted graph or a leaf, its top, the coefficient


REPORTED_OTHERWISE = {"bottoms"}  # a sum of another number of blobs also reads other blobs


class DifferenceKind(Enum):
    """The kind of a difference."""

    MISSING = "missing"
    EXTRA = "extra"
    TYPE = "type"
    FIELD = "field"
    BOTTOMS = "bottoms"


@dataclass(frozen=True)
class LayerDifference:
    """A difference in one layer.

    Attributes
    ----------
    kind
        Its kind.
    found, wanted
        The layer, in the network and in the paper's; one is None where it has no counterpart.
    field
        The field that differs, if it is one field.
    values
        What was found, and what the paper has; of an extra layer, what it reads and what uses it
        ("": nothing).
    """

    kind: DifferenceKind
    found: Node | None
    wanted: Node | None
    field: str = ""
    values: tuple[object, object] = (None, None)

    @property
    def node(self) -> Node:
        """The layer: the paper's, where it has one."""
        node = self.wanted or self.found
        if node is None:
            raise ValueError("a difference of no layer")
        return node

    @property
    def name(self) -> str:
        """The layer's name in the inspected network, else in the paper's."""
        return (self.found or self.node).name


@dataclass(frozen=True)
class GraphComparison:
    """Two graphs, their pairs, and what differs."""

    found: Graph
    wanted: Graph
    pairs: Pairs
    differences: tuple[LayerDifference, ...]

    @property
    def renamed(self) -> int:
        """How many paired layers have another name."""
        return sum(
            self.found.nodes[f].name != self.wanted.nodes[w].name for f, w in self.pairs.items()
        )


def compare(found: Graph, wanted: Graph) -> GraphComparison:
    """Pair the layers of a network with the paper's, and list what differs."""
    pairs = match(found, wanted)
    replaced = dict(_replaced(found, wanted, pairs))
    view = _View(found, wanted, pairs | replaced)
    return GraphComparison(found, wanted, pairs, tuple(_differences(view, replaced)))


def _differences(view: _View, replaced: Pairs) -> Iterator[LayerDifference]:
    for f, node in enumerate(view.found.nodes):
        w = view.pairs.get(f)
        if w is None:
            values = view.describe_reads(f), "" if f in view.unused else view.used_by(f)
            yield LayerDifference(DifferenceKind.EXTRA, node, None, values=values)
            continue
        wanted = view.wanted.nodes[w]
        if f in replaced:
            yield LayerDifference(
                DifferenceKind.TYPE, node, wanted, "type", (node.type, wanted.type)
            )
        else:
            yield from _fields(node, wanted)
        yield from view.bottoms(f, w)
    paired = set(view.pairs.values())
    for w, wanted in enumerate(view.wanted.nodes):
        if w not in paired:
            yield LayerDifference(DifferenceKind.MISSING, None, wanted)


def _fields(found: Node, wanted: Node) -> Iterator[LayerDifference]:
    for theirs, ours in (
        (found.traits.computes, wanted.traits.computes),
        (found.traits.learns, wanted.traits.learns),
    ):
        for field in sorted((ours.keys() | theirs.keys()) - REPORTED_OTHERWISE):
            values = _comparable(field, theirs.get(field), ours.get(field))
            if values[0] != values[1]:
                yield LayerDifference(DifferenceKind.FIELD, found, wanted, field, values)


def _comparable(field: str, found: object, wanted: object) -> tuple[object, object]:
    """Omit the rates and the filler of a blob that only one of the two has: a bias."""
    if isinstance(found, tuple) and isinstance(wanted, tuple) and field.endswith("_mult"):
        shared = min(len(found), len(wanted))
        return found[:shared], wanted[:shared]
    missing = field.endswith(("_mult", "filler")) and (found is None or wanted is None)
    return (None, None) if missing else (found, wanted)


def _replaced(found: Graph, wanted: Graph, pairs: Pairs) -> Iterator[tuple[int, int]]:
    """Pair the remaining layers that have the same place or name, but another type."""
    left = [w for w in range(len(wanted.nodes)) if w not in set(pairs.values())]
    for f, node in enumerate(found.nodes):
        if f in pairs:
            continue
        readers = {pairs.get(r) for r, _ in found.readers[f]} - {None}
        bottoms = {pairs.get(edge.source) for edge in node.reads} - {None}
        for w in left:
            other = wanted.nodes[w]
            same_readers = bool(readers) and readers == {r for r, _ in wanted.readers[w]}
            same_bottoms = bool(bottoms) and bottoms == {edge.source for edge in other.reads}
            if node.name == other.name or (same_readers and same_bottoms):
                left.remove(w)
                yield f, w
                break


class _View:
    """The found graph, compared by the pairs; layers that only one side has are passed over."""

    def __init__(self, found: Graph, wanted: Graph, pairs: Pairs) -> None:
        self.found, self.wanted, self.pairs = found, wanted, pairs
        self.paired = set(pairs.values())

    def bottoms(self, f: int, w: int) -> Iterator[LayerDifference]:
        """Report a layer that does not read the same blobs as its counterpart."""
        found, wanted = self.found.nodes[f], self.wanted.nodes[w]
        theirs = [self._through_found(edge) for edge in found.reads]
        ours = [self._through_wanted(edge) for edge in wanted.reads]
        sums = found.type == "Eltwise"
        if sorted(theirs) == sorted(ours) if sums else theirs == ours:
            return
        their_words = [_word(self.found, edge) for edge in found.reads]
        our_words = [_word(self.wanted, edge) for edge in wanted.reads]
        more, less = _only(theirs, ours, their_words), _only(ours, theirs, our_words)
        if not (more or less):  # the same blobs in another order
            more, less = ", ".join(their_words), ", ".join(our_words)
        yield LayerDifference(DifferenceKind.BOTTOMS, found, wanted, "bottom", (more, less))

    def describe_reads(self, f: int) -> str:
        """Name what a layer reads, as the inspected network does."""
        return ", ".join(_word(self.found, edge) for edge in self.found.nodes[f].reads)

    @cached_property
    def unused(self) -> set[int]:
        """The layers without weights that are used for nothing that has a counterpart."""
        unused: set[int] = set()
        for f in reversed(range(len(self.found.nodes))):  # readers come after what they read
            node = self.found.nodes[f]
            counts = f in self.pairs or node.weighs or node.traits.learns.get("lr_mult")
            if not counts and all(reader in unused for reader, _ in self.found.readers[f]):
                unused.add(f)
        return unused

    def used_by(self, f: int) -> str:
        """Name who reads a layer, as the inspected network does, or else what it is for."""
        readers = (self.found.nodes[reader].name for reader, _ in self.found.readers[f])
        return ", ".join(readers) or "the objective"

    def _through_found(self, edge: Edge) -> BlobRead:
        source = edge.source
        while source >= 0 and source not in self.pairs and len(self.found.nodes[source].reads) == 1:
            source = self.found.nodes[source].reads[0].source
        stranger = source - len(self.found.nodes) + LABEL  # a number below the leaves'
        place = self.pairs.get(source, stranger) if source >= 0 else source
        return place, edge.top, edge.coefficient

    def _through_wanted(self, edge: Edge) -> BlobRead:
        source = edge.source
        while source >= 0 and source not in self.paired:
            if len(self.wanted.nodes[source].reads) != 1:
                break
            source = self.wanted.nodes[source].reads[0].source
        return source, edge.top, edge.coefficient


def _only(reads: list[BlobRead], others: list[BlobRead], words: list[str]) -> str:
    """Name what one side reads and the other does not."""
    left = Counter(others)
    only = []
    for read, word in zip(reads, words, strict=True):
        if left[read]:
            left[read] -= 1
        else:
            only.append(word)
    return ", ".join(only)


def _word(graph: Graph, edge: Edge) -> str:
    times = f"{edge.coefficient:g} x " if edge.coefficient != 1 else ""
    leaves = {IMAGE: "another source's image" if edge.top else "the image", LABEL: "labels"}
    return times + (leaves.get(edge.source) or graph.nodes[edge.source].name)
