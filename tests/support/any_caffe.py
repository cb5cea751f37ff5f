"""The demo's network, trained for some iterations and tested by a Caffe of any build."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from netgen.caffe.engine import find_engine
from support.data import first_published

RESULT = re.compile(r"(\w+) = ([\d.e+-]+|-?nan)")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, and give what it said."""
    result = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"GLOG_logtostderr": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout + result.stderr


def netgen(*words: str | Path, cwd: Path) -> None:
    run(sys.executable, "-c", "from netgen.commands.cli import main; main()", *words, cwd=cwd)


def train_and_evaluate(folder: Path) -> dict[str, float]:
    """Train the demo's xs for 20 iterations, test what it learned; give the test's results.

    At a quarter of the demo's rate: there, so short a training beats a guess from some starts only.
    """
    first_published(folder / "published", train=640, test=200)
    netgen(*("data", "fashion-mnist", "--source-folder", "published", "--out", "data"), cwd=folder)
    netgen(
        *("build", "--variant", "xs", "--dataset", "data/dataset.toml", "--solver-mode", "cpu"),
        *("--stem", "small", "--width", "8", "--blocks", "1,1,1,3", "--batch-size", "64"),
        *("--base-lr", "0.005", "--moving-average", "0.5", "--max-iter", "20", "--snapshot", "20"),
        cwd=folder,
    )
    caffe = find_engine().program
    said = run(caffe, "train", "-solver", "solvers/xs.prototxt", cwd=folder)
    assert "Optimization Done." in said
    weights = "models/xs/snapshots/xs_iter_20.caffemodel"
    said = run(
        *(caffe, "test", "-model", "models/xs/train_val.prototxt", "-weights", weights),
        *("-iterations", "8"),
        cwd=folder,
    )
    averages = said[said.index("Loss: ") :]
    return {name: float(value) for name, value in RESULT.findall(averages)}
