"""What a network says of each test image: the file that `netgen eval --images` writes.

Its lines are JSON: first what was tested on what, then the images in the order of the database.
Figure 6 of the paper shows some; `netgen page results` lets its reader choose among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from netgen.caffe.databases import image_fingerprints
from netgen.evaluation.composition import log_softmax
from netgen.evaluation.results import TOP, Count, Result, ResultError
from netgen.evaluation.scoring import Scores
from netgen.evaluation.tally import Ints, top
from netgen.network.dataset import Dataset
from netgen.system.files import LOGS, read_file
from netgen.system.json_files import JsonError, OtherVersionError, decode_json

VERSION = 1  # of the file format; increase it when a field changes its meaning or is removed
DIGITS = 4  # of a probability, after the point


class Guess(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A class, and the probability that the network gives it among the task's classes."""

    label: Count
    probability: Annotated[float, Meta(ge=0, le=1)]


class ImageGuesses(Struct, frozen=True, forbid_unknown_fields=True):
    """What a network says of an image.

    Attributes
    ----------
    fingerprint
        Tells the image's bytes in the database from others': 16 hexadecimal digits.
    truth
        Its class at each task of the dataset.
    guesses
        At each task of the network the five best classes, the best first; all of fewer.
    """

    fingerprint: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    truth: dict[str, Count]
    guesses: dict[str, tuple[Guess, ...]]

    def right(self, task: str) -> bool:
        """Return whether the class in the first place is the image's."""
        return self.guesses[task][0].label == self.truth[task]


class Tested(Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: the weights' SHA-256, and the database of the images with their shape."""

    version: int
    weights: str
    database: str
    shape: tuple[Annotated[int, Meta(gt=0)], Annotated[int, Meta(gt=0)], Annotated[int, Meta(gt=0)]]
    records: int


def guesses_file(result: Path) -> Path:
    """Return the name of the file that belongs to a result's."""
    return result.with_suffix(".images.jsonl")


class GuessKeeper:
    """Keeps the best classes and their probabilities of all images, batch by batch."""

    def __init__(self) -> None:
        self.truth: dict[str, list[Ints]] = {}
        self.best: dict[str, list[Ints]] = {}
        self.likely: dict[str, list[NDArray[np.float64]]] = {}

    def add(self, scores: Scores, labels: Mapping[str, Ints]) -> None:
        """Keep what is best of a batch: `scores` are N x classes, `labels` N, by task."""
        for task, truth in labels.items():
            self.truth.setdefault(task, []).append(truth)
        for task, of in scores.items():
            best = top(of)
            likely = np.take_along_axis(np.exp(log_softmax(of)), best, axis=1)
            self.best.setdefault(task, []).append(best)
            self.likely.setdefault(task, []).append(likely.round(DIGITS))

    def encoded(self, result: Result, dataset: Dataset) -> bytes:
        """Return the file's content; the fingerprints are read from the database.

        Raises
        ------
        DatabaseError
            It can no longer be read.
        """
        images = dataset.images
        tested = Tested(
            VERSION,
            result.weights.sha256,
            dataset.test.images,
            (images.channels, images.height, images.width),
            result.records,
        )
        lines = [tested, *self._images(Path(dataset.test.images))]
        return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)

    def _images(self, database: Path) -> Iterator[ImageGuesses]:
        truth = {task: np.concatenate(of).tolist() for task, of in self.truth.items()}
        best = {task: np.concatenate(of).tolist() for task, of in self.best.items()}
        likely = {task: np.concatenate(of).tolist() for task, of in self.likely.items()}
        for number, fingerprint in enumerate(image_fingerprints(database).tolist()):
            yield ImageGuesses(
                shown_fingerprint(fingerprint),
                {task: of[number] for task, of in truth.items()},
                {
                    task: tuple(map(Guess, best[task][number], likely[task][number]))
                    for task in best
                },
            )


def shown_fingerprint(fingerprint: int) -> str:
    """Return a fingerprint as it is written."""
    return f"{fingerprint:016x}"


def read_guesses(file: Path, result: Result) -> tuple[Tested, list[ImageGuesses]]:
    """Read what `netgen eval --images` wrote beside `result`.

    Raises
    ------
    ResultError
        It cannot be read, is damaged, of another version, or not of this result.
    """
    again = "make both again with `netgen eval --images`, or remove it"
    try:
        first, *rest = read_file(file, LOGS).splitlines() or [b""]
        tested = decode_json(first, Tested, VERSION)
        images = [decode_json(line, ImageGuesses) for line in rest]
    except OSError as error:
        raise ResultError(f"{file}: {error.strerror}: {again}") from None
    except OtherVersionError as error:
        raise ResultError(f"{file}: in {error}: {again}") from None
    except JsonError as error:
        raise ResultError(f"{file}: not of `netgen eval --images` ({error}): {again}") from None
    for wrong in _wrong(tested, images, result):
        raise ResultError(f"{file}: {wrong}: {again}")
    return tested, images


def _wrong(tested: Tested, images: list[ImageGuesses], result: Result) -> Iterator[str]:
    """Yield in what way the images are not those of the result."""
    if tested.weights != result.weights.sha256:
        yield f"not of the weights that the result is of ({result.weights.path})"
    if not tested.records == len(images) == result.records:
        yield f"{len(images):,} of the {result.records:,} images that the result is of"
    tasks = {task.name: task.classes for task in result.tasks}
    for number, image in enumerate(images):
        if image.guesses.keys() != tasks.keys() or not tasks.keys() <= image.truth.keys():
            yield f"image {number:,} does not have the result's tasks ({', '.join(tasks)})"
        for task, guesses in image.guesses.items():
            if len(guesses) != min(TOP, tasks[task]):
                yield f"image {number:,} has {len(guesses)} guesses of {task}"
            if max(image.truth[task], *(guess.label for guess in guesses)) >= tasks[task]:
                yield f"image {number:,} has a class that {task} does not have"
    for one in result.tasks:
        found = sum(image.right(one.name) for image in images)
        if found != one.accuracy.top1.correct:
            counted = one.accuracy.top1.correct
            yield f"{found:,} images are right at {one.name}, but {counted:,} in the result"
