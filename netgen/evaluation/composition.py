"""Baselines that combine tasks: an adjective-noun pair has one noun and one adjective.

The finest task is found from the training labels: each of its classes belongs to one class of every
other task, as for the paper's pairs or Fashion-MNIST's items. The other tasks' outputs then give
scores for it, and its outputs give scores for them (`netgen.evaluation.results.Derived`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netgen.evaluation.tally import Floats, Ints

NONE = -1  # in place of a class, where the training set has no image of the finest one


@dataclass(frozen=True, eq=False)
class Finest:
    """The finest task, and for every other task the class that each of its classes belongs to.

    `classes` is every task's number of classes.
    """

    task: str
    parts: Mapping[str, Ints]
    classes: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Baseline:
    """Scores for `task` made from those for `sources`, N x C."""

    task: str
    sources: tuple[str, ...]
    scores: Floats


def finest(labels: Mapping[str, Ints], classes: Mapping[str, int]) -> Finest | None:
    """Find the task that determines all others: the one with most classes, if any.

    Parameters
    ----------
    labels
        Each task's training labels, record by record.
    classes
        Each task's number of classes.
    """
    for task in sorted(classes, key=lambda name: -classes[name]):
        others = [name for name in classes if name != task]
        parts = {name: _parts(labels[task], labels[name], classes[task]) for name in others}
        if others and all(part is not None for part in parts.values()):
            known = {name: part for name, part in parts.items() if part is not None}
            return Finest(task, known, classes)
    return None


def _parts(fine: Ints, coarse: Ints, classes: int) -> Ints | None:
    """Return the coarse class of each fine one; None where one has several."""
    parts = np.full(classes, NONE)
    parts[fine] = coarse
    return parts if bool((parts[fine] == coarse).all()) else None


def baselines(scores: Mapping[str, Floats], fine: Finest) -> Iterator[Baseline]:
    """Yield the scores for tasks that follow from the outputs for others, if the network has these.

    Parameters
    ----------
    scores
        The inputs of each task's Softmax, N x C.
    fine
        The finest task.
    """
    if all(task in scores for task in fine.parts):
        yield Baseline(fine.task, tuple(fine.parts), _composed(scores, fine))
    if fine.task in scores:
        probabilities = np.exp(log_softmax(scores[fine.task]))
        for task, parts in fine.parts.items():
            members = parts[:, None] == np.arange(fine.classes[task])
            yield Baseline(task, (fine.task,), probabilities @ members)


def log_softmax(scores: Floats) -> NDArray[np.float64]:
    """Return the logarithms of the probabilities, N x C."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _composed(scores: Mapping[str, Floats], fine: Finest) -> NDArray[np.float64]:
    """Return log p(noun) + log p(adj) for each pair; minus infinity for pairs never seen."""
    parts = fine.parts.items()
    total: NDArray[np.float64] = sum(  # type: ignore[assignment]  # there is one part or more
        log_softmax(scores[task])[:, classes] for task, classes in parts
    )
    unseen = np.logical_or.reduce([classes == NONE for _, classes in parts])
    total[:, unseen] = -np.inf
    return total
