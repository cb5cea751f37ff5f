"""Multitask VSO: ``<adjective>_<noun>/<image>``, as the corpus' ``bi_concepts1553`` is laid out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from data_prep.class_lists import check_classes, read_classes
from data_prep.image_files import FileTree, unique_items
from data_prep.image_source import DataError, ImageSource, Item, Reject, SplitName
from netgen.paper.ontology import CLASS_LISTS, split_pair
from netgen.system.files import check_regular, lines_of

NAME = "mtvso"
# In the order of Table 2; a line of a split list names its classes in another.
NOUN, ADJ, ANP = TASKS = tuple(CLASS_LISTS)
SPLIT_LIST = (ANP, NOUN, ADJ)

Classes = dict[str, tuple[str, ...]]
Labels = dict[str, dict[str, int]]  # task -> class name -> label
Pairs = dict[str, dict[str, int]]  # pair -> task -> label


def mtvso(
    images: Path, lists: Path | None = None, splits: tuple[Path, Path] | None = None
) -> ImageSource:
    """Return a source of adjective-noun pairs' images, each in the folder of its pair.

    Parameters
    ----------
    images
        The folder that holds the pairs' folders.
    lists
        A folder with the three lists of classes, named as the authors do
        (``mtvso_anplabels.txt``, …); by default the classes are those of the folders, sorted.
        With lists, a pair is divided where both words are listed; without, at its first ``_``.
    splits
        Lists of the training and the test images with lines ``path anp noun adj``, the classes by
        name or by label from 0; by default all images are taken, and the split is drawn.

    Raises
    ------
    DataError
        A list cannot be read or does not fit the others, or no pair has a folder.
    """
    tree = FileTree(images.absolute())
    folders = tree.folders()
    classes = _given(lists) if lists else _derived(folders)
    for task, names in classes.items():
        check_classes(task, names, lists or images)
    labels = {task: {name: i for i, name in enumerate(classes[task])} for task in TASKS}
    pairs = {pair: _labels_of(pair, labels, lists or images) for pair in classes[ANP]}
    if splits:
        listed = _SplitLists(splits, labels, tuple(pairs.values())).items
        return ImageSource(NAME, classes, listed, tree.load, tree.stamp)
    if not pairs.keys() & set(folders):
        raise DataError(
            f"{images}: none of the {len(pairs)} pairs has a folder in it: name the folder that"
            f" holds {classes[ANP][0]}/ and the others"
        )
    return ImageSource(NAME, classes, _PairFolders(tree, pairs).items, tree.load, tree.stamp)


def _given(lists: Path) -> Classes:
    return {task: read_classes(lists / file) for task, file in CLASS_LISTS.items()}


def _derived(folders: list[str]) -> Classes:
    pairs = tuple(folder for folder in folders if all(split_pair(folder)))
    if not pairs:
        return dict.fromkeys(TASKS, ())
    adjectives, nouns = (
        tuple(sorted(set(words))) for words in zip(*map(split_pair, pairs), strict=True)
    )
    return {NOUN: nouns, ADJ: adjectives, ANP: pairs}


def _labels_of(pair: str, labels: Labels, where: Path) -> dict[str, int]:
    """Return the labels of a pair's noun, its adjective and itself."""
    words = pair.split("_")
    cuts = [("_".join(words[:i]), "_".join(words[i:])) for i in range(1, len(words))]
    fitting = [(a, n) for a, n in cuts if a in labels[ADJ] and n in labels[NOUN]]
    if not fitting:
        raise DataError(
            f"{where}: pair {pair!r} is no adjective_noun with both words in their lists: correct"
            " the lists"
        )
    adjective, noun = fitting[0]  # without lists, the first cut
    return {NOUN: labels[NOUN][noun], ADJ: labels[ADJ][adjective], ANP: labels[ANP][pair]}


@dataclass(frozen=True)
class _PairFolders:
    tree: FileTree
    pairs: Pairs

    def items(self) -> Iterator[Item | Reject]:
        yield from self.tree.outside_folders()
        for folder in self.tree.folders():
            yield from self._in(folder) if folder in self.pairs else [self._left_out(folder)]

    def _in(self, folder: str) -> Iterator[Item | Reject]:
        for file in self.tree.files(folder):
            yield file if isinstance(file, Reject) else Item(file, self.pairs[folder])

    def _left_out(self, folder: str) -> Reject:
        count = sum(isinstance(file, str) for file in self.tree.files(folder))
        return Reject(f"{folder}/ (files: {count:,})", "not the folder of a pair")


@dataclass(frozen=True)
class _SplitLists:
    splits: tuple[Path, Path]
    labels: Labels
    pairs: tuple[dict[str, int], ...]  # the labels of every pair, in the pairs' order

    def items(self) -> Iterator[Item | Reject]:
        return unique_items(self._rows)

    def _rows(self) -> Iterator[Item | Reject]:
        for split, file in zip(get_args(SplitName), self.splits, strict=True):
            try:
                check_regular(file)
                with file.open(encoding="utf-8-sig", errors="surrogateescape") as opened:
                    for number, line in enumerate(lines_of(opened, file), 1):
                        if line.strip():
                            yield self._item(f"{file.name}, line {number}", line, split)
            except OSError as error:
                raise DataError(f"{file}: {error.strerror}") from None

    def _item(self, where: str, line: str, split: SplitName) -> Item | Reject:
        fields = line.strip().rsplit(maxsplit=len(SPLIT_LIST))
        if len(fields) <= len(SPLIT_LIST):
            return Reject(where, f"{len(fields)} fields: expected path {' '.join(SPLIT_LIST)}")
        path, *classes = fields
        labels = {}
        for task, name in zip(SPLIT_LIST, classes, strict=True):
            number = re.fullmatch("[0-9]{1,9}", name)
            label = int(name) if number else self.labels[task].get(name, -1)
            if not 0 <= label < len(self.labels[task]):
                return Reject(path, f"no class {name!r} of task {task!r}")
            labels[task] = label
        if self.pairs[labels[ANP]] != labels:
            return Reject(path, "this pair has another noun or adjective")
        return Item(path, {task: labels[task] for task in TASKS}, split)
