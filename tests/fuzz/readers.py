"""What netgen reads: a table of files, and of the commands that read them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save
from support import cifar100, foreign
from support.made_up import made_up, papers, planned
from support.pytorch import torch_or_skip
from support.trained_network import Trained

from netgen.pipeline.running.records import write_results

RUN, RESULT, IMAGES = "runs/xs", "results/xs.json", "results/xs.images.jsonl"
MODEL = "models/xs/snapshots/xs_iter_60.caffemodel"
FORMATS = ("jpeg", "png", "bmp", "tiff", "webp")  # five that `netgen data` decodes
PREDICT = ("predict", "photo.png", "--engine", "opencv", "--weights", "models/xs", "--json")


STUDY = """\
name = "small"
seeds = 2
varies = ["order", "split", "fillers"]
solver-mode = "cpu"

[datasets]
small = { file = "data/dataset.toml" }

[recipe]
width = 8
blocks = [1, 1, 1, 2]
stem = "small"
iterations = 6

[networks]
x0 = { variant = "x0" }
xs = { variant = "xs" }

[[sentences]]
kind = "difference"
says = "learned cross weights help"
better = "xs"
worse = "x0"
"""


@dataclass(frozen=True)
class Reader:
    """A file that a command reads.

    Attributes
    ----------
    kind
        What it is.
    file
        Where it lies in the folder that `seeds` fills; a real one is there.
    words
        The command.
    cost
        How long a case takes, in about tenths of a second: those that cost more get fewer cases.
    """

    kind: str
    file: str
    words: tuple[str, ...]
    cost: int = 1

    @property
    def with_torch(self) -> bool:
        """Whether its command loads torch."""
        return self.kind in {kind for kind, _, _ in TORCHS}


CURVES = ("figure", "curves", "--out", "out/c.png")
STARTED, STYLE = f"{foreign.NETWORK}/train_val.prototxt", ("--style", "caffe")
# As torch saves since 1.6, and before; where there is no torch, the others stay.
TORCHS = (("torch", STYLE, 4), ("old torch", STYLE, 4)) if find_spec("torch") else ()
NET, SOLVER = "models/xs/train_val.prototxt", "solvers/xs.prototxt"
READERS = (
    Reader("prototxt", NET, ("count", NET)),
    Reader("prototxt of an audit", NET, ("audit", "--net", NET), 4),
    Reader("deployed prototxt", "models/xs/deploy.prototxt", PREDICT),
    Reader("solver", SOLVER, ("audit", "--solver", SOLVER), 3),
    Reader("caffemodel", MODEL, ("audit", "--weights", MODEL), 2),
    Reader("caffemodel of a figure", MODEL, ("figure", "weights", MODEL, "--out", "out/5.png"), 4),
    Reader("caffemodel of a prediction", MODEL, PREDICT, 2),
    Reader("database of images", "data/test/images.lmdb/data.mdb", ("data", "verify", "data"), 2),
    Reader("database of labels", "data/train/label_item.lmdb/data.mdb",
           ("data", "verify", "data"), 2),
    Reader("database of an audit", "data/test/images.lmdb/data.mdb",
           ("audit", "--data", "data/dataset.toml"), 2),
    Reader("dataset.toml", "data/dataset.toml",
           ("build", "--variant", "xs", "--dataset", "data/dataset.toml", "--out", "out"), 2),
    Reader("deploy.json", "models/xs/deploy.json", PREDICT),
    Reader("list of images", "list.csv", ("data", "csv", "list.csv", "--out", "out/made"), 4),
    Reader("class list", "data/classes/item.txt", PREDICT, 2),
    Reader("Caffe's log", "xs.log", ("log", "xs.log")),
    Reader("Caffe's log of a page", "xs.log", ("page", "run", "xs.log", "--out", "out/p.html"), 4),
    Reader("Caffe's log of an audit", "xs.log", ("audit", "--log", "xs.log"), 6),
    Reader("Caffe's log of a figure", "xs.log", (*CURVES, "xs.log"), 4),
    Reader("journal", f"{RUN}/log.jsonl", ("log", RUN)),
    Reader("journal of a figure", f"{RUN}/log.jsonl", (*CURVES, RUN), 4),
    Reader("result", RESULT, ("figure", "confusion", RESULT, "--out", "out/f.png"), 6),
    Reader("result of an audit", RESULT,
           ("audit", "--results", "results", "--only", "reproduced"), 6),
    Reader("result of a page", RESULT, ("page", "results", RESULT, "--out", "out/p.html"), 6),
    Reader("images of a page", IMAGES, ("page", "results", RESULT, "--out", "out/p.html"), 6),
    Reader("database of a page", "data/test/images.lmdb/data.mdb",
           ("page", "results", RESULT, "--out", "out/p.html"), 6),
    *(Reader(kind, f"photo.{kind}", ("predict", f"photo.{kind}", *PREDICT[2:]))
      for kind in FORMATS),
    Reader("study file", "study.toml", ("study", "plan", "study.toml")),
    Reader("results of a study", "study/results.json",
           ("page", "study", "study", "--out", "out/p.html"), 4),
    Reader("study file of a page", "study/study.toml",
           ("page", "study", "study", "--out", "out/p.html"), 4),
    Reader("CIFAR-100's pickle", "cifar/train", ("data", "cifar100", "cifar", "--out", "out/made"),
           4),
    *(Reader(f"weights as {kind}", f"{kind}.weights",
             ("init", "--net", STARTED, "--from", f"{kind}.weights", *style,
              "--out", "out/i.caffemodel"), cost)
      for kind, style, cost in (("ONNX", STYLE, 2), ("safetensors", STYLE, 2), ("Keras", (), 2),
                                *TORCHS)),
    Reader("exported network", "xs.onnx", ("predict", "photo.png", "--weights", "xs.onnx")),
    # Nine whole images beside the changed one, which may be left out.
    Reader("image of a dataset", "images/a/0.jpeg",
           ("data", "folder", "images", "--out", "out/made"), 3),
)  # fmt: skip


def seeds(trained: Trained, folder: Path) -> Path:
    """Fill a folder with a real one of every file: from a real training, test and conversion."""
    shutil.copytree(trained.folder, folder, dirs_exist_ok=True)
    rows = ["path,season,size"]
    for number, pixels in enumerate(trained.images[:10]):
        for name in (f"listed/{number}.png", f"images/{'ab'[number % 2]}/{number}.jpeg"):
            _save(pixels, folder / name)
        season, size = "winter" if number % 2 else "summer", "small" if number < 5 else "large"
        rows.append(f"listed/{number}.png,{season},{size}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    for form in FORMATS:
        _save(trained.images[0], folder / f"photo.{form}")
    (folder / "study.toml").write_text(STUDY)
    (folder / "study").mkdir()
    write_results(made_up(planned(folder / "study"), papers), folder / "study/results.json")
    (folder / "cifar").mkdir()
    for name, table in cifar100.files().items():
        (folder / "cifar" / name).write_bytes(cifar100.pickled(table))
    _write_foreign(folder)
    for words in (
        ("export", "--weights", "models/xs", "--onnx", "xs.onnx"),
        ("train", "--solver", SOLVER, "--run", RUN),
        ("eval", "--variant", "xs", "--engine", "opencv", "--weights", MODEL, "--dataset",
         "data/dataset.toml", "--net", "models/xs/deploy.prototxt", "--images", "--out", RESULT),
    ):  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "netgen.commands.cli", *words], cwd=folder, check=True,
            capture_output=True, timeout=300,
        )  # fmt: skip
    return folder


def _write_foreign(folder: Path) -> None:
    """Write a network, and weights for it in the forms of other programs."""
    foreign.build_for((104.0, 117.0, 123.0), out=folder)
    parts = foreign.numbers()
    (folder / "ONNX.weights").write_bytes(
        foreign.onnx_model(parts, foreign.Manner()).SerializeToString()
    )
    (folder / "safetensors.weights").write_bytes(save(foreign.state_dict(parts)))
    (folder / "Keras.weights").write_bytes(
        foreign.keras_file(foreign.numbers(biases=True), since_2019=True)
    )
    if TORCHS:
        torch, tensor, _ = torch_or_skip()
        state = {name: tensor(value) for name, value in foreign.state_dict(parts).items()}
        torch.save(state, folder / "torch.weights")
        torch.save(state, folder / "old torch.weights", _use_new_zipfile_serialization=False)


def _save(pixels: NDArray[np.uint8], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
