"""Which databases of images and labels there are in a folder."""

from __future__ import annotations

import re
from pathlib import Path

from netgen import paper
from netgen.databases import Databases
from netgen.dataset import read_dataset
from netgen.inspection.finding import InspectionError

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
    """Find the databases whose names say the split and, for labels, the task."""
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
