"""A dataset of as many records as the paper's, and how long its end takes.

    python benchmarks/data_end.py [--records N]

The records are small synthetic images with three labels, so that what is measured is what `netgen
data` does around images: listing, planning, the databases, and the end, when everything is flushed
to the disk and moved to its place.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.convert import convert
from data_prep.image_source import ImageSource, Item, Pixels
from data_prep.request import DataOptions, StageProgress

SIDE = 32
CLASSES = {"noun": 167, "adj": 117, "anp": 553}


@dataclass
class Stages(StageProgress):
    """Notes when each stage begins."""

    begun: list[tuple[str, float]] = field(default_factory=list)

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage."""
        self.begun.append((name, time.perf_counter()))


def main() -> None:
    """Make the dataset, and print the seconds of each stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=384_258)
    count = parser.parse_args().records
    tasks = {task: tuple(map(str, range(classes))) for task, classes in CLASSES.items()}
    source = ImageSource("synthetic", tasks, lambda: listed(count), load, size=(SIDE, SIDE))
    stages = Stages()
    with tempfile.TemporaryDirectory(prefix="netgen-") as folder:
        out = Path(folder) / "out"
        convert(source, DataOptions(out, jobs=len(os.sched_getaffinity(0))), stages)
        stages.stage("end")
        size = sum(file.stat().st_blocks * 512 for file in out.rglob("*"))
    print(f"{count:,} records of 3 x {SIDE} x {SIDE}, {len(tasks)} tasks, {size / 1e9:.2f} GB")
    for (name, begin), (_, end) in zip(stages.begun, stages.begun[1:], strict=False):
        print(f"  {name:22} {end - begin:7.2f} s  {(end - begin) / count * 1e6:7.1f} us a record")
    total = stages.begun[-1][1] - stages.begun[0][1]
    print(f"  {'in all':22} {total:7.2f} s  {count / total:,.0f} records a second")


def listed(count: int) -> Iterator[Item]:
    """List synthetic images."""
    for number in range(count):
        labels = {task: number % classes for task, classes in CLASSES.items()}
        yield Item(f"{number}", labels)


def load(name: str) -> Pixels:
    """Return an image that no other has: its number, and a pattern."""
    image = np.full((SIDE, SIDE, 3), len(name), np.uint8)
    image[0, 0] = np.frombuffer(int(name).to_bytes(3, "big"), np.uint8)
    return image


if __name__ == "__main__":
    main()
