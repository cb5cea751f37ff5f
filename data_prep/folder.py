"""One folder a class: the layout that every framework's tutorial starts with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.class_lists import check_classes, check_task, dataset_name
from data_prep.records import DataError, Item, Reject, Source
from data_prep.tree import Tree


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
