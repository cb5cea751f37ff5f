"""Find which layer of one graph corresponds to which layer of another, whatever their names.

After a single change, every other layer still has one of its two fingerprints: layers that do not
come after it have the same past, layers that do not come before it the same future. So layers are
paired best first, by fingerprints, names and paired neighbours; a pair raises its neighbours'
scores.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator

from netgen.audit.comparison.graph import Graph

Pairs = dict[int, int]

WHOLE, HALF, OWN, NEIGHBOUR = 4.0, 2.0, 1.0, 1.0
NAME, MISLEADING_NAME = 6.0, 0.5
ENOUGH = 1.0  # one neighbour in common, or one fingerprint


def match(found: Graph, wanted: Graph) -> Pairs:
    """Pair the layers of two graphs.

    Returns
    -------
    dict
        Node of `found` to node of `wanted`, one to one; those without a counterpart are omitted.
    """
    return _Matching(found, wanted).pairs()


class _Matching:
    """The pairing in progress."""

    def __init__(self, found: Graph, wanted: Graph) -> None:
        self.found, self.wanted = found, wanted
        self.name = NAME if _names_agree(found, wanted) else MISLEADING_NAME
        self.forth: Pairs = {}
        self.back: Pairs = {}
        self.heap: list[tuple[float, int, int]] = []

    def pairs(self) -> Pairs:
        """Pair until no likely pair is left."""
        for f, w in self._candidates():
            self._offer(f, w)
        while self.heap:
            score, f, w = heapq.heappop(self.heap)
            if f in self.forth or w in self.back:
                continue
            current = self._score(f, w)
            if current < -score:  # a neighbour was paired with another layer meanwhile
                self._offer(f, w)
            else:
                self._pair(f, w)
        return self.forth

    def _candidates(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs that have a fingerprint or their name and type in common."""
        found, wanted = self.found, self.wanted
        for left, right in (
            (found.whole, wanted.whole),
            (found.forward, wanted.forward),
            (found.backward, wanted.backward),
            (_names(found), _names(wanted)),
        ):
            places: dict[object, list[int]] = defaultdict(list)
            for w, key in enumerate(right):
                places[key].append(w)
            for f, key in enumerate(left):
                yield from ((f, w) for w in places[key])

    def _offer(self, f: int, w: int) -> None:
        score = self._score(f, w)
        if score >= ENOUGH:
            heapq.heappush(self.heap, (-score, f, w))

    def _pair(self, f: int, w: int) -> None:
        self.forth[f], self.back[w] = w, f
        for near_f, near_w in self._neighbours(f, w):
            for other_f in near_f:
                for other_w in near_w:
                    free = other_f not in self.forth and other_w not in self.back
                    if free and self._type(other_f) == self.wanted.nodes[other_w].type:
                        self._offer(other_f, other_w)

    def _type(self, f: int) -> str:
        return self.found.nodes[f].type

    def _score(self, f: int, w: int) -> float:
        found, wanted = self.found, self.wanted
        if self._type(f) != wanted.nodes[w].type:
            return 0.0
        score = WHOLE * (found.whole[f] == wanted.whole[w])
        score += HALF * (found.forward[f] == wanted.forward[w])
        score += HALF * (found.backward[f] == wanted.backward[w])
        score += OWN * (found.own[f] == wanted.own[w])
        score += self.name * (found.nodes[f].name == wanted.nodes[w].name)
        for near_f, near_w in self._neighbours(f, w):
            paired = {self.forth[other] for other in near_f if other in self.forth}
            score += NEIGHBOUR * (2 * len(paired & near_w) - len(paired))
        return score

    def _neighbours(self, f: int, w: int) -> Iterable[tuple[set[int], set[int]]]:
        """Return the two layers' bottoms, and their readers."""
        found, wanted = self.found, self.wanted
        yield (
            {edge.source for edge in found.nodes[f].reads if edge.source >= 0},
            {edge.source for edge in wanted.nodes[w].reads if edge.source >= 0},
        )
        yield {r for r, _ in found.readers[f]}, {r for r, _ in wanted.readers[w]}


def _names(graph: Graph) -> list[tuple[str, str]]:
    return [(node.type, node.name) for node in graph.nodes]


def _names_agree(found: Graph, wanted: Graph) -> bool:
    """Return whether names can be trusted: most are the same, and not merely permuted."""
    shared = len(set(_names(found)) & set(_names(wanted)))
    if 2 * shared < len(wanted.nodes):
        return False
    places = dict(zip(_names(wanted), wanted.whole, strict=True))
    same = sorted(found.whole) == sorted(wanted.whole)
    return not same or all(
        places.get(name) == key for name, key in zip(_names(found), found.whole, strict=True)
    )
