"""Images in folders: listed one by one below a root; and one folder a class as a source."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data_prep.class_lists import check_classes, check_task, dataset_name
from data_prep.records import DataError, Item, Reject, Source, stamp

# What systems leave in folders that people only look at; names with a dot in front are hidden.
LITTER = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX"})
MAX_BYTES = 2**30  # of a file; as pixels it could have more than `image_headers.MAX_PIXELS`


@dataclass(frozen=True)
class Tree:
    """Files below `root` (an absolute path), each named by its path from there, with ``/``.

    No symbolic link is followed out of the root, and none to a folder is followed while listing.
    """

    root: Path

    def load(self, name: str) -> bytes:
        """Return a file's content.

        Raises
        ------
        OSError
            There is no such file, or it is none, cannot be read, or lies outside the root.
        """
        path = os.path.join(self.root, name)
        status = os.lstat(path)
        link = stat.S_ISLNK(status.st_mode)
        _check_inside(os.fspath(self.root), path, link)
        if link:
            status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # to open a pipe is to wait for a writer
            raise OSError(errno.EINVAL, "not a file")
        if status.st_size > MAX_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        with open(path, "rb") as file:
            return file.read()

    def stamp(self, name: str) -> str:
        """Return what changes when the file does; raises OSError where there is none."""
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

    def loose(self) -> Iterator[Reject]:
        """Yield what lies in the root beside its folders: it belongs to no class."""
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


def _shown(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.name not in LITTER


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


# ---- one folder a class: the layout that every framework's tutorial starts with -----------------


@dataclass(frozen=True)
class _Folders:
    tree: Tree
    task: str
    classes: tuple[str, ...]

    def items(self) -> Iterator[Item | Reject]:
        yield from self.tree.loose()
        for label, folder in enumerate(self.classes):
            for file in self.tree.files(folder):
                yield file if isinstance(file, Reject) else Item(file, {self.task: label})


def folders(root: Path, task: str = "class") -> Source:
    """Take every folder in `root` for a class, and all files in it, however deep, for its images.

    Class names are the folders' names, sorted. Hidden files and folders are not looked at.

    Raises
    ------
    DataError
        `root` cannot be read or holds fewer than two folders, a folder's name cannot be a class
        name, or `task` cannot be a task's.
    """
    check_task(task, "--task")
    tree = Tree(root.absolute())
    classes = tuple(tree.folders())
    if not classes:
        raise DataError(f"{root}: no folders in it: make one a class, with its images inside")
    check_classes(task, classes, root)
    items = _Folders(tree, task, classes).items
    return Source(dataset_name(root), {task: classes}, items, tree.load, tree.stamp)
