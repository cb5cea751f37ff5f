"""`netgen export --onnx`: onnxruntime computes from the file what Caffe computes from ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.caffe_child import in_caffe
from support.evaluation import random_network, random_weights
from support.network_gradients import NETWORKS
from support.networks import dataset
from support.trained_network import Trained

from netgen.caffe.schema import read_net
from netgen.commands.cli import main
from netgen.network.build import network_files
from netgen.system.files import write_all
from netgen.weights.outgoing.onnx_file import ExportOptions, onnx_file
from netgen.weights.outgoing.onnx_layers import ExportError

IMAGES, SEED = 3, 2016
CLOSE = 1e-5
AS_IT_IS = ExportOptions()

Outputs = Mapping[str, NDArray[np.float32]]


def computed_by_caffe(network: str, weights: str, images: NDArray[np.float32]) -> Outputs:
    """In Caffe: all blobs of a pass."""
    import caffe

    net = caffe.Net(network, caffe.TEST, weights=weights or None)
    net.blobs[net.inputs[0]].reshape(*images.shape)
    net.blobs[net.inputs[0]].data[:] = images
    net.forward()
    return {name: np.array(blob.data) for name, blob in net.blobs.items()}


def computed_by_onnxruntime(file: Path, images: NDArray[np.float32]) -> Outputs:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {session.get_inputs()[0].name: images})
    return dict(zip([name.split("/")[0] for name in names], found, strict=True))


def apart(onnx_file: Path, network: Path, weights: Path, shape: Sequence[int]) -> float:
    """The largest difference of an output, relative to its largest number."""
    images = np.random.default_rng(SEED).normal(0, 50, (IMAGES, *shape)).astype(np.float32)
    answer = in_caffe(
        computed_by_caffe, str(network), str(weights), images, folder=network.parent
    )  # fmt: skip
    assert isinstance(answer.value, dict)
    ours = computed_by_onnxruntime(onnx_file, images)
    assert ours
    return max(
        float(np.abs(found - answer.value[name]).max() / np.abs(answer.value[name]).max())
        for name, found in ours.items()
    )


def written(network: Path, weights: Path, options: ExportOptions = AS_IT_IS) -> Path:
    file = network.with_suffix(".onnx")
    file.write_bytes(onnx_file(network, weights, None, options).content)
    return file


@pytest.mark.parametrize("fold", [False, True], ids=["as it is", "folded"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_row_of_table_2_computes_the_same(name: str, fold: bool, tmp_path: Path) -> None:
    ordered = replace(NETWORKS[name], out=tmp_path)
    write_all(network_files(ordered))
    network = ordered.folder / "deploy.prototxt"
    weights = random_weights(network)
    file = written(network, weights, ExportOptions(fold=fold))
    images = ordered.dataset.images
    assert apart(file, network, weights, (images.channels, images.height, images.width)) < CLOSE
    kept = [node.op_type for node in onnx.load(str(file)).graph.node].count("BatchNormalization")
    there = network.read_text().count('"BatchNorm"')
    # That after a sum has no convolution before it.
    assert kept == (there if not fold else len(ordered.variant.tasks) if kept else 0)


# ---- layers in any mixture ----------------------------------------------------------------------

NET = (
    'layer {{ name: "data" type: "Input" top: "data" input_param {{'
    " shape {{ dim: 1 dim: 4 dim: {h} dim: {w} }} }} }}\n"
)
ONE_INPUT = {
    "Convolution": "convolution_param {{ num_output: {c} kernel_size: {k} stride: {s} pad: {p}"
    " group: 2 bias_term: {b} }}",
    "Deconvolution": "convolution_param {{ num_output: {c} kernel_size: {k} stride: {s} }}",
    "MaxPool": "pooling_param {{ pool: MAX kernel_size: {k} stride: {s} pad: {p} }}",
    "AvePool": "pooling_param {{ pool: AVE kernel_size: {k} stride: {s} pad: {p} }}",
    "BatchNorm": "batch_norm_param {{ eps: 0.001 }}",
    "Scale": "scale_param {{ bias_term: {b} }}",
    "Bias": "",
    "ReLU": "relu_param {{ negative_slope: {x} }}",
    "ELU": "elu_param {{ alpha: {x} }}",
    "PReLU": "prelu_param {{ channel_shared: {b} }}",
    "Sigmoid": "",
    "TanH": "",
    "AbsVal": "",
    "BNLL": "",
    "Power": "power_param {{ scale: {x} shift: 1 power: 2 }}",
    "LRN": "lrn_param {{ local_size: 3 alpha: 0.01 beta: 0.75 k: 2 }}",
    "Dropout": "",
    "Softmax": "",
}


@st.composite
def prototxts(draw: st.DrawFn) -> str:
    """Draw a network of layers in a chain, with a branch and a join now and then."""
    text = NET.format(h=draw(st.integers(7, 20)), w=draw(st.integers(7, 20)))
    blob = "data"
    for number in range(draw(st.integers(2, 7))):
        kind = draw(st.sampled_from([*ONE_INPUT, "Eltwise", "Concat", "Slice"]))
        kernel = draw(st.integers(1, 3))
        values = {
            "c": draw(st.sampled_from([2, 4, 6])), "k": kernel, "s": draw(st.integers(1, 3)),
            "p": draw(st.integers(0, kernel - 1)), "b": draw(st.sampled_from(["true", "false"])),
            "x": draw(st.sampled_from([0.1, 0.5])),
        }  # fmt: skip
        name = f"l{number}"
        if kind == "Slice":
            text += (
                f'layer {{ name: "{name}" type: "Slice" bottom: "{blob}" top: "{name}a" top:'
                f' "{name}b" }}\n'
            )
            kind, name, sources = "Concat", f"{name}joined", [f"{name}b", f"{name}a"]
            param = ""
        elif kind in ("Eltwise", "Concat"):
            text += f'layer {{ name: "{name}r" type: "TanH" bottom: "{blob}" top: "{name}r" }}\n'
            sources = [blob, f"{name}r"]
            operation = draw(st.sampled_from(["SUM coeff: 0.5 coeff: -2", "SUM", "PROD", "MAX"]))
            param = f"eltwise_param {{ operation: {operation} }}" if kind == "Eltwise" else ""
        else:
            sources, param = [blob], ONE_INPUT[kind].format(**values)
            kind = {"MaxPool": "Pooling", "AvePool": "Pooling"}.get(kind, kind)
        bottoms = " ".join(f'bottom: "{source}"' for source in sources)
        text += f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{name}" {param} }}\n'
        blob = name
    return (
        f'{text}layer {{ name: "fc" type: "InnerProduct" bottom: "{blob}" top: "fc"'
        " inner_product_param { num_output: 5 } }\n"
    )


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=prototxts(), fold=st.booleans())
def test_any_mixture_of_layers_computes_the_same(
    text: str, fold: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    network = tmp_path_factory.mktemp("mixture") / "deploy.prototxt"
    network.write_text(text)
    try:
        weights = random_weights(network)
    except ValueError:
        return  # no network: an odd number of channels in two groups, nothing left to pool
    dims = list(read_net(network).layer[0].input_param.shape[0].dim)
    try:
        file = written(network, weights, ExportOptions(fold=fold))
    except ExportError as error:
        reason = str(error)
        assert "padding" in reason, reason  # the one thing of these that ONNX cannot say
        return
    assert apart(file, network, weights, dims[1:]) < 3 * CLOSE


# ---- the command --------------------------------------------------------------------------------


def export(*words: object) -> Result:
    return CliRunner().invoke(main, ["export", *map(str, words)])


WITHOUT_NETGEN = """
import json, sys
import cv2, numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
about = json.loads(session.get_modelmeta().custom_metadata_map["netgen"])
color = cv2.IMREAD_COLOR if about["channels"] == "BGR" else cv2.IMREAD_GRAYSCALE
image = cv2.imread(sys.argv[2], color).reshape(about["height"], about["width"], -1)
pixels = image.transpose(2, 0, 1)[None].astype(np.float32)
for task in about["tasks"]:
    (scores,) = session.run([task["output"]], {session.get_inputs()[0].name: pixels})
    print(task["task"], task["classes"][int(scores.argmax())])
