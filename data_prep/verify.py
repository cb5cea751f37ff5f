"""Verifies that a dataset's databases hold what ``dataset.toml`` and ``records.csv`` say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from data_prep.convert import MEAN, TOML
from data_prep.image_source import DataError
from data_prep.listings import RECORDS, read_list, records_columns
from data_prep.request import StageProgress
from data_prep.verify_images import BAD, ImagesSeen, read_images
from data_prep.writing import mean_pixel
from netgen.caffe.caffe_pb2 import BlobProto
from netgen.caffe.database_cursor import DatabaseError, open_database, read_apart
from netgen.caffe.databases import IMAGES, Databases, Labels, read_labels
from netgen.network.dataset import Dataset, DatasetError, Split, class_names, read_dataset
from netgen.system.files import MODELS, read_file

AGAIN = "make the dataset again"
MOST_SHOWN = 80  # characters of a field in a message


class CheckOutcome(Enum):
    """The outcome of a check; the value is how it is printed."""

    PASSED = "passed"
    FAILED = "FAILED"
    SKIPPED = "not checked"


@dataclass(frozen=True)
class DatasetCheck:
    """A check of a dataset: its subject, the outcome, what was found, and the next step."""

    what: str
    outcome: CheckOutcome
    found: str


@dataclass(frozen=True)
class _Part:
    """A split, its name, and its labels as they are in the databases."""

    name: str
    split: Split
    labels: Labels


def verify(
    path: Path, quick: bool = False, progress: StageProgress | None = None
) -> list[DatasetCheck]:
    """Check a dataset, the cheap checks first.

    Parameters
    ----------
    path
        The folder with ``dataset.toml``, or that file.
    quick
        Whether to check counts, keys and labels only, and not the images.
    progress
        Receives the progress.

    Returns
    -------
    list
        Every check, also those that could not be made. For each split, 8 bytes per image and 4
        per label are kept in memory.

    Raises
    ------
    DatasetError
        ``dataset.toml`` cannot be used.
    """
    file = path / TOML if path.is_dir() else path
    dataset = read_dataset(file)
    progress = progress or StageProgress()
    checks, parts = _quick(dataset, file.parent, progress)
    if quick:
        return [
            *checks,
            DatasetCheck("images", CheckOutcome.SKIPPED, "quick: counts, keys and labels only"),
        ]
    return [*checks, *_images(dataset, parts, file.parent / MEAN, progress)]


def check_lists(dataset: Dataset, folder: Path) -> None:
    """Check all but the images of a dataset, whose lists are in `folder`.

    Raises
    ------
    DataError
        Its databases contradict each other or its lists: the first that does.
    """
    for check in _quick(dataset, folder, StageProgress())[0]:
        if check.outcome is CheckOutcome.FAILED:
            raise DataError(f"{folder}: {check.what}: {check.found}")


def _quick(
    dataset: Dataset, folder: Path, progress: StageProgress
) -> tuple[list[DatasetCheck], list[_Part]]:
    """Return the checks of everything but the images, and the splits that can be read."""
    checks = [*_class_names(dataset)]
    parts = []
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        progress.stage(f"reading the labels of {name}")
        try:
            paths = {task: Path(database) for task, database in split.labels.items()}
            labels = read_labels(Databases(Path(split.images), paths))
        except DatabaseError as error:
            checks.append(DatasetCheck(f"{name}: databases", CheckOutcome.FAILED, str(error)))
        else:
            parts.append(_Part(name, split, labels))
            checks += [*_split(parts[-1], dataset)]
    progress.stage(f"comparing with {RECORDS}")
    whole = len(parts) == 2
    checks.append(_records(folder / RECORDS, parts, dataset) if whole else _skipped(RECORDS))
    return checks, parts


def _skipped(what: str) -> DatasetCheck:
    return DatasetCheck(what, CheckOutcome.SKIPPED, "not all databases can be read")


def _check(what: str, wrong: str | None, right: str) -> DatasetCheck:
    """Return a check that failed when there is something `wrong`."""
    return (
        DatasetCheck(what, CheckOutcome.FAILED, wrong)
        if wrong
        else DatasetCheck(what, CheckOutcome.PASSED, right)
    )


def _class_names(dataset: Dataset) -> Iterator[DatasetCheck]:
    for task in dataset.tasks:
        what = f"{task.name}: class names"
        try:
            names = class_names(task)
        except DatasetError as error:
            yield DatasetCheck(what, CheckOutcome.FAILED, str(error))
            continue
        if names is None:
            yield DatasetCheck(what, CheckOutcome.SKIPPED, f"{TOML} names no file of them")
        else:
            yield DatasetCheck(
                what, CheckOutcome.PASSED, f"one for each of {task.classes:,} classes"
            )


def _split(part: _Part, dataset: Dataset) -> Iterator[DatasetCheck]:
    """Compare a split's databases with ``dataset.toml`` and each other."""
    stated, counts = part.split.records, part.labels.records
    wrong = [f"{name} {count:,}" for name, count in counts.items() if count != stated]
    yield _check(
        f"{part.name}: records",
        f"{TOML} says {stated:,}, but there are: {', '.join(wrong)}: {AGAIN}" if wrong else None,
        f"{stated:,} in each of {len(counts)} databases",
    )
    apart = part.labels.apart
    if len(set(counts.values())) > 1:
        apart = apart or "some databases end before others"
    yield _check(
        f"{part.name}: keys",
        f"{apart}: Caffe would give images wrong labels: {AGAIN}" if apart else None,
        "the same, in the same order, in all databases",
    )
    for task in dataset.tasks:
        values = part.labels.values[task.name]
        outside = np.flatnonzero((values < 0) | (values >= task.classes))
        yield _check(
            f"{part.name}: {task.name} labels",
            f"record {outside[0]:,} has {values[outside[0]]}, and {outside.size - 1:,} more are not"
            f" in 0 to {task.classes - 1}: {AGAIN}" if outside.size else None,
            f"all in 0 to {task.classes - 1}",
        )  # fmt: skip


