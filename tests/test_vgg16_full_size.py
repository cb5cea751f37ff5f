"""VGG-16's three rows of Table 2 at full size: 540 MB of weights, loaded, resumed and evaluated.

One row takes about a minute, 3 GiB of memory and 3 GB of disk, most of it Caffe's own: that size is
what these tests are for, because engines that read no more than 512 MiB pass at every other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.networks import dataset, make_databases
from support.recipe import VENV

from netgen import paper
from netgen.network.dataset import write_dataset

ROWS = [f"vgg16-{task}" for task in paper.TASKS]
LARGE = 2**29  # bytes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a dataset of two images of 224 x 224; cleared after the test."""
    monkeypatch.chdir(tmp_path)
    data = dataset(paper.TASKS, records=2)
    make_databases(data, tmp_path)
    write_dataset(data, tmp_path / "data/dataset.toml")
    yield tmp_path
    shutil.rmtree(tmp_path / "models")


def run(program: str, *words: object) -> str:
    """Run one of the environment's programs; return what it said."""
    result = subprocess.run(
        [VENV / "bin" / program, *map(str, words)],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "GLOG_logtostderr": "1"},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("row", ROWS)
def test_vgg16_at_full_size_is_trained_resumed_and_evaluated(row: str, folder: Path) -> None:
    def build(iterations: int) -> None:
        run(
            "netgen", "build", "--variant", row, "--dataset", "data/dataset.toml",
            "--solver-mode", "cpu", "--memory", 1000, "--batch-size", 1, "--snapshot", 1,
            "--test-interval", 1000, "--max-iter", iterations,
        )  # fmt: skip

    snapshots = folder / f"models/{row}/snapshots/{row}"
    train = ("caffe", "train", "-solver", f"solvers/{row}.prototxt")
    build(1)
    run(*train)
    weights = Path(f"{snapshots}_iter_1.caffemodel")
    assert weights.stat().st_size > LARGE

    build(2)
    resumed = run(*train, "-snapshot", f"{snapshots}_iter_1.solverstate")
    assert "Optimization Done." in resumed
    weights.unlink()

    end = f"{snapshots}_iter_2.caffemodel"
    data = ("--dataset", "data/dataset.toml")
    told = run("netgen", "eval", "--variant", row, *data, "--weights", end)
    assert "top-1" in told.lower()
