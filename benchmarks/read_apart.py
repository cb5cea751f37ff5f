"""What it costs to read databases in a process that may die, against reading them in our own.

    python benchmarks/read_apart.py [--images N] [--rounds N]

`netgen.caffe.apart` forks for each job of reading, so that a damaged LMDB cannot end a command.
Here the same functions read the same whole dataset, with three tasks, with that fork and without
it, by turns, so that a machine that slows down slows both; the first of a pair alternates. The
ratios are what counts: of each pair, then the median. The target: at most 5% longer, for a dataset
that takes a second to read. A fork takes the same whatever it reads, and is printed too: what is
read in less than 20 times that takes more than 5% longer. Exit code 1 when the target is missed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from audit_data import write_labels

from data_prep.convert import convert
from data_prep.image_source import ImageSource, Item, Pixels
from data_prep.request import DataOptions
from data_prep.verify import CheckOutcome, verify
from netgen.caffe.databases import Databases, count_records, image_fingerprints, read_labels

MOST = 1.05
SIZE = (224, 224)
CLASSES = {"noun": 17, "adj": 11, "anp": 53}
Times = tuple[float, float]  # seconds by the clock, and of processors
FORK = "netgen.caffe.database_cursor.run_apart"


def main() -> int:
    """Make a dataset, read it both ways, and compare with the target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--records", type=int, default=50_000, help="of labels only")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        convert(source(options.images), DataOptions(data))
        missed = 0
        for name, job in jobs(data, options.records).items():
            missed += compare(name, job, options.rounds)
        one_record(data / "train" / "images.lmdb", options.rounds)
    return int(missed > 0)


def source(count: int) -> ImageSource:
    """Return a source of noise, which no two records share, with labels of three tasks."""
    names = {task: tuple(f"{task} {i}" for i in range(n)) for task, n in CLASSES.items()}
    items = [Item(str(i), {task: i % n for task, n in CLASSES.items()}) for i in range(count)]
    return ImageSource("noise", names, lambda: iter(items), noise, size=SIZE)


def noise(name: str) -> Pixels:
    """Return an image whose pixels depend on its name alone."""
    return np.random.default_rng(int(name)).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def jobs(data: Path, records: int) -> dict[str, Callable[[], object]]:
    """Return what commands do with databases: verify them, read their images, read their labels."""
    images = data / "train" / "images.lmdb"
    labels = {task: data.with_name(f"label_{task}.lmdb") for task in CLASSES}
    for path in labels.values():
        write_labels(path, np.arange(records) % min(CLASSES.values()))

    def whole() -> None:
        failed = [check for check in verify(data) if check.outcome is CheckOutcome.FAILED]
        assert not failed, failed

    return {
        "data verify": whole,
        "every image (audit --deep)": lambda: image_fingerprints(images),
        f"{records:,} labels of {len(labels)} tasks": lambda: read_labels(Databases(None, labels)),
    }


def compare(name: str, job: Callable[[], object], rounds: int) -> bool:
    """Time both ways by turns, print them, and return whether the target is missed."""
    both(job)  # the pages are in memory for both
    pairs = np.array([both(job, forked_first=bool(number % 2)) for number in range(rounds)])
    ours, apart = np.median(pairs, axis=0)
    ratios = pairs[:, 1] / pairs[:, 0]
    by_clock, by_processors = (
        f"{np.median(each):.3f} ({each.min():.3f} to {each.max():.3f})" for each in ratios.T
    )
    print(
        f"{name:28} {ours[0]:.3f} s, apart {apart[0]:.3f} s: {by_clock} times as long (at most"
        f" {MOST}); by processor time {by_processors}"
    )
    return float(np.median(ratios[:, 0])) > MOST


def both(job: Callable[[], object], forked_first: bool = False) -> tuple[Times, Times]:
    """Return the seconds in this process, and those in a fork."""
    if forked_first:
        apart = seconds(job)
    with patch(FORK, in_this_process):
        ours = seconds(job)
    return ours, apart if forked_first else seconds(job)


def in_this_process(
    function: Callable[..., Any], *arguments: Any, on_message: Callable[[Any], None] | None = None
) -> Any:
    """Stand in for `run_apart`."""
    return function(*arguments, *((on_message,) if on_message else ()))


def seconds(job: Callable[[], object]) -> Times:
    """Return how long a job takes, by the clock and of processors, those of forks included."""
    start, used = time.perf_counter(), processors()
    job()
    return time.perf_counter() - start, processors() - used


def processors() -> float:
    """Return the seconds of processors that this process and its ended children have taken."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def one_record(images: Path, rounds: int) -> None:
    """Print what a fork takes beside next to nothing."""
    pairs = np.array([both(lambda: count_records(images)) for _ in range(rounds * 5)])
    by_clock, by_processors = 1000 * (pairs[:, 1] - pairs[:, 0]).T
    print(
        f"{'a fork, to count records':28} {np.median(by_clock):.1f} ms ({by_clock.min():.1f} to"
        f" {by_clock.max():.1f}), of processors {np.median(by_processors):.1f};"
        f" {len(sys.modules):,} modules are loaded"
    )


if __name__ == "__main__":
    sys.exit(main())
