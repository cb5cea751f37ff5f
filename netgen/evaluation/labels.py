"""The labels of a training or test set, and the accuracy of guessing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.database_cursor import DatabaseError, open_database, read_apart
from netgen.caffe.databases import IMAGES, Databases, read_labels
from netgen.caffe.schema import Phase
from netgen.evaluation.tally import Ints, most_frequent
from netgen.network.dataset import Dataset
from netgen.paper.implied import chance


class TestSetError(ValueError):
    """Databases that do not belong together, or to the dataset; the message says what to do."""

    __test__ = False  # pytest: not a test class


def labels_of(dataset: Dataset, phase: Phase) -> dict[str, Ints]:
    """Return the labels of every task, in the order of the records.

    Raises
    ------
    ValueError
        A database cannot be read, they are not aligned, or a label is not a class.
    """
    split = dataset.split(phase)
    databases = {task.name: Path(split.labels[task.name]) for task in dataset.tasks}
    read = read_labels(Databases(Path(split.images), databases))
    for name, records in read.records.items():
        if records != split.records:
            path = split.images if name == IMAGES else split.labels[name]
            raise TestSetError(
                f"{path}: {records:,} records, but dataset.toml says {split.records:,}: the"
                " databases were not made together; make them again (`netgen data`)"
            )
    if read.apart:
        raise TestSetError(
            f"the databases of {dataset.name}'s {phase} set do not belong together: {read.apart};"
            " make them again (`netgen data`)"
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
            " correct dataset.toml, or make the database again"
        )


def guessing_accuracies(
    train: Sequence[LayerParameter], test: Sequence[LayerParameter]
) -> dict[str, tuple[float, float | None]]:
    """Return, for each accuracy of a test net, chance and what guessing without looking scores.

    The latter always guesses the most frequent classes of the training set, which are all that a
    classifier can know, as `netgen.evaluation.tally.prior` does. It is None unless the databases of
    labels are there.
    """
    makers = {top: layer for layer in test for top in layer.top}
    learned = {top: layer for layer in train for top in layer.top}
    found = {}
    for layer in test:
        if layer.type != "Accuracy":
            continue
        scores, labels = (makers.get(bottom) for bottom in layer.bottom[:2])
        if scores is None or scores.type != "InnerProduct":
            continue
        k = layer.accuracy_param.top_k
        classes = scores.inner_product_param.num_output
        seen, asked = _stored(learned.get(layer.bottom[1])), _stored(labels)
        prior = None
        if seen is not None and asked is not None:
            prior = most_frequent(seen, asked, classes, k) / len(asked)
        found[layer.top[0]] = (chance(classes, k), prior)
    return found


def _stored(labels: LayerParameter | None) -> Ints | None:
    """Return the labels in the database that a layer reads; None where they cannot be read."""
    source = labels.data_param.source if labels is not None and labels.type == "Data" else ""
    if not source or not Path(source).exists():
        return None
    path = Path(source)
    found: list[float] | None = read_apart([path], _stored_values, path)
    return np.array(found, np.int64) if found and min(found) >= 0 else None


def _stored_values(path: Path) -> list[float] | None:
    with open_database(path) as cursor:
        try:
            return [
                datum.float_data[0] if datum.float_data else datum.label
                for _, datum in cursor.datums()
            ]
        except DatabaseError:  # not one of Caffe's databases
            return None