"""


def test_twelve_lines_without_netgen_classify_an_image(trained: Trained, tmp_path: Path) -> None:
    import cv2

    file, image = tmp_path / "xs.onnx", tmp_path / "image.png"
    told = export("--weights", trained.folder / "models/xs", "--onnx", file, "--with-preprocessing")
    assert told.exit_code == 0, told.output
    cv2.imwrite(str(image), trained.images[0])
    assert len(WITHOUT_NETGEN.strip().splitlines()) <= 12
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_NETGEN, file, image], capture_output=True, text=True,
        check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    words = ["predict", image, "--weights", trained.folder / "models/xs", "--json", "--engine"]
    told = CliRunner().invoke(main, [*map(str, words), "opencv"])
    (found,) = json.loads(told.stdout)
    best = {task: guesses[0]["name"] for task, guesses in found["tasks"].items()}
    assert dict(line.split(" ", 1) for line in said.splitlines()) == best


def test_the_file_says_its_mean_where_it_does_not_subtract_it(
    trained: Trained, tmp_path: Path
) -> None:
    file = tmp_path / "xs.onnx"
    assert export("--weights", trained.folder / "models/xs", "--onnx", file).exit_code == 0
    model = onnx.load(str(file))
    about = json.loads({each.key: each.value for each in model.metadata_props}["netgen"])
    assert about["mean"] == list(trained.dataset.images.mean)
    assert [each["output"] for each in about["tasks"]] == [
        output.name for output in model.graph.output[:3]
    ]


def test_a_description_of_another_network_is_not_exported_with_it(tmp_path: Path) -> None:
    """The file would say so of itself, wherever it goes."""
    data = dataset({"item": 4, "season": 3}, (1, 28, 28))
    network, weights = random_network("xs", data, tmp_path)
    file = network.with_name("deploy.json")
    text = file.read_text()
    for ours, other, why in (
        ('"height": 28', '"height": 32', "takes images of 1 x 28 x 28, but those of"),
        ('"classes": 4', '"classes": 5', "4 outputs for item, which has 5 classes"),
    ):
        assert ours in text
        file.write_text(text.replace(ours, other))
        for kind in ("--onnx", "--safetensors"):
            made = tmp_path / "made"
            told = export("--weights", weights, "--net", network, kind, made)
            assert (told.exit_code, made.exists()) == (1, False), told.output
            assert why in told.output


def test_what_has_no_onnx_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    network = tmp_path / "deploy.prototxt"
    network.write_text(
        NET.format(h=8, w=8) + 'layer { name: "odd" type: "MVN" bottom: "data" top: "odd" }\n'
        'layer { name: "fc" type: "InnerProduct" bottom: "odd" top: "fc" inner_product_param {'
        " num_output: 2 } }"
    )
    weights, file = random_weights(network), tmp_path / "out.onnx"
    told = export("--weights", weights, "--net", network, "--variant", "xs", "--onnx", file)
    assert told.exit_code == 1
    assert "layer 'odd': no ONNX for its type MVN" in told.output
    assert not file.exists()


# ---- the file alone -----------------------------------------------------------------------------


def told_by(*words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


@pytest.fixture
def alone(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An exported network and a photograph in a folder without anything else."""
    import cv2

    monkeypatch.chdir(tmp_path)
    told = export("--weights", trained.folder / "models/xs", "--onnx", "xs.onnx")
    assert told.exit_code == 0, told.output
    cv2.imwrite("photo.png", trained.images[0])
    return tmp_path


