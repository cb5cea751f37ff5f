"""LMDBs of images and labels: which there are in a folder, and what they hold, read in one pass."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from netgen import paper
from netgen.caffe_pb2 import Datum
from netgen.dataset import read_dataset
from netgen.inspection.finding import InspectionError
from netgen.layers.table import Shape
from netgen.lmdbs import reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPLITS = {"TRAIN": "train", "TEST": "test|val"}
DEEPEST = 3  # folders below the one that is given
LARGEST_LABEL = 2**31 - 1


@dataclass(frozen=True)
class Databases:
    """Where a split's databases are: of images, None without one, and of labels, task by task."""

    images: Path | None
    labels: Mapping[str, Path]


@dataclass(frozen=True, eq=False)
class Labels:
    """A split's labels.

    Attributes
    ----------
    values
        For each task, the labels in the order in which Caffe reads them.
    records
        For each database by the name of its task, or "images": how many records it has.
    apart
        The first record whose keys are not the same in all databases, told in words; or None.
    """

    values: Mapping[str, NDArray[np.int32]]
    records: Mapping[str, int]
    apart: str | None


def find_databases(folder: Path) -> dict[str, Databases]:
    """Find the databases of both splits: by ``dataset.toml``, else by the names of folders.

    Raises
    ------
    ValueError
        When there are none, or ``dataset.toml`` cannot be used.
    """
    file = folder / "dataset.toml" if folder.is_dir() else folder
    if file.is_file():
        dataset = read_dataset(file)
        return {
            phase: Databases(
                Path(split.images), {task: Path(path) for task, path in split.labels.items()}
            )
            for phase, split in (("TRAIN", dataset.train), ("TEST", dataset.test))
        }
    if not folder.is_dir():
        raise InspectionError(f"{folder}: no such folder: give one with dataset.toml, or of LMDBs")
    found = {phase: _named(folder, words) for phase, words in SPLITS.items()}
    if not any(split.labels or split.images for split in found.values()):
        raise InspectionError(
            f"{folder}: no dataset.toml in it, and no LMDBs (folders with data.mdb) whose names say"
            " train or test: give the folder above them"
        )
    return {phase: split for phase, split in found.items() if split.labels or split.images}


def _named(folder: Path, words: str) -> Databases:
    """Find the databases whose names say the split and, for labels, the task."""
    images, labels = None, {}
    patterns = ["/".join(["*"] * depth + ["data.mdb"]) for depth in range(1, DEEPEST + 1)]
    for path in sorted(file.parent for pattern in patterns for file in folder.glob(pattern)):
        name = path.relative_to(folder).as_posix().lower()
        tasks = re.findall("|".join(paper.TASKS), name.rpartition("/")[2])
        if not re.search(words, name):
            continue
        if len(set(tasks)) == 1:
            labels[tasks[0]] = path
        elif not tasks:
            images = path
    return Databases(images, labels)


def read_labels(databases: Databases) -> Labels:
    """Read a split's labels and compare its databases' keys, side by side, in one pass.

    Raises
    ------
    InspectionError
        When a database cannot be read, or a record is no label.
    """
    import numpy as np

    with ExitStack() as stack:
        cursors: dict[str, Any] = {
            task: stack.enter_context(_cursor(path)) for task, path in databases.labels.items()
        }
        if databases.images:
            cursors["images"] = stack.enter_context(_cursor(databases.images))
        records = {name: cursor.entries for name, cursor in cursors.items()}
        shortest = min(records.values())
        values = {task: np.empty(shortest, np.int32) for task in databases.labels}
        apart = None
        for index, keys in enumerate(_rows(cursors, values)):
            if apart is None and len(set(keys)) > 1:
                apart = f"record {index:,} has the keys {_keys(dict(zip(cursors, keys)))}"  # noqa: B905
    return Labels(values, records, apart)


def image_digests(path: Path) -> NDArray[np.uint64]:
    """Return a fingerprint of every image of a database, in order; it reads them all."""
    import numpy as np

    with _cursor(path) as cursor:
        digests = np.empty(cursor.entries, np.uint64)
        for index, (key, value) in enumerate(cursor.items()):
            data = _datum(path, key, value).data
            digest = hashlib.blake2b(data, digest_size=8).digest()
            digests[index] = int.from_bytes(digest, "little")
    return digests


def first_shape(path: Path) -> Shape | None:
    """Return the shape of a database's first image; None where it is stored encoded or is none."""
    with _cursor(path) as cursor:
        for key, value in cursor.items():
            datum = _datum(path, key, value)
            return None if datum.encoded else (datum.channels, datum.height, datum.width)
    return None


def _rows(cursors: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[tuple[bytes, ...]]:
    """Fill in labels record by record, and yield each record's keys in all databases."""
    streams = [cursor.labels() for name, cursor in cursors.items() if name in values]
    keys_only = [cursor.keys() for name, cursor in cursors.items() if name not in values]
    arrays = list(values.values())
    for index, row in enumerate(zip(*streams, *keys_only)):  # noqa: B905  # as far as the shortest
        keys = []
        for array, (key, label) in zip(arrays, row):  # noqa: B905  # then come keys only
            array[index] = label
            keys.append(key)
        yield (*keys, *row[len(arrays) :])


def _keys(keys: Mapping[str, bytes]) -> str:
    return ", ".join(f"{_shown(key)} ({name})" for name, key in keys.items())


def _shown(key: bytes) -> str:
    return repr(key[:40].decode(errors="replace"))


class _Cursor:
    """A database open for reading, from its first record to its last."""

    def __init__(self, path: Path, transaction: Any, entries: int) -> None:
        self.path, self.entries, self._transaction = path, entries, transaction

    def keys(self) -> Iterator[bytes]:
        """Yield the keys, without touching what they stand for."""
        yield from self._transaction.cursor().iternext(keys=True, values=False)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the records."""
        yield from self._transaction.cursor().iternext()

    def labels(self) -> Iterator[tuple[bytes, int]]:
        """Yield each record's key and label."""
        for key, value in self.items():
            yield key, _label(self.path, key, value)


@contextmanager
def _cursor(path: Path) -> Iterator[_Cursor]:
    with reading(path) as (transaction, entries):
        yield _Cursor(path, transaction, entries)


def _datum(path: Path, key: bytes, value: bytes) -> Datum:
    try:
        return Datum.FromString(value)
    except DecodeError:
        raise InspectionError(
            f"{path}: record {_shown(key)} is no Datum: is it a database of Caffe's?"
        ) from None


def _label(path: Path, key: bytes, value: bytes) -> int:
    """Read a label as Caffe's Data layer would: a 1 x 1 x 1 image, else the Datum's own label."""
    datum = _datum(path, key, value)
    one = datum.channels == datum.height == datum.width == 1
    if one and len(datum.float_data) == 1 and float(datum.float_data[0]).is_integer():
        return _small(path, key, int(datum.float_data[0]))
    if one and len(datum.data) == 1 and not datum.float_data:
        return datum.data[0]
    if datum.HasField("label") and not datum.float_data and len(datum.data) <= 1:
        return _small(path, key, datum.label)
    raise InspectionError(
        f"{path}: record {_shown(key)} is no label: expected a 1 x 1 x 1 Datum with one whole"
        " number; is it a database of images?"
    )


def _small(path: Path, key: bytes, label: int) -> int:
    if abs(label) > LARGEST_LABEL:
        raise InspectionError(
            f"{path}: record {_shown(key)} has the label {label}: no class number"
        )
    return label
