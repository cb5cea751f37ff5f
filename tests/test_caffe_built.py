"""The Caffe that the recipe built: its weights, numbers, programs and Python."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from support.recipe import VENV, run

NET = """
name: "recipe"
layer {{ name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {{
  shape {{ dim: 4 dim: 3 dim: 8 dim: 8 }} shape {{ dim: 4 }}
  data_filler {{ type: "gaussian" std: 2 }} data_filler {{ type: "constant" value: 1 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 5 kernel_size: 3 weight_filler {{ type: "msra" }}
  bias_filler {{ type: "gaussian" }} }} }}
layer {{ name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" {params}
  batch_norm_param {{ use_global_stats: {frozen} }} }}
layer {{ name: "scale" type: "Scale" bottom: "bn" top: "scale"
  scale_param {{ filler {{ type: "gaussian" }} bias_term: true
  bias_filler {{ type: "gaussian" }} }} }}
layer {{ name: "{classifier}" type: "InnerProduct" bottom: "scale" top: "score"
  inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
"""


def train(
    folder: Path,
    *options: str,
    seed: int,
    frozen: str = "true",
    classifier: str = "fc",
    params: str = "",
    rate: str = "base_lr: 0",
) -> subprocess.CompletedProcess[str]:
    """Train one iteration at rate 0 in a new folder, ending in ``folder/net_iter_1.caffemodel``.

    Statistics of batches move even at rate 0, so they are frozen unless a test wants them moved.
    """
    folder.mkdir()
    net = NET.format(frozen=frozen, classifier=classifier, params=params)
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(
        f'net: "net.prototxt" {rate} lr_policy: "fixed" max_iter: 1 random_seed: {seed} '
        'snapshot_prefix: "net" solver_mode: CPU'
    )
    caffe = VENV / "bin/caffe"
    assert caffe.exists(), "Caffe is not in this environment: ./run setup builds it"
    return run(
        caffe,
        "train",
        "-solver",
        "solver.prototxt",
        *options,
        cwd=folder,
        env={"GLOG_logtostderr": "1"},
    )


def python(script: str, *, env: dict[str, str] | None = None) -> str:
    """Run a script in a Python of its own, because Caffe aborts the process on what it dislikes."""
    result = run(sys.executable, "-W", "error", "-c", textwrap.dedent(script), env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def blobs_of(folder: Path) -> dict[str, list[float]]:
    """Every blob of every layer that a training left, e.g. ``conv 0``, as a list of its numbers."""
    script = f"""
        from caffe.proto import caffe_pb2
        net = caffe_pb2.NetParameter.FromString(
            open({str(folder / "net_iter_1.caffemodel")!r}, "rb").read())
        for layer in net.layer:
            for index, blob in enumerate(layer.blobs):
                print(layer.name, index, *blob.data)
        """
    rows = [line.split() for line in python(script).splitlines()]
    return {f"{name} {index}": [float(x) for x in numbers] for name, index, *numbers in rows}


def test_caffe_train_loads_every_layer_of_the_weights_it_is_given(tmp_path: Path) -> None:
    train(tmp_path / "given", seed=1, frozen="false")
    train(tmp_path / "other", seed=2)
    weights = str(tmp_path / "given/net_iter_1.caffemodel")
    loaded = train(tmp_path / "loaded", "-weights", weights, seed=2)

    given, other = blobs_of(tmp_path / "given"), blobs_of(tmp_path / "other")
    assert [*given] == [
        *("conv 0", "conv 1"),
        *("bn 0", "bn 1", "bn 2"),
        *("scale 0", "scale 1"),
        *("fc 0", "fc 1"),
    ]
    same = [name for name in given if given[name] == other[name]]
    assert same == ["fc 1"], "the two trainings have to differ for this test to prove anything"
    assert blobs_of(tmp_path / "loaded") == given
    assert f"Finetuning from {weights}" in loaded.stderr


def test_caffe_train_fails_on_weights_that_are_not_there(tmp_path: Path) -> None:
    result = train(tmp_path / "loaded", "-weights", "nowhere.caffemodel", seed=1)
    assert result.returncode != 0
    assert "nowhere.caffemodel" in result.stderr


def test_caffe_says_which_layers_of_the_weights_the_net_does_not_have(tmp_path: Path) -> None:
    train(tmp_path / "given", seed=1, classifier="fc_old")
    weights = str(tmp_path / "given/net_iter_1.caffemodel")
    loaded = train(tmp_path / "loaded", "-weights", weights, seed=2)
    assert "Ignoring source layer fc_old\n" in loaded.stderr
    assert "Ignoring source layer conv\n" not in loaded.stderr


@pytest.mark.parametrize("params", ["", 3 * "param { lr_mult: 0 decay_mult: 0 } "])
def test_neither_rate_nor_decay_touches_the_averages_of_batchnorm(
    tmp_path: Path, params: str
) -> None:
    settings: dict[str, Any] = {"seed": 1, "frozen": "false", "params": params}
    train(tmp_path / "still", **settings)
    train(tmp_path / "moving", rate="base_lr: 0.1 weight_decay: 1", **settings)
    still, moving = blobs_of(tmp_path / "still"), blobs_of(tmp_path / "moving")
    assert still["conv 0"] != moving["conv 0"]
    for blob in ("bn 0", "bn 1", "bn 2"):
        assert still[blob] == moving[blob]


def test_squares_are_exact_products(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1000 } } }
        layer { name: "y" type: "Power" bottom: "x" top: "y" power_param { power: 2 } }
        """)
    python(f"""
        import caffe, numpy
        net = caffe.Net({str(tmp_path / "net.prototxt")!r}, caffe.TEST)
        x = numpy.random.default_rng(1).normal(size=1000).astype("float32")
        net.blobs["x"].data[:] = x
        assert (net.forward()["y"] == x * x).all()
        """)


@pytest.mark.parametrize("first", ["caffe", "cv2"])
def test_caffe_and_opencv_live_in_one_process(first: str) -> None:
    second = {"caffe": "cv2", "cv2": "caffe"}[first]
    python(f"""
        import {first}, {second}
        import cv2, numpy
        image = numpy.full((8, 8, 3), 7, numpy.uint8)
        assert (cv2.imdecode(cv2.imencode(".png", image)[1], 1) == image).all()
        """)


def test_importing_caffe_says_nothing() -> None:
    result = run(sys.executable, "-c", "import caffe")
    assert (result.stdout, result.stderr) == ("", "")


def test_pycaffes_datums_and_images_work_with_todays_numpy_and_scikit_image(tmp_path: Path) -> None:
    python(f"""
        import caffe, cv2, numpy
        image = numpy.arange(48, dtype=numpy.uint8).reshape(3, 4, 4)
        datum = caffe.io.array_to_datum(image, label=2)
        back = caffe.io.datum_to_array(datum)
        back[0, 0, 0] = 9   # the caller may write into it
        assert (back.ravel()[1:] == image.ravel()[1:]).all() and datum.label == 2
        cv2.imwrite({str(tmp_path / "grey.png")!r}, image[0])
        assert caffe.io.load_image({str(tmp_path / "grey.png")!r}, color=False).shape == (4, 4, 1)
        assert caffe.proto.caffe_pb2.TRAIN == caffe.TRAIN == 0
        assert caffe.proto.caffe_pb2.SolverParameter.SolverMode.Name(0) == "CPU"
        """)


def test_the_programs_find_their_library_without_help() -> None:
    for program in ("caffe", "convert_imageset", "compute_image_mean"):
        result = run(VENV / "bin" / program, "--version", env={"LD_LIBRARY_PATH": ""})
        assert result.returncode == 0, result.stderr


def test_a_build_tells_what_it_was_built_from() -> None:
    record = (VENV / "bin/caffe").resolve().parent.parent / "build.txt"
    told = dict(line.split(": ", 1) for line in record.read_text().splitlines())
    assert {"from", "era", "devices", "source", "flags", "key", "seconds"} <= set(told)
    assert "ffast-math" not in told["flags"]
