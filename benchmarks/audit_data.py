"""How long the inspection of databases of the paper's size takes, and how much memory.

    python benchmarks/audit_data.py [--folder FOLDER]

Writes label databases of 384,258 records (307,185 for training, 77,073 for test, three tasks each)
into a temporary folder, which takes longer than reading them, and inspects them in a process of its
own. The targets: 60 seconds and 100 MiB of anonymous memory: what the modules and the arrays of
the labels take. Pages of the databases, which the system can drop at any time, are not counted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import lmdb
import numpy as np

from data_prep.datums import key, label_datum
from netgen import paper
from netgen.paper.implied import training_images

SECONDS, MEBIBYTES = 60, 100
STATUS = Path("/proc/self/status")


def main() -> int:
    """Write, inspect, and compare with the targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the databases are, or are to be written")
    folder = parser.parse_args().folder
    if folder:
        return run(folder)
    with tempfile.TemporaryDirectory() as temporary:
        return run(Path(temporary) / "mtvso")


def run(folder: Path) -> int:
    """Inspect the databases in `folder`, written before where there are none."""
    if not folder.exists():
        started = time.perf_counter()
        write(folder)
        print(f"wrote {folder} in {time.perf_counter() - started:.1f} s", file=sys.stderr)
    before = anonymous()  # after writing: what the writer needed is not freed to the system
    with Peak() as peak:
        seconds, differing = inspected(folder)
    taken = peak.mebibytes - before
    print(
        f"{paper.TRAIN_IMAGES + paper.TEST_IMAGES:,} records in {seconds:.1f} s (at most {SECONDS})"
    )
    print(f"{taken:.0f} MiB of anonymous memory beyond the start's (at most {MEBIBYTES})")
    print(f"findings that differ: {len(differing)}")
    for finding in differing:
        print(f"  {finding}")
    return int(seconds > SECONDS or taken > MEBIBYTES or bool(differing))


def inspected(folder: Path) -> tuple[float, list[object]]:
    """Inspect, and return the seconds it took and what differs."""
    from netgen.audit.inspection import InspectionVerdict, inspect

    started = time.perf_counter()
    findings = inspect(data=folder)
    seconds = time.perf_counter() - started
    return seconds, [
        finding for finding in findings if finding.verdict is InspectionVerdict.DIFFERS
    ]


class Peak:
    """The most anonymous memory that this process has had while it was entered."""

    def __enter__(self) -> Peak:
        self.mebibytes, self._over = anonymous(), threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.mebibytes = max(self.mebibytes, anonymous())


def anonymous() -> float:
    """Return the MiB of memory that belongs to no file."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def write(folder: Path) -> None:
    """Write label databases as the paper's: 553 pairs of 500 to 1,000 images, split by floor."""
    total = class_sizes()
    pairs = np.arange(paper.TASKS["anp"], dtype=np.int32)
    rng = np.random.default_rng(2016)
    nouns, adjectives = (
        rng.permutation(pairs % paper.TASKS[part]).astype(np.int32) for part in ("noun", "adj")
    )
    train = training_images(total)
    for split, counts in (("train", train), ("test", total - train)):
        anp = rng.permutation(np.repeat(pairs, counts))
        for task, values in (("noun", nouns[anp]), ("adj", adjectives[anp]), ("anp", anp)):
            write_labels(folder / split / f"label_{task}.lmdb", values)


def class_sizes() -> np.ndarray:
    """Return the images of each pair, 500 to 1,000, whose split adds up to the paper's totals."""
    classes, images, fewest = paper.TASKS["anp"], paper.ALL_IMAGES, paper.LEAST_IMAGES
    rng = np.random.default_rng(553)
    while True:
        sizes = rng.integers(fewest, 891, classes)
        sizes += (images - int(sizes.sum())) // classes
        sizes[: images - int(sizes.sum())] += 1
        for _ in range(1000):  # move images between pairs until the split adds up
            excess = int(training_images(sizes).sum()) - paper.TRAIN_IMAGES
            if excess == 0 and sizes.min() >= fewest and sizes.max() <= paper.MOST_IMAGES:
                return sizes
            take, give = rng.integers(0, classes, 2)
            moved = sizes.copy()
            moved[take] -= 1
            moved[give] += 1
            if abs(int(training_images(moved).sum()) - paper.TRAIN_IMAGES) <= abs(excess):
                sizes = moved


def write_labels(path: Path, values: np.ndarray) -> None:
    """Write labels as netgen does: a 1 x 1 x 1 Datum each."""
    path.mkdir(parents=True)
    records = [(key(index), label_datum(int(label))) for index, label in enumerate(values)]
    with (
        lmdb.open(str(path), map_size=2**28, sync=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.cursor().putmulti(records, append=True)


if __name__ == "__main__":
    sys.exit(main())
