"""The images of a test set's LMDB: in batches as Caffe gives them, or a few to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netgen.caffe.caffe_pb2 import Datum
from netgen.caffe.database_cursor import (
    DatabaseError,
    open_database,
    read_apart,
    read_datum,
    shown,
)
from netgen.caffe.databases import fingerprint
from netgen.cost.layers.layer_types import Shape
from netgen.system.text import shape_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredImages:
    """The images of an LMDB in batches, as Caffe's Data layer gives them in TEST.

    Every record comes once, in the database's order; the last batch may be smaller.

    Attributes
    ----------
    path
        The LMDB.
    shape
        C, H, W of every image.
    mean
        One value per channel, to be subtracted.
    batch
        Images per batch.
    """

    path: Path
    shape: Shape
    mean: tuple[float, ...]
    batch: int

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield N x C x H x W, N at most `batch`."""
        import numpy as np

        mean = np.array(self.mean, np.float32)[:, None, None]
        with open_database(self.path) as cursor:
            records = cursor.datums()
            for start in range(0, cursor.entries, self.batch):
                size = min(self.batch, cursor.entries - start)
                images = np.empty((size, *self.shape), np.float32)
                for image in images:
                    image[:] = _pixels(self.path, self.shape, *next(records))
                images -= mean
                yield images


@dataclass(frozen=True, eq=False)
class StoredPicture:
    """An image of a database: its pixels, C x H x W, and the fingerprint of its bytes."""

    pixels: NDArray[np.uint8]
    fingerprint: int


def stored_pictures(path: Path, shape: Shape, records: Collection[int]) -> dict[int, StoredPicture]:
    """Return the images of `shape` at these places of a database, of those that it has.

    Raises
    ------
    DatabaseError
        The database cannot be read, or has images of another shape.
    """
    found: dict[int, StoredPicture] = read_apart([path], _stored_pictures, path, shape, records)
    return found


def _stored_pictures(
    path: Path, shape: Shape, records: Collection[int]
) -> dict[int, StoredPicture]:
    found = {}
    with open_database(path, views=True) as cursor:
        for number, (key, value) in enumerate(cursor.items()):
            if number in records:
                datum = read_datum(path, bytes(key), bytes(value))
                pixels = _pixels(path, shape, bytes(key), datum)
                found[number] = StoredPicture(pixels, fingerprint(datum))
    return found


def _pixels(path: Path, shape: Shape, key: bytes, datum: Datum) -> NDArray[np.uint8]:
    import numpy as np

    if datum.encoded:
        return _decoded(path, shape, key, datum.data)
    found = (datum.channels, datum.height, datum.width)
    if found != shape or len(datum.data) != datum.channels * datum.height * datum.width:
        raise DatabaseError(
            f"{path}: record {shown(key)} is {shape_text(found)} with"
            f" {len(datum.data):,} bytes, the network takes {shape_text(shape)}:"
            " make the database again (`netgen data`)"
        )
    return np.frombuffer(datum.data, np.uint8).reshape(shape)


def _decoded(path: Path, shape: Shape, key: bytes, data: bytes) -> NDArray[np.uint8]:
    """Decode a stored JPEG or PNG, as Caffe does, with OpenCV."""
    import cv2
    import numpy as np

    color = cv2.IMREAD_COLOR if shape[0] == 3 else cv2.IMREAD_GRAYSCALE
    image = cv2.imdecode(np.frombuffer(data, np.uint8), color)
    if image is None or image.shape[:2] != shape[1:]:
        raise DatabaseError(
            f"{path}: record {shown(key)} holds no image of {shape_text(shape)}:"
            " make the database again (`netgen data`)"
        )
    pixels = image.astype(np.uint8).reshape(*shape[1:], shape[0])
    return pixels.transpose(2, 0, 1)
