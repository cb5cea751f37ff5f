"""The ledger of a run: an SQLite file with a row per image, so that they need not fit in memory.

It is next to the dataset while that is made, and records the results of scans and the progress of
the run, for a resume. When a dataset is complete, only lists made from it remain (`listings`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from hashlib import blake2b, sha256
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, get_args

from data_prep.image_source import DataError, ImageSource, Item, Reject, SplitName
from data_prep.storage import TwoSlots, disk_error

T = TypeVar("T")

PAGE = 1024  # rows that are in memory at a time
SCHEMA = """
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    -- As the source lists it. Names are bytes, because file names may be invalid text.
    name BLOB NOT NULL UNIQUE, labels TEXT, given TEXT, listed INTEGER,
    rank INTEGER,  -- random, from the seed and the name: it decides the split and the order
    -- What a scan finds.
    stamp TEXT, sha256 BLOB, bytes INTEGER, reason TEXT,
    format TEXT, channels INTEGER, height INTEGER, width INTEGER, rotated INTEGER,
    perceptual INTEGER,
    sound INTEGER,  -- whether it was decoded, not only glanced at
    pixels INTEGER,  -- the fingerprint of its pixels as stored; NULL until they are known
    -- The plan.
    family INTEGER,  -- the id of the first of the images that count as the same; else NULL
    split TEXT, position INTEGER
);
CREATE INDEX by_rank ON items (rank, name);
CREATE TABLE not_listed (name BLOB, reason TEXT);
CREATE TABLE written (split TEXT PRIMARY KEY, records INTEGER, slot INTEGER);
"""
# No fsync: the file has to survive a kill of this process, not of the machine.
PRAGMAS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
"""


@dataclass(frozen=True)
class Scan:
    """The result of scanning an image: `reason` is why it is rejected, None if it is accepted.

    Sizes are in pixels, `bytes` of what was loaded. `perceptual` is a hash of 64 bits, signed.
    `sound` says whether the image was decoded, not only glanced at. `pixels` is the fingerprint of
    what would be stored, where the scan went that far.
    """

    stamp: str | None
    sha256: bytes | None = None
    bytes: int | None = None
    reason: str | None = None
    format: str | None = None
    channels: int | None = None
    height: int | None = None
    width: int | None = None
    rotated: bool | None = None
    perceptual: int | None = None
    sound: bool | None = None
    pixels: int | None = None


@dataclass(frozen=True)
class Record:
    """A record to be written: the image's name, its content's hash and its labels, one per task."""

    name: str
    sha256: bytes
    labels: tuple[int, ...]


