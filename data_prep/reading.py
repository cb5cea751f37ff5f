"""Reads images, many at a time: the scan checks them, the writing makes records of them.

An `ImageReader`, its arguments and its results can be pickled, so that threads here and workers on
other machines do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep import images
from data_prep.datums import fingerprint, stored
from data_prep.image_source import DataError, Pixels
from data_prep.images import Decoding, Rejected
from data_prep.ledger import Record, Scan
from data_prep.request import Encoding
from data_prep.storage import DatumBytes


@dataclass(frozen=True, eq=False)
class Prepared:
    """Images as they go into the database, their fingerprints, and the sum of their pixels.

    `sums` is H x W x C. `damaged` has the name of every image that turned out to be damaged, and
    the reason.
    """

    datums: list[DatumBytes]
    fingerprints: list[int]
    sums: NDArray[np.float32]
    damaged: dict[str, str]


@dataclass(frozen=True)
class ImageReader:
    """Reads images and makes records of them.

    A `thorough` scan decodes them; a `fingerprinting` one also takes the fingerprints of the pixels
    that would be stored.
    """

    load: Callable[[str], bytes | Pixels]
    stamp: Callable[[str], str] | None
    decoding: Decoding
    encoded: Encoding | None = None
    perceptual: bool = False
    thorough: bool = False
    fingerprinting: bool = False

    def scan(self, items: Sequence[tuple[int, str, str | None]]) -> list[tuple[int, Scan]]:
        """Check images, each given by its id, its name, and its stamp when it was last checked.

        The answer omits those whose stamp is the same.
        """
        found = ((number, self._scan(name, old)) for number, name, old in items)
        return [(number, scan) for number, scan in found if scan is not None]

    def _scan(self, name: str, old: str | None) -> Scan | None:
        try:
            stamp = self.stamp(name) if self.stamp else None
            if stamp is not None and stamp == old:
                return None
            content = self.load(name)
        except OSError as error:
            return Scan(None, reason=error.strerror or str(error))
        try:
            return self._facts(stamp, name, content)
        except Rejected as error:
            return Scan(stamp, _hash(content), len(content), str(error))

    def _facts(self, stamp: str | None, name: str, content: bytes | Pixels) -> Scan:
        if isinstance(content, np.ndarray):
            _check(name, content)
        digest = _hash(content)
        pixels = self._pixels(content) if self.perceptual or self.fingerprinting else None
        perceptual = _perceptual(pixels) if self.perceptual and pixels is not None else None
        seen = None if pixels is None else fingerprint(stored(pixels, self.encoded)[1])
        if isinstance(content, np.ndarray):
            height, width, channels = content.shape
            return Scan(
                stamp, digest, content.nbytes, None, "pixels", channels, height, width, False,
                perceptual, sound=True, pixels=seen,
            )  # fmt: skip
        facts = (images.scan if self.thorough else images.glance)(content, self.decoding)
        return Scan(
            stamp, digest, len(content), None, facts.format, 3, facts.height, facts.width,
            facts.rotated, perceptual, sound=self.thorough or pixels is not None, pixels=seen,
        )  # fmt: skip

    def prepare(self, rows: Sequence[Record]) -> Prepared:
        """Read images once more, resize them, and return them as Datums.

        Raises
        ------
        DataError
            An image has changed since it was scanned.
        """
        datums: list[DatumBytes] = []
        fingerprints: list[int] = []
        damaged = {}
        sums = np.zeros((), np.float32)  # whole numbers below 2**24: exact for 65,793 images
        for row in rows:
            try:
                pixels = self._reread(row)
            except Rejected as error:
                damaged[row.name] = str(error)
                continue
            datum, pixels = stored(pixels, self.encoded)
            datums.append(datum)
            fingerprints.append(fingerprint(pixels))
            if not sums.shape:
                sums = np.zeros(pixels.shape, np.float32)
            cv2.accumulate(pixels, sums)
        return Prepared(datums, fingerprints, sums, damaged)

    def _reread(self, row: Record) -> Pixels:
        try:
            content = self.load(row.name)
            if _hash(content) == row.sha256:
                return self._pixels(content)
        except OSError as error:
            raise DataError(
                f"{row.name}: {error.strerror or error}, but it was there a while ago: run again"
            ) from None
        raise DataError(f"{row.name}: changed while it was being used: run again")

    def _pixels(self, content: bytes | Pixels) -> Pixels:
        """Return an image at the dataset's size."""
        if not isinstance(content, np.ndarray):
            return images.decode(content, self.decoding)
        height, width = self.decoding.size
        if content.shape[:2] == (height, width):
            return content
        resized = cv2.resize(content, (width, height))
        return np.ascontiguousarray(resized.reshape(height, width, content.shape[2]), np.uint8)


def _perceptual(pixels: Pixels) -> int:
    from imagehash import phash
    from PIL import Image

    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.shape[2] == 3 else pixels[..., 0]
    bits = np.packbits(phash(Image.fromarray(grey)).hash)
    return int.from_bytes(bits.tobytes(), "big", signed=True)


def _hash(content: bytes | Pixels) -> bytes:
    return sha256(content.data if isinstance(content, np.ndarray) else content).digest()


def _check(name: str, pixels: Pixels) -> None:
    if pixels.ndim != 3 or pixels.size == 0 or pixels.dtype != np.uint8:
        raise DataError(
            f"{name}: {pixels.dtype} pixels of shape {pixels.shape}: expected bytes, height x width"
            " x channels"
        )
