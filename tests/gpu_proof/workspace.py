"""A folder as a replicator has it: the committed networks and solvers, and databases to train from.

The paper's images are not ours to give: these are noise of every scale, as JPEGs of the same size,
with labels drawn at random. That costs a decoder and a GPU what photographs cost them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import simplejpeg
from google.protobuf.text_format import MessageToString
from msgspec.structs import replace
from numpy.typing import NDArray
from support.networks import write_lmdb
from support.paths import ROOT

from gpu_proof.engines import Engine
from netgen import paper
from netgen.caffe.caffe_pb2 import Datum
from netgen.caffe.schema import read_solver
from netgen.network.dataset import MTVSO, Split, split_in, write_dataset

RECORDS, TESTED = 240, 60
JPEGS, PIXELS = "data/mtvso/dataset.toml", "data/pixels/dataset.toml"
SEED = 2016
# What `netgen build` is told: nothing for the paper's networks; for a rehearsal, narrow ones.
FULL: tuple[str, ...] = ()
SMALL = ("--width", "8", "--blocks", "1,1,1,3", "--batch-size", "4")
TRAINED = ("xs", *(f"resnet50-{task}" for task in paper.TASKS))


def make(folder: Path) -> Path:
    """Write the databases of the paper's dataset, much smaller, and copy models/ and solvers/.

    `JPEGS` is what Caffe trains from; `PIXELS` the same undecoded, for commands of netgen's that
    would decode with OpenCV, which a pack is too small for.
    """
    for file, encoded in ((JPEGS, True), (PIXELS, False)):
        home, rng = folder / Path(file).parent, np.random.default_rng(SEED)
        data = replace(
            MTVSO,
            train=split_in(str(home / "train"), paper.TASKS, RECORDS),
            test=split_in(str(home / "test"), paper.TASKS, TESTED),
        )
        for split in (data.train, data.test):
            _write(split, rng, encoded=encoded)
        write_dataset(data, folder / file)
    for name in ("models", "solvers"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def make_narrow(folder: Path, engine: Engine) -> None:
    """Write narrow networks over the copies of the paper's: for a rehearsal."""
    for variant in TRAINED:
        engine.netgen(folder, "build", "--variant", variant, "--dataset", JPEGS, *SMALL)


def _write(split: Split, rng: np.random.Generator, *, encoded: bool) -> None:
    write_lmdb(Path(split.images), (_datum(picture(rng), encoded) for _ in range(split.records)))
    for task, classes in paper.TASKS.items():
        drawn = rng.integers(0, classes, split.records)
        labels = (Datum(channels=1, height=1, width=1, float_data=[value]) for value in drawn)
        write_lmdb(Path(split.labels[task]), labels)


def _datum(pixels: NDArray[np.uint8], encoded: bool) -> Datum:
    height, width, channels = pixels.shape
    if encoded:
        data = simplejpeg.encode_jpeg(pixels, quality=90, colorspace="BGR")
    else:
        data = pixels.transpose(2, 0, 1).tobytes()
    return Datum(encoded=encoded, channels=channels, height=height, width=width, data=data)


def picture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Noise of every scale, as photographs have it: its power falls with the frequency squared."""
    size = paper.IMAGE_SIZE
    total = np.zeros((size, size, 3))
    for step in (1, 4, 16, 56):
        coarse = rng.normal(0, 3 * np.sqrt(step), (size // step, size // step, 3))
        total += coarse.repeat(step, 0).repeat(step, 1)
    return np.ascontiguousarray((total + 118).clip(0, 255).astype(np.uint8))


def short_solver(folder: Path, variant: str, iterations: int, **changes: object) -> Path:
    """Write the committed solver of a variant with a few iterations, and a test at their end."""
    solver = read_solver(folder / f"solvers/{variant}.prototxt")
    solver.max_iter = solver.test_interval = iterations
    solver.display = max(1, iterations // 10)
    solver.snapshot = 0
    solver.snapshot_after_train = False
    solver.test_iter[:] = [4]
    for field, value in changes.items():
        setattr(solver, field, value)
    path = folder / f"short-{variant}.prototxt"
    path.write_text(MessageToString(solver), encoding="utf-8")
    return path