class Ledger:
    """An open ledger.

    The sums of the pixels are beside it, in files of their own in `folder`: as a row, these 1.2 MB
    would be copied three times for every batch.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self.connection = connection
        self.sums = {split: TwoSlots(folder / f"sums-{split}") for split in get_args(SplitName)}
        self.connection.executescript(PRAGMAS)
        if not self.value("SELECT 1 FROM sqlite_master"):
            self.connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")

    # Notes ------------------------------------------------------------------------------------

    def note(self, name: str, value: str) -> None:
        """Keep a value under a name."""
        with self.connection:
            self.connection.execute("REPLACE INTO notes VALUES (?, ?)", (name, value))

    def noted(self, name: str) -> str | None:
        """Return the value kept under a name, or None."""
        return self.value("SELECT value FROM notes WHERE name = ?", name)  # type: ignore[no-any-return]

    # Items ------------------------------------------------------------------------------------

    def enter(self, source: ImageSource, seed: int, on_listed: Callable[[int], None]) -> None:
        """Record all items again; the scans of those with the same name are kept.

        Raises
        ------
        DataError
            Two items have the same name, or an item lacks a task's label.
        """
        with self.connection:
            self.connection.execute("UPDATE items SET listed = 0")
            self.connection.execute("DELETE FROM not_listed")
            for page in pages(source.items(), PAGE):
                found = [each for each in page if isinstance(each, Item)]
                self._enter(found, source, seed)
                self.connection.executemany(
                    "INSERT INTO not_listed VALUES (?, ?)",
                    [(encoded(x.name), x.reason) for x in page if isinstance(x, Reject)],
                )
                on_listed(len(page))
            self.connection.execute("DELETE FROM items WHERE NOT listed")

    def _enter(self, items: list[Item], source: ImageSource, seed: int) -> None:
        rows = [
            (encoded(item.name), json.dumps(_labels(item, source.tasks)),
             item.split, rank(seed, item.name))
            for item in items
        ]  # fmt: skip
        changed = self.connection.executemany(
            "INSERT INTO items (name, labels, given, rank, listed)"
            " VALUES (?, ?, ?, ?, 1)"
            " ON CONFLICT (name) DO UPDATE SET labels = excluded.labels,"
            " given = excluded.given, listed = 1 WHERE NOT listed",
            rows,
        )
        if changed.rowcount < len(rows):
            raise DataError(
                f"an image is listed twice, among those that begin with {items[0].name!r}: list"
                " each image once"
            )

    def scans(
        self, size: int, thorough: bool = False
    ) -> Iterator[list[tuple[int, str, str | None]]]:
        """Yield every item's id, name, and stamp if it was scanned, `size` at a time.

        With `thorough`, an image that was only glanced at does not count as scanned.
        """
        last = 0
        while page := self.rows(
            "SELECT id, name, CASE WHEN sound >= ? OR reason NOTNULL THEN stamp END"
            f" FROM items WHERE id > ? ORDER BY id LIMIT {size}", thorough, last,
        ):  # fmt: skip
            last = page[-1][0]
            yield [(number, decoded(name), stamp) for number, name, stamp in page]

    def scanned(self, scans: Iterable[tuple[int, Scan]]) -> None:
        """Record the scans of the items with these ids."""
        columns = ", ".join(f"{field.name} = ?" for field in fields(Scan))
        with self.connection:
            self.connection.executemany(
                f"UPDATE items SET {columns} WHERE id = ?",
                [(*vars(scan).values(), number) for number, scan in scans],
            )

    # Records ----------------------------------------------------------------------------------

    def count(self, split: SplitName | None = None) -> int:
        """Return the number of images accepted, in all or in one split."""
        return int(
            self.value(
                "SELECT COUNT(*) FROM items WHERE reason IS NULL AND (?1 IS NULL OR split = ?1)",
                split,
            )
        )

    def records(self, split: SplitName, start: int, size: int) -> Iterator[list[Record]]:
        """Yield the records of a split from `start` on, in their order, `size` at a time."""
        while page := self.rows(
            "SELECT name, sha256, labels FROM items WHERE split = ? AND position >= ?"
            f" ORDER BY position LIMIT {PAGE // size * size}", split, start,
        ):  # fmt: skip
            for rows in pages(page, size):
                yield [
                    Record(decoded(name), key, tuple(json.loads(labels)))
                    for name, key, labels in rows
                ]
            start += len(page)

    def written(self, split: SplitName) -> tuple[int, bytes]:
        """Return how many records of a split are in all databases, and the sums of their pixels."""
        found = self.rows("SELECT records, slot FROM written WHERE split = ?", split)
        if not found:
            return 0, b""
        records, slot = found[0]
        return records, self.sums[split].get(slot)

    def wrote(
        self, split: SplitName, records: int, sums: bytes, fingerprints: Sequence[int]
    ) -> None:
        """Record how many records of a split are in all databases, and the sums of their pixels.

        `fingerprints` are those of the last of these records, which were written just now.
        """
        slot = self.sums[split].put(sums)
        start = records - len(fingerprints)
        with self.connection:
            self.connection.execute("REPLACE INTO written VALUES (?, ?, ?)", (split, records, slot))
            self.connection.executemany(
                "UPDATE items SET pixels = ? WHERE split = ? AND position = ?",
                [(each, split, start + i) for i, each in enumerate(fingerprints)],
            )

    def knows_pixels(self) -> bool:
        """Return whether the fingerprint of every accepted image is known."""
        unknown = self.value("SELECT 1 FROM items WHERE reason IS NULL AND pixels IS NULL LIMIT 1")
        return unknown is None

    def digest(self) -> str:
        """Return a hash of the plan: which image is which record."""
        found = sha256()
        for row in self.connection.execute(
            "SELECT split, position, name, sha256, labels FROM items WHERE split NOTNULL"
            " ORDER BY split, position"
        ):
            found.update(repr(row).encode())
        return found.hexdigest()

    # SQL --------------------------------------------------------------------------------------

    def value(self, query: str, *values: object) -> Any:
        """Return the first column of the first row that a query finds, or None."""
        with closing(self.connection.execute(query, values)) as cursor:
            found = cursor.fetchone()
        return found and found[0]

    def rows(self, query: str, *values: object) -> list[Any]:
        """Return all rows that a query finds."""
        return self.connection.execute(query, values).fetchall()


@contextmanager
def ledger(file: Path) -> Iterator[Ledger]:
    """Open the ledger in a file, which is made if there is none.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    try:
        with closing(sqlite3.connect(file)) as connection:
            yield Ledger(connection, file.parent)
    except sqlite3.Error as error:
        raise disk_error(error, file.parent) from error


def rank(seed: int, name: str) -> int:
    """Return an image's random rank, which depends on seed and name only.

    So the same images get the same order and split on every machine, however they are listed.
    """
    digest = blake2b(encoded(name), digest_size=8, key=b"%d" % seed).digest()
    return int.from_bytes(digest, "big", signed=True)


def encoded(name: str) -> bytes:
    """Return a name's bytes; a file name that is no valid UTF-8 survives."""
    return name.encode("utf-8", "surrogateescape")


def decoded(name: bytes) -> str:
    """Return the name that `encoded` made these bytes of."""
    return name.decode("utf-8", "surrogateescape")


def pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield `items`, `size` at a time."""
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page


def _labels(item: Item, tasks: Mapping[str, Sequence[str]]) -> list[int]:
    """Return an item's labels in the order of the tasks."""
    if item.labels.keys() != tasks.keys():
        raise DataError(
            f"{item.name!r}: labels of {', '.join(item.labels) or 'no task'}, but the tasks are"
            f" {', '.join(tasks)}"
        )
    for task, label in item.labels.items():
        if not 0 <= label < len(tasks[task]):
            raise DataError(f"{item.name!r}: {task} {label}: expected 0 to {len(tasks[task]) - 1}")
    return [int(item.labels[task]) for task in tasks]
