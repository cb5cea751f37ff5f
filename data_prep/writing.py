"""The second pass: write images in the plan's order to an LMDB, and labels to one per task."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.datums import key, label_datum
from data_prep.image_source import SplitName
from data_prep.ledger import Ledger, Record, pages
from data_prep.reading import ImageReader, Prepared
from data_prep.request import StageProgress
from data_prep.resuming import Damaged
from data_prep.storage import Appender, DatumBytes, Flusher
from data_prep.workers import Workers
from netgen.caffe.caffe_pb2 import BlobProto
from netgen.network.dataset import Split

CHUNK = 16  # images that a thread prepares at a time
# Records per transaction: 10 MB of 224 x 224 colour images, which are still in the processor's
# cache when LMDB copies them; with 39 MB, a conversion took a fifth longer.
BATCH = 64

ImageShape = tuple[int, int, int]  # channels, height, width
Sums = NDArray[np.uint64]  # of pixels, H x W x C


class SplitWriter:
    """The databases of a split, and how far they are.

    The ledger records a batch when it is in all databases. So after a kill some may be one batch
    ahead of it: they are not appended to until the others have caught up.

    Attributes
    ----------
    written
        The number of records in all databases.
    sums
        The sum of the pixels of these.
    """

    def __init__(self, ledger: Ledger, name: SplitName, split: Split, shape: ImageShape) -> None:
        self.ledger, self.name = ledger, name
        self.images = Appender(split.images)
        self.labels = [Appender(path) for path in split.labels.values()]
        self.written, kept = ledger.written(name)
        channels, height, width = shape
        # As floats, because OpenCV adds them up fast; the whole numbers are exact up to 2**53.
        self.sums = np.zeros((height, width, channels), np.float64)
        if kept:
            self.sums[:] = np.frombuffer(kept).reshape(self.sums.shape)
        self.ends = {each: each.entries() for each in (self.images, *self.labels)}

    def append(self, rows: list[Record], prepared: list[Prepared]) -> None:
        """Append a batch to all databases, and record it in the ledger."""
        keys = [key(self.written + i) for i in range(len(rows))]
        for column, database in enumerate(self.labels):
            self._append(database, keys, [label_datum(row.labels[column]) for row in rows])
        self._append(self.images, keys, [datum for each in prepared for datum in each.datums])
        for each in prepared:
            cv2.accumulate(each.sums, self.sums)
        self.written += len(rows)
        fingerprints = [one for each in prepared for one in each.fingerprints]
        self.ledger.wrote(self.name, self.written, self.sums.tobytes(), fingerprints)

    def _append(self, database: Appender, keys: list[bytes], values: Sequence[DatumBytes]) -> None:
        if self.ends[database] <= self.written:
            database.append(keys, values)


def write_split(
    ledger: Ledger,
    name: SplitName,
    split: Split,
    shape: ImageShape,
    reader: ImageReader,
    workers: Workers,
    flusher: Flusher,
    progress: StageProgress,
) -> Sums:
    """Write a split's databases of images of that `shape`, from where they end; return the sums.

    Raises
    ------
    DataError
        An image changed since it was scanned.
    Damaged
        Images proved to be damaged.
    OSError
        A database cannot be written.
    """
    writer = SplitWriter(ledger, name, split, shape)
    progress.stage(f"writing {name}", split.records)
    progress.advance(writer.written)
    with workers.ahead(reader.prepare, ledger.records(name, writer.written, CHUNK)) as done:
        for chunks in pages(done, BATCH // CHUNK):
            damaged = {name: why for _, each in chunks for name, why in each.damaged.items()}
            if damaged:
                raise Damaged(damaged)
            rows = [row for chunk, _ in chunks for row in chunk]
            writer.append(rows, [prepared for _, prepared in chunks])
            flusher.flush(writer.images.file)
            progress.advance(len(rows))
    return writer.sums.astype(np.uint64)


def mean_image(sums: Sums, records: int) -> bytes:
    """Return the mean of every pixel as Caffe's ``mean.binaryproto``: 1 x C x H x W floats."""
    height, width, channels = sums.shape
    mean = (sums / records).astype(np.float32).transpose(2, 0, 1)
    blob = BlobProto(
        num=1, channels=channels, height=height, width=width, data=mean.ravel().tolist()
    )
    content: bytes = blob.SerializeToString()  # protobuf ships no types
    return content


def mean_pixel(sums: Sums, records: int) -> tuple[float, ...]:
    """Return the mean of each channel, 0 to 255."""
    height, width, _ = sums.shape
    of_channels = sums.sum(axis=(0, 1))  # whole numbers: exact, whatever the order
    return tuple(float(value) for value in of_channels / (records * height * width))
