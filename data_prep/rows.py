"""Images listed in a file, a row each: what a row may name, and what is listed twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from data_prep.records import Item, Reject

# Lists the rows anew at each call; an item's name is the path as it stands in its row.
Rows = Callable[[], Iterator[Item | Reject]]
Content = tuple[object, ...]


def items(rows: Rows) -> Iterator[Item | Reject]:
    """Yield the images of `rows` by their paths' only form.

    An image that is listed more than once with the same labels is taken once; with others, not at
    all. Only such images are kept in memory.
    """
    repeated = _repeated(rows)
    taken = set()
    for item in _named(rows()):
        if isinstance(item, Reject):
            yield item
        elif len(repeated.get(item.name, ())) > 1:
            yield Reject(item.name, "listed more than once, with different labels or splits")
        elif item.name in taken:
            yield Reject(item.name, "listed more than once: taken once")
        else:
            if item.name in repeated:
                taken.add(item.name)
            yield item


def _repeated(rows: Rows) -> dict[str, set[Content]]:
    """Return the names that are listed more than once, each with its different contents."""
    found = (item for item in _named(rows()) if isinstance(item, Item))
    hashes = np.fromiter((hash(item.name) for item in found), np.int64)
    hashes.sort()
    twice = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    contents: defaultdict[str, set[Content]] = defaultdict(set)
    for item in _named(rows()) if twice else ():
        if isinstance(item, Item) and hash(item.name) in twice:
            contents[item.name].add((item.split, *item.labels.items()))
    return contents


def _named(rows: Iterator[Item | Reject]) -> Iterator[Item | Reject]:
    for row in rows:
        if isinstance(row, Reject):
            yield row
        elif reason := _forbidden(row.name):
            yield Reject(row.name, reason)
        else:
            parts = (part for part in row.name.split("/") if part not in ("", "."))
            yield replace(row, name="/".join(parts))


def _forbidden(path: str) -> str | None:
    """Return why a path cannot be taken, if it cannot."""
    if path.startswith("/"):
        return "an absolute path: write it from the root on"
    if ".." in path.split("/"):
        return "`..` may lead out of the root: write the path without"
    return None if path.strip("./") and "\0" not in path else "no path"
