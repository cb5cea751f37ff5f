"""The interface of a source of images: tasks, images with their labels, and how to load one."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from netgen.network.dataset import Task
from netgen.system.text import check_name

Pixels = NDArray[np.uint8]  # height x width x channels, 0 to 255; three channels are B, G, R
SplitName = Literal["train", "test"]


class DataError(ValueError):
    """Images, labels or an output folder that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Item:
    """An image as its source lists it, before the image is read.

    Attributes
    ----------
    name
        Its unique name in the source, the same on every machine: for a file, its path below the
        source's root, with ``/``.
    labels
        Task name -> index into that task's class names.
    split
        Where the source puts it; None when the split is to be drawn.
    """

    name: str
    labels: Mapping[str, int]
    split: SplitName | None = None


@dataclass(frozen=True)
class Reject:
    """An image that is left out, or another thing found among the images, and why."""

    name: str
    reason: str


def stamp(path: Path | str) -> str:
    """Return a string that changes when the file at `path` does: its size and time of change."""
    status = os.stat(path)
    return f"{status.st_size} {status.st_mtime_ns}"


@dataclass(frozen=True, eq=False)
class ImageSource:
    """Images and labels in their published layout.

    Attributes
    ----------
    name
        The name of the dataset that is made from it.
    tasks
        Task name -> class names in label order.
    items
        Lists the images again at each call, one by one, so that they need not fit in memory; what
        is no image with labels comes as a `Reject` with the reason.
    load
        Image's name -> an image file's content (bytes), or pixels of a source that keeps no files.
        It is pickled when other machines do the reading. An `OSError` is a reject.
    stamp
        Image's name -> a string that changes when its file does (`stamp` below is for a path). What
        a killed run found out about an image is used again while its stamp is the same; without
        stamps, images are scanned again.
    size
        Height and width in pixels of all images of the source, which are kept unless others are
        requested; None for images of any size.

    Raises
    ------
    DataError
        A task's name or class names that a ``dataset.toml`` cannot hold.
    """

    name: str
    tasks: Mapping[str, tuple[str, ...]]
    items: Callable[[], Iterator[Item | Reject]]
    load: Callable[[str], bytes | Pixels]
    stamp: Callable[[str], str] | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for task, classes in self.tasks.items():
            _check_task(task, classes)

    @property
    def finest(self) -> str:
        """The task with the most classes (the first such): the split is stratified by it."""
        return max(self.tasks, key=lambda task: len(self.tasks[task]))


def _check_task(task: str, classes: tuple[str, ...]) -> None:
    try:
        msgspec.convert({"name": task, "classes": len(classes)}, Task)
    except msgspec.ValidationError as error:
        raise DataError(f"task {task!r}: {error}") from None
    seen: dict[str, str] = {}
    for name in classes:
        check_name(name, f"class of task {task!r}", DataError)
        if not name.strip():  # the file of class names has one per line
            raise DataError(
                f"task {task!r}: a class has an empty name, or one of spaces: rename it"
            )
        same = unicodedata.normalize("NFC", name).casefold()
        earlier = seen.get(same)
        if earlier is not None:
            raise DataError(f"task {task!r}: class {name!r} {_clash(earlier, name)}")
        seen[same] = name


def _clash(earlier: str, name: str) -> str:
    if earlier == name:
        return "is listed twice: rename one of them"
    return (
        f"and class {earlier!r} differ only in case or in how accents are coded, and are the same"
        " on some systems: merge them, or rename one"
    )
