"""Decode image files' contents to pixels, or give the reason why this fails.

Pixels are byte for byte those of ``convert_imageset --resize_width --resize_height``. A file is
what its content says, whatever its name. Formats: JPEG, PNG, WebP, BMP and TIFF; OpenCV reads more,
but not the same way in each of its versions.

================================  ==================================================================
image                             result
================================  ==================================================================
a PNG named ``.jpg``              taken: the name is ignored
GIF, AVIF, HEIC, a web page, …    rejected: not one of the five formats
zero bytes; no known format       rejected
more than `MAX_PIXELS`            rejected by its header, before it is decoded
truncated                         rejected
corrupt                           rejected as far as it can be known: a JPEG with any warning of
                                  libjpeg (also bytes between its segments, no end marker), a PNG
                                  with a wrong checksum, a TIFF that Pillow cannot decode. WebP, BMP
                                  and most of TIFF have no checksums
truncated or corrupt, lenient     a JPEG is taken as far as it decodes, missing parts grey, and a
                                  TIFF as OpenCV reads it; other formats as above
animated PNG or WebP              rejected: it is not known which frame to use
TIFF of several pages             taken: the first page
CMYK                              taken: converted as OpenCV does, without colour profile
grey, black and white, palette    taken: as three channels
16 bits per channel               taken: the 8 higher bits
alpha                             taken: dropped, what it hides becomes visible, as in OpenCV
EXIF orientation                  not applied without `rotate`; a TIFF's always is, by OpenCV
1 x 1                             taken: one pixel can be resized like any other
bytes after the image's end       taken: cameras append previews there
================================  ==================================================================
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from data_prep.image_headers import (
    END_OF_JPEG,
    Facts,
    Rejected,
    looks_whole,
    read_header,
    unreadable,
)
from data_prep.image_source import Pixels

__all__ = ["Decoding", "Facts", "Rejected", "decode", "glance", "scan"]

# EXIF's orientation -> what turns the stored pixels upright.
TURNS: dict[int, Callable[[Pixels], cv2.typing.MatLike]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}

# Many threads decode at once: none needs threads of its own.
cv2.setNumThreads(1)
# The reason for a reject goes into a list, not onto the terminal.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True)
class Decoding:
    """How images are read; the same for all images of a dataset.

    Attributes
    ----------
    size
        Height and width in pixels that every image is resized to.
    lenient
        Whether a truncated or corrupt image is kept as far as it decodes.
    rotate
        Whether an EXIF orientation is applied; OpenCV of 2016, and so the paper, did not.
    """

    size: tuple[int, int]
    lenient: bool = False
    rotate: bool = False


def glance(content: bytes, decoding: Decoding) -> Facts:
    """Check an image at a fraction of the cost of `scan`.

    An image that looks complete may still be damaged inside; `decode` finds that out. Whatever
    `glance` rejects, `scan` rejects for the same reason.

    Raises
    ------
    Rejected
        `decode` will not decode it.
    """
    facts = read_header(content, decoding.lenient)
    if decoding.lenient or not looks_whole(content, facts.format):
        return scan(content, decoding)
    return facts


def scan(content: bytes, decoding: Decoding) -> Facts:
    """Check that `content` is an image that `decode` will decode, as cheaply as possible.

    Raises
    ------
    Rejected
        It is not.
    """
    facts = read_header(content, decoding.lenient)
    # A JPEG comes out at an eighth of its size, but all of its compressed data is read.
    _decode(content, facts.format, decoding.lenient, small=True)
    return facts


def decode(content: bytes, decoding: Decoding) -> Pixels:
    """Return the image of a file's `content`, B, G, R, resized as ``convert_imageset`` does.

    Raises
    ------
    Rejected
        It cannot be decoded.
    """
    facts = read_header(content, decoding.lenient)
    pixels = _decode(content, facts.format, decoding.lenient)
    upright = TURNS[facts.orientation](pixels) if decoding.rotate else pixels
    height, width = decoding.size
    return np.asarray(cv2.resize(upright, (width, height)), np.uint8)  # bilinear, as Caffe's


def _decode(content: bytes, format_: str, lenient: bool, small: bool = False) -> Pixels:
    if format_ == "JPEG":
        try:
            return _decode_jpeg(content, small)
        except Rejected:
            if not lenient:
                raise
        content += END_OF_JPEG  # without one, OpenCV waits for more data
    if format_ == "TIFF" and not lenient:
        _check_tiff(content)
    return _decode_by_opencv(content, format_)


def _decode_jpeg(content: bytes, small: bool) -> Pixels:
    """Decode with the library that OpenCV uses, to the same pixels, but stop at a warning.

    Never with ``strict=False``: for some truncated files that returns uninitialised memory.
    """
    least = 1 if small else 0
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            content, "BGR", min_height=least, min_width=least, strict=True
        )
    except ValueError as error:
        raise Rejected(f"damaged JPEG: {error}") from None
    except KeyError:  # as for a header's
        raise unreadable("JPEG") from None
    return pixels


def _decode_by_opencv(content: bytes, format_: str) -> Pixels:
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise unreadable(format_)
    return np.asarray(pixels, np.uint8)


def _check_tiff(content: bytes) -> None:
    """Decode with Pillow, which stops at damage where OpenCV prints a message and continues."""
    try:
        with Image.open(io.BytesIO(content), formats=["TIFF"]) as image:
            image.load()
    except Exception:  # Pillow raises a dozen kinds
        raise unreadable("TIFF") from None
