"""Means and paired differences over seeds, with Student's 95% intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
SAME = 1e-9  # points: a test image is more than that of any set


@dataclass(frozen=True)
class Mean:
    """A mean over seeds, with its interval and the p of the hypothesis that it is zero.

    Of a single seed, there is no interval: `low`, `high` and `p` are None.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None

    @property
    def sign(self) -> int:
        """1 or -1 when the interval leaves zero on one side; 0 while that is open."""
        if self.low is None or self.high is None:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0

    @property
    def interval(self) -> str:
        """The mean and its interval in words."""
        return self._said(".2f")

    @property
    def signed(self) -> str:
        """The same of a difference."""
        return self._said("+.2f")

    @property
    def probability(self) -> str:
        """The p in words."""
        return "" if self.p is None else "< 0.001" if self.p < 0.001 else f"{self.p:.3f}"

    def _said(self, form: str) -> str:
        value = format(self.value, form)
        if self.low is None or self.high is None:
            return value
        return f"{value} ({self.low:{form}} to {self.high:{form}})"


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of independent values, one a seed; of differences, this is a paired t-test.

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
    low, high = test.confidence_interval(CONFIDENCE)
    return Mean(middle, float(low), float(high), float(test.pvalue))
