"""Build and count every reading of what the text leaves open, and compare it with Table 2.

A reading is built as by `netgen build --reading` or `--beyond`, then parsed and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from netgen.audit.measurements.parsed_networks import TASKS, emitted, read_otherwise
from netgen.cost.complexity import NetCost, count
from netgen.network.options import READINGS
from netgen.network.variants import Variant, find, go_beyond, read_as
from netgen.paper.claims import CLAIMS, QUESTIONS, Answer, Question

WITHOUT_STATISTICS = "trained-only"  # a way to count, not to build


@dataclass(frozen=True)
class ReadingCount:
    """Parameters of a network, and of its largest cross weight."""

    parameters: int
    each: int


@dataclass(frozen=True)
class CountedReading:
    """A reading, counted by variant; `status` is what follows from all printed counts.

    One of "implied" (ours, and no other fits), "chosen" (ours, and others fit), "fits",
    "excluded", and "ours, excluded".
    """

    question: Question
    answer: Answer
    counts: dict[str, ReadingCount]
    status: str

    @property
    def largest_cross_weight(self) -> int:
        """Parameters of the largest cross weight of any variant."""
        return max(counted.each for counted in self.counts.values())

    @property
    def fits(self) -> bool:
        """Whether it agrees with every count in Table 2 and with the size of a cross weight."""
        return _fits(self.question, self.counts)


def readings() -> list[CountedReading]:
    """Return every reading of every question, built and counted."""
    return [read for question in QUESTIONS for read in _answers(question)]


def _answers(question: Question) -> list[CountedReading]:
    counted = [
        (answer, {variant: _count(variant, answer.made) for variant in question.printed})
        for answer in question.answers
    ]
    fitting = [answer for answer, counts in counted if _fits(question, counts)]
    return [
        CountedReading(question, answer, counts, _status(answer, fitting))
        for answer, counts in counted
    ]


def _fits(question: Question, counts: dict[str, ReadingCount]) -> bool:
    (most,) = CLAIMS["cross-parameters"].numbers
    return all(
        f"{counts[name].parameters / 1e6:.2f}" == text and counts[name].each <= most.value
        for name, text in question.printed.items()
    )


def _status(answer: Answer, fitting: list[Answer]) -> str:
    """Return whether the counts imply our reading or we chose it, or whether another one fits."""
    if answer not in fitting:
        return "ours, excluded" if answer.ours else "excluded"
    if not answer.ours:
        return "fits"
    return "implied" if len(fitting) == 1 else "chosen"


@cache
def _count(variant: str, made: str) -> ReadingCount:
    steps = [step.split("=") for step in made.split(" + ") if "=" in step]
    whole = _cost(variant, steps)
    averages = [layer.parameters for layer in whole.layers if layer.type == "BatchNorm"]
    left_out = sum(averages) if made == WITHOUT_STATISTICS else 0
    crosses = [layer.parameters for layer in whole.layers if layer.name.startswith("cross")]
    return ReadingCount(whole.parameters - left_out, max(crosses, default=0))


def _cost(variant: str, steps: list[list[str]]) -> NetCost:
    """Build a reading and count it: ours as committed, any other as its deploy network."""
    ours = read = find(variant, TASKS)
    for field, value in steps:
        read = _changed(read, field, value)
    return emitted(variant).cost() if read == ours else count(read_otherwise(read), "TEST")


def _changed(variant: Variant, field: str, value: str) -> Variant:
    return (read_as if field in READINGS else go_beyond)(variant, field, value)
