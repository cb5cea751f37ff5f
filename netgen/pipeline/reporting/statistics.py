"""Means and paired differences over seeds, with Student's intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
SAME = 1e-9  # percentage points: less than one test image of any test set


@dataclass(frozen=True)
class Mean:
    """A mean over seeds, with its interval and the p-value of the hypothesis that it is zero.

    A single seed gives no interval: `low`, `high` and `p` are None.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None

    @property
    def sign(self) -> int:
        """1 or -1 when the interval is above or below zero; 0 when it contains zero, or is None."""
        if self.low is None or self.high is None:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0

    @property
    def interval(self) -> str:
        """The mean and its interval as text."""
        return self._text(".2f")

    @property
    def signed(self) -> str:
        """The same with signs, for a difference."""
        return self._text("+.2f")

    @property
    def probability(self) -> str:
        """The p-value as text."""
        return "" if self.p is None else "< 0.001" if self.p < 0.001 else f"{self.p:.3f}"

    def _text(self, form: str) -> str:
        value = format(self.value, form)
        if self.low is None or self.high is None:
            return value
        return f"{value} ({self.low:{form}} to {self.high:{form}})"


def mean(values: Sequence[float], tests: float = 1) -> Mean:
    """Return the mean of independent values, one per seed; for differences, a paired t-test.

    The p-value is multiplied by `tests`, and the interval suits it. Where that is how many there
    are, it is Bonferroni's: with probability 95% or more, all intervals hold their true values.

    Raises
    ------
    ValueError
        There are no values.
    """
    if not values:
        raise ValueError("no values to take the mean of")
    middle = float(np.mean(values))
    if len(values) == 1:
        return Mean(middle, None, None, None)
    if np.ptp(values) < SAME:  # the test would divide by zero, or by rounding errors
        return Mean(middle, middle, middle, 0.0 if middle else 1.0)
    test = stats.ttest_1samp(values, 0)
    low, high = test.confidence_interval(1 - (1 - CONFIDENCE) / tests)
    return Mean(middle, float(low), float(high), min(1.0, float(test.pvalue) * tests))


POWER = 0.9  # the probability with which a true difference is to be decided
MOST_SEEDS = 100_000


def seeds_to_decide(values: Sequence[float], difference: float) -> int | None:
    """Return how many seeds decide a true mean of `difference`, by the deviation of these values.

    That is, with probability `POWER`, Student's two-sided 95% interval does not hold zero. None
    with one value, or where more than `MOST_SEEDS` are needed.
    """
    if len(values) == 1:
        return None
    deviation = float(np.std(values, ddof=1))
    if deviation < SAME:
        return 2
    few, many = 1, 2  # the first is too few
    while many <= MOST_SEEDS and _power(many, difference / deviation) < POWER:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (
            (few, middle) if _power(middle, difference / deviation) >= POWER else (middle, many)
        )
    return many if many <= MOST_SEEDS else None


def _power(seeds: int, effect: float) -> float:
    """Return the probability that a t-test of a mean of `effect` deviations finds it."""
    critical = stats.t.ppf((1 + CONFIDENCE) / 2, seeds - 1)
    shift = effect * np.sqrt(seeds)
    above = stats.nct.sf(critical, seeds - 1, shift)
    return float(above + stats.nct.cdf(-critical, seeds - 1, shift))
