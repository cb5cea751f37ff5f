"""Where the right class stands among the scores: ranks, ties and margins.

Equal scores rank by index, the lowest first. Caffe's own Accuracy layers differ from version to
version here; with scores in floating point, ties are rare, and they are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netgen.results import TOP

MARGIN = 1e-5  # within which engines that compute the same may differ

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ranks:
    """The places of N images' right classes: `best` were all ties won, `worst` all lost.

    `place` is the one it has, with ties by index; all count from 0.
    """

    best: Ints
    place: Ints
    worst: Ints

    def within(self, k: int) -> Flags:
        """Tell whether each right class is among the first k."""
        return np.asarray(self.place < k)

    def tied(self, k: int) -> Flags:
        """Tell whether it is or is not among them by the order of equal scores alone."""
        return np.asarray((self.best < k) & (self.worst >= k))


def ranks(scores: Floats, labels: Ints) -> Ranks:
    """Rank the right classes: `scores` are N x C, `labels` N of 0 to C - 1."""
    own = scores[np.arange(len(labels)), labels][:, None]
    best = (scores > own).sum(axis=1)
    equal = scores == own
    before = (equal & (np.arange(scores.shape[1]) < labels[:, None])).sum(axis=1)
    return Ranks(best, best + before, best + equal.sum(axis=1) - 1)


def near(scores: Floats, k: int) -> Flags:
    """Tell of each of N images whether place k is ahead of the next by `MARGIN` at most."""
    if k >= scores.shape[1]:  # nothing is left out
        return np.zeros(len(scores), np.bool_)
    ordered = -np.partition(-scores, (k - 1, k), axis=1)
    return np.asarray(ordered[:, k - 1] - ordered[:, k] <= MARGIN)


def first(scores: Floats) -> Ints:
    """Return the class in each image's first place."""
    return np.asarray(scores.argmax(axis=1))  # the first of equals


def top(scores: Floats, k: int = TOP) -> Ints:
    """Return the classes in the first k places, N x min(k, C), the best first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]
