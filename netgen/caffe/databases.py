"""LMDBs of images and labels: opened, or refused with a reason, and read as Caffe reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from netgen.caffe.caffe_pb2 import Datum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DatabaseError(ValueError):
    """A database that cannot be read; the message says which, why and what to do next."""


@contextmanager
def open_database(path: Path) -> Iterator[Cursor]:
    """Open the LMDB at `path` for reading; it has one record or more.

    Raises
    ------
    DatabaseError
        It is not an LMDB, was cut off, or is empty.
    """
    import lmdb  # slow to load and seldom needed

    if not path.exists():
        raise DatabaseError(
            f"{path}: not a readable LMDB (no such folder): make it with `netgen data`, or change"
            " to the folder that this path starts from"
        )
    try:
        with (
            lmdb.open(str(path), readonly=True, lock=False, create=False) as environment,
            environment.begin() as transaction,
        ):
            _check_size(path, environment)
            entries = environment.stat()["entries"]
            if not entries:
                raise DatabaseError(f"{path}: an LMDB without records: make it again")
            yield Cursor(path, transaction, entries)
    except lmdb.Error as error:
        raise DatabaseError(
            f"{path}: not a readable LMDB ({error}): is it whole, and a database of Caffe's?"
        ) from None


def _check_size(path: Path, environment: Any) -> None:
    """Refuse a file that was cut off: reading past its end would abort the process."""
    wanted = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    found = (path / "data.mdb").stat().st_size
    if found < wanted:
        raise DatabaseError(
            f"{path}: not a readable LMDB (cut off at {found:,} of {wanted:,} bytes): copy it again"
        )


# ---- aligned LMDBs of images and labels, each read in one pass ----------------------------------

LARGEST_LABEL = 2**31 - 1


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
        The number of records of each database, by its task or "images".
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
    import numpy as np

    with ExitStack() as stack:
        cursors: dict[str, Any] = {
            task: stack.enter_context(open_database(path))
            for task, path in databases.labels.items()
        }
        if databases.images:
            cursors["images"] = stack.enter_context(open_database(databases.images))
        records = {name: cursor.entries for name, cursor in cursors.items()}
        shortest = min(records.values())
        values = {task: np.empty(shortest, np.int32) for task in databases.labels}
        apart = None
        for index, keys in enumerate(_rows(cursors, values)):
            if apart is None and len(set(keys)) > 1:
                apart = f"record {index:,} has the keys {_keys(dict(zip(cursors, keys)))}"  # noqa: B905
    return Labels(values, records, apart)


def image_digests(path: Path) -> NDArray[np.uint64]:
    """Return a fingerprint of every image of a database, in order; all images are read."""
    import numpy as np

    with open_database(path) as cursor:
        digests = np.empty(cursor.entries, np.uint64)
        for index, (_, datum) in enumerate(cursor.datums()):
            digest = hashlib.blake2b(datum.data, digest_size=8).digest()
            digests[index] = int.from_bytes(digest, "little")
    return digests


def first_shape(path: Path) -> tuple[int, int, int] | None:
    """Return the shape C, H, W of a database's first image; None where it is stored encoded."""
    with open_database(path) as cursor:
        _, datum = next(cursor.datums())
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


def shown(key: bytes) -> str:
    """Return a record's key for a message."""
    return repr(key[:40].decode(errors="replace"))


class Cursor:
    """A database open for reading, from its first record to its last."""

    def __init__(self, path: Path, transaction: Any, entries: int) -> None:
        self.path, self.entries, self._transaction = path, entries, transaction

    def keys(self) -> Iterator[bytes]:
        """Yield the keys, without reading the records."""
        yield from self._transaction.cursor().iternext(keys=True, values=False)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield each record's key and bytes."""
        yield from self._transaction.cursor().iternext()

    def datums(self) -> Iterator[tuple[bytes, Datum]]:
        """Yield each record's key and Datum; a `DatabaseError` for a record that is not one."""
        for key, value in self.items():
            yield key, read_datum(self.path, key, value)

    def labels(self) -> Iterator[tuple[bytes, int]]:
        """Yield each record's key and label; a `DatabaseError` for a record that has none."""
        for key, datum in self.datums():
            yield key, _label(self.path, key, datum)


def read_datum(path: Path, key: bytes, value: bytes) -> Datum:
    """Return the record of that key as a Datum; a `DatabaseError` when it is none."""
    try:
        return Datum.FromString(value)
    except DecodeError:
        raise DatabaseError(
            f"{path}: record {shown(key)} is no Datum: is it a database of Caffe's?"
        ) from None


def _label(path: Path, key: bytes, datum: Datum) -> int:
    """Return a label as Caffe's Data layer reads it: a 1 x 1 x 1 image, else the Datum's label."""
    one = datum.channels == datum.height == datum.width == 1
    if one and len(datum.float_data) == 1 and float(datum.float_data[0]).is_integer():
        return _small(path, key, int(datum.float_data[0]))
    if one and len(datum.data) == 1 and not datum.float_data:
        return datum.data[0]
    if datum.HasField("label") and not datum.float_data and len(datum.data) <= 1:
        return _small(path, key, datum.label)
    raise DatabaseError(
        f"{path}: record {shown(key)} is no label: expected a 1 x 1 x 1 Datum with one whole"
        " number; is it a database of images?"
    )


def _small(path: Path, key: bytes, label: int) -> int:
    if abs(label) > LARGEST_LABEL:
        raise DatabaseError(f"{path}: record {shown(key)} has the label {label}: no class number")
    return label
