"""An LMDB of Caffe's: opened, or refused with a reason, and read in a process that may die."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from netgen.caffe.apart import ProcessDiedError, run_apart
from netgen.caffe.caffe_pb2 import Datum


class DatabaseError(ValueError):
    """A database that cannot be read; the message says which, why and what to do next."""


AGAIN = "make it again with `netgen data`, or copy it again from where it is whole"
LARGEST_LABEL = 2**31 - 1
SMALLEST_RECORD = 10  # bytes of a file, at least: where a page has it, its header, and its key


def read_apart(
    databases: Sequence[Path],
    function: Callable[..., Any],
    *arguments: Any,
    on_message: Callable[[Any], None] | None = None,
) -> Any:
    """Return what ``function(*arguments)`` reads from `databases`, in a process that may die.

    The function opens them itself: `netgen.caffe.apart` says how it runs.

    Raises
    ------
    DatabaseError
        One is damaged, so that reading it ended the process.
    Exception
        Whatever the function raised.
    """
    try:
        return run_apart(function, *arguments, on_message=on_message)
    except ProcessDiedError as died:
        if died.exitcode == -signal.SIGKILL:
            raise DatabaseError(
                f"{_paths(databases)}: the process that read it was killed: did the machine run"
                " out of memory (`dmesg`)?"
            ) from None
        if len(databases) > 1:
            check_readable(databases)
        raise DatabaseError(
            f"{_paths(databases)}: a damaged LMDB (reading it ended with {died}): {AGAIN}"
        ) from None


def check_readable(databases: Sequence[Path]) -> None:
    """Find the damaged one of `databases`: touch both ends of each record, each in a process.

    Raises
    ------
    DatabaseError
        One cannot be read.
    """
    for path in databases:
        read_apart([path], _touch, path)


def _touch(path: Path) -> None:
    with open_database(path, views=True) as cursor:
        for _, value in cursor.items():
            bytes(value[:1]) + bytes(value[-1:])


def _paths(databases: Sequence[Path]) -> str:
    return " or ".join(map(str, databases))


@contextmanager
def open_database(path: Path, views: bool = False) -> Iterator[Cursor]:
    """Open the LMDB at `path` for reading; it has one record or more.

    Only inside a function that `read_apart` calls: a damaged one may end the process. With
    `views`, keys and records are memoryviews, whose bytes are not read yet.

    Raises
    ------
    DatabaseError
        It is not an LMDB, was cut off, or is empty.
    """
    import lmdb  # slow to load and seldom needed

    how: Any = {"buffers": views}
    if not path.exists():
        raise DatabaseError(
            f"{path}: not a readable LMDB (no such folder): make it with `netgen data`, or change"
            " to the folder that this path starts from"
        )
    if path.is_dir() and not (path / "data.mdb").exists():
        raise DatabaseError(f"{path}: not a readable LMDB (no data.mdb in it): {AGAIN}")
    try:
        with (
            lmdb.open(str(path), readonly=True, lock=False, create=False) as environment,
            environment.begin(**how) as transaction,
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
    entries = environment.stat()["entries"]
    if entries > found // SMALLEST_RECORD:
        raise DatabaseError(
            f"{path}: a damaged LMDB ({entries:,} records in {found:,} bytes): {AGAIN}"
        )


def shown(key: bytes) -> str:
    """Return a record's key for a message."""
    return repr(key[:40].decode(errors="replace"))


class Cursor:
    """A database open for reading, from its first record to its last."""

    def __init__(self, path: Path, transaction: Any, entries: int) -> None:
        self.path, self.entries, self._transaction = path, entries, transaction

    def keys(self) -> Iterator[bytes]:
        """Yield the keys, without reading the records."""
        yield from self._all(self._transaction.cursor().iternext(keys=True, values=False))

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield each record's key and bytes."""
        yield from self._all(self._transaction.cursor().iternext())

    def _all(self, records: Iterator[Any]) -> Iterator[Any]:
        """Yield as many records as the database says that it has; refuse fewer and more."""
        found = 0
        for found, record in enumerate(records, 1):
            if found > self.entries:
                break
            yield record
        if found != self.entries:
            raise DatabaseError(
                f"{self.path}: a damaged LMDB (it should have {self.entries:,} records): {AGAIN}"
            )

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
