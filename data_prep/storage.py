"""What is appended to batch by batch, flushed to the disk, and continued after a kill."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import lmdb

from data_prep.image_source import DataError
from netgen.caffe.database_cursor import DatabaseError, read_apart

FIRST_MAP_SIZE = 2**24  # bytes; doubled whenever it is full
KEPT = 2**23  # bytes at each end of a database: what the next transaction reads is there
DISK_FULL = 2**20  # bytes: a disk with less free space is full, and a file as near to its limit

DatumBytes = bytes | bytearray


class Appender:
    """A database that records are appended to.

    A Datum has one integer label, so several tasks need several databases. Caffe reads each with a
    Data layer of its own, sequentially: record i of every database belongs to the same image.

    LMDB remembers from one transaction to the next which pages it can reuse, and their contents; so
    a database's bytes would depend on where a run was killed. Therefore every transaction opens the
    environment again, and the same batches make the same bytes.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "data.mdb"

    def entries(self) -> int:
        """Return the number of records committed so far, by a run that was killed.

        Raises
        ------
        DataError
            What it left is damaged, so that reading it or appending to it would end this process.
        """
        if not self.file.exists():
            return 0
        try:
            entries: int = read_apart([self.folder], self._try_to_append)
        except DatabaseError:
            raise DataError(
                f"{self.folder}: damaged since its run was killed: begin anew, without --resume"
            ) from None
        return entries

    def _try_to_append(self) -> int:
        """Touch what an append touches, change nothing, and return the number of records."""
        with self._environment() as environment:
            transaction = environment.begin(write=True)
            try:
                cursor = transaction.cursor()
                last = cursor.key() if cursor.last() else b""
                cursor.put(last + b"~", b"", append=True)
            except lmdb.MapFullError:  # as it may be; an append makes it larger
                pass
            finally:
                transaction.abort()
            return int(environment.stat()["entries"])

    def append(self, keys: Sequence[bytes], values: Sequence[DatumBytes]) -> None:
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

    def _try(self, items: list[tuple[bytes, DatumBytes]], map_size: int) -> int | None:
        """Append `items`, or return the map size to try again with."""
        with self._environment(map_size) as environment:
            try:
                with environment.begin(write=True) as transaction:
                    transaction.cursor().putmulti(items, append=True)
            except lmdb.MapFullError:
                return 2 * int(environment.info()["map_size"])
        return None

    @contextmanager
    def _environment(self, map_size: int = 0) -> Iterator[lmdb.Environment]:
        """Open the database with the map size given, or (0) the one that it was left with."""
        if map_size == 0 and not self.file.exists():
            map_size = FIRST_MAP_SIZE
        # It is not read before it is complete, so there is no lock; it must be on the disk only at
        # the end (`staging`), so there is no sync. With a write map, a full disk is a bus error.
        try:
            with lmdb.open(
                str(self.folder), map_size, mode=0o666, lock=False, sync=False, writemap=False
            ) as environment:
                yield environment
        except lmdb.Error as error:
            raise disk_error(error, self.folder) from None


class TwoSlots:
    """A file that keeps the newest of many values of one size, whenever the run is killed.

    They go into its two halves by turns, so that the last one is whole while the next one is
    written. Which half that is, the caller records.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.slot = file, 0

    def put(self, value: bytes) -> int:
        """Write a value over the last but one; return its slot."""
        self.slot = 1 - self.slot
        self.file.touch()
        with self.file.open("r+b") as opened:
            opened.seek(self.slot * len(value))
            opened.write(value)
        return self.slot

    def get(self, slot: int) -> bytes:
        """Return the value in a slot, the last one that was put."""
        self.slot = slot
        content = self.file.read_bytes()
        half = len(content) // 2  # the first value went into slot 1
        return content[slot * half :][:half]


class Flusher:
    """Flushes growing files to the disk in a thread, so that little is left for the end."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.last: Future[None] | None = None

    def flush(self, file: Path) -> None:
        """Begin to flush what has been written to a file, unless a flush is in progress.

        Raises
        ------
        OSError
            The last flush failed.
        """
        if self.last is None or self.last.done():
            self.wait()
            self.last = self.executor.submit(_flush, file)

    def wait(self) -> None:
        """Wait for the flush in progress; raises as `flush`."""
        if self.last is not None:
            self.last.result()


@contextmanager
def flushing() -> Iterator[Flusher]:
    """Give a flusher. Its failures are raised: the system reports each only once."""
    with ThreadPoolExecutor(1) as executor:
        flusher = Flusher(executor)
        yield flusher
        flusher.wait()


def _flush(file: Path) -> None:
    """Flush a file, and let the system forget what is not needed again soon.

    Otherwise a dataset that is larger than the memory would displace the images, which are read
    twice. Memory that is used again at once is also cheaper: on a virtual machine, a page that was
    never used costs several times as much to write to.
    """
    with file.open("rb") as opened:
        end = os.fstat(opened.fileno()).st_size - KEPT
        os.fdatasync(opened.fileno())
        if end > KEPT:
            os.posix_fadvise(opened.fileno(), KEPT, end - KEPT, os.POSIX_FADV_DONTNEED)


def disk_error(error: Exception, folder: Path) -> OSError:
    """Return a library's `error` in writing to `folder` as an OSError.

    Libraries do not say whether the disk is full, or a file as large as the process may make it
    (`ulimit -f`); else it is EIO.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max((file.stat().st_size for file in folder.iterdir() if file.is_file()), default=0)
    if limit != resource.RLIM_INFINITY and largest + DISK_FULL > limit:
        return OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(folder))
    if shutil.disk_usage(folder).free < DISK_FULL:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return OSError(errno.EIO, str(error), str(folder))
