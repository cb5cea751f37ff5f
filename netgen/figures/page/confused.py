"""Which classes networks take for which: of pairs, also what the two have in common.

A pair's noun and adjective are found from the names of classes: each pair is named ``left_right``,
where `left` is a class of one other task and `right` one of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from netgen.figures.page.paged_results import SharedTask

MOST = 300  # confusions of a kind that a page has, the most frequent
NEITHER = "neither"

Parts = Mapping[str, Sequence[str]]  # task -> of each pair the class that it belongs to


@dataclass(frozen=True)
class Confused:
    """A class that was taken for another, how often by each network, and what both share."""

    truth: int
    guess: int
    counts: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class Confusions:
    """The confusions of a task.

    Attributes
    ----------
    task
        What they are of.
    kinds
        What two classes can share: "same noun", …, "neither"; nothing where classes are no pairs.
    by_kind
        For each network, how many wrong guesses are of each kind.
    rows
        Of each kind the most frequent, all kinds together by frequency.
    found
        How many different ones there are.
    """

    task: SharedTask
    kinds: tuple[str, ...]
    by_kind: tuple[Mapping[str, int], ...]
    rows: tuple[Confused, ...]
    found: int


def parts_of(pairs: Sequence[str], classes: Mapping[str, Sequence[str]]) -> Parts:
    """Return the parts of pairs; nothing where they are not all pairs of the same two tasks.

    Parameters
    ----------
    pairs
        The names of a task's classes.
    classes
        The names of the other tasks' classes, by task.
    """
    for left, right in permutations(classes, 2):
        firsts, seconds = set(classes[left]), set(classes[right])
        found = [next(_splits(pair, firsts, seconds), None) for pair in pairs]
        known = [parts for parts in found if parts]
        if len(known) == len(pairs):
            return {right: [parts[1] for parts in known], left: [parts[0] for parts in known]}
    return {}


def _splits(pair: str, firsts: set[str], seconds: set[str]) -> Iterator[tuple[str, str]]:
    for place, sign in enumerate(pair):
        first, second = pair[:place], pair[place + 1 :]
        if sign == "_" and first in firsts and second in seconds:
            yield first, second


def confusions(task: SharedTask, others: Sequence[SharedTask]) -> Confusions:
    """Return the confusions of a task; `others` are all tasks, among which are those of its pairs.

    Networks of one task do not tell of the others: those of other networks are looked at, too.
    """
    classes = {
        other.name: other.task.names
        for other in others
        if other.dataset == task.dataset and other.name != task.name and other.task.names
    }
    parts = parts_of(task.task.names, classes) if task.task.names else {}

    def kind(truth: int, guess: int) -> str:
        same = (name for name, of in parts.items() if of[truth] == of[guess])
        return next((f"same {name}" for name in same), NEITHER)

    kinds = (*(f"same {name}" for name in parts), NEITHER) if parts else ()
    counts: dict[tuple[int, int], list[int]] = {}
    by_kind: list[dict[str, int]] = [dict.fromkeys(kinds, 0) for _ in task.networks]
    for place, result in enumerate(task.results):
        for one in result.confusions:
            pair = (one.truth, one.guess)
            counts.setdefault(pair, [0] * len(task.networks))[place] += one.count
            if kinds:
                by_kind[place][kind(*pair)] += one.count
    rows = [Confused(*pair, tuple(of), kind(*pair)) for pair, of in counts.items()]
    rows.sort(key=lambda row: (-max(row.counts), -sum(row.counts), row.truth, row.guess))
    return Confusions(task, kinds, tuple(by_kind), tuple(_most(rows)), len(rows))


def _most(rows: Sequence[Confused]) -> Iterator[Confused]:
    """Yield the first rows of each kind, in their order."""
    taken: dict[str, int] = {}
    for row in rows:
        taken[row.kind] = taken.get(row.kind, 0) + 1
        if taken[row.kind] <= MOST:
            yield row
