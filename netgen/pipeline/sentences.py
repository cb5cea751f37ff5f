"""The paper's sentences about Table 2 and Figure 5, each as contrasts that would be positive.

A contrast is one number per seed: a difference of accuracies on the same images, in percentage
points. A sentence is "seen here" when the 95% intervals of all its contrasts are above zero, "not
seen here" when one of them is below zero, otherwise "undecided". These rules were written before
the test images were looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from netgen.paper import TASKS
from netgen.paper.claims import CLAIMS, Claim
from netgen.pipeline.miniature import SINGLE, SPECULATIONS, TABLE, Compared
from netgen.pipeline.records import CellRecord, Experiment
from netgen.pipeline.statistics import Mean, mean

# The paper's X_1 lost 29 to 39% of X_0's accuracy ("drastically"); a fifth counts as drastic too.
DRASTIC = 0.2
# Percentage points within which accuracies are "comparable": the paper's X_S was 0.1 to 0.5 above
# the single-task networks.
COMPARABLE = 1.0

OneSeed = Mapping[str, CellRecord]  # the cells of one seed, by network
Number = Callable[[OneSeed], float]

# The network that each network beyond Table 2 is compared with.
AGAINST = {
    "x1-mean": ("x1", "x0"),
    "xs-earlier": ("xs", "x0-earlier"),
    "x0-earlier": ("x0",),
    "xs-frozen": ("x0", "xs"),
}
AGAINST_OTHERWISE = ("xs",)


class SentenceVerdict(Enum):
    """Whether the experiment shows what a sentence says; the values are the report's words."""

    SEEN = "seen here"
    NOT_SEEN = "not seen here"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Contrast:
    """A number that is positive if the sentence holds: its name, and its mean over seeds."""

    what: str
    mean: Mean


@dataclass(frozen=True)
class SentenceFinding:
    """A sentence of the paper, its contrasts, and a description of their differences."""

    claim: Claim
    what: str
    contrasts: tuple[Contrast, ...]

    @property
    def verdict(self) -> SentenceVerdict:
        """The verdict that follows from the contrasts."""
        signs = [contrast.mean.sign for contrast in self.contrasts]
        if -1 in signs:
            return SentenceVerdict.NOT_SEEN
        return SentenceVerdict.SEEN if set(signs) == {1} else SentenceVerdict.UNDECIDED


@dataclass(frozen=True)
class NetworkComparison:
    """A network beyond Table 2 minus the one compared with it, per task, in percentage points."""

    network: Compared
    against: str
    differences: dict[str, Mean]


def findings(experiment: Experiment) -> list[SentenceFinding]:
    """Return the findings on each sentence of sections 5.2.1 and 5.2.2."""
    seeds = by_seed(experiment)
    return [
        SentenceFinding(
            CLAIMS[claim],
            what,
            tuple(Contrast(name, mean([*map(number, seeds)])) for name, number in contrasts),
        )
        for claim, what, contrasts in _sentences()
    ]


def comparisons(experiment: Experiment) -> list[NetworkComparison]:
    """Return the networks that the paper speculates about, each compared with its `AGAINST`."""
    return [
        NetworkComparison(
            network,
            against,
            {task: mean(_paired(experiment, network.name, against, task)) for task in TASKS},
        )
        for network in SPECULATIONS
        if experiment.of(network.name)
        for against in AGAINST.get(network.name, AGAINST_OTHERWISE)
    ]


def _paired(experiment: Experiment, name: str, against: str, task: str) -> list[float]:
    difference = less(accuracy(name, task), accuracy(against, task))
    return [difference(seed) for seed in by_seed(experiment) if {name, against} <= {*seed}]


def by_seed(experiment: Experiment) -> list[OneSeed]:
    """Return the cells of each seed for which all of Table 2's networks are trained."""
    seeds: dict[int, dict[str, CellRecord]] = {}
    for cell in experiment.cells:
        seeds.setdefault(cell.seed, {})[cell.network] = cell
    needed = {network.name for network in TABLE}
    return [cells for _, cells in sorted(seeds.items()) if needed <= {*cells}]


def accuracy(family: str, task: str, k: int = 1) -> Number:
    """Return a network's top-k accuracy, in percent; "single" is the task's single-task network."""
    return lambda seed: seed[SINGLE[task] if family == "single" else family].accuracy(task, k)


def _sentences() -> Iterator[tuple[str, str, list[tuple[str, Number]]]]:
    """Yield each claim's id, a description of its contrasts' differences, and the contrasts."""
    families = ("single", "x0", "x1", "xs")
    yield (
        "order-of-tasks",
        "noun - adjective",
        [(family, less(accuracy(family, "noun"), accuracy(family, "adj"))) for family in families],
    )
    yield (
        "anp-below-adjective",
        "adjective - pair: positive where that expectation fails, as it does in Table 2",
        [(family, less(accuracy(family, "adj"), accuracy(family, "anp"))) for family in families],
    )
    yield (
        "x1-drops",
        f"{1 - DRASTIC:g} X_0 - X_1: a fifth or more is lost",
        [(task, less(accuracy("x0", task), accuracy("x1", task), 1 - DRASTIC)) for task in TASKS],
    )
    for claim, what, better, worse in (
        ("x0-below-single", "single-task - X_0", "single", "x0"),
        ("xs-above-x0", "X_S - X_0", "xs", "x0"),
        ("xs-above-x1", "X_S - X_1", "xs", "x1"),
        ("xs-above-single", "X_S - single-task", "xs", "single"),
    ):
        yield (
            claim,
            what,
            [(task, less(accuracy(better, task), accuracy(worse, task))) for task in TASKS],
        )
    yield (
        "three-networks",
        f"X_S - single-task + {COMPARABLE:g}: at most a point below",
        [
            (task, less(accuracy("xs", task), accuracy("single", task), plus=COMPARABLE))
            for task in TASKS
        ],
    )
    yield (
        "gain-largest",
        "relative gain of X_S over X_0 on pairs - on the other task",
        [(task, less(_gain("anp"), _gain(task))) for task in TASKS if task != "anp"],
    )
    yield (
        "figure-5-signs",
        "share of cross weights that are not negative - 50",
        [("xs", _not_negative)],
    )


def less(better: Number, worse: Number, share: float = 1.0, plus: float = 0.0) -> Number:
    """Return the difference of two numbers of a seed: ``share x better - worse + plus``."""
    return lambda seed: share * better(seed) - worse(seed) + plus


def _gain(task: str) -> Number:
    x0, xs = accuracy("x0", task), accuracy("xs", task)
    return lambda seed: 100 * (xs(seed) / max(x0(seed), 1e-9) - 1)


def _not_negative(seed: OneSeed) -> float:
    cross = seed["xs"].cross
    if cross is None:
        raise ValueError("the trained X_S has no cross weights: was its caffemodel replaced?")
    return 100 * cross.not_negative / cross.total - 50
