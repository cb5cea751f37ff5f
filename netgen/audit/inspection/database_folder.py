"""The databases of a folder, and whether their labels of nouns, adjectives and pairs agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netgen import paper
from netgen.audit.finding import InspectionError
from netgen.caffe.databases import Databases
from netgen.network.dataset import read_dataset
from netgen.paper.implied import Rounding

SPLITS = {"TRAIN": "train", "TEST": "test|val"}
DEEPEST = 3  # folders below the one that is given


def find_databases(folder: Path) -> dict[str, Databases]:
    """Find the databases of both splits: by ``dataset.toml``, else by the names of folders.

    Raises
    ------
    ValueError
        When there are none, or ``dataset.toml`` cannot be used.
    """
    file = folder / "dataset.toml" if folder.is_dir() else folder
    if file.is_file():
        dataset = read_dataset(file)
        return {
            phase: Databases(
                Path(split.images), {task: Path(path) for task, path in split.labels.items()}
            )
            for phase, split in (("TRAIN", dataset.train), ("TEST", dataset.test))
        }
    if not folder.is_dir():
        raise InspectionError(f"{folder}: no such folder: give one with dataset.toml, or of LMDBs")
    found = {phase: _named(folder, words) for phase, words in SPLITS.items()}
    if not any(split.labels or split.images for split in found.values()):
        raise InspectionError(
            f"{folder}: no dataset.toml in it, and no LMDBs (folders with data.mdb) whose names say"
            " train or test: give the folder above them"
        )
    return {phase: split for phase, split in found.items() if split.labels or split.images}


def _named(folder: Path, words: str) -> Databases:
    """Find the databases whose names contain the split and, for labels, the task."""
    images, labels = None, {}
    patterns = ["/".join(["*"] * depth + ["data.mdb"]) for depth in range(1, DEEPEST + 1)]
    for path in sorted(file.parent for pattern in patterns for file in folder.glob(pattern)):
        name = path.relative_to(folder).as_posix().lower()
        tasks = re.findall("|".join(paper.TASKS), name.rpartition("/")[2])
        if not re.search(words, name):
            continue
        if len(set(tasks)) == 1:
            labels[tasks[0]] = path
        elif not tasks:
            images = path
    return Databases(images, labels)


# ---- whether labels of nouns, adjectives and pairs agree, as arrays -----------------------------
# A pair has one noun and one adjective, so the noun's label is a function of the pair's label. This
# does not hold for a database that is shifted by a record; which functions fail shows which one.

Ints = NDArray[np.int32]
Counts = NDArray[np.int64]
MOST_SHIFT = 3
PARTS = {"noun", "adj"}


def broken(of: Ints, what: Ints) -> int:
    """Count the records that keep `what` from being a function of `of`."""
    width = int(what.max(initial=0)) + 1
    codes, counts = np.unique(of.astype(np.int64) * width + what, return_counts=True)
    most = np.zeros(int(of.max(initial=0)) + 1, np.int64)
    np.maximum.at(most, codes // width, counts)
    return int(of.size - most.sum())


def odd_one_out(labels: Mapping[str, Ints]) -> tuple[str, int] | None:
    """Return the task whose labels do not fit the other two, and how many records show it.

    Parameters
    ----------
    labels
        For "noun", "adj" and "anp", labels that are not negative, record by record.

    Returns
    -------
    (task, records) or None
        None where noun and adjective are functions of the pair.
    """
    breaks = {part: broken(labels["anp"], labels[part]) for part in PARTS}
    bad = {part: count for part, count in breaks.items() if count}
    if not bad:
        return None
    if len(bad) == 1:
        return next(iter(bad.items()))
    return "anp", max(bad.values())


def shift_of(labels: Mapping[str, Ints], task: str) -> int | None:
    """Return by how many records a task's labels are late (early: negative); None if not by few."""
    others = {name: values for name, values in labels.items() if name != task}
    for distance in range(1, MOST_SHIFT + 1):
        for shift in (distance, -distance):
            moved = {**others, task: np.roll(labels[task], -shift)}
            left = odd_one_out(moved)
            if left is None or left[1] <= 2 * distance:  # what wrapped around
                return shift
    return None


def histogram(values: Ints, classes: int) -> Counts:
    """Count the records of each class."""
    return np.bincount(values, minlength=classes).astype(np.int64)


def rounding(train: Counts, total: Counts) -> Rounding | None:
    """Name the rule by which 80% of each class are in training; None when no rule fits all."""
    return next((rule for rule in Rounding if np.array_equal(rule.of(total), train)), None)
