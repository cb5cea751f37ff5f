"""The speed of `netgen eval` on a test set, compared with `caffe test` on the same data.

    python benchmarks/evaluation.py [--folder demo] [--dataset FILE] [--rounds N]

Run from the repository's root after `./run demo`, which trains the default network. By turns, so
that a machine that slows down slows all: `caffe test`, `netgen eval --engine caffe`, `--engine
opencv` and `--engine onnx`, each over the whole test set, in the same batches. A rate is images per
second from the end of the first batch to the end of the last; starting up, and reading the labels
of the training set, which only netgen does, come before that and are printed too. The targets:
0.95, 1.2 and 2.5 times.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from netgen.caffe.schema import layers_in, read_net
from netgen.evaluation.evaluate import EvaluationRequest, evaluate
from netgen.evaluation.scoring import ENGINES, EngineName
from netgen.network.dataset import Dataset, read_dataset
from netgen.network.variants import find

TARGETS = {"caffe": 0.95, "opencv": 1.2, "onnx": 2.5}
BATCH = re.compile(r" (\d+:\d+:\d+\.\d+) .*\] Batch (\d+),")
# One thread: with more, OpenBLAS is slower on small images, and less steady. OpenCV uses all.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "GLOG_logtostderr": "1"}


@dataclass(frozen=True)
class Timed:
    """Images per second after the first batch, and the seconds of the whole program."""

    rate: float
    seconds: float


@dataclass(frozen=True)
class Subject:
    """What is tested: the demo's network, weights and data."""

    dataset: Dataset
    folder: Path
    batch: int

    @property
    def weights(self) -> Path:
        """The newest snapshot."""
        found = sorted(self.folder.glob("models/xs/snapshots/*.caffemodel"), key=_age)
        return found[-1]

    def by_caffe_test(self) -> Timed:
        """Run `caffe test`."""
        batches = self.dataset.test.records // self.batch
        start = time.monotonic()
        log = subprocess.run(
            [Path(sys.prefix) / "bin/caffe", "test", "-iterations", str(batches),
             "-model", self.folder / "models/xs/train_val.prototxt", "-weights", self.weights],
            capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
        seconds = time.monotonic() - start
        ends = {
            int(index): datetime.strptime(at, "%H:%M:%S.%f") for at, index in BATCH.findall(log)
        }
        took = (ends[batches - 1] - ends[0]).total_seconds() % 86_400
        return Timed(self.batch * (batches - 1) / took, seconds)

    def by_netgen(self, engine: EngineName) -> Timed:
        """Run `netgen eval`, without its table."""
        names = [task.name for task in self.dataset.tasks]
        network = self.folder / "models/xs/deploy.prototxt"
        request = EvaluationRequest(
            find("xs", names), self.dataset, network, self.weights, engine, batch=self.batch
        )
        ends: list[float] = []
        start = time.monotonic()
        result = evaluate(request, lambda _: ends.append(time.monotonic()))
        seconds = time.monotonic() - start
        return Timed((result.records - self.batch) / (ends[-1] - ends[0]), seconds)


def _age(file: Path) -> float:
    return file.stat().st_mtime


def spread(values: list[float]) -> str:
    """Write a median with the lowest and the highest."""
    return f"{statistics.median(values):.4g} (from {min(values):.4g} to {max(values):.4g})"


def main() -> int:
    """Time all three by turns and print the ratios; exit code 1 below a target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("demo"))
    parser.add_argument("--dataset", type=Path, default=Path("data/fashion-mnist/dataset.toml"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    train_val = options.folder / "models/xs/train_val.prototxt"
    if not train_val.exists():
        parser.error(f"{train_val} does not exist: ./run demo makes it")
    batch = layers_in(read_net(train_val), "TEST")[0].data_param.batch_size
    subject = Subject(read_dataset(options.dataset), options.folder, batch)

    os.environ.update(ENVIRONMENT)
    runs: dict[str, Callable[[], Timed]] = {"caffe test": subject.by_caffe_test}
    runs |= {engine: partial(subject.by_netgen, engine) for engine in ENGINES}
    timed: dict[str, list[Timed]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            timed[name].append(run())

    print(
        f"{subject.dataset.test.records:,} images in batches of {batch}, median of"
        f" {options.rounds} rounds by turns"
    )
    met = True
    for name, values in timed.items():
        rates, seconds = [t.rate for t in values], [t.seconds for t in values]
        print(f"  {name:<11} {spread(rates)} images/s; {spread(seconds)} s in all")
    for engine, target in TARGETS.items():
        pairs = zip(timed[engine], timed["caffe test"], strict=True)
        ratios = [ours.rate / caffes.rate for ours, caffes in pairs]
        print(f"  --engine {engine}: {spread(ratios)} times `caffe test`; target {target}")
        met = met and statistics.median(ratios) >= target
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
