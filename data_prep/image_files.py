"""Image files below a root folder: found in its folders, or listed in a file, one row per image."""

from __future__ import annotations

import errno
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from data_prep.image_source import DataError, Item, Reject, stamp

# Files that systems create in folders; names that begin with a dot are hidden anyway.
SYSTEM_FILES = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX"})
MAX_BYTES = 2**30  # of a file; as pixels it could have more than `image_headers.MAX_PIXELS`

# Lists the rows again at each call; an item's name is the path in its row.
Rows = Callable[[], Iterator[Item | Reject]]
Labelling = tuple[object, ...]


@dataclass(frozen=True)
class FileTree:
    """Files below `root` (an absolute path), each named by its path from there, with ``/``.

    A symbolic link that leads out of the root is not followed, and links to folders are not
    followed while listing.
    """

    root: Path

    def load(self, name: str) -> bytes:
        """Return a file's content.

        Raises
        ------
        OSError
            The path does not exist, is not a file, cannot be read, or lies outside the root.
        """
        path = os.path.join(self.root, name)
        status = os.lstat(path)
        link = stat.S_ISLNK(status.st_mode)
        _check_inside(os.fspath(self.root), path, link)
        if link:
            status = os.stat(path)
        return content_of(path, status)

    def stamp(self, name: str) -> str:
        """Return a string that changes when the file does; OSError if there is no file."""
        return stamp(os.path.join(self.root, name))

    def folders(self) -> list[str]:
        """Return the names of the folders in the root, sorted.

        Raises
        ------
        DataError
            The root cannot be read.
        """
        try:
            with os.scandir(self.root) as entries:
                return sorted(
                    e.name for e in entries if _shown(e) and e.is_dir(follow_symlinks=False)
                )
        except OSError as error:
            raise DataError(f"{self.root}: {error.strerror}") from None

    def files(self, *folders: str) -> Iterator[str | Reject]:
        """Yield the names of all files below some folders, however deep, in no order."""
        waiting = list(folders)
        while waiting:
            for entry in self._entries(waiting.pop()):
                if isinstance(entry, str) and entry.endswith("/"):
                    waiting.append(entry[:-1])
                else:
                    yield entry

    def outside_folders(self) -> Iterator[Reject]:
        """Yield the files in the root itself, which belong to no class."""
        for entry in self._entries(""):
            if isinstance(entry, Reject):
                yield entry
            elif not entry.endswith("/"):
                yield Reject(entry, "in no class's folder")

    def _entries(self, folder: str) -> Iterator[str | Reject]:
        """Yield the names in a folder, those of folders with ``/`` at the end."""
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in filter(_shown, entries):
                    name = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        yield f"{name}/"
                    elif _leads_to_folder(entry):
                        yield Reject(name, "a symbolic link to a folder: copy the folder instead")
                    else:
                        yield name
        except OSError as error:
            yield Reject(folder or ".", f"{error.strerror}")


def content_of(path: str, status: os.stat_result) -> bytes:
    """Return the content of a file of that status; OSError if it is none, or is too large."""
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for a writer
        raise OSError(errno.EINVAL, "not a file")
    if status.st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _shown(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.name not in SYSTEM_FILES


def _leads_to_folder(link: os.DirEntry[str]) -> bool:
    try:
        return link.is_dir()
    except OSError:  # it leads to itself
        return False


def _check_inside(root: str, path: str, link: bool) -> None:
    real = os.path.realpath(path) if link else _real(os.path.dirname(path))
    if not f"{real}/".startswith(f"{_real(root).rstrip('/')}/"):
        raise OSError(errno.EXDEV, "a symbolic link leads out of the root: copy the file instead")


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


# Rows ---------------------------------------------------------------------------------------------


def unique_items(rows: Rows) -> Iterator[Item | Reject]:
    """Yield the images of `rows`, each under its normalized path.

    An image that is listed several times with the same labels is taken once; with different ones,
    it is rejected. Only such images are kept in memory.
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


def _repeated(rows: Rows) -> dict[str, set[Labelling]]:
    """Return the names that are listed more than once, each with its different labels."""
    found = (item for item in _named(rows()) if isinstance(item, Item))
    hashes = np.fromiter((hash(item.name) for item in found), np.int64)
    hashes.sort()
    twice = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    contents: defaultdict[str, set[Labelling]] = defaultdict(set)
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
