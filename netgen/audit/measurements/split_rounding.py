"""Which rounding of 80% the totals of section 5.2 imply, and how surely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, sqrt

from netgen import paper
from netgen.audit.measurements.measurement import Context, Found, measurement

PAIRS = paper.TASKS["anp"]
SHARE = Fraction(4, 5)  # "a 80/20 partition"
ROUNDINGS: dict[str, Callable[[Fraction], int]] = {"floor": floor, "nearest": round, "ceil": ceil}


@dataclass(frozen=True)
class Rounding:
    """A rule for a pair's training images, and the test images beyond 20% that it expects.

    A pair's n mod 5 is taken to be uniform, pairs to be independent.
    """

    name: str
    expected: float
    deviation: float

    @property
    def sigmas(self) -> float:
        """How far the printed excess is from the expected one, in standard deviations."""
        return abs(printed_excess() - self.expected) / self.deviation


def printed_excess() -> float:
    """Return how many test images are printed beyond 20% of all."""
    total = paper.TRAIN_IMAGES + paper.TEST_IMAGES
    return float(paper.TEST_IMAGES - (1 - SHARE) * total)


def roundings() -> tuple[Rounding, ...]:
    """Return the rules, with what they expect of 553 pairs."""
    return tuple(_rounding(name, rule) for name, rule in ROUNDINGS.items())


def _rounding(name: str, rule: Callable[[Fraction], int]) -> Rounding:
    excess = [SHARE * n - rule(SHARE * n) for n in range(5)]
    mean = sum(excess) / 5
    variance = sum((e - mean) ** 2 for e in excess) / 5
    return Rounding(name, float(PAIRS * mean), sqrt(PAIRS * variance))


@measurement
def split_rule(_: Context) -> Found:
    """Find the one rule within three standard deviations of the printed totals."""
    fitting = [rule.name for rule in roundings() if rule.sigmas < 3]
    return Found(
        "; ".join(
            f"{r.name} expects {r.expected:.1f} ± {r.deviation:.1f} ({r.sigmas:.1f} sigma)"
            for r in roundings()
        ),
        f"{printed_excess():.1f} test images beyond 20% are printed; pairs taken as independent",
        holds=fitting == ["floor"],
        proves=False,
    )
