"""Records in, aligned LMDBs out: one of images and one of labels a task, with the same keys.

A Datum has one integer label, so several tasks need several databases. Caffe reads each with a Data
layer of its own, sequentially: record i of every database belongs to the same image.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import lmdb
import numpy as np
from numpy.typing import NDArray

from data_prep.records import DataError, Pixels, Record
from netgen.caffe_pb2 import Datum
from netgen.dataset import Split

T = TypeVar("T")

FIRST_MAP_SIZE = 2**24  # bytes; doubled whenever it is full
BATCH = 256  # records a transaction: 39 MB of 224 x 224 colour images
KEY_DIGITS = 8
LITTLE = 2**20  # bytes; a disk with less than this free is full


@dataclass(frozen=True, eq=False)
class Written:
    """What was written: the number of records, and the sum of their pixels, H x W x C."""

    records: int
    pixel_sums: NDArray[np.uint64]

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean pixel value of each channel, 0 to 255."""
        height, width, _ = self.pixel_sums.shape
        sums = self.pixel_sums.sum(axis=(0, 1))  # whole numbers: exact, whatever the order
        return tuple(float(value) for value in sums / (self.records * height * width))


def write_split(records: Iterable[Record], split: Split, classes: Mapping[str, int]) -> Written:
    """Write `records` into the databases that `split` names, none of which may exist.

    Parameters
    ----------
    records
        In the order in which Caffe is to read them; each has one label for every task.
    split
        Where the databases go; its number of records is not read: what comes is what is written.
    classes
        Task name -> number of classes.

    Raises
    ------
    DataError
        No records, or one that does not fit the others or whose labels are out of range.
    OSError
        A database cannot be written.
    """
    written = 0
    sums = np.zeros((), np.uint64)
    with ExitStack() as stack:
        images = stack.enter_context(_Database(split.images))
        labels = {task: stack.enter_context(_Database(split.labels[task])) for task in classes}
        for batch in _batches(_checked(records, classes), BATCH):
            keys = [key(i) for i in range(written, written + len(batch))]
            images.put(keys, [image_datum(record.pixels) for record in batch])
            for task, database in labels.items():
                database.put(keys, [label_datum(record.labels[task]) for record in batch])
            sums = sums + np.stack([r.pixels for r in batch]).sum(axis=0, dtype=np.uint64)
            written += len(batch)
    if written == 0:
        raise DataError(f"no records for {split.images}: a database needs at least one")
    return Written(written, sums)


def key(i: int) -> bytes:
    """Return record i's key: digits, as many for every record, so that LMDB's order is ours."""
    if i >= 10**KEY_DIGITS:
        raise DataError(f"more than {10**KEY_DIGITS:,} records: split them into several datasets")
    return b"%0*d" % (KEY_DIGITS, i)


def image_datum(pixels: Pixels) -> bytes:
    """Return H x W x C pixels as a Datum of raw bytes, C x H x W, as Caffe keeps them."""
    height, width, channels = pixels.shape
    data = pixels.transpose(2, 0, 1).tobytes()
    return _serialized(Datum(channels=channels, height=height, width=width, data=data))


def label_datum(label: int) -> bytes:
    """Return a label as a 1 x 1 x 1 image.

    It is a float, not a byte, because there are more classes than 256; whole ones are exact.
    """
    return _serialized(Datum(channels=1, height=1, width=1, float_data=[label]))


def _serialized(datum: Datum) -> bytes:
    content: bytes = datum.SerializeToString()  # protobuf ships no types
    return content


class _Database:
    """An LMDB in the making: appended to in batches, its map growing by itself."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def __enter__(self) -> _Database:
        self.folder.mkdir(parents=True)
        # Nobody reads it before it is whole, so there is no one to lock out, and it reaches the
        # disk once, at the end (`staging`). A write map would turn a full disk into a bus error.
        try:
            self.environment = lmdb.open(
                str(self.folder), FIRST_MAP_SIZE, mode=0o666, lock=False, sync=False, writemap=False
            )
        except lmdb.Error as error:
            raise _failure(error, self.folder) from None
        return self

    def __exit__(self, *_: object) -> None:
        self.environment.close()

    def put(self, keys: list[bytes], values: list[bytes]) -> None:
        """Append records in one transaction; it is repeated with twice the map when that is full.

        Raises
        ------
        OSError
            The database cannot be written, for example because the disk is full.
        """
        try:
            while not self._append(list(zip(keys, values, strict=True))):
                self.environment.set_mapsize(2 * self.environment.info()["map_size"])
        except lmdb.Error as error:
            raise _failure(error, self.folder) from None

    def _append(self, items: list[tuple[bytes, bytes]]) -> bool:
        try:
            with self.environment.begin(write=True) as transaction:
                transaction.cursor().putmulti(items, append=True)
        except lmdb.MapFullError:
            return False
        return True


def _failure(error: lmdb.Error, folder: Path) -> OSError:
    """Say that the disk is full where LMDB, whose write was cut short, says input/output error."""
    if shutil.disk_usage(folder).free < LITTLE:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return OSError(errno.EIO, str(error), str(folder))


def _checked(records: Iterable[Record], classes: Mapping[str, int]) -> Iterator[Record]:
    """Yield `records`, checking that each has the first one's shape and a label in every task."""
    shape = None
    for i, record in enumerate(records):
        shape = shape or record.pixels.shape
        _check_pixels(i, record.pixels, shape)
        if record.labels.keys() != classes.keys():
            raise DataError(
                f"record {i}: labels of {', '.join(record.labels) or 'no task'}, but the tasks are"
                f" {', '.join(classes)}"
            )
        for task, label in record.labels.items():
            if not 0 <= label < classes[task]:
                raise DataError(f"record {i}: {task} {label}: expected 0 to {classes[task] - 1}")
        yield record


def _check_pixels(i: int, pixels: Pixels, shape: tuple[int, ...]) -> None:
    if pixels.ndim != 3 or pixels.size == 0 or pixels.dtype != np.uint8:
        raise DataError(
            f"record {i}: {pixels.dtype} pixels of shape {pixels.shape}: expected bytes, height x"
            " width x channels"
        )
    if pixels.shape != shape:
        raise DataError(
            f"record {i}: {pixels.shape} (height, width, channels), unlike {shape} of the first:"
            " Caffe's batches hold images of one shape"
        )


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
