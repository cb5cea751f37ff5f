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
    sums = np.zeros((), np.uint64)  # made with the first image that is as large as is stated
    wrong, bad = None, 0
    with database_cursor.open_database(path) as cursor:
        digests = np.full(cursor.entries, BAD, np.int64)
        for index, (key, value) in enumerate(cursor.items()):
            try:
                pixels = pixels_of(database_cursor.read_datum(path, key, value), stated)
            except Rejected as error:
                bad += 1
                wrong = wrong or f"{path}: record {database_cursor.shown(key)}: {error}"
            else:
                if not sums.shape:
                    sums = np.zeros(pixels.shape, np.uint64)
                sums += pixels
                digests[index] = fingerprint(pixels)
            if index % STEP == STEP - 1:
                advance(STEP)
    return ImagesSeen(digests, sums, wrong, bad)


def pixels_of(datum: Datum, stated: Images) -> Pixels:
    """Return the H x W x C pixels of a record, raw or encoded, as Caffe sees them.

    Raises
    ------
    Rejected
        They do not have the shape, or are not kept in the format, that is `stated`.
    """
    height, width, channels = shape = (stated.height, stated.width, stated.channels)
    if (datum.height, datum.width, datum.channels) != shape:
        raise Rejected(f"it says {datum.channels} x {datum.height} x {datum.width}")
    if datum.encoded:
        facts = images.scan(datum.data, Decoding((height, width)))
        if (facts.height, facts.width) != (height, width):
            raise Rejected(f"the {facts.format} has {facts.height} x {facts.width} pixels")
        _check_format(facts.format, stated)
        return decoded_pixels(datum)
    _check_format("raw", stated)
    if len(datum.data) != height * width * channels:
        raise Rejected(f"it has {len(datum.data):,} bytes")
    planes = np.frombuffer(datum.data, np.uint8).reshape(channels, height, width)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _check_format(found: str, stated: Images) -> None:
    """Refuse another format than the one that photographs get before they are predicted.

    Photographs for databases of others' own JPEGs are not compressed once more: "raw" fits any.
    """
    if stated.encoded not in ("raw", found.lower()):
        raise Rejected(f"it is kept as {found}, not as {stated.encoded}")
