"""What a study's sentences come to: each is contrasts that would be positive if it holds.

A contrast is one number per seed: a difference of accuracies on the same images, in percentage
points. A sentence is "seen here" when the intervals of all its contrasts are above zero, "not seen
here" when one of them is below zero, otherwise "undecided". Which contrasts these are is in the
study's file, so it is fixed before the test images are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from netgen.paper.claims import CLAIMS
from netgen.pipeline.reporting.seen import (
    Number,
    OneSeed,
    Seen,
    Setting,
    less,
    seen_at,
)
from netgen.pipeline.reporting.statistics import CONFIDENCE, Mean, mean
from netgen.pipeline.running.records import StudyResults
from netgen.pipeline.study.study_file import (
    AnySentence,
    Difference,
    LargestGain,
    Network,
    OrderOfTasks,
    Signs,
    Study,
    groups_of,
    settings_of,
)


class SentenceVerdict(Enum):
    """Whether the study shows what a sentence says; the values are the report's words."""

    SEEN = "seen here"
    NOT_SEEN = "not seen here"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class SeedValue:
    """A contrast's number of one seed, and the names of the cells that it is of."""

    seed: int
    value: float
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Contrast:
    """A number that is positive if the sentence holds: its name, and its mean over seeds.

    `tasks` are those whose accuracies it is of; none where it is of cross weights.
    """

    what: str
    mean: Mean
    tasks: tuple[str, ...]
    seeds: tuple[SeedValue, ...]


@dataclass(frozen=True)
class SentenceFinding:
    """A sentence, where it is from, its contrasts, and a description of their differences."""

    sentence: AnySentence
    contrasts: tuple[Contrast, ...]

    @property
    def source(self) -> tuple[str, str]:
        """The sentence, and where in the paper it is; "" for one's own."""
        if self.sentence.claim is None:
            return self.sentence.says, ""
        claim = CLAIMS[self.sentence.claim]
        return f"“{claim.quote}”", claim.place

    @property
    def quote(self) -> str:
        """The sentence with where it is from."""
        words, place = self.source
        return f"{words} ({place})" if place else words

    @property
    def verdict(self) -> SentenceVerdict:
        """The verdict that follows from the contrasts."""
        signs = [contrast.mean.sign for contrast in self.contrasts]
        if -1 in signs:
            return SentenceVerdict.NOT_SEEN
        return SentenceVerdict.SEEN if set(signs) == {1} else SentenceVerdict.UNDECIDED


@dataclass(frozen=True)
class NetworkComparison:
    """A network minus a group that it is compared with, per task, in percentage points."""

    name: str
    network: Network
    against: str
    seeds: int
    differences: dict[str, Mean]


@dataclass(frozen=True)
class Findings:
    """What a study found: for each place in the grid, its sentences whose networks are trained.

    `comparisons` is how many contrasts these have together; those of the same cells are one.
    """

    places: list[tuple[Setting, list[SentenceFinding]]]
    comparisons: int


def findings(study: Study, results: StudyResults) -> Findings:
    """Return the findings of a study.

    Intervals and p-values take account of how many contrasts there are at all places, as the study
    says.
    """
    places = [(setting, seen_at(study, results, setting)) for setting in settings_of(study)]
    drawn = [
        (setting, [(each, list(_contrasts(each, seen))) for each in study.sentences])
        for setting, seen in places
    ]
    every = {numbers for _, found in drawn for _, contrasts in found for numbers in contrasts}
    tests = _tests(study, every)
    decided = [
        (
            setting,
            [
                SentenceFinding(
                    sentence,
                    tuple(
                        Contrast(each.what, mean(each.values, tests), each.tasks, each.seeds)
                        for each in contrasts
                    ),
                )
                for sentence, contrasts in found
                if contrasts
            ],
        )
        for setting, found in drawn
    ]
    return Findings(decided, len(every))


