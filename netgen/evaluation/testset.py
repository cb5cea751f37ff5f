"""A dataset's labels, read and checked before anything long begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from netgen.databases import Databases, read_labels
from netgen.dataset import Dataset, Phase

if TYPE_CHECKING:
    from netgen.evaluation.ranking import Ints


class TestSetError(ValueError):
    """Databases that do not belong together, or to the dataset; the message says what next."""

    __test__ = False  # pytest: it is none of yours


def labels_of(dataset: Dataset, phase: Phase) -> dict[str, Ints]:
    """Return the labels of every task, in the order of the records.

    Raises
    ------
    ValueError
        A database cannot be read, they are not aligned, or a label is no class.
    """
    split = dataset.split(phase)
    databases = {task.name: Path(split.labels[task.name]) for task in dataset.tasks}
    read = read_labels(Databases(Path(split.images), databases))
    for name, records in read.records.items():
        if records != split.records:
            path = split.images if name == "images" else split.labels[name]
            raise TestSetError(
                f"{path}: {records:,} records, where dataset.toml says {split.records:,}: the"
                " databases are not of one making; make them anew (`netgen data`)"
            )
    if read.apart:
        raise TestSetError(
            f"the databases of {dataset.name}'s {phase} set do not belong together: {read.apart};"
            " make them anew (`netgen data`)"
        )
    for task in dataset.tasks:
        _check_range(split.labels[task.name], read.values[task.name], task.classes)
    return dict(read.values)


def _check_range(path: str, labels: Ints, classes: int) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise TestSetError(
            f"{path}: record {wrong[0]:,} has the label {labels[wrong[0]]}, but the task has"
            f" {classes} classes (0 to {classes - 1}): {wrong.size:,} labels are out of range;"
            " correct dataset.toml, or make the database anew"
        )
