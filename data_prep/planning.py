"""The plan: duplicates, the split, and the disk space that the dataset will take."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from data_prep import duplicates, splitting
from data_prep.duplicates import DuplicateCounts
from data_prep.image_source import DataError, ImageSource
from data_prep.ledger import Ledger
from data_prep.request import DataOptions
from data_prep.splitting import ClassCount

# LMDB's numbers for pages of 4 KiB, as on every machine that Caffe is built for (lmdb.h, mdb.c).
PAGE = 4096
PAGE_HEADER = 16
RECORD_HEADER = 8 + 2  # and its place in the page's table
LARGEST_INSIDE = 2040  # bytes of a record inside a leaf page; a larger one has pages of its own
KEY = 8
# What transactions leave behind: free pages, the list of them, the upper levels of the tree.
OVERHEAD = 16 * PAGE
DATUM = 24  # bytes of an image's Datum before its pixels, at most
LABEL_DATUM = 14
LIST_ROWS = 256  # bytes of an image's rows in the lists, without its name


@dataclass(frozen=True)
class DatasetPlan:
    """The contents of a planned dataset.

    Attributes
    ----------
    train, test
        The number of images in each split.
    shape
        Channels, height and width of every image.
    counts
        Every class of every task, with its images.
    rejects
        Reason -> number of images left out for it, the most frequent first.
    duplicates
        How many images count as the same as others.
    grouped
        Whether these were kept on one side of the split.
    rotated
        How many images carry an EXIF orientation other than upright.
    bytes
        The disk space that it takes at most.
    """

    train: int
    test: int
    shape: tuple[int, int, int]
    counts: list[ClassCount]
    rejects: dict[str, int]
    duplicates: DuplicateCounts
    grouped: bool
    rotated: int
    bytes: int


def plan_dataset(
    ledger: Ledger, source: ImageSource, options: DataOptions, size: tuple[int, int]
) -> DatasetPlan:
    """Find duplicates among the images that were scanned, draw the split, and sum up.

    Raises
    ------
    DataError
        There are no images to use, or the source already decides the split.
    """
    given = ledger.value("SELECT 1 FROM items WHERE given NOTNULL") is not None
    if options.group_duplicates and given:
        raise DataError(
            f"{source.name} says which images are for training and which for test, which"
            " --group-duplicates would change: omit it (duplicates are reported anyway)"
        )
    grouped = not given if options.group_duplicates is None else options.group_duplicates
    duplicates.find(ledger, options.perceptual)
    splitting.draw(ledger, source, grouped)
    return DatasetPlan(
        train=ledger.count("train"),
        test=ledger.count("test"),
        shape=_shape(ledger, size),
        counts=splitting.count_classes(ledger, source),
        rejects=_rejects(ledger),
        duplicates=duplicates.count(ledger),
        grouped=grouped,
        rotated=ledger.value("SELECT COUNT(*) FROM items WHERE reason IS NULL AND rotated"),
        bytes=_disk_use(ledger, source, size),
    )


def _rejects(ledger: Ledger) -> dict[str, int]:
    return dict(
        ledger.rows(
            "SELECT reason, COUNT(*) FROM (SELECT reason FROM items WHERE reason NOTNULL"
            " UNION ALL SELECT reason FROM not_listed) GROUP BY reason ORDER BY 2 DESC, 1"
        )
    )


def _shape(ledger: Ledger, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return channels, height and width of the images that will be written."""
    channels = ledger.value("SELECT channels FROM items WHERE reason IS NULL LIMIT 1")
    return (channels, *size)


def _disk_use(ledger: Ledger, source: ImageSource, size: tuple[int, int]) -> int:
    """Return the number of bytes that the databases and lists will take at most.

    Raw images take that within a few percent. Encoded ones take less; how much less is known only
    once they are encoded.
    """
    channels, height, width = _shape(ledger, size)
    image = DATUM + channels * height * width
    total = int(ledger.value("SELECT SUM(LENGTH(name)) FROM items"))
    for split in ("train", "test"):
        records = ledger.count(split)
        total += database_size(records, image) + len(source.tasks) * database_size(
            records, LABEL_DATUM
        )
        total += records * LIST_ROWS
    return total + 4 * channels * height * width


def database_size(records: int, value: int) -> int:
    """Return the size in bytes of an LMDB with this many records of `value` bytes."""
    inside = RECORD_HEADER + KEY + value
    own_pages = 0
    if inside > LARGEST_INSIDE:
        own_pages = -(-(PAGE_HEADER + value) // PAGE)
        inside = RECORD_HEADER + KEY + 8  # the number of its first page
    a_leaf = (PAGE - PAGE_HEADER) // (inside + inside % 2)
    leaves = -(-records // a_leaf)
    return (records * own_pages + leaves + leaves // 64) * PAGE + OVERHEAD


def check_disk_space(needed: int, folder: Path) -> None:
    """Check that the rest of a dataset fits on the disk of `folder`.

    Raises
    ------
    DataError
        There is less free space than is needed.
    """
    done = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(folder).free
    if needed - done > free:
        raise DataError(
            f"this takes up to {decimal(needed - done)}, and {decimal(free)} are free: free some"
            " space, choose another disk, a smaller --size, or --encoded"
        )