@pytest.mark.parametrize("options", [(), ("--with-preprocessing",), ("--fold",)])
def test_an_exported_file_predicts_alone(
    options: tuple[str, ...], alone: Path, trained: Trained
) -> None:
    words = ("--weights", trained.folder / "models/xs")
    assert told_by("export", *words, "--onnx", "xs.onnx", *options).exit_code == 0
    told = told_by("predict", "photo.png", "--weights", "xs.onnx", "--json")
    assert told.exit_code == 0, told.output
    beside = told_by("predict", "photo.png", *words, "--json", "--engine", "opencv")
    expected = json.loads(beside.stdout)[0]["tasks"]
    found = json.loads(told.stdout)[0]["tasks"]
    for task, guesses in expected.items():
        assert [each["name"] for each in found[task]] == [each["name"] for each in guesses]
        for ours, theirs in zip(found[task], guesses, strict=True):
            assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-4)


def test_an_exported_file_is_evaluated_alone(alone: Path, trained: Trained) -> None:
    words = ("--dataset", trained.toml, "--out", "alone.json", "--weights", "xs.onnx")
    assert told_by("eval", *words).exit_code == 0
    one = json.loads(Path("alone.json").read_text())
    given = trained.words("--engine", "onnx", "--out", "beside.json")
    assert told_by("eval", *given).exit_code == 0
    other = json.loads(Path("beside.json").read_text())
    assert one["tasks"] == other["tasks"]
    assert one["parameters"] == other["parameters"]
    assert one["engine"] == "onnx"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--engine", "caffe"), "xs.onnx: an exported network, which onnxruntime runs: omit"),
        (("--net", "deploy.prototxt"), "xs.onnx: the network is in it: omit --net"),
        (("--variant", "x0"), "--variant x0, but the network is xs"),
        (("--gpu", "0"), "--engine onnx runs on the CPU"),
    ],
)
def test_what_contradicts_an_exported_file_is_refused(
    options: tuple[str, ...], told: str, alone: Path
) -> None:
    found = told_by("predict", "photo.png", "--weights", "xs.onnx", *options)
    assert found.exit_code in (1, 2)
    assert told in found.output


def test_onnx_of_others_and_damaged_files_are_refused(alone: Path) -> None:
    def refused() -> str:
        found = told_by("predict", "photo.png", "--weights", "xs.onnx")
        assert found.exit_code == 1, found.output
        return found.output

    model = onnx.load("xs.onnx")
    elsewhere = onnx.ModelProto()
    elsewhere.CopyFrom(model)
    tensor = elsewhere.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    Path("xs.onnx").write_bytes(elsewhere.SerializeToString())
    assert "are in another file ('../secret'), which is not opened" in refused()
    Path("xs.onnx").write_bytes(model.SerializeToString()[:-1000])
    assert "begins like ONNX, but is damaged or truncated" in refused()
    del model.metadata_props[:]
    onnx.save(model, "xs.onnx")
    assert "ONNX that does not say what it takes and gives" in refused()


def test_what_is_exported_is_not_exported_again(alone: Path) -> None:
    found = export("--weights", "xs.onnx", "--onnx", "again.onnx")
    assert "xs.onnx: exported already: give the caffemodel it was made from" in found.output
    assert not Path("again.onnx").exists()
