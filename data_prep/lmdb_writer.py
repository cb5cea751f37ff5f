"""LMDBs in the making: appended to batch by batch, and continued after a kill.

A Datum has one integer label, so several tasks need several databases. Caffe reads each with a Data
layer of its own, sequentially: record i of every database belongs to the same image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lmdb

from data_prep.failures import failure

Content = bytes | bytearray

FIRST_MAP_SIZE = 2**24  # bytes; doubled whenever it is full


class Appender:
    """A database that records are appended to.

    LMDB remembers pages to use again from one transaction to the next, and what stood in them; a
    database would depend on where a run was killed. So every transaction has the environment to
    itself, and the same batches make the same bytes, whoever writes which.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "data.mdb"

    def entries(self) -> int:
        """Return the number of records committed so far."""
        if not self.file.exists():
            return 0
        with self._environment() as environment:
            return int(environment.stat()["entries"])

    def append(self, keys: Sequence[bytes], values: Sequence[Content]) -> None:
        """Append records in one transaction; it is repeated with twice the map when that is full.

        Raises
        ------
        OSError
            The database cannot be written, for example because the disk is full.
        """
        items = list(zip(keys, values, strict=True))
        map_size: int | None = 0
        while map_size is not None:
            map_size = self._try(items, map_size)

    def _try(self, items: list[tuple[bytes, Content]], map_size: int) -> int | None:
        """Append `items`, or return the map's size that it takes to try again."""
        with self._environment(map_size) as environment:
            try:
                with environment.begin(write=True) as transaction:
                    transaction.cursor().putmulti(items, append=True)
            except lmdb.MapFullError:
                return 2 * int(environment.info()["map_size"])
        return None

    @contextmanager
    def _environment(self, map_size: int = 0) -> Iterator[lmdb.Environment]:
        """Open the database with the map's size given, or (0) that which it was left with."""
        if map_size == 0 and not self.file.exists():
            map_size = FIRST_MAP_SIZE
        # Nobody reads it before it is whole: no one is to be locked out, and when it reaches the
        # disk matters at the end only (`staging`). A write map would make a full disk a bus error.
        try:
            with lmdb.open(
                str(self.folder), map_size, mode=0o666, lock=False, sync=False, writemap=False
            ) as environment:
                yield environment
        except lmdb.Error as error:
            raise failure(error, self.folder) from None
