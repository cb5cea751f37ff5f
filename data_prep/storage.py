"""LMDBs in the making: appended to batch by batch, brought to the disk, continued after a kill."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import lmdb

LITTLE = 2**20  # bytes; a disk with less than this free is full


def failure(error: Exception, folder: Path) -> OSError:
    """Say that the disk is full where a library, whose write was cut short, names a consequence."""
    if shutil.disk_usage(folder).free < LITTLE:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return OSError(errno.EIO, str(error), str(folder))


# ---- a file brought to the disk while more of it is made, so that little is left to wait for ----


class Flusher:
    """Brings a file to the disk, again and again, in a thread of its own."""

    def __init__(self, file: Path, executor: Executor) -> None:
        self.file, self.executor = file, executor
        self.last: Future[None] | None = None

    def flush(self) -> None:
        """Begin with what has been written so far, unless it is still busy.

        Raises
        ------
        OSError
            The last time, it did not reach the disk.
        """
        if self.last is None or self.last.done():
            self.wait()
            self.last = self.executor.submit(_flush, self.file)

    def wait(self) -> None:
        """Wait for what has begun; raises as `flush`."""
        if self.last is not None:
            self.last.result()


@contextmanager
def flushing(file: Path) -> Iterator[Flusher]:
    """Give a flusher for a file. What fails is raised here, since the system tells it only once."""
    with ThreadPoolExecutor(1) as executor:
        flusher = Flusher(file, executor)
        yield flusher
        flusher.wait()


def _flush(file: Path) -> None:
    with file.open("rb") as opened:
        os.fdatasync(opened.fileno())


# ---- LMDBs in the making: appended to batch by batch, and continued after a kill ----------------
# A Datum has one integer label, so several tasks need several databases. Caffe reads each with a
# Data layer of its own, sequentially: record i of every database belongs to the same image.

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
