"""LMDBs of images and labels: what they hold, read as Caffe reads them, each in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netgen.caffe.caffe_pb2 import Datum
from netgen.caffe.database_cursor import open_database, read_apart, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


IMAGES = "the images"  # beside the tasks, of which one may be named images


@dataclass(frozen=True)
class Databases:
    """Paths of a split's databases: of images (or None), and of labels, by task."""

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
        The number of records of each database, by its task or `IMAGES`.
    apart
        The first record whose keys differ between the databases, described; or None.
    """

    values: Mapping[str, NDArray[np.int32]]
    records: Mapping[str, int]
    apart: str | None


def read_labels(databases: Databases) -> Labels:
    """Read a split's labels and compare its databases' keys, in one pass.

    Raises
    ------
    DatabaseError
        When a database cannot be read, or a record is not a label.
    """
    every = [*databases.labels.values(), *([databases.images] if databases.images else [])]
    labels: Labels = read_apart(every, _read_labels, databases)
    return labels


def _read_labels(databases: Databases) -> Labels:
    import numpy as np

    with ExitStack() as stack:
        cursors: dict[str, Any] = {
            task: stack.enter_context(open_database(path))
            for task, path in databases.labels.items()
        }
        if databases.images:
            cursors[IMAGES] = stack.enter_context(open_database(databases.images))
        records = {name: cursor.entries for name, cursor in cursors.items()}
        shortest = min(records.values())
        values = {task: np.empty(shortest, np.int32) for task in databases.labels}
        apart = None
        for index, keys in enumerate(_rows(cursors, values)):
            if apart is None and len(set(keys)) > 1:
                apart = f"record {index:,} has the keys {_keys(dict(zip(cursors, keys)))}"  # noqa: B905
    return Labels(values, records, apart)


def image_fingerprints(path: Path) -> NDArray[np.uint64]:
    """Return a fingerprint of every image of a database, in order; all images are read."""
    digests: NDArray[np.uint64] = read_apart([path], _image_fingerprints, path)
    return digests


def _image_fingerprints(path: Path) -> NDArray[np.uint64]:
    import numpy as np

    with open_database(path) as cursor:
        digests = np.empty(cursor.entries, np.uint64)
        for index, (_, datum) in enumerate(cursor.datums()):
            digests[index] = fingerprint(datum)
    return digests


def fingerprint(datum: Datum) -> int:
    """Return a number of 64 bits that tells an image's bytes from others'."""
    return int.from_bytes(hashlib.blake2b(datum.data, digest_size=8).digest(), "little")


def count_records(path: Path) -> int:
    """Return the number of records of a database."""
    count: int = read_apart([path], _count_records, path)
    return count


def _count_records(path: Path) -> int:
    with open_database(path) as cursor:
        return cursor.entries


def first_datum(path: Path) -> Datum:
    """Return a database's first record."""
    return Datum.FromString(read_apart([path], _first_record, path))


def _first_record(path: Path) -> bytes:
    with open_database(path) as cursor:
        return next(cursor.datums())[1].SerializeToString()


def first_shape(path: Path) -> tuple[int, int, int] | None:
    """Return the shape C, H, W of a database's first image; None where it is stored encoded."""
    datum = first_datum(path)
    return None if datum.encoded else (datum.channels, datum.height, datum.width)


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
    return ", ".join(f"{shown(key)} ({name})" for name, key in keys.items())
