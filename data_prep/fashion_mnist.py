"""Fashion-MNIST: 60,000 + 10,000 photographs of clothes, 28 x 28, grey, as three tasks.

The *item* is this dataset's adjective-noun pair: as a pair gives its noun and its adjective, so an
item gives its family and its season, and no two items share both.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from data_prep.image_source import DataError, ImageSource, Item, Pixels, SplitName
from netgen.system.files import read_file

# Where Debian's package puts it.
PACKAGE = "dataset-fashion-mnist"
PACKAGE_FOLDER = Path("/usr/share/datasets/fashion-mnist")
LARGEST = 2**28  # bytes of a file, packed or not; the largest published one has 47 million

# Items are the published labels, in their order; families and seasons are our choice.
TASKS = ("item", "family", "season")
ITEMS = (
    # item         family       season
    ("T-shirt/top", "top", "summer"),
    ("Trouser", "bottom", "all-year"),
    ("Pullover", "top", "winter"),
    ("Dress", "dress", "summer"),
    ("Coat", "outerwear", "winter"),
    ("Sandal", "shoe", "summer"),
    ("Shirt", "top", "all-year"),
    ("Sneaker", "shoe", "all-year"),
    ("Bag", "bag", "all-year"),
    ("Ankle boot", "shoe", "winter"),
)
# Classes in order of first mention: the index is the label.
CLASSES = {
    task: tuple(dict.fromkeys(column))
    for task, column in zip(TASKS, zip(*ITEMS, strict=True), strict=True)
}

# The published files, images and labels, plain or with .gz at the end.
FILES: dict[SplitName, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
IMAGE_SHAPE = (28, 28)


def fashion_mnist(folder: Path = PACKAGE_FOLDER) -> ImageSource:
    """Read the four files of Fashion-MNIST, each plain or gzipped.

    An image's name is its published split and place there, such as ``test/00042``.

    Raises
    ------
    DataError
        A file is missing, damaged, or not what its name says.
    """
    for split in FILES:
        published(folder, split)
    return ImageSource(
        "fashion-mnist", CLASSES, partial(_items, folder), partial(_load, folder), size=IMAGE_SHAPE
    )


def _items(folder: Path) -> Iterator[Item]:
    columns = [_of_item(task) for task in TASKS]
    for split in FILES:
        for i, item in enumerate(published(folder, split)[1]):
            labels = {task: int(column[item]) for task, column in zip(TASKS, columns, strict=True)}
            yield Item(f"{split}/{i:05d}", labels, split)


def _load(folder: Path, name: str) -> Pixels:
    split, _, i = name.partition("/")
    images, _ = published(folder, cast("SplitName", split))
    pixels: Pixels = images[int(i)]
    return pixels


@cache
def published(folder: Path, split: SplitName) -> tuple[Pixels, NDArray[np.uint8]]:
    """Read a split's images, N x 28 x 28 x 1, and items; once per process.

    Raises
    ------
    DataError
        As `fashion_mnist`.
    """
    images_file, labels_file = (_find(folder, name) for name in FILES[split])
    images, items = _read_idx(images_file, IMAGE_SHAPE), _read_idx(labels_file, ())
    if len(images) != len(items):
        raise DataError(
            f"{labels_file}: {len(items)} labels for the {len(images)} images of {images_file}"
        )
    if items.max() >= len(ITEMS):
        raise DataError(f"{labels_file}: label {items.max()}: expected 0 to {len(ITEMS) - 1}")
    return images[..., np.newaxis], items


def _of_item(task: str) -> NDArray[np.int64]:
    """Return the label in `task` of every item."""
    column = TASKS.index(task)
    return np.array([CLASSES[task].index(row[column]) for row in ITEMS])


def _find(folder: Path, name: str) -> Path:
    for file in (folder / f"{name}.gz", folder / name):
        if file.is_file():
            return file
    raise DataError(
        f"no {name}.gz in {folder}: `apt-get install {PACKAGE}`, or name the folder that holds the"
        " four files of Fashion-MNIST (--source-folder)"
    )


def _read_idx(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an IDX file of N unsigned bytes arrays of that shape, N > 0.

    The header: two zero bytes, the type (8: unsigned byte), the number of dimensions, then each
    dimension as a big-endian 32-bit number; after it, the values and nothing else.
    """
    content = _unpacked(file)
    magic = bytes((0, 0, 8, 1 + len(shape)))
    if content[:4] != magic:
        raise DataError(
            f"{file}: starts with {content[:4].hex() or 'nothing'}, not with {magic.hex()}: not IDX"
        )
    start = 4 + 4 * (1 + len(shape))
    if len(content) < start:
        raise DataError(f"{file}: ends inside its header: copy it again")
    count, *found = (int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    if tuple(found) != shape:
        raise DataError(f"{file}: images of {found}, not of {list(shape)}: not Fashion-MNIST")
    expected = count * int(np.prod(shape))
    if count == 0 or len(content) - start != expected:
        raise DataError(
            f"{file}: its header promises {count} records, {expected} bytes; after it come"
            f" {len(content) - start}: copy it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(count, *shape)


def _unpacked(file: Path) -> bytes:
    try:
        content = read_file(file, LARGEST)
        if file.suffix != ".gz":
            return content
        with gzip.open(io.BytesIO(content)) as unzipped:
            content = unzipped.read(LARGEST + 1)
        if len(content) > LARGEST:  # so gzip has not compared the checksum
            raise DataError(f"{file}: over {LARGEST:,} bytes unpacked: not Fashion-MNIST's")
        return content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{file}: damaged: {error}: copy it again") from None
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from None
