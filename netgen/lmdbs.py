"""LMDBs, opened for reading or refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class DatabaseError(ValueError):
    """A database that cannot be read; the message says which, why and what next."""


@contextmanager
def reading(path: Path) -> Iterator[tuple[Any, int]]:
    """Give a read-only transaction on the LMDB at `path`, and its number of records, 1 or more.

    Raises
    ------
    DatabaseError
        It is no LMDB, was cut off, or is empty.
    """
    import lmdb  # slow to load and seldom needed

    try:
        with (
            lmdb.open(str(path), readonly=True, lock=False, create=False) as environment,
            environment.begin() as transaction,
        ):
            _check_size(path, environment)
            entries = environment.stat()["entries"]
            if not entries:
                raise DatabaseError(f"{path}: an LMDB without records: make it anew")
            yield transaction, entries
    except lmdb.Error as error:
        raise DatabaseError(
            f"{path}: not a readable LMDB ({error}): is it whole, and a database of Caffe's?"
        ) from None


def _check_size(path: Path, environment: Any) -> None:
    """Refuse a file that was cut off: reading past its end would end the whole process."""
    wanted = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    found = (path / "data.mdb").stat().st_size
    if found < wanted:
        raise DatabaseError(
            f"{path}: not a readable LMDB (cut off at {found:,} of {wanted:,} bytes): copy it again"
        )
