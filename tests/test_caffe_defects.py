"""Defects of Caffe's sources that the recipe mends, whichever source it builds."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import lmdb
import numpy as np
import pytest
from support.paths import ROOT
from support.recipe import VENV

from netgen.caffe.caffe_pb2 import BlobProto, BlobShape, Datum


def run_python(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, which Caffe may end."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env=os.environ | {"GLOG_minloglevel": "2", "GLOG_logtostderr": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def blob(name: str, *shape: int) -> str:
    dims = " ".join(f"dim: {length}" for length in shape)
    return (
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {dims} }} }} }}\n"
    )


def load(net: str, folder: Path, *, then: str = "") -> subprocess.CompletedProcess[str]:
    """Load a net, then run what is left of a script on it."""
    (folder / "net.prototxt").write_text(net)
    return run_python(
        "import caffe, numpy as np\nnet = caffe.Net('net.prototxt', caffe.TRAIN)\n" + then, folder
    )


# ---- shapes and labels --------------------------------------------------------------------------


@pytest.mark.parametrize("other", [(1, 64, 16, 16), (1, 15, 32, 32)], ids=["as many", "fewer"])
def test_a_sum_of_blobs_of_two_shapes_is_refused(other: tuple[int, ...], tmp_path: Path) -> None:
    net = blob("a", 1, 16, 32, 32) + blob("b", *other)
    net += 'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }'
    result = load(net, tmp_path)
    assert result.returncode != 0
    assert "bottom[0]: 1 16 32 32" in result.stderr


def test_a_scale_of_another_length_is_refused(tmp_path: Path) -> None:
    net = blob("a", 1, 16, 4, 4) + blob("factors", 15)
    net += 'layer { name: "scale" type: "Scale" bottom: "a" bottom: "factors" top: "scaled" }'
    result = load(net, tmp_path)
    assert result.returncode != 0
    assert "dimension mismatch" in result.stderr


@pytest.mark.parametrize("layer", ["SoftmaxWithLoss", "Accuracy"])
@pytest.mark.parametrize("label", [-1, 3, 1000000, float("nan")])
def test_a_label_outside_the_classes_is_refused_by_name(
    layer: str, label: float, tmp_path: Path
) -> None:
    net = blob("scores", 2, 3) + blob("label", 2)
    net += f'layer {{ name: "noun" type: "{layer}" bottom: "scores" bottom: "label" top: "out" }}'
    then = f"net.blobs['label'].data[1] = {label!r}\n".replace("nan", "np.nan") + "net.forward()\n"
    result = load(net, tmp_path, then=then)
    assert result.returncode != 0
    assert "noun: label " in result.stderr
    assert "is outside the classes 0 to 2" in result.stderr


def test_scores_that_are_nan_are_no_right_answer(tmp_path: Path) -> None:
    net = blob("scores", 4, 3) + blob("label", 4)
    net += 'layer { name: "top1" type: "Accuracy" bottom: "scores" bottom: "label" top: "top1" }'
    then = """
