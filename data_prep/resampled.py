"""The images of a dataset that netgen made, again: in another order, split anew, or fewer of them.

A seed of an experiment has databases of its own, of the same images. They come from the databases
that there are, so that the images' files are not needed, whatever source they had.
"""

from __future__ import annotations

import math
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import lmdb

from data_prep.image_headers import Rejected
from data_prep.image_source import DataError, ImageSource, Item, Pixels, SplitName
from data_prep.ledger import rank
from data_prep.listings import RECORDS, read_list
from data_prep.verify import AGAIN, check_lists
from data_prep.verify_images import pixels_of
from netgen.caffe.database_cursor import DatabaseError, check_readable, read_datum, shown
from netgen.network.dataset import Dataset, Images, class_names

# "keep" leaves every image in its part, "anew" draws the split, "training" draws one of the
# training images alone: what is chosen with it has not seen a test image.
Division = Literal["keep", "anew", "training"]
DIVISIONS: tuple[Division, ...] = get_args(Division)


def resampled(
    dataset: Dataset, folder: Path, division: Division = "keep", share: float = 1.0, seed: int = 0
) -> ImageSource:
    """Return a source of a dataset's images under their names, with their pixels as stored.

    Parameters
    ----------
    dataset, folder
        The dataset, and the folder of its dataset.toml.
    division
        Which part an image is in; see `Division`.
    share
        How many of each class of the finest task's training images are kept, rounded up; above 0,
        at most 1. Only where the parts are kept.
    seed
        Decides which.

    Raises
    ------
    DataError
        The dataset has no list of its images, or no class names, or contradicts itself; or
        `share` is out of range.
    DatabaseError
        A database of images is damaged.
    """
    if not 0 < share <= 1:
        raise DataError(f"a share of {share:g}: give one above 0, at most 1")
    if share < 1 and division != "keep":
        raise DataError(
            f"a share of the images of a split that is yet to be drawn ({division}): draw the split"
            " first, and take the share of that dataset"
        )
    if not (folder / RECORDS).is_file():
        raise DataError(
            f"{folder / RECORDS} is not there: it lists the images of a dataset that `netgen data`"
            " made; name the dataset.toml beside it"
        )
    tasks = {task.name: class_names(task) for task in dataset.tasks}
    named = {task: tuple(names) for task, names in tasks.items() if names}
    if unnamed := sorted(tasks.keys() - named.keys()):
        raise DataError(f"{folder}: no class names of {', '.join(unnamed)}: make it again")
    if os.path.samefile(dataset.train.images, dataset.test.images):
        raise DataError(
            f"{dataset.train.images} is for training and for test: make the dataset again"
        )
    check_readable([Path(dataset.train.images), Path(dataset.test.images)])
    check_lists(dataset, folder)  # whatever contradicts itself would come out as a sound dataset
    finest = max(named, key=lambda task: len(named[task]))
    listed = _Listed(folder / RECORDS, tuple(named), division, finest, share, seed)
    height, width = dataset.images.height, dataset.images.width
    paths: dict[SplitName, str] = {"train": dataset.train.images, "test": dataset.test.images}
    stored = _Stored(folder / RECORDS, paths, dataset.images)
    return ImageSource(dataset.name, named, listed.items, stored.load, size=(height, width))


@dataclass(frozen=True)
class _Listed:
    """Which images there are, from the list of a dataset."""

    file: Path
    tasks: tuple[str, ...]
    division: Division
    finest: str
    share: float
    seed: int

    def items(self) -> Iterator[Item]:
        kept = self._kept() if self.share < 1 else None
        for row in read_list(self.file):
            if self.division == "training" and row["split"] != "train":
                continue
            if kept is not None and row["split"] == "train" and row["name"] not in kept:
                continue
            labels = {task: int(row[f"label:{task}"]) for task in self.tasks}
            yield Item(row["name"], labels, self._split(row["split"]))

    def _split(self, given: str) -> SplitName | None:
        if self.division != "keep":
            return None
        return "train" if given == "train" else "test"

    def _kept(self) -> set[str]:
        """Return the training images that are kept: of each class the first by the seed's rank."""
        of_class = defaultdict[str, list[str]](list)
        for row in read_list(self.file):
            if row["split"] == "train":
                of_class[row[f"label:{self.finest}"]].append(row["name"])
        return {
            name
            for names in of_class.values()
            for name in sorted(names, key=lambda name: (rank(self.seed, name), name))[
                : math.ceil(self.share * len(names))
            ]
        }


class _Stored:
    """The images of a dataset's databases, by their names in its list.

    Databases are opened once, when the first image is read: a process may open each only once, and
    threads share them. They are closed with this object.
    """

    def __init__(self, file: Path, paths: dict[SplitName, str], stated: Images) -> None:
        self.file, self.paths, self.stated = file, paths, stated
        self.lock = threading.Lock()
        self.places: dict[str, tuple[SplitName, bytes]] = {}
        self.opened: dict[SplitName, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Let other machines open the databases themselves."""
        return _Stored, (self.file, self.paths, self.stated)

    def load(self, name: str) -> Pixels:
        with self.lock:
            if not self.opened:
                self._open()
        split, key = self.places[name]
        path = Path(self.paths[split])
        with self.opened[split].begin() as transaction:
            datum = read_datum(path, key, transaction.get(key, b""))
        try:
            return pixels_of(datum, self.stated)
        except Rejected as error:
            raise DatabaseError(f"{path}: record {shown(key)}: {error}: {AGAIN}") from None

    def _open(self) -> None:
        for row in read_list(self.file):
            split: SplitName = "train" if row["split"] == "train" else "test"
            self.places[row["name"]] = (split, row["key"].encode())
        for split, path in self.paths.items():
            self.opened[split] = lmdb.open(path, readonly=True, lock=False, create=False)
