"""Figure 6 on a page of results: images of the test set, with what each network says of them.

Of each task, images are shown of every way in which the networks can be right and wrong together,
as many of each as there is room for, drawn by lot: by their fingerprints, so always the same.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from netgen.evaluation.image_guesses import (
    ImageGuesses,
    Tested,
    guesses_file,
    read_guesses,
    shown_fingerprint,
)
from netgen.evaluation.results import ResultError
from netgen.evaluation.stored_images import stored_pictures
from netgen.figures.page.paged_results import PagedResult

MOST = 120  # images that a page has of a test set
SIDE = 144  # pixels of an image on the page, at most
SMALL = 64  # pixels of an image that is kept as it is: as PNG
QUALITY = 85  # of a JPEG, from 0 to 100


@dataclass(frozen=True)
class GuessesOf:
    """A network, and what it says of each image."""

    network: PagedResult
    tested: Tested
    images: Sequence[ImageGuesses]


@dataclass(frozen=True)
class ShownImage:
    """An image of the page: its place in the database, and itself as a data: address, if there."""

    record: int
    address: str | None


@dataclass(frozen=True)
class SharedImages:
    """Test images, and the networks that were tested on them.

    Attributes
    ----------
    networks
        One or more, each with its guesses for all images.
    shown
        The images of the page.
    missing
        Where the images should be, if they are not there.
    """

    networks: Sequence[GuessesOf]
    shown: Sequence[ShownImage]
    missing: str | None

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return self.networks[0].network.result.dataset

    @property
    def total(self) -> int:
        """How many images the test set has."""
        return self.networks[0].tested.records

    @cached_property
    def tasks(self) -> dict[str, tuple[str, ...] | None]:
        """The names of each task's classes: first the tasks of the network that has the most."""
        results = sorted((one.network.result for one in self.networks), key=lambda r: -len(r.tasks))
        return {task.name: task.names for result in results for task in result.tasks}

    def solvers(self, task: str) -> list[int]:
        """Return which of the networks solve a task."""
        return _solvers(self.networks, task)

    def class_name(self, task: str, label: int) -> str:
        """Return a class's name, or its number where the dataset has no names."""
        names = self.tasks[task]
        return names[label] if names else str(label)

    def data(self) -> dict[str, Any]:
        """Return what a page's program needs to filter the images.

        Of each task: which networks solve it, how many images of the test set are of each pattern,
        and each of the page's: 1 if the first of these networks is right, 2 if the second is.
        """
        found = {}
        for task in self.tasks:
            every = _patterns(self.networks, task)
            kinds, counts = np.unique(every, return_counts=True)
            found[task] = {
                "networks": self.solvers(task),
                "counts": dict(zip(map(str, kinds.tolist()), counts.tolist(), strict=True)),
                "shown": [int(every[one.record]) for one in self.shown],
            }
        return {"total": self.total, "tasks": found}


def read_shared_images(results: Sequence[PagedResult]) -> list[SharedImages]:
    """Read what the networks say of each image, where that stands beside the results.

    Raises
    ------
    ResultError
        A file is damaged, not of its result, or of images that are no longer in the database.
    ValueError
        A database is there and cannot be read.
    """
    groups: dict[object, list[GuessesOf]] = {}
    for one in results:
        file = guesses_file(one.file)
        if file.exists():
            tested, images = read_guesses(file, one.result)
            key = tuple((image.fingerprint, *sorted(image.truth.items())) for image in images)
            of = GuessesOf(one, tested, images)
            groups.setdefault((one.result.dataset, key), []).append(of)
    return [_shared(networks) for networks in groups.values()]


def _shared(networks: Sequence[GuessesOf]) -> SharedImages:
    records = _chosen(networks)
    database = next(
        (of.tested.database for of in networks if Path(of.tested.database).exists()), None
    )
    if database is None:
        shown = [ShownImage(record, None) for record in records]
        return SharedImages(networks, shown, networks[0].tested.database)
    pictures = stored_pictures(Path(database), networks[0].tested.shape, set(records))
    for record in records:
        found = pictures.get(record)
        told = networks[0].images[record].fingerprint
        if found is None or shown_fingerprint(found.fingerprint) != told:
            raise ResultError(
                f"{guesses_file(networks[0].network.file)}: image {record:,} is not that of"
                f" {database} any more: was the dataset made again? Test again with `netgen eval"
                " --images`, or remove the file to have a page without images"
            )
    shown = [ShownImage(record, _address(pictures[record].pixels)) for record in records]
    return SharedImages(networks, shown, None)


def _solvers(networks: Sequence[GuessesOf], task: str) -> list[int]:
    """Return the places of the networks that solve a task."""
    return [place for place, one in enumerate(networks) if task in one.images[0].guesses]


def _patterns(networks: Sequence[GuessesOf], task: str) -> NDArray[np.int64]:
    """Return for each image which of the networks that solve a task are right: a bit for each."""
    solvers = (networks[place] for place in _solvers(networks, task))
    rights = (np.array([image.right(task) for image in one.images]) for one in solvers)
    return np.asarray(sum(right.astype(np.int64) << bit for bit, right in enumerate(rights)))


def _chosen(networks: Sequence[GuessesOf]) -> list[int]:
    """Return the places of the images to show."""
    images = networks[0].images
    lot = sorted(range(len(images)), key=lambda record: (images[record].fingerprint, record))
    queues: dict[tuple[str, int], list[int]] = {}
    for task in dict.fromkeys(task for one in networks for task in one.images[0].guesses):
        patterns = _patterns(networks, task)
        for record in lot:
            queues.setdefault((task, int(patterns[record])), []).append(record)
    return sorted([*dict.fromkeys(_in_turn([*queues.values()]))][:MOST])


def _in_turn(queues: Sequence[Sequence[int]]) -> Iterator[int]:
    """Yield the first of each, then the second of each, and so on."""
    for row in zip_longest(*queues):
        yield from (record for record in row if record is not None)


def _address(pixels: NDArray[np.uint8]) -> str:
    """Return pixels, C x H x W, as an image of a page: small ones as they are, others smaller."""
    image = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    longest = max(image.shape[:2])
    if longest <= SMALL:
        kind, (_, content) = "png", cv2.imencode(".png", image)
    else:
        scale = min(1.0, SIDE / longest)
        size = [max(1, round(length * scale)) for length in (image.shape[1], image.shape[0])]
        smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        kind = "jpeg"
        _, content = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/{kind};base64,{base64.b64encode(content.tobytes()).decode()}"
