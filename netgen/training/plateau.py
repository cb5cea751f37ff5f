"""Decides when the rate drops: "by a factor of ten whenever the loss plateaued until convergence".

Section 5.2 gives no more details, so the rule is our choice, and each of its numbers is an option.
Losses are averaged over windows. A window is a gain if its mean is smaller than the best so far, by
the share `gain` of that. `patience` windows in a row without a gain are a plateau. At a plateau the
rate drops, except if there was no gain since the last drop, or if there were already `drops` of
them: then the training has converged.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from msgspec import Meta, Struct, field

from netgen.network.dataset import Positive

FACTOR = 0.1  # "by a factor of ten"


class Decision(Enum):
    """What to do at a plateau."""

    DROP = "drop"
    CONVERGED = "converged"


class PlateauRule(Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of the plateau rule.

    Attributes
    ----------
    window
        Number of losses that are averaged: of iterations, or of tests.
    patience
        Windows in a row without a gain that count as a plateau.
    gain
        The share of the best mean by which a window has to be better, such as 0.01.
    drops
        The most drops of the rate.
    """

    window: Positive
    patience: Positive
    gain: Annotated[float, Meta(ge=0, lt=1)]
    drops: Annotated[int, Meta(ge=0)]


class Plateau(Struct, forbid_unknown_fields=True):
    """The rule's state; part of every snapshot.

    Attributes
    ----------
    drops
        The iterations before which the rate dropped, as Caffe's stepvalues.
    best
        The mean of the last window that was a gain; None before the first window ends.
    mean
        The mean of the last complete window.
    without
        Windows without a gain since the last gain or drop.
    gained
        Whether there was a gain since the last drop.
    total, count
        Sum and number of the losses in the incomplete window.
    """

    drops: list[int] = field(default_factory=list)
    best: float | None = None
    mean: float = 0.0
    without: int = 0
    gained: bool = True
    total: float = 0.0
    count: int = 0

    def observe(self, rule: PlateauRule, iteration: int, loss: float) -> Decision | None:
        """Take in one more loss, after `iteration` updates; return what to do, or None."""
        self.total += loss
        self.count += 1
        if self.count < rule.window:
            return None
        self.mean, self.total, self.count = self.total / self.count, 0.0, 0
        if self.best is None or self.mean < self.best * (1 - rule.gain):
            self.best, self.without, self.gained = self.mean, 0, True
            return None
        self.without += 1
        return self._plateau(rule, iteration) if self.without >= rule.patience else None

    def _plateau(self, rule: PlateauRule, iteration: int) -> Decision:
        if len(self.drops) >= rule.drops or (self.drops and not self.gained):
            return Decision.CONVERGED
        self.drops.append(iteration)
        self.without, self.gained = 0, False
        return Decision.DROP

    def reason(self, rule: PlateauRule) -> str:
        """Return in words the reason of the last decision."""
        windows = "the last window" if rule.patience == 1 else f"the last {rule.patience} windows"
        return (
            f"{windows} of {rule.window:,} gained less than {100 * rule.gain:g}% on the best"
            f" ({self.best:.5g}; the last is {self.mean:.5g})"
        )
