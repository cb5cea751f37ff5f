"""The recipe's loops for the CPU, each against the loop of Caffe that it replaces."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.kernels import CHECKS
from support.paths import ROOT

from netgen.caffe.engine import find_engine


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
def test_a_solvers_steps_are_caffes_own_but_for_rounding(option: str, tmp_path: Path) -> None:
    """Some BLAS round a product before they add it, and only at the end of an array."""
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
    ours, theirs = (np.frombuffer(each, np.float32) for each in weights)
    assert ours.size == 2 * (600 * 300 + 300)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * np.abs(theirs).max())


CHAIN = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } } }
layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" }
layer { name: "scale" type: "Scale" bottom: "y" top: "y" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
"""
WATCH = """
import caffe, numpy, sys
net = caffe.Net("net.prototxt", caffe.TRAIN)
net.blobs["x"].data[...] = numpy.random.default_rng(1).normal(size=(4, 3, 8, 8))
seen = []
if "watched" in sys.argv:
    net.after_forward(lambda layer: seen.append(float(abs(net.blobs["y"].data).sum())))
net.forward()
net.blobs["y"].diff[...] = numpy.random.default_rng(2).normal(size=(4, 3, 8, 8))
if "changed" in sys.argv:   # between the passes, as Caffe's own loops would see it
    net.params["scale"][1].data[...] += 3
    net.blobs["y"].data[:, 0] = 0
net.backward()
print(*seen, *numpy.abs(net.blobs["x"].diff).sum((0, 2, 3)))
"""


@pytest.mark.parametrize("how", ["watched", "changed", "plainly"])
def test_layers_computed_together_are_seen_as_if_one_by_one(how: str, tmp_path: Path) -> None:
    if how == "watched" and find_engine().build.get("era") == "2016":
        pytest.skip("pycaffe of 2016 calls nobody back")
    (tmp_path / "net.prototxt").write_text(CHAIN)
    ours, theirs = (
        [
            float(number)
            for number in subprocess.run(
                [sys.executable, "-c", WATCH, how], cwd=tmp_path, capture_output=True, text=True,
                check=True, timeout=60,
                env=os.environ | {"CAFFE_PLAIN": plain, "GLOG_minloglevel": "2"},
            ).stdout.split()
        ]
        for plain in "01"
    )  # fmt: skip
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert len(ours) == (3 + 4 if how == "watched" else 3)


def test_an_empty_batch_is_scaled(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(
        CHAIN.replace(
            'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" }\n', ""
        ).replace('type: "Scale" bottom: "y"', 'type: "Scale" bottom: "x"')
    )  # fmt: skip
    script = (
        "import caffe; net = caffe.Net('net.prototxt', caffe.TEST)\n"
        "net.blobs['x'].reshape(0, 3, 8, 8); net.forward()"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)