net.blobs['scores'].data[...] = np.nan
net.blobs['label'].data[...] = [0, 1, 2, 0]
print(float(net.forward()['top1']))
"""
    result = load(net, tmp_path, then=then)
    assert result.returncode == 0, result.stderr
    build = (VENV / "bin/caffe").resolve().parent.parent / "build.txt"
    if "era: 1.0" in build.read_text():
        assert result.stdout == "0.0\n"
    else:  # it sorts, and NaN comes anywhere
        assert float(result.stdout) <= 0.5


# ---- solvers ------------------------------------------------------------------------------------

SOLVER = 'net: "net.prototxt" base_lr: 1 max_iter: 1 snapshot_after_train: false '
TRAINED = blob("x", 2, 3) + (
    'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param {'
    " num_output: 1 } }\n"
    'layer { name: "loss" type: "Reduction" bottom: "fc" top: "loss" loss_weight: 1 }'
)


def test_steps_without_a_stepsize_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(TRAINED)
    (tmp_path / "solver.prototxt").write_text(SOLVER + 'lr_policy: "step" gamma: 0.1')
    script = "import caffe; caffe.SGDSolver('solver.prototxt').step(1)"
    result = run_python(script, tmp_path)
    assert result.returncode == -6, result.stderr  # a CHECK; a division by zero would be -8
    assert "stepsize" in result.stderr


def test_a_solver_in_python_applies_its_update_when_asked(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(TRAINED)
    (tmp_path / "solver.prototxt").write_text(SOLVER + 'lr_policy: "fixed"')
    script = """
        import caffe, numpy as np
        solver = caffe.SGDSolver('solver.prototxt')
        weights = solver.net.params['fc'][0]
        weights.diff[...] = 2
        solver.apply_update()
        assert (weights.data == -2).all(), weights.data
        """
    assert run_python(script, tmp_path).returncode == 0


def test_what_lies_below_a_frozen_batch_normalisation_is_not_gone_back_through(
    tmp_path: Path,
) -> None:
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    net = blob("x", 2, 3, 4, 4) + (
        'layer { name: "conv" type: "Convolution" bottom: "x" top: "conv" convolution_param {'
        f" num_output: 4 kernel_size: 1 }} {frozen} }}\n"
        'layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }\n'
        f'layer {{ name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param {{'
        f" bias_term: true }} {frozen} }}\n"
        'layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param {'
        " num_output: 1 } }\n"
        'layer { name: "loss" type: "Reduction" bottom: "fc" top: "loss" loss_weight: 1 }'
    )
    then = """
for blobs in net.params.values():
    for blob in blobs:
        blob.diff[...] = 7   # gradients are added to what is there
net.forward()
net.backward()
for name, blobs in net.params.items():
    print(name, all((blob.diff == 7).all() for blob in blobs))
"""
    result = load(net, tmp_path, then=then)
    assert result.stdout.split("\n") == ["conv True", "bn True", "scale True", "fc False", ""]


# ---- encoded images with a mean file ------------------------------------------------------------


@pytest.mark.parametrize("crop", [0, 6])
@pytest.mark.parametrize("mirror", ["true", "false"])
def test_encoded_images_lose_the_mean_of_their_own_pixels(
    crop: int, mirror: str, tmp_path: Path
) -> None:
    import cv2

    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (8, 10, 3), np.uint8)
    mean = rng.integers(0, 256, (3, 8, 10)).astype(np.float32)
    with lmdb.open(str(tmp_path / "images"), map_size=1 << 20) as env, env.begin(write=True) as put:
        png = cv2.imencode(".png", image)[1].tobytes()
        put.put(b"0", Datum(encoded=True, data=png).SerializeToString())
    proto = BlobProto(shape=BlobShape(dim=(1, *mean.shape)), data=mean.ravel().tolist())
    (tmp_path / "mean.binaryproto").write_bytes(proto.SerializeToString())
    net = f"""layer {{ name: "data" type: "Data" top: "data"
      data_param {{ source: "images" backend: LMDB batch_size: 16 }}
      transform_param {{ mean_file: "mean.binaryproto" mirror: {mirror} crop_size: {crop} }} }}"""
    result = load(net, tmp_path, then="net.forward(); np.save('read', net.blobs['data'].data)")
    assert result.returncode == 0, result.stderr

    expected = image.transpose(2, 0, 1) - mean
    size = (crop or 8, crop or 10)
    windows = [
        expected[:, y : y + size[0], x : x + size[1]]
        for y in range(9 - size[0])
        for x in range(11 - size[1])
    ]
    allowed = {window.tobytes() for window in windows}
    if mirror == "true":
        allowed |= {window[:, :, ::-1].tobytes() for window in windows}
    seen = {one.tobytes() for one in np.load(tmp_path / "read.npy")}
    assert seen <= allowed
    assert len(seen) > (mirror == "true" or crop > 0)


# ---- pycaffe ------------------------------------------------------------------------------------


def test_pycaffes_classifier_takes_images_of_any_size(tmp_path: Path) -> None:
    net = blob("data", 10, 3, 20, 20) + (
        'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param {'
        ' num_output: 4 weight_filler { type: "xavier" } } }\n'
        'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }'
    )
    then = """
