"""What every Caffe has to pass, whatever source and options it was built from.

The one examined is that of the Python that runs this, so another is examined by another Python:
`CAFFE_SOURCE=<tree> ./run setup`, then `.venv/bin/python -m pytest tests/test_any_caffe.py`.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

from data_helpers import first_published

from netgen.caffe.engine import find_engine

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


def test_it_loads_xs_trains_20_iterations_on_the_demos_data_and_evaluates(
    tmp_path: Path,
) -> None:
    results = train_and_evaluate(tmp_path)
    tasks = {"item": 10, "family": 6, "season": 3}
    for task in tasks:
        assert 0 <= results[f"top1_{task}"] <= 1
    learned = sum(results[f"loss_{task}"] for task in tasks)
    assert learned < sum(math.log(classes) for classes in tasks.values())  # a guess's loss
