"""A small trained network: 200 images of Fashion-MNIST, 101 to test, a few seconds of Caffe."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from data_prep.fashion_mnist import CLASSES, ITEMS, PACKAGE_FOLDER
from netgen.network.build import network_files
from netgen.network.dataset import Dataset, read_dataset, write_dataset
from netgen.paper import Recipe
from netgen.system.files import write_all
from support.networks import dataset, order, write_split

CAFFE = Path(sys.executable).parent / "caffe"
TRAIN, TEST = 200, 101  # a prime: no batch but 1 divides it
RECIPE = Recipe(
    batch_size=20, base_lr=0.02, max_iter=60, test_interval=1000, snapshot=60, display=5,
    moving_average=0.9, memory=1e6,
)  # fmt: skip
TESTED = re.compile(r"caffe\.cpp:\d+\] (top\d_\w+) = (\S+)")


@dataclass(frozen=True)
class Trained:
    """Where everything of the trained network is."""

    folder: Path

    @property
    def toml(self) -> Path:
        return self.folder / "data/dataset.toml"

    @property
    def dataset(self) -> Dataset:
        return read_dataset(self.toml)

    @property
    def network(self) -> Path:
        return self.folder / "models/xs/deploy.prototxt"

    @property
    def train_val(self) -> Path:
        return self.folder / "models/xs/train_val.prototxt"

    @property
    def weights(self) -> Path:
        return self.folder / "models/xs/snapshots/xs_iter_60.caffemodel"

    @property
    def log(self) -> Path:
        return self.folder / "xs.log"

    @property
    def images(self) -> np.ndarray:
        """The test images, N x 28 x 28."""
        return next(_fashion("t10k"))[:TEST]

    def words(self, *more: object) -> list[str]:
        """The options that name it, for `netgen eval` and `netgen predict`."""
        named = {
            "--variant": "xs", "--weights": self.weights, "--dataset": self.toml,
            "--net": self.network,
        }  # fmt: skip
        return [str(word) for pair in named.items() for word in pair] + list(map(str, more))


def train(folder: Path) -> Trained:
    """Write the data and the network, and train it."""
    trained = Trained(folder)
    data = _write_data(folder)
    ordered = order("xs", data, recipe=RECIPE, out=folder)
    write_all(network_files(ordered))
    trained.log.write_text(_caffe("train", "-solver", str(ordered.solver)))
    return trained


def caffes_own_test(trained: Trained) -> dict[str, float]:
    """What ``caffe test`` says of the network on every test image: its test batch is 1."""
    said = _caffe(
        "test", "-model", str(trained.train_val), "-weights", str(trained.weights),
        "-iterations", str(TEST),
    )  # fmt: skip
    return {name: float(value) for name, value in TESTED.findall(said)}


def _write_data(folder: Path) -> Dataset:
    (folder / "data/classes").mkdir(parents=True)
    classes = {task: len(names) for task, names in CLASSES.items()}
    data = dataset(classes, (1, 28, 28), folder=str(folder / "data"))
    tasks = []
    for task in data.tasks:
        names = folder / f"data/classes/{task.name}.txt"
        names.write_text("\n".join(CLASSES[task.name]) + "\n")
        tasks.append(replace(task, names=str(names)))
    data = replace(
        data, tasks=tuple(tasks), train=replace(data.train, records=TRAIN),
        test=replace(data.test, records=TEST),
    )  # fmt: skip
    for split, prefix in ((data.train, "train"), (data.test, "t10k")):
        images, items = (array[: split.records] for array in _fashion(prefix))
        labels = {
            task: np.array([names.index(ITEMS[item][column]) for item in items])
            for column, (task, names) in enumerate(CLASSES.items())
        }
        write_split(Path(), split, images[:, None], labels)
    write_dataset(data, folder / "data/dataset.toml")
    return data


def _fashion(prefix: str) -> Iterator[np.ndarray]:
    """The published images, N x 28 x 28, and the items on them."""
    for name, header, shape in (("images-idx3", 16, (-1, 28, 28)), ("labels-idx1", 8, (-1,))):
        content = gzip.decompress((PACKAGE_FOLDER / f"{prefix}-{name}-ubyte.gz").read_bytes())
        yield np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _caffe(*words: str) -> str:
    run = subprocess.run(
        [CAFFE, *words], stderr=subprocess.PIPE, text=True, timeout=300, check=True,
        env=os.environ | {"GLOG_logtostderr": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    return run.stderr
