"""Images and labels as Caffe's Datums, in bytes."""

from __future__ import annotations

import functools
from hashlib import sha256

import cv2
import numpy as np

from data_prep.image_headers import Rejected
from data_prep.image_source import Pixels
from data_prep.request import Encoding
from netgen.caffe.caffe_pb2 import Datum

KEY_DIGITS = 8
MOST_RECORDS = 10**KEY_DIGITS  # in a split
# OpenCV's defaults, which convert_imageset uses; written out because the bytes of a dataset depend
# on them.
PARAMETERS = {
    "png": (cv2.IMWRITE_PNG_COMPRESSION, 1),
    "jpeg": (cv2.IMWRITE_JPEG_QUALITY, 95),
}


def key(i: int) -> bytes:
    """Return record i's key: the same number of digits for all, so that LMDB sorts them by i."""
    return b"%0*d" % (KEY_DIGITS, i)


def image_datum(pixels: Pixels) -> bytearray:
    """Return H x W x C pixels as a Datum of raw bytes, C x H x W, as Caffe keeps them."""
    height, width, channels = pixels.shape
    before = _before_data(pixels.shape)
    datum = bytearray(len(before) + pixels.size)
    datum[: len(before)] = before
    planes = np.frombuffer(datum, np.uint8, offset=len(before)).reshape(channels, height, width)
    cv2.split(np.ascontiguousarray(pixels), list(planes))  # written in place, without a copy
    return datum


def encoded_datum(pixels: Pixels, encoding: Encoding) -> Datum:
    """Return H x W x C pixels as a Datum of a PNG's or JPEG's bytes, which Caffe decodes."""
    _, content = cv2.imencode(f".{encoding}", pixels, PARAMETERS[encoding])
    height, width, channels = pixels.shape
    return Datum(
        channels=channels, height=height, width=width, data=content.tobytes(), encoded=True
    )


def fingerprint(pixels: Pixels) -> int:
    """Return a hash of 64 bits, signed, of an image as it is stored, H x W x C.

    This is what "the same image" means, for the split and for `verify`: the same pixels in the
    database, whatever their files were.
    """
    digest = sha256(np.ascontiguousarray(pixels).data).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def stored(pixels: Pixels, encoding: Encoding | None) -> tuple[bytearray | bytes, Pixels]:
    """Return H x W x C pixels as a Datum's bytes, and the pixels that Caffe will find in it."""
    if encoding is None:
        return image_datum(pixels), pixels
    datum = encoded_datum(pixels, encoding)
    return serialized(datum), decoded_pixels(datum)


def decoded_pixels(datum: Datum) -> Pixels:
    """Return the H x W x C pixels that Caffe decodes of an encoded Datum.

    Raises
    ------
    Rejected
        It does not decode to the shape that it says.
    """
    data = np.frombuffer(datum.data, np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR if datum.channels == 3 else cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise Rejected("OpenCV cannot decode it")
    shape = (datum.height, datum.width, datum.channels)
    found = np.asarray(pixels, np.uint8).reshape(*pixels.shape[:2], -1)
    if found.shape != shape:
        raise Rejected(f"it decodes to {found.shape}, not to {shape}: height, width, channels")
    return found


@functools.lru_cache(maxsize=2**16)
def label_datum(label: int) -> bytes:
    """Return a label as a 1 x 1 x 1 image.

    It is a float, not a byte, because there are more than 256 classes; whole numbers are exact.
    """
    return serialized(Datum(channels=1, height=1, width=1, float_data=[label]))


@functools.lru_cache(maxsize=8)
def _before_data(shape: tuple[int, int, int]) -> bytes:
    """Return the bytes before the pixels in a Datum of that shape.

    Parts of a message that were serialized separately can be joined; so the pixels are copied
    once, while protobuf would copy them three times.
    """
    height, width, channels = shape
    size = height * width * channels
    whole = serialized(Datum(channels=channels, height=height, width=width, data=bytes(size)))
    return whole[:-size]


def serialized(datum: Datum) -> bytes:
    """Return a Datum as the database holds it."""
    content: bytes = datum.SerializeToString()  # protobuf ships no types
    return content
