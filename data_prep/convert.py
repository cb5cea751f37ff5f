"""A source in, a dataset out: databases of both splits, class names and ``dataset.toml``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from data_prep.lmdb_writer import Written, write_split
from data_prep.records import Record, Records, Source
from data_prep.staging import staged
from netgen.dataset import Dataset, Images, Split, Task, read_dataset, split_in, write_dataset

CONTENTS = frozenset({"train", "test", "classes", "dataset.toml"})

# Given the records of a split, its name and their number: passes them on, showing progress.
Track = Callable[[Iterable[Record], str, int], Iterable[Record]]


def convert(
    source: Source, out: Path, seed: int, force: bool = False, track: Track = lambda r, *_: r
) -> Dataset:
    """Write `source` into the folder `out`, whole or not at all.

    Training records are shuffled, because Caffe reads them in order and a batch should hold every
    class. Test records keep the source's order: a test reads all of them, and record i of every
    network's output is then image i of the published test set.

    Parameters
    ----------
    source
        What to write.
    out
        Where to; must not exist, unless `force`: then it is replaced once the new one is whole.
    seed
        0 to 2**32 - 1. The same seed gives the same files, byte for byte.
    force
        Whether an older dataset in `out` may be replaced.
    track
        Shows progress.

    Returns
    -------
    Dataset
        As `read_dataset` reads it from ``out/dataset.toml``.

    Raises
    ------
    DataError
        Records that do not fit together, or an `out` that may not be replaced.
    OSError
        `out` cannot be written.
    """
    with staged(out, CONTENTS, force) as folder:
        order = shuffled(len(source.train), seed)
        train, written = _write(source, source.train, order, folder / "train", track)
        test, _ = _write(source, source.test, range(len(source.test)), folder / "test", track)
        dataset = Dataset(source.name, _images(written), _tasks(source, folder), train, test)
        write_dataset(dataset, folder / "dataset.toml")
        read_dataset(folder / "dataset.toml")  # before anything older makes room for it
    return read_dataset(out / "dataset.toml")


def shuffled(count: int, seed: int) -> Iterable[int]:
    """Return 0 to `count` - 1 in random order.

    From NumPy's old generator: it alone promises the same order in every version and machine.
    """
    return np.random.RandomState(seed).permutation(count)


def _write(
    source: Source, records: Records, order: Iterable[int], folder: Path, track: Track
) -> tuple[Split, Written]:
    split = split_in(folder.as_posix(), source.tasks, len(records))
    classes = {task: len(names) for task, names in source.tasks.items()}
    written = write_split(track(records.read(order), folder.name, len(records)), split, classes)
    return replace(split, records=written.records), written


def _images(written: Written) -> Images:
    height, width, channels = written.pixel_sums.shape
    return Images(channels, height, width, written.mean)


def _tasks(source: Source, folder: Path) -> tuple[Task, ...]:
    """Write the class names of every task, one a line in label order, and return the tasks."""
    (folder / "classes").mkdir()
    tasks = []
    for task, names in source.tasks.items():
        file = folder / "classes" / f"{task}.txt"
        file.write_text("\n".join(names) + "\n", encoding="utf-8")
        tasks.append(Task(task, len(names), file.as_posix()))
    return tuple(tasks)
