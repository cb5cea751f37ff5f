"""Rank the right classes among the scores, and count them batch by batch to a task's result.

Equal scores rank by index, the lowest first. Versions of Caffe differ here; floating-point scores
are rarely equal, and such ties are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netgen.evaluation.results import (
    TOP,
    Accuracy,
    ClassResult,
    CloseCalls,
    Competition,
    Confusion,
    TaskResult,
    accuracy,
)
from netgen.network.dataset import Task

MARGIN = 1e-5  # within which engines that compute the same may differ

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ranks:
    """The places of N images' right classes: `best` if all ties are won, `worst` if all are lost.

    `place` is the one it has, with ties by index; all count from 0.
    """

    best: Ints
    place: Ints
    worst: Ints

    def within(self, k: int) -> Flags:
        """Return whether each right class is among the first k."""
        return np.asarray(self.place < k)

    def tied(self, k: int) -> Flags:
        """Return whether the order of equal scores alone decides that."""
        return np.asarray((self.best < k) & (self.worst >= k))


def ranks(scores: Floats, labels: Ints) -> Ranks:
    """Rank the right classes: `scores` are N x C, `labels` N of 0 to C - 1."""
    own = scores[np.arange(len(labels)), labels][:, None]
    best = (scores > own).sum(axis=1)
    equal = scores == own
    before = (equal & (np.arange(scores.shape[1]) < labels[:, None])).sum(axis=1)
    return Ranks(best, best + before, best + equal.sum(axis=1) - 1)


def near(scores: Floats, k: int) -> Flags:
    """Return for each of N images whether place k leads the next by at most `MARGIN`."""
    if k >= scores.shape[1]:  # all classes are among the first k
        return np.zeros(len(scores), np.bool_)
    ordered = -np.partition(-scores, (k - 1, k), axis=1)
    return np.asarray(ordered[:, k - 1] - ordered[:, k] <= MARGIN)


def first(scores: Floats) -> Ints:
    """Return the class in each image's first place."""
    return np.asarray(scores.argmax(axis=1))  # the first of equals


def top(scores: Floats, k: int = TOP) -> Ints:
    """Return the classes in the first k places, N x min(k, C), the best first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


class Hits:
    """Counts images, and how many were right within the top 1 and the top 5."""

    def __init__(self) -> None:
        self.total, self.top1, self.top5 = 0, 0, 0

    def add(self, scores: Floats, labels: Ints) -> None:
        """Count a batch: `scores` are N x C."""
        found = ranks(scores, labels)
        self.total += len(labels)
        self.top1 += int(found.within(1).sum())
        self.top5 += int(found.within(TOP).sum())

    def accuracy(self) -> Accuracy:
        """Return the accuracy so far."""
        return accuracy(self.top1, self.top5, self.total)


class Tally:
    """Counts everything about one head: totals, classes, confusions, and close calls."""

    def __init__(self, task: Task, outputs: int, columns: Ints | None) -> None:
        """Count for a task; `columns` are its classes' outputs, None when all outputs are."""
        classes = task.classes
        self.task, self.outputs, self.columns = task, outputs, columns
        self.total, self.top1, self.top5 = (np.zeros(classes, np.int64) for _ in range(3))
        self.guessed = np.zeros((classes, classes), np.int64)  # truth x guess
        self.ties1 = self.ties5 = self.near1 = self.near5 = 0
        self.competing = Hits()

    def add(self, scores: Floats, labels: Ints) -> None:
        """Count a batch: `scores` are N x outputs."""
        if self.columns is not None:
            self.competing.add(scores, self.columns[labels])
            scores = scores[:, self.columns]
        found = ranks(scores, labels)
        np.add.at(self.total, labels, 1)
        np.add.at(self.top1, labels, found.within(1))
        np.add.at(self.top5, labels, found.within(TOP))
        np.add.at(self.guessed, (labels, first(scores)), 1)
        self.ties1 += int(found.tied(1).sum())
        self.ties5 += int(found.tied(TOP).sum())
        self.near1 += int(near(scores, 1).sum())
        self.near5 += int(near(scores, TOP).sum())

    def result(self, names: list[str] | None, prior: Accuracy) -> TaskResult:
        """Return the result of what was counted."""
        per_class = zip(self.total.tolist(), self.top1.tolist(), self.top5.tolist(), strict=True)
        return TaskResult(
            name=self.task.name,
            classes=self.task.classes,
            names=None if names is None else tuple(names),
            accuracy=accuracy(int(self.top1.sum()), int(self.top5.sum()), int(self.total.sum())),
            close=CloseCalls(self.ties1, self.ties5, self.near1, self.near5),
            of_class=tuple(ClassResult(*counts) for counts in per_class),
            confusions=tuple(self._confusions()),
            prior=prior,
            competing=self._competition(),
        )

    def _confusions(self) -> Iterator[Confusion]:
        """Yield wrong guesses, the most frequent first, then by class."""
        wrong = self.guessed.copy()
        np.fill_diagonal(wrong, 0)
        pairs = zip(*map(np.ndarray.tolist, np.nonzero(wrong)), strict=True)
        found = [Confusion(truth, guess, int(wrong[truth, guess])) for truth, guess in pairs]
        yield from sorted(found, key=lambda one: (-one.count, one.truth, one.guess))

    def _competition(self) -> Competition | None:
        if self.columns is None:
            return None
        return Competition(self.outputs, self.competing.accuracy())


def prior(train: Ints, test: Ints, classes: int) -> Accuracy:
    """Return the test accuracy of always guessing the most frequent training classes."""
    top1, top5 = (most_frequent(train, test, classes, k) for k in (1, TOP))
    return accuracy(top1, top5, len(test))


def most_frequent(train: Ints, test: Ints, classes: int, k: int) -> int:
    """Return how many test labels are among the `k` most frequent of training; ties by index."""
    order = np.argsort(-np.bincount(train, minlength=classes), kind="stable")
    return int(np.isin(test, order[:k]).sum())
