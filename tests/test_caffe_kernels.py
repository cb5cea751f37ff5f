"""The recipe's loops for the CPU, each against the loop of Caffe that it replaces."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.kernels import CHECKS
from support.paths import ROOT


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("check", CHECKS)
def test_a_layer_of_any_shape_computes_what_caffes_own_loop_computes(
    check: str, threads: int
) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "support.kernels", check],
        cwd=ROOT / "tests",
        env=os.environ | {"OPENBLAS_NUM_THREADS": f"{threads}", "OMP_NUM_THREADS": f"{threads}",
                          "GLOG_minloglevel": "2"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]


NET = """
layer { name: "x" type: "DummyData" top: "x" top: "y" dummy_data_param {
  shape { dim: 8 dim: 600 } shape { dim: 8 }
  data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 300 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "y" top: "loss" }
"""
STEPS = """
import caffe, sys
solver = caffe.get_solver("solver.prototxt")
solver.step(7)
for blob in solver.net.params["fc"]:
    sys.stdout.buffer.write(blob.data.tobytes() + blob.diff.tobytes())
"""


@pytest.mark.parametrize(
    "option",
    ["", "iter_size: 3", 'type: "Nesterov"', 'regularization_type: "L1"', "clip_gradients: 1"],
)
def test_a_solvers_steps_are_caffes_own_to_the_bit(option: str, tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 momentum: 0.9 weight_decay: 0.01 lr_policy: "fixed"'
        f" max_iter: 9 random_seed: 3 snapshot_after_train: false {option}"
    )
    weights = [
        subprocess.run(
            [sys.executable, "-c", STEPS], cwd=tmp_path, capture_output=True, check=True,
            timeout=60, env=os.environ | {"CAFFE_PLAIN": plain, "GLOG_minloglevel": "2"},
        ).stdout
        for plain in "01"
    ]  # fmt: skip
    assert weights[0] == weights[1]
    assert len(weights[0]) == 2 * 4 * (600 * 300 + 300)
