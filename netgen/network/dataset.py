"""A `Dataset`: tasks, counts, database paths and mean, as ``dataset.toml`` holds them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from netgen import paper
from netgen.system.files import read_text_file
from netgen.system.text import check_name, names_in
from netgen.system.toml_schema import SchemaError, read_toml

if TYPE_CHECKING:
    from netgen.caffe.schema import Phase

LARGEST = 2**31 - 1  # Caffe keeps counts as int32
Positive = Annotated[int, Meta(gt=0, le=LARGEST)]
# Lower case, digits and hyphens: a task's name ends layer names after an underscore
# (``cross5b_adj_noun``), so an underscore of its own could make two layers' names the same. It is
# part of the names of files, too.
TASK_NAME = r"^[a-z][a-z0-9-]{0,99}\Z"
DATASET_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"
PATTERNS_IN_WORDS = {
    TASK_NAME: "lower case letters, digits and hyphens, a letter first, 100 at most",
    DATASET_NAME: "letters, digits, dots, underscores and hyphens, a letter or digit first",
}
# With these, a task's ``res5a_<task>`` would be the name of one of He's layers.
RESERVED_NAMES = frozenset({"branch1", "branch2a", "branch2b", "branch2c", "relu"})


class DatasetError(ValueError):
    """A ``dataset.toml`` that cannot be used; the message says what, where and what next."""


class Task(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One classification task: its name, number of classes and, optionally, a file of their names.

    `names` is the path of a text file with one class per line, in the order of the labels.
    """

    name: Annotated[str, Meta(pattern=TASK_NAME)]
    classes: Annotated[int, Meta(ge=2, le=LARGEST)]
    names: str | None = None


