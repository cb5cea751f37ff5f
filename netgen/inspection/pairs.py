"""What labels of nouns, adjectives and pairs tell of each other, as arrays.

A pair has one noun and one adjective; so the noun's label is a function of the pair's. A database
that slipped by a record breaks that, and which functions break tells which database it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Counts = NDArray[np.int64]
MOST_SHIFT = 3
PARTS = {"noun", "adj"}


def broken(of: Ints, what: Ints) -> int:
    """Count the records that keep `what` from being a function of `of`."""
    width = int(what.max(initial=0)) + 1
    codes, counts = np.unique(of.astype(np.int64) * width + what, return_counts=True)
    most = np.zeros(int(of.max(initial=0)) + 1, np.int64)
    np.maximum.at(most, codes // width, counts)
    return int(of.size - most.sum())


def odd_one_out(labels: Mapping[str, Ints]) -> tuple[str, int] | None:
    """Name the database that does not go with the other two, and how many records tell so.

    Parameters
    ----------
    labels
        For "noun", "adj" and "anp", labels that are not negative, record by record.

    Returns
    -------
    (task, records) or None
        None where noun and adjective are functions of the pair.
    """
    breaks = {part: broken(labels["anp"], labels[part]) for part in PARTS}
    bad = {part: count for part, count in breaks.items() if count}
    if not bad:
        return None
    if len(bad) == 1:
        return next(iter(bad.items()))
    return "anp", max(bad.values())


def shift_of(labels: Mapping[str, Ints], task: str) -> int | None:
    """Find by how many records a task's labels come late (early: negative); None if by few none."""
    others = {name: values for name, values in labels.items() if name != task}
    for distance in range(1, MOST_SHIFT + 1):
        for shift in (distance, -distance):
            moved = {**others, task: np.roll(labels[task], -shift)}
            left = odd_one_out(moved)
            if left is None or left[1] <= 2 * distance:  # what wrapped around
                return shift
    return None


def histogram(values: Ints, classes: int) -> Counts:
    """Count the records of each class."""
    return np.bincount(values, minlength=classes).astype(np.int64)


def rounding(train: Counts, total: Counts) -> str | None:
    """Name the rule by which 80% of each class are in training; None when no rule fits all."""
    rules = {
        "floor": 8 * total // 10,
        "to nearest": (8 * total + 5) // 10,
        "ceil": -(-8 * total // 10),
    }
    return next((name for name, split in rules.items() if np.array_equal(split, train)), None)
