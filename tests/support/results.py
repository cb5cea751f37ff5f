"""Results as `netgen eval` writes them, of scores that were made up: adjective-noun pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netgen.evaluation.results import VERSION, FileUsed, Result, accuracy, write_result
from netgen.evaluation.tally import Tally
from netgen.network.dataset import Task

NOUNS, ADJECTIVES = ("dog", "cat", "house", "sea", "tree", "car", "road"), ("happy", "old", "wet")
PAIRS = tuple(f"{adjective}_{noun}" for adjective in ADJECTIVES for noun in NOUNS)
IMAGES = 300


@dataclass(frozen=True)
class Scored:
    """Made-up scores of images: each task's, with the right labels and the names of classes."""

    scores: dict[str, NDArray[np.float32]]
    labels: dict[str, NDArray[np.int64]]
    names: dict[str, tuple[str, ...]]


def scored(seed: int, skill: float, names: Sequence[str] = PAIRS) -> Scored:
    """Make up scores; the larger `skill`, the more of them are right.

    The images are the same, whatever the seed.
    """
    rng = np.random.default_rng(seed)
    pairs = np.random.default_rng(0).integers(len(PAIRS) - 1, size=IMAGES)  # of the last, no image
    labels = {"noun": pairs % len(NOUNS), "adj": pairs // len(NOUNS), "anp": pairs}
    classes = {"noun": NOUNS, "adj": ADJECTIVES, "anp": tuple(names)}
    scores = {}
    for task, right in labels.items():
        made = rng.normal(size=(IMAGES, len(classes[task]))).astype(np.float32)
        made[np.arange(IMAGES), right] += skill
        scores[task] = made
    return Scored(scores, labels, classes)


def result_of(made: Scored, variant: str, dataset: str = "pets", weights: str = "1" * 64) -> Result:
    """Count scores as `netgen eval` does."""
    tasks = []
    for task, scores in made.scores.items():
        names = list(made.names[task])
        tally = Tally(Task(task, len(names)), len(names), None)
        tally.add(scores, made.labels[task])
        tasks.append(tally.result(names, accuracy(60, 200, IMAGES)))
    return Result(
        version=VERSION,
        variant=variant,
        dataset=dataset,
        records=IMAGES,
        network=FileUsed(f"models/{variant}/deploy.prototxt", "0" * 64),
        weights=FileUsed(f"runs/{variant}/{variant}.caffemodel", weights),
        parameters=1_234_567,
        engine="caffe",
        versions={"caffe": "caffe version 1.0.0"},
        tasks=tuple(tasks),
    )


def two_results(folder: Path) -> list[Result]:
    """Write the results of X_0, and of X_S, which is better, into a folder; return them."""
    found = [result_of(scored(1, 1.5), "x0"), result_of(scored(2, 2.5), "xs")]
    for result in found:
        write_result(result, folder / f"{result.variant}.json")
    return found