class Images(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that turns a file into what a network sees; the same for training and prediction.

    Datasets of before the last three fields were kept read as their defaults.

    Attributes
    ----------
    channels, height, width
        The shape that every image is brought to, in pixels; one channel is grey.
    mean
        One value per channel (0 to 255; B, G, R for colour), subtracted in both phases.
    rotate
        Whether an EXIF orientation is applied.
    lenient
        Whether the parts of truncated and corrupt images that decode are taken.
    encoded
        How images are kept: as raw pixels, or as PNG or JPEG, which changes pixels a little.
    """

    channels: Positive
    height: Positive
    width: Positive
    mean: tuple[Annotated[float, Meta(ge=0, le=255)], ...]
    rotate: bool = False
    lenient: bool = False
    encoded: Literal["raw", "png", "jpeg"] = "raw"


class Split(Struct, frozen=True, forbid_unknown_fields=True):
    """Training or test set: `records` images in one LMDB, and one LMDB of labels per task, aligned.

    Record i of every database belongs to the same image.
    """

    records: Positive
    images: str
    labels: dict[str, str]


class Dataset(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tasks, counts and databases of a dataset.

    `duplicates` says whether images with the same pixels were kept together on one side of the
    split, or left where the split put them; None where that is not known.

    In ``dataset.toml`` paths are relative to its folder; here they are as Caffe is to open them, so
    relative to the current folder when the user named the dataset so.
    """

    name: Annotated[str, Meta(pattern=DATASET_NAME)]
    images: Images
    tasks: Annotated[tuple[Task, ...], Meta(min_length=1)]
    train: Split
    test: Split
    duplicates: Literal["together", "as split"] | None = None

    def split(self, phase: Phase) -> Split:
        """Return the training or the test set."""
        return self.train if phase == "TRAIN" else self.test

    def task(self, name: str) -> Task:
        """Return the task of that name; KeyError when there is none."""
        return {task.name: task for task in self.tasks}[name]


def split_in(folder: str, tasks: Iterable[str], records: int) -> Split:
    """Return the `Split` with the databases named as every netgen dataset names them."""
    return Split(
        records=records,
        images=f"{folder}/images.lmdb",
        labels={task: f"{folder}/label_{task}.lmdb" for task in tasks},
    )


# The paper's dataset (section 5.1), where `netgen data mtvso IMAGES --out data/mtvso` puts it.
MTVSO = Dataset(
    name="mtvso",
    images=Images(3, paper.IMAGE_SIZE, paper.IMAGE_SIZE, paper.IMAGENET_MEAN),
    tasks=tuple(Task(name, classes) for name, classes in paper.TASKS.items()),
    train=split_in("data/mtvso/train", paper.TASKS, paper.TRAIN_IMAGES),
    test=split_in("data/mtvso/test", paper.TASKS, paper.TEST_IMAGES),
)


def read_dataset(file: Path) -> Dataset:
    """Read and check a ``dataset.toml``; every path that it names must exist.

    Raises
    ------
    DatasetError
        Unreadable, not TOML, a missing or unknown key, a value out of range, a duplicate task, a
        path that is not there, or a database that is named twice in a split.
    """
    try:
        dataset, _ = read_toml(file, Dataset, "make one with `netgen data`", PATTERNS_IN_WORDS)
    except SchemaError as error:
        raise DatasetError(str(error)) from None
    try:
        check_dataset(dataset)
        for path in _paths(dataset):
            check_name(path, "a path", DatasetError)
        located = _with_paths(dataset, lambda path: (file.parent / path).as_posix())
        _check_paths(located)
    except DatasetError as error:
        raise DatasetError(f"{file}: {error}") from None
    return located


def write_dataset(dataset: Dataset, file: Path) -> None:
    """Write `dataset` as a ``dataset.toml`` that `read_dataset` gives back the same."""
    import tomli_w

    check_dataset(dataset)
    relative = _with_paths(
        dataset, lambda path: Path(os.path.relpath(path, file.parent)).as_posix()
    )
    file.write_text(tomli_w.dumps(msgspec.to_builtins(relative)), encoding="utf-8")


def class_names(task: Task) -> list[str] | None:
    """Return the class names of a task in label order, or None when the dataset lists none.

    Raises
    ------
    DatasetError
        The file is missing, does not hold one name per class, or one is refused or there twice.
    """
    if task.names is None:
        return None
    try:
        text = read_text_file(task.names)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DatasetError(
            f"{task.names}: class names of {task.name!r}: {why}: name a text file in UTF-8 with one"
            " class name per line, or make the dataset again"
        ) from None
    names = names_in(text, task.names, DatasetError)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DatasetError(
            f"{task.names}: class {twice[0]!r} of task {task.name!r} is listed twice: rename one of"
            " them"
        )
    if not all(name.strip() for name in names):
        line = 1 + next(i for i, name in enumerate(names) if not name.strip())
        raise DatasetError(f"{task.names}:{line}: a class of task {task.name!r} without a name")
    if len(names) != task.classes:
        raise DatasetError(
            f"{task.names}: {len(names)} lines for the {task.classes} classes of task"
            f" {task.name!r}: write one class name per line"
        )
    return names


def check_dataset(dataset: Dataset) -> None:
    """Check what types cannot: unique names, one mean per channel, one label database per task.

    Raises
    ------
    DatasetError
        One of these does not hold.
    """
    names = [task.name for task in dataset.tasks]
    for name, count in Counter(names).items():
        if count > 1:
            raise DatasetError(f"task {name!r} is listed twice: rename one of them")
        if name in RESERVED_NAMES:
            raise DatasetError(
                f"task {name!r} has the name of a part of every residual block: choose another"
            )
    if len(dataset.images.mean) != dataset.images.channels:
        raise DatasetError(
            f"images.mean has {len(dataset.images.mean)} values for {dataset.images.channels}"
            " channels: give one per channel"
        )
    for section, split in (("train", dataset.train), ("test", dataset.test)):
        if set(split.labels) != set(names):
            raise DatasetError(
                f"[{section}.labels] names {', '.join(sorted(split.labels)) or 'nothing'}, but the"
                f" tasks are {', '.join(sorted(names))}: give one database per task"
            )


def _with_paths(dataset: Dataset, change: Callable[[str], str]) -> Dataset:
    """Return `dataset` with `change` applied to every path."""

    def of(split: Split) -> Split:
        labels = {task: change(path) for task, path in split.labels.items()}
        return replace(split, images=change(split.images), labels=labels)

    tasks = (replace(task, names=task.names and change(task.names)) for task in dataset.tasks)
    return replace(dataset, tasks=tuple(tasks), train=of(dataset.train), test=of(dataset.test))


def _paths(dataset: Dataset) -> list[str]:
    paths = [task.names for task in dataset.tasks if task.names is not None]
    for split in (dataset.train, dataset.test):
        paths += [split.images, *split.labels.values()]
    return paths


def _check_paths(dataset: Dataset) -> None:
    for path in _paths(dataset):
        if not Path(path).exists():
            raise DatasetError(
                f"{path} does not exist: make it with `netgen data`, or correct the path (relative"
                " ones start from the folder of dataset.toml)"
            )
    for section, split in (("train", dataset.train), ("test", dataset.test)):
        databases = {os.path.realpath(split.images): "the images"}
        for task, path in split.labels.items():
            other = databases.setdefault(os.path.realpath(path), task)
            if other != task:
                raise DatasetError(
                    f"[{section}] names {path} for {other} and for {task}: each has a database of"
                    " its own"
                )
