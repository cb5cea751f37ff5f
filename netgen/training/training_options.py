"""The options that a user chooses when a run begins, with each option's help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


def _option(default: T, metavar: str, what: str, **limits: Any) -> T:
    """Return a dataclass field: its default, and what the command line shows and accepts.

    `limits` are the arguments of click's number ranges: min, max, min_open, max_open.
    """
    return field(default=default, metadata={"metavar": metavar, "help": what, "limits": limits})


@dataclass(frozen=True)
class TrainingOptions:
    """The options of `netgen train` that decide how it trains.

    Values that are None or empty follow from the solver and the data.
    """

    gpu: tuple[int, ...] = _option(
        (),
        "N[,N]",
        "Train on this GPU, or on several (0,1), then without exact resumes."
        "  [default: as in the solver]",
    )
    plateau: str = _option(
        "train",
        "WHAT",
        "The loss whose plateaus drop the rate: train for the training loss, or a task for its"
        " test loss; off for the solver's own policy.",
    )
    window: int | None = _option(
        None,
        "N",
        "Iterations (or tests) whose mean loss is compared.  [default: an epoch, at least 100; 1"
        " test]",
        min=1,
    )
    patience: int = _option(
        2, "N", "Windows in a row without a gain that count as a plateau.", min=1
    )
    min_gain: float = _option(
        0.01,
        "X",
        "A window is a gain when its mean loss is smaller than the best so far by this share.",
        min=0,
        max=1,
        max_open=True,
    )
    drops: int = _option(
        3,
        "N",
        "Maximum number of drops of the rate, tenfold each. The next plateau, or one without a"
        " gain since the last drop, counts as convergence and ends the run.",
        min=0,
    )
    best: str | None = _option(
        None,
        "TASK",
        "Keep the snapshot of the best top-1 test accuracy of this task.  [default: the mean of all"
        " tasks]",
    )
    keep: int = _option(3, "N", "Newest snapshots to keep, in addition to the best.", min=1)
    round_: int | None = _option(
        None,
        "N",
        "Passes over the training images in a round. A resume reads at most that many again,"
        " without computing.  [default: one, or as many as make 2,000 iterations]",
        min=1,
    )
    explosion: float = _option(
        10.0,
        "X",
        "Stop when the loss is this many times the first one.",
        min=1,
        min_open=True,
    )