def _records(file: Path, parts: list[_Part], dataset: Dataset) -> DatasetCheck:
    """Compare ``records.csv`` with the databases, line by line."""
    if not file.exists():
        found = "no such file: only it records which image has which label"
        return DatasetCheck(RECORDS, CheckOutcome.SKIPPED, found)
    databases = [Path(part.split.images) for part in parts]
    try:
        wrong = read_apart(databases, _first_difference, file, parts, dataset)
    except (DatabaseError, DataError, DatasetError) as error:
        return DatasetCheck(RECORDS, CheckOutcome.FAILED, str(error))
    except OSError as error:
        return DatasetCheck(RECORDS, CheckOutcome.FAILED, f"{file}: {error.strerror}: {AGAIN}")
    return _check(
        RECORDS,
        f"{file}, {wrong}: {AGAIN}" if wrong else None,
        "the same keys, labels and class names, in this order",
    )


def _first_difference(file: Path, parts: list[_Part], dataset: Dataset) -> str | None:
    columns = records_columns(task.name for task in dataset.tasks)
    pairs = zip_longest(read_list(file, columns), _in_databases(parts, dataset))
    names: set[int] = set()
    for line, (listed, stored) in enumerate(pairs, start=1):
        wrong = _difference(listed, stored) or _listed_before(listed, names)
        if wrong:
            return f"record {line:,}: {wrong}"
    return None


def _in_databases(parts: list[_Part], dataset: Dataset) -> Iterator[dict[str, str]]:
    """Yield the expected row of each record in ``records.csv``, except for its source."""
    names = {task.name: class_names(task) for task in dataset.tasks}
    for part in parts:
        with open_database(Path(part.split.images)) as cursor:
            for key, *labels in zip(cursor.keys(), *part.labels.values.values(), strict=False):
                row = {"split": part.name, "key": key.decode(errors="replace")}
                for task, label in zip(part.labels.values, labels, strict=True):
                    row[f"label:{task}"] = str(label)
                    known = names[task] or []
                    if 0 <= label < len(known):
                        row[f"class:{task}"] = known[label]
                yield row


def _difference(listed: Mapping[str, str] | None, stored: Mapping[str, str] | None) -> str | None:
    if listed is None or stored is None:
        return "it ends here, but the databases do not" if stored else "no database has it"
    for column, value in stored.items():
        if listed[column] != value:
            found = repr(listed[column][:MOST_SHOWN])
            return f"{column} is {found}, but the databases have {value!r}"
    return None