net.save('w.caffemodel')
image = np.random.default_rng(1).random((40, 50, 3), dtype='f4')
for oversample in (True, False):
    classifier = caffe.Classifier('net.prototxt', 'w.caffemodel', image_dims=(33, 31))
    found = classifier.predict([image], oversample=oversample)
    assert found.shape == (1, 4) and abs(found.sum() - 1) < 1e-5, found
"""
    result = load(net, tmp_path, then=then)
    assert result.returncode == 0, result.stderr


def test_pycaffes_forward_backward_all_takes_more_images_than_a_batch(tmp_path: Path) -> None:
    net = (
        "force_backward: true\n"
        + blob("data", 4, 3)
        + (
            'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param {'
            " num_output: 5 } }"
        )
    )
    then = """
data, diff = np.ones((7, 3), 'f4'), np.ones((7, 5), 'f4')
blobs, diffs = net.forward_backward_all(blobs=['data'], data=data, fc=diff)
assert blobs['fc'].shape == (7, 5) and blobs['data'].shape == (7, 3), blobs
assert diffs['data'].shape == (7, 3)
blobs, diffs = net.forward_backward_all(data=data)
assert diffs['data'].shape == (7, 3)
"""
    result = load(net, tmp_path, then=then)
    assert result.returncode == 0, result.stderr


# ---- Python layers ------------------------------------------------------------------------------

DOUBLE = """
import caffe
open("imported", "w").close()
class Double(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data
    def backward(self, top, propagate_down, bottom): bottom[0].diff[...] = 2 * top[0].diff
"""
DOUBLED = blob("x", 2, 3) + (
    'layer { name: "double" type: "Python" bottom: "x" top: "y" python_param {'
    ' module: "double" layer: "Double" } }'
)


@pytest.fixture
def doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a layer in Python, and a net that has it."""
    (tmp_path / "double.py").write_text(DOUBLE)
    (tmp_path / "net.prototxt").write_text(DOUBLED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_layer_written_in_python_runs_in_python(doubled: Path) -> None:
    then = "net.blobs['x'].data[...] = 3\nassert (net.forward()['y'] == 6).all()\n"
    result = load(DOUBLED, doubled, then=then)
    assert result.returncode == 0, result.stderr


def test_a_layer_written_in_python_runs_in_the_program(doubled: Path) -> None:
    # Its Python is the distribution's, which does not know the virtual environment.
    script = (
        "import caffe, numpy; print(caffe.__path__[0] + '/..', numpy.__path__[0] + '/..', sep=':')"
    )
    packages = run_python(script, doubled).stdout.strip()
    words = ["time", "-phase", "TRAIN", "-model", "net.prototxt", "-iterations=1"]
    env = {"PYTHONPATH": f"{doubled}:{packages}", "GLOG_logtostderr": "1", "GLOG_minloglevel": "0"}
    result = subprocess.run(
        [VENV / "bin/caffe", *words], cwd=doubled, env=os.environ | env,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Average Forward-Backward" in result.stderr


@pytest.mark.parametrize(
    "words", [["count", "net.prototxt"], ["audit", "--net", "net.prototxt"]], ids=lambda w: w[0]
)
def test_who_only_reads_a_net_never_runs_its_python(doubled: Path, words: list[str]) -> None:
    result = subprocess.run(
        [VENV / "bin/netgen", *words], cwd=doubled, env=os.environ | {"PYTHONPATH": f"{ROOT}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    assert not (doubled / "imported").exists()
