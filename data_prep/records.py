"""What every source of images gives: one stream of records, in any order asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from netgen.dataset import Task

Pixels = NDArray[np.uint8]


class DataError(ValueError):
    """Images, labels or a place to put them that cannot be used; says what, where and what next."""


@dataclass(frozen=True, eq=False)
class Record:
    """One image and its label in every task.

    Attributes
    ----------
    pixels
        Height x width x channels, 0 to 255; three channels are B, G, R, Caffe's order.
    labels
        Task name -> index into that task's class names.
    """

    pixels: Pixels
    labels: Mapping[str, int]


class Records(Protocol):
    """A training or test set.

    It is read in the order that the writer asks for, so that shuffling never needs the images in
    memory: a source of files decodes them as they come.
    """

    def __len__(self) -> int:
        """Return the number of records."""

    def read(self, order: Iterable[int]) -> Iterator[Record]:
        """Yield the records at these positions; what cannot be read is a `DataError`."""


@dataclass(frozen=True, eq=False)
class Source:
    """A dataset as published: its tasks with their class names in label order, and its split.

    Raises
    ------
    DataError
        A task's name or class names that a ``dataset.toml`` cannot hold.
    """

    name: str
    tasks: Mapping[str, tuple[str, ...]]
    train: Records
    test: Records

    def __post_init__(self) -> None:
        for task, classes in self.tasks.items():
            _check_task(task, classes)


@dataclass(frozen=True, eq=False)
class ArrayRecords:
    """Records of a source that fits in memory: N x H x W x C pixels and N labels a task."""

    pixels: Pixels
    labels: Mapping[str, NDArray[np.integer[Any]]]

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, order: Iterable[int]) -> Iterator[Record]:
        """Yield the records at these positions."""
        for i in order:
            labels = {task: int(column[i]) for task, column in self.labels.items()}
            yield Record(self.pixels[i], labels)


def _check_task(task: str, classes: tuple[str, ...]) -> None:
    try:
        msgspec.convert({"name": task, "classes": len(classes)}, Task)
    except msgspec.ValidationError as error:
        raise DataError(f"task {task!r}: {error}") from None
    for name in classes:
        if classes.count(name) > 1:
            raise DataError(f"task {task!r}: class {name!r} is listed twice: rename one of them")
        if name.splitlines() != [name]:  # the file of class names has one a line
            raise DataError(f"task {task!r}: class name {name!r} is not one line of text")
