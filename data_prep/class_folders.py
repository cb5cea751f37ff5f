"""Images in one folder per class, the common layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.class_lists import check_classes, check_task, dataset_name
from data_prep.image_files import FileTree
from data_prep.image_source import DataError, ImageSource, Item, Reject


@dataclass(frozen=True)
class _ClassFolders:
    tree: FileTree
    task: str
    classes: tuple[str, ...]

    def items(self) -> Iterator[Item | Reject]:
        yield from self.tree.outside_folders()
        for label, folder in enumerate(self.classes):
            for file in self.tree.files(folder):
                yield file if isinstance(file, Reject) else Item(file, {self.task: label})


def class_folders(root: Path, task: str = "class") -> ImageSource:
    """Return a source with a class for each folder in `root`; all files below it are its images.

    Class names are the folders' names, sorted. Hidden files and folders are skipped.

    Raises
    ------
    DataError
        `root` cannot be read or holds fewer than two folders, a folder's name cannot be a class
        name, or `task` cannot be a task's.
    """
    check_task(task, "--task")
    tree = FileTree(root.absolute())
    classes = tuple(tree.folders())
    if not classes:
        raise DataError(f"{root}: no folders in it: make one per class, with its images inside")
    check_classes(task, classes, root)
    items = _ClassFolders(tree, task, classes).items
    return ImageSource(dataset_name(root), {task: classes}, items, tree.load, tree.stamp)