def _tests(study: Study, contrasts: Collection[_Numbers]) -> float:
    """Return by how much to multiply p-values.

    Benjamini and Yekutieli (2005): where R of m tests are found by Benjamini and Hochberg's rule,
    intervals at the level 1 - 5% R / m are wrong in 5% of those R, and are those without zero.
    """
    match study.report.correction:
        case "bonferroni":
            return max(1, len(contrasts))
        case "benjamini-hochberg":
            found = [mean(each.values).p for each in contrasts]
            ordered = sorted(p for p in found if p is not None)
            passing = [
                place
                for place, p in enumerate(ordered, 1)
                if p <= (1 - CONFIDENCE) * place / len(ordered)
            ]
            return len(ordered) / max(passing, default=1) if ordered else 1
        case _:
            return 1


def comparisons(seen: Seen) -> Iterator[NetworkComparison]:
    """Yield each network that is compared with others in a table of its own."""
    groups = groups_of(seen.study)
    for name, network in seen.study.networks.items():
        mine = network.group or name
        for against in network.against:
            tasks = seen.tasks(mine, against)
            found = {task: seen.difference(mine, against, task) for task in tasks}
            differences = {task: value for task, value in found.items() if value}
            if differences and name in groups[mine]:
                seeds = len(seen.seeds(mine, against))
                yield NetworkComparison(name, network, against, seeds, differences)


@dataclass(frozen=True)
class _Numbers:
    """A sentence's contrast: its name, the tasks it is of, and its number for each seed."""

    sentence: AnySentence
    what: str
    tasks: tuple[str, ...]
    seeds: tuple[SeedValue, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The numbers alone."""
        return tuple(each.value for each in self.seeds)


def _contrasts(sentence: AnySentence, seen: Seen) -> Iterator[_Numbers]:
    """Yield each contrast that there is a seed of.

    A network that diverged classifies nothing, of which there is a difference, and nothing else: no
    relative gain, no order of tasks, no weights.
    """
    for what, tasks, groups, number in _all_contrasts(sentence, seen):
        networks = [name for group in groups for name in groups_of(seen.study)[group]]
        found = tuple(
            SeedValue(
                seed[networks[0]].seed, number(seed), tuple(seed[name].name for name in networks)
            )
            for seed in seen.seeds(*groups)
            if isinstance(sentence, Difference) or not any(seed[n].diverged for n in networks)
        )
        if found:
            yield _Numbers(sentence, what, tasks, found)


def _all_contrasts(
    sentence: AnySentence, seen: Seen
) -> Iterator[tuple[str, tuple[str, ...], Sequence[str], Number]]:
    accuracy = seen.accuracy
    match sentence:
        case Difference(better=better, worse=worse, share=share, plus=plus):
            for task in sentence.tasks or seen.tasks(better, worse):
                number = less(accuracy(better, task), accuracy(worse, task), share, plus)
                yield task, (task,), (better, worse), number
        case OrderOfTasks(easier=easier, harder=harder):
            for group in sentence.groups:
                number = less(accuracy(group, easier), accuracy(group, harder))
                yield group, (easier, harder), (group,), number
        case LargestGain(better=better, worse=worse):
            gains = {task: _gain(accuracy(better, task), accuracy(worse, task))
                     for task in seen.tasks(better, worse)}  # fmt: skip
            for task, gain in gains.items():
                if task != sentence.task and sentence.task in gains:
                    number = less(gains[sentence.task], gain)
                    yield task, (sentence.task, task), (better, worse), number
        case Signs(network=network):
            group = seen.study.networks[network].group or network
            yield network, (), (group,), lambda seed: _not_negative(seed, network)


def _gain(better: Number, worse: Number) -> Number:
    return lambda seed: 100 * (better(seed) / max(worse(seed), 1e-9) - 1)


def _not_negative(seed: OneSeed, network: str) -> float:
    cross = seed[network].cross
    if cross is None:
        raise ValueError(
            f"the trained {network} has no cross weights: was its caffemodel replaced?"
        )
    return 100 * cross.not_negative / cross.total - 50
