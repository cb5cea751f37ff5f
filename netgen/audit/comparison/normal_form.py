"""The normal form of a graph: networks that compute the same for a reason of algebra become equal.

`netgen.audit.comparison.algebra` has the rules for several layers, and
`netgen.audit.comparison.spellings` those that concern one layer alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from netgen.audit.comparison.algebra import RULES, Draft, makes_no_negative
from netgen.audit.comparison.nodes import Edge, Node
from netgen.caffe.caffe_pb2 import LayerParameter

Labels = Mapping[int, tuple[LayerParameter, ...]]


@dataclass(frozen=True)
class Rewrite:
    """A layer that the normal form changed, and how."""

    name: str
    how: str


@dataclass(frozen=True)
class NormalForm:
    """The nodes of a graph in normal form, the sources of its labels, and what was changed."""

    nodes: tuple[Node, ...]
    labels: Labels
    rewrites: tuple[Rewrite, ...]


def normal_form(nodes: Sequence[Node], labels: Labels) -> NormalForm:
    """Bring nodes, each after what it reads, to the normal form.

    Parameters
    ----------
    nodes
        The layers of one phase.
    labels
        For each node that reads labels, the layers that its labels come from.
    """
    form = _Former(Counter(edge.source for node in nodes for edge in node.reads))
    for index, node in enumerate(nodes):
        form.add(index, node)
    return form.finished(labels)


class _Former(Draft):
    """Applies the rules: numbers stay those of the layers until it is finished."""

    def __init__(self, readers: Mapping[int, int]) -> None:
        super().__init__(readers)
        self._through: dict[tuple[int, int], Edge] = {}
        self._rewrites: list[Rewrite] = []

    def add(self, index: int, node: Node) -> None:
        """Add a node as the rules have it, or pass over it."""
        self.index = index
        made = replace(node, reads=tuple(map(self._followed, node.reads)))
        for rule, how in RULES:
            found = None if made.bound else rule(self, made)
            if found is None:
                continue
            self._rewrites.append(Rewrite(node.name, how))
            if isinstance(found, Edge):
                self._through[index, 0] = found
                return
            made = found
        self.nodes[index] = made
        if makes_no_negative(self, made):
            self.positive.add(index)

    def _followed(self, edge: Edge) -> Edge:
        to = self._through.get((edge.source, edge.top))
        return replace(to, coefficient=edge.coefficient) if to else edge

    def finished(self, labels: Labels) -> NormalForm:
        """Leave out what nobody reads any more, and number the rest."""
        read: Counter[int] = Counter()
        for index in sorted(self.nodes, reverse=True):
            node = self.nodes[index]
            if self.readers.get(index) and not read[index] and not node.weighs:
                del self.nodes[index]
            else:
                read.update(edge.source for edge in node.reads)
        numbers = {index: number for number, index in enumerate(sorted(self.nodes))}
        nodes = tuple(
            replace(self.nodes[index], reads=tuple(_renumbered(self.nodes[index], numbers)))
            for index in numbers
        )
        kept = {numbers[index]: found for index, found in labels.items() if index in numbers}
        return NormalForm(nodes, kept, tuple(self._rewrites))


def _renumbered(node: Node, numbers: Mapping[int, int]) -> list[Edge]:
    return [replace(edge, source=numbers.get(edge.source, edge.source)) for edge in node.reads]
