"""Reads every image of a database once: checks its shape and decoding; fingerprints and sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep import images
from data_prep.datums import decoded_pixels, fingerprint
from data_prep.image_source import Pixels
from data_prep.images import Decoding, Rejected
from data_prep.request import StageProgress
from netgen.caffe import database_cursor
from netgen.caffe.caffe_pb2 import Datum
from netgen.network.dataset import Images

BAD = 0  # in place of a bad image's fingerprint
STEP = 256  # images from one report of progress to the next


@dataclass(frozen=True, eq=False)
class ImagesSeen:
    """The images of a database.

    Attributes
    ----------
    digests
        A fingerprint of each image's pixels, in order; `BAD` for a bad one.
    sums
        The sum of the good images' pixels, H x W x C.
    wrong
        The first bad image, in words; None without one.
    bad
        How many bad images there are.
    """

    digests: NDArray[np.int64]
    sums: NDArray[np.uint64]
    wrong: str | None
    bad: int


def read_images(path: Path, stated: Images, progress: StageProgress) -> ImagesSeen:
    """Read all images of a database that should have the shape `stated`.

    Raises
    ------
    DatabaseError
        The database cannot be read, or a record is no Datum.
    """
    seen: ImagesSeen = database_cursor.read_apart(
        [path], _read, path, stated, on_message=progress.advance
    )
    return seen


def _read(path: Path, stated: Images, advance: Callable[[int], None]) -> ImagesSeen:
    shape = (stated.height, stated.width, stated.channels)
    sums = np.zeros(shape, np.uint64)
    wrong, bad = None, 0
    with database_cursor.open_database(path) as cursor:
        digests = np.full(cursor.entries, BAD, np.int64)
        for index, (key, value) in enumerate(cursor.items()):
            try:
                pixels = _pixels(database_cursor.read_datum(path, key, value), shape)
            except Rejected as error:
                bad += 1
                wrong = wrong or f"{path}: record {database_cursor.shown(key)}: {error}"
            else:
                sums += pixels
                digests[index] = fingerprint(pixels)
            if index % STEP == STEP - 1:
                advance(STEP)
    return ImagesSeen(digests, sums, wrong, bad)


def _pixels(datum: Datum, shape: tuple[int, int, int]) -> Pixels:
    """Return the pixels of a record, H x W x C; `Rejected` when they are not of that shape."""
    height, width, channels = shape
    if (datum.height, datum.width, datum.channels) != shape:
        raise Rejected(f"it says {datum.channels} x {datum.height} x {datum.width}")
    if datum.encoded:
        facts = images.scan(datum.data, Decoding((height, width)))
        if (facts.height, facts.width) != (height, width):
            raise Rejected(f"the {facts.format} has {facts.height} x {facts.width} pixels")
        return decoded_pixels(datum)
    if len(datum.data) != height * width * channels:
        raise Rejected(f"it has {len(datum.data):,} bytes")
    return np.frombuffer(datum.data, np.uint8).reshape(channels, height, width).transpose(1, 2, 0)
