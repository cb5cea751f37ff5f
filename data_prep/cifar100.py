"""CIFAR-100: 50,000 + 10,000 photographs, 32 x 32, in colour, as two tasks.

*fine* has 100 classes and *coarse* 20, which hold five of them each: "we might choose to predict
classes and superclasses simultaneously" (section 5). The data are read from the published archive,
without unpacking it onto the disk and without calling anything in it (`python2_pickle`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from data_prep.image_source import DataError, ImageSource, Item, Pixels, SplitName
from data_prep.python2_pickle import PickleError, read_pickle
from netgen.system.files import check_regular

FOLDER = "cifar-100-python"
ARCHIVE = f"{FOLDER}.tar.gz"
# The published files, and the MD5 of each.
FILES = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}
CLASSES = {"fine": 100, "coarse": 20}
SHAPE = (3, 32, 32)  # of a row of `data`: red, green and blue
ROW = 3 * 32 * 32
LARGEST = 2**28  # bytes of a file; the largest published one has 155 million
UNPACKED = 2**28  # bytes of an archive's content; the published one has 187 million
AGAIN = "get it again from its origin"


@dataclass(frozen=True, eq=False)
class Batch:
    """A training or test set: N x 3072 pixels, N labels per task, and the images' N names."""

    data: NDArray[np.uint8]
    labels: Mapping[str, list[int]]
    names: list[str]


@dataclass(frozen=True, eq=False)
class Content:
    """The contents of the files, and whether they are, byte for byte, the published ones."""

    class_names: Mapping[str, tuple[str, ...]]
    batches: Mapping[str, Batch]
    published: bool


@dataclass(frozen=True)
class Cifar100:
    """CIFAR-100 in ``cifar-100-python.tar.gz``, or in the folder that is in it.

    It is read when it is first needed; when other machines do the reading, only its path travels.
    """

    path: Path

    def __reduce__(self) -> tuple[type[Cifar100], tuple[Path]]:
        return type(self), (self.path,)

    @cached_property
    def content(self) -> Content:
        """The contents of the files; a `DataError` when one is missing, damaged or another file."""
        files = _files(self.path)
        published = {name: hashlib.md5(file).hexdigest() for name, file in files.items()} == FILES
        tables = {name: _table(f"{self.path}: {name}", files.pop(name)) for name in FILES}
        batches = {split: _batch(tables[split]) for split in get_args(SplitName)}
        return Content(_class_names(tables["meta"]), batches, published)

    @property
    def source(self) -> ImageSource:
        """Its tasks, and its images in the published order and split."""
        return ImageSource(
            "cifar-100", self.content.class_names, self.items, self.load, size=SHAPE[1:]
        )

    def items(self) -> Iterator[Item]:
        """Yield the images in the published order, training first."""
        for split in get_args(SplitName):
            batch = self.content.batches[split]
            for row, name in enumerate(batch.names):
                labels = {task: values[row] for task, values in batch.labels.items()}
                yield Item(f"{split}/{row:05}/{name}", labels, split)

    def load(self, name: str) -> Pixels:
        """Return the pixels of the image that has this name in `items`."""
        split, row, _ = name.split("/", 2)
        image: Pixels = self.content.batches[split].data[int(row)].reshape(SHAPE)
        return np.ascontiguousarray(image[::-1].transpose(1, 2, 0))  # R, G, B to B, G, R


@dataclass(frozen=True)
class _PickledTable:
    """The dict of a file, and where it is for messages."""

    where: str
    values: dict[bytes, Any]

    def error(self, what: str) -> DataError:
        return DataError(f"{self.where}: {what}: not CIFAR-100's: {AGAIN}")

    def __getitem__(self, key: str) -> Any:
        if key.encode() not in self.values:
            raise self.error(f"no {key!r} in it")
        return self.values[key.encode()]

    def strings(self, key: str, count: int) -> list[str]:
        found = self[key]
        if not _are(found, bytes, count):
            raise self.error(f"{key!r} is not {count:,} strings")
        return [text.decode(errors="replace") for text in found]

    def labels(self, key: str, count: int, classes: int) -> list[int]:
        found = self[key]
        if not _are(found, int, count):
            raise self.error(f"{key!r} is not {count:,} whole numbers, one per image")
        outside = [label for label in found if not 0 <= label < classes]
        if outside:
            raise self.error(f"{key!r} has the label {outside[0]}, expected 0 to {classes - 1}")
        return list(found)


def _are(values: object, kind: type, count: int) -> bool:
    if not isinstance(values, list) or len(values) != count:
        return False
    return all(type(value) is kind for value in values)


def _class_names(meta: _PickledTable) -> dict[str, tuple[str, ...]]:
    return {
        task: tuple(meta.strings(f"{task}_label_names", count)) for task, count in CLASSES.items()
    }


def _batch(table: _PickledTable) -> Batch:
    data = table["data"]
    if not isinstance(data, np.ndarray) or data.shape[1] != ROW or not len(data):
        raise table.error(f"'data' is not a table of {ROW:,} numbers per image")
    labels = {
        task: table.labels(f"{task}_labels", len(data), count) for task, count in CLASSES.items()
    }
    return Batch(data, labels, table.strings("filenames", len(data)))


def _table(where: str, content: bytes) -> _PickledTable:
    try:
        return _PickledTable(where, read_pickle(content))
    except PickleError as error:
        raise DataError(f"{where}: refused: {error}: {AGAIN}") from None


def _files(path: Path) -> dict[str, bytes]:
    """Return the content of the three files, by name."""
    try:
        files = _from_folder(path) if path.is_dir() else _from_archive(path)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: damaged, or no {ARCHIVE} ({error}): {AGAIN}") from None
    missing = [name for name in FILES if name not in files]
    if missing:
        raise DataError(
            f"{path}: no {', '.join(missing)} in it: name {ARCHIVE}, or the folder {FOLDER}"
        )
    return files


def _from_folder(folder: Path) -> dict[str, bytes]:
    if (folder / FOLDER).is_dir():
        folder /= FOLDER
    found = {name: folder / name for name in FILES if (folder / name).is_file()}
    for file in found.values():
        _check_size(file, file.stat().st_size)
    return {name: file.read_bytes() for name, file in found.items()}


def _from_archive(path: Path) -> dict[str, bytes]:
    """Read the files from the archive in one pass; other files in it are skipped."""
    wanted = {f"{FOLDER}/{name}": name for name in FILES}
    found = {}
    check_regular(path)
    with (
        gzip.open(path) as packed,
        _Unpacked(path, packed) as unzipped,
        tarfile.open(fileobj=unzipped, mode="r|") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content and member.name in wanted:
                _check_size(path / member.name, member.size)
                found[wanted[member.name]] = content.read()
        while unzipped.read(2**20):  # to its end, where the checksum is
            pass
    return found


class _Unpacked(io.RawIOBase):
    """What a gzipped archive holds, up to `UNPACKED` bytes.

    tarfile reads headers into memory, which may be as large as they say.
    """

    def __init__(self, path: Path, packed: gzip.GzipFile) -> None:
        self.path, self.packed, self.done = path, packed, 0

    def read(self, size: int = -1) -> bytes:
        content = self.packed.read(size)
        self.done += len(content)
        if self.done > UNPACKED:
            raise DataError(
                f"{self.path}: over {UNPACKED:,} bytes unpacked: not {ARCHIVE}: {AGAIN}"
            )
        return content


def _check_size(file: Path, size: int) -> None:
    if size > LARGEST:
        raise DataError(f"{file}: {size:,} bytes, over {LARGEST:,}: not CIFAR-100's: {AGAIN}")