def _listed_before(listed: Mapping[str, str] | None, names: set[int]) -> str | None:
    """Add an image's name to `names`, all before it, as hashes; say so if it was there."""
    name = listed["name"] if listed else ""
    known = len(names)
    names.add(hash(name))
    return None if len(names) > known else f"{name[:MOST_SHOWN]!r} is listed twice"


def _images(
    dataset: Dataset, parts: list[_Part], mean: Path, progress: StageProgress
) -> Iterator[DatasetCheck]:
    """Read every image once."""
    seen: dict[str, ImagesSeen] = {}
    for part in parts:
        progress.stage(f"reading the images of {part.name}", part.labels.records[IMAGES])
        what = f"{part.name}: images"
        try:
            seen[part.name] = read_images(Path(part.split.images), dataset.images, progress)
        except DatabaseError as error:
            yield DatasetCheck(what, CheckOutcome.FAILED, str(error))
        else:
            yield _shapes(what, dataset, seen[part.name])
    if "train" in seen and not seen["train"].wrong:
        yield _channel_mean(dataset, seen["train"])
        yield _pixel_mean(mean, seen["train"])
    else:
        yield DatasetCheck("mean", CheckOutcome.SKIPPED, "not every training image can be read")
    whole = len(seen) == 2
    yield _both_splits(dataset, seen) if whole else _skipped("images in both splits")


def _shapes(what: str, dataset: Dataset, seen: ImagesSeen) -> DatasetCheck:
    images = dataset.images
    shape = f"{images.channels} x {images.height} x {images.width}"
    wrong = seen.wrong and f"{seen.wrong}; {seen.bad:,} are no images of {shape}: {AGAIN}"
    return _check(what, wrong, f"{seen.digests.size:,} decode, all {shape}")


def _channel_mean(dataset: Dataset, seen: ImagesSeen) -> DatasetCheck:
    """Compare in whole numbers: the sum of a channel's pixels is known to the last digit."""
    stated, found = dataset.images.mean, mean_pixel(seen.sums, seen.digests.size)
    pixels = seen.digests.size * dataset.images.height * dataset.images.width
    off = max(abs(a - b) * pixels for a, b in zip(stated, found, strict=True))
    shown = ", ".join(f"{value:.4f}" for value in found)
    wrong = None
    if off >= 0.5:
        wrong = f"{TOML} says {', '.join(f'{x:.4f}' for x in stated)}; the training images' is"
        wrong += f" {shown}, off by {off:,.0f} in all: an image or the mean was changed: {AGAIN}"
    return _check("channel mean", wrong, shown)


def _pixel_mean(file: Path, seen: ImagesSeen) -> DatasetCheck:
    if not file.exists():
        return DatasetCheck(MEAN, CheckOutcome.SKIPPED, "no such file")
    try:
        blob = BlobProto.FromString(read_file(file, MODELS))
        values = np.asarray(blob.data, np.float32)
    except (DecodeError, OSError) as error:
        return DatasetCheck(MEAN, CheckOutcome.FAILED, f"{file}: {error}: {AGAIN}")
    expected = (seen.sums / seen.digests.size).astype(np.float32).transpose(2, 0, 1)
    same = (blob.channels, blob.height, blob.width) == expected.shape and np.array_equal(
        values, expected.ravel()
    )
    wrong = None if same else f"{file}: not the mean of the training images: {AGAIN}"
    return _check(MEAN, wrong, "the mean of the training images, pixel by pixel")


def _both_splits(dataset: Dataset, seen: Mapping[str, ImagesSeen]) -> DatasetCheck:
    """Look for images with identical pixels in both splits; some datasets were to have them."""
    what = "images in both splits"
    shared = np.intersect1d(seen["train"].digests, seen["test"].digests)
    shared = shared[shared != BAD]
    if not shared.size:
        return DatasetCheck(what, CheckOutcome.PASSED, "none")
    first = {name: np.flatnonzero(each.digests == shared[0])[0] for name, each in seen.items()}
    found = f"{shared.size:,}: " + " is ".join(
        f"{name} record {place:,}" for name, place in first.items()
    )
    if dataset.duplicates == "as split":
        found += f": left where the split puts them, as {TOML} says"
        return DatasetCheck(what, CheckOutcome.PASSED, found)
    return DatasetCheck(what, CheckOutcome.FAILED, f"{found}: {AGAIN}")
