"""Images that count as the same: identical pixels, or perceptual hashes that differ little.

Identical are the pixels as they are stored (`datums.fingerprint`), after decoding, rotation,
resizing and encoding. They are known for certain once the images are prepared for the databases; a
scan is spared that work, so until then identical contents stand for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from data_prep.ledger import Ledger

BITS = 64
BITS_SET = np.array([byte.bit_count() for byte in range(256)], np.uint8)
FAMILIES = """
UPDATE items SET family = found.first FROM (
    SELECT id, COUNT(*) OVER family AS size, FIRST_VALUE(id) OVER (family ORDER BY rank, name)
        AS first
    FROM items LEFT JOIN temp.kin ON kin.perceptual = items.perceptual
    WHERE reason IS NULL
    WINDOW family AS (PARTITION BY COALESCE(kin.root, {alone}))
) AS found WHERE found.id = items.id AND found.size > 1
"""


@dataclass(frozen=True)
class DuplicateCounts:
    """How many families of images that count as the same there are, and what is wrong with them."""

    families: int
    images: int
    across: int  # families in both splits
    torn: int  # families whose images have different labels


def find(ledger: Ledger, distance: int | None) -> None:
    """Group the accepted images into families, each known by the id of its first image, by rank.

    Without a `distance`, a family has identical pixels; as long as these are not known of all
    images, identical contents. With a distance, it is connected by pairs whose perceptual hashes
    differ in at most that many of 64 bits, or whose pixels are identical.
    """
    known = ledger.knows_pixels()
    with ledger.connection:
        ledger.connection.execute("UPDATE items SET family = NULL")
        ledger.connection.execute("DROP TABLE IF EXISTS temp.kin")
        ledger.connection.execute("CREATE TEMP TABLE kin (perceptual INTEGER PRIMARY KEY, root)")
        if distance is not None:
            kin = _kin(_near(ledger, distance), _identical(ledger) if known else ())
            ledger.connection.executemany("INSERT INTO kin VALUES (?, ?)", kin)
        alone = "items.perceptual" if distance is not None else "pixels" if known else "sha256"
        ledger.connection.execute(FAMILIES.format(alone=alone))
        ledger.connection.execute(
            "CREATE INDEX IF NOT EXISTS by_family ON items (family) WHERE family NOTNULL"
        )


def count(ledger: Ledger) -> DuplicateCounts:
    """Count the families; the split has been drawn."""
    (row,) = ledger.rows(
        "SELECT COUNT(*), COALESCE(SUM(n), 0), COALESCE(SUM(splits > 1), 0),"
        " COALESCE(SUM(labels > 1), 0) FROM (SELECT COUNT(*) AS n, COUNT(DISTINCT split) AS splits,"
        " COUNT(DISTINCT labels) AS labels FROM items WHERE family NOTNULL GROUP BY family)"
    )
    return DuplicateCounts(*row)


def _kin(*pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, str]]:
    """Yield every hash that is paired with others, and a name for its connected component."""
    parent: dict[int, int] = {}
    for one, other in chain(*pairs):
        parent[_root(parent, one)] = _root(parent, other)
    for each in parent:
        yield each, f"near {_root(parent, each)}"


def _root(parent: dict[int, int], each: int) -> int:
    parent.setdefault(each, each)
    while parent[each] != each:
        parent[each] = each = parent[parent[each]]
    return each


def _identical(ledger: Ledger) -> Iterator[tuple[int, int]]:
    """Yield pairs of hashes of images whose pixels became identical only when they were encoded."""
    query = (
        "SELECT DISTINCT pixels, perceptual FROM items WHERE pixels IN (SELECT pixels FROM items"
        " WHERE reason IS NULL GROUP BY pixels HAVING COUNT(DISTINCT perceptual) > 1) ORDER BY 1, 2"
    )
    for (pixels, one), (others, other) in pairwise(ledger.connection.execute(query)):
        if pixels == others:
            yield one, other


def _near(ledger: Ledger, distance: int) -> Iterator[tuple[int, int]]:
    """Yield all pairs of different hashes that differ in at most `distance` bits.

    Cut into `distance` + 1 bands, two such hashes agree in at least one band. So only those with a
    band in common are compared; they are sorted by one band after the other, on disk.
    """
    edges = np.linspace(0, BITS, distance + 2).astype(int)
    for low, high in pairwise(edges):
        band = f"(perceptual >> {low}) & {2 ** int(high - low) - 1}" if distance else "perceptual"
        query = f"SELECT DISTINCT perceptual, {band} FROM items WHERE reason IS NULL ORDER BY 2, 1"
        for bucket in _buckets(ledger, query):
            yield from _pairs(bucket, distance)


def _buckets(ledger: Ledger, query: str) -> Iterator[NDArray[np.int64]]:
    bucket: list[int] = []
    last = None
    for value, band in ledger.connection.execute(query):
        if band != last and bucket:
            yield np.array(bucket, np.int64)
            bucket = []
        bucket.append(value)
        last = band
    yield np.array(bucket, np.int64)


def _pairs(bucket: NDArray[np.int64], distance: int) -> Iterator[tuple[int, int]]:
    for i, one in enumerate(bucket[:-1]):
        differing = (bucket[i + 1 :] ^ one).view(np.uint8).reshape(-1, 8)
        near = BITS_SET[differing].sum(axis=1) <= distance
        for other in bucket[i + 1 :][near]:
            yield int(one), int(other)
