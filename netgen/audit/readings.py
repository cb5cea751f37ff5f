"""Every reading of what the text leaves open, built and counted, beside the printed value.

A reading is built as `netgen build --reading`, or `--beyond`, builds it, parsed and counted, not
reckoned.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from netgen.audit.measurements.parsed_networks import TASKS, cost, read_otherwise
from netgen.cost.complexity import NetCost, count
from netgen.network.options import READINGS
from netgen.network.variants import Variant, find, go_beyond, read_as
from netgen.paper.claims import CLAIMS
from netgen.paper.claims.left_open import QUESTIONS, Answer, Question

WITHOUT_STATISTICS = "trained-only"  # a way to count, not to build


@dataclass(frozen=True)
class Counted:
    """Parameters of a network, and of its largest cross weight."""

    parameters: int
    each: int


@dataclass(frozen=True)
class Read:
    """A reading, counted by variant; `status` says what follows from all that is printed.

    One of "implied" (ours, and no other fits), "chosen" (ours, and others fit), "fits",
    "excluded", and "ours, excluded".
    """

    question: Question
    answer: Answer
    counts: dict[str, Counted]
    status: str

    @property
    def fits(self) -> bool:
        """Whether it is printed so: every count in Table 2, and what a cross weight has."""
        return _fits(self.question, self.counts)


def readings() -> list[Read]:
    """Return every reading of every question, built and counted."""
    return [read for question in QUESTIONS for read in _answers(question)]


def _answers(question: Question) -> list[Read]:
    counted = [
        (answer, {variant: _count(variant, answer.made) for variant in question.printed})
        for answer in question.answers
    ]
    fitting = [answer for answer, counts in counted if _fits(question, counts)]
    return [Read(question, answer, counts, _status(answer, fitting)) for answer, counts in counted]


def _fits(question: Question, counts: dict[str, Counted]) -> bool:
    (most,) = CLAIMS["cross-parameters"].numbers
    return all(
        f"{counts[name].parameters / 1e6:.2f}" == text and counts[name].each <= most.value
        for name, text in question.printed.items()
    )


def _status(answer: Answer, fitting: list[Answer]) -> str:
    """Say of ours whether the counts imply it or we chose it; of others whether they fit."""
    if answer not in fitting:
        return "ours, excluded" if answer.ours else "excluded"
    if not answer.ours:
        return "fits"
    return "implied" if len(fitting) == 1 else "chosen"


@cache
def _count(variant: str, made: str) -> Counted:
    steps = [step.split("=") for step in made.split(" + ") if "=" in step]
    whole = _cost(variant, steps)
    averages = [layer.parameters for layer in whole.layers if layer.type == "BatchNorm"]
    left_out = sum(averages) if made == WITHOUT_STATISTICS else 0
    crosses = [layer.parameters for layer in whole.layers if layer.name.startswith("cross")]
    return Counted(whole.parameters - left_out, max(crosses, default=0))


def _cost(variant: str, steps: list[list[str]]) -> NetCost:
    """Build a reading and count it: ours as it is committed, any other as it is deployed."""
    ours = read = find(variant, TASKS)
    for field, value in steps:
        read = _changed(read, field, value)
    return cost(variant) if read == ours else count(read_otherwise(read), "TEST")


def _changed(variant: Variant, field: str, value: str) -> Variant:
    return (read_as if field in READINGS else go_beyond)(variant, field, value)
