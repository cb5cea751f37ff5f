"""`netgen init --from` bad files of other programs: one clear line, nothing written or run."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import helper
from safetensors.numpy import save
from support.foreign import (
    BACKBONE,
    KERAS_MEAN,
    Manner,
    Parts,
    build_for,
    keras_file,
    numbers,
    onnx_model,
    state_dict,
)
from support.initial_weights import refused
from support.pytorch import torch_or_skip

from netgen.network.residual import Backbone

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

FROM = ("--variant", "resnet50-noun", "--from")
CAFFE, PYTORCH = ("--style", "caffe"), ("--style", "pytorch")


def refuse(content: bytes, *options: object, backbone: Backbone = BACKBONE) -> str:
    """Start from a file with this content, which is to fail and leave nothing."""
    build_for(KERAS_MEAN, backbone=backbone)
    Path("other.bin").write_bytes(content)
    before = sorted(Path().rglob("*"))
    message = refused(*FROM, "other.bin", *options)
    assert sorted(Path().rglob("*")) == before
    return message


def as_onnx(parts: Parts | None = None, manner: Manner | None = None) -> onnx.ModelProto:
    """The network as ONNX."""
    return onnx_model(parts or numbers(), manner or Manner())


def changed(parts: Parts, name: str, field: str, value: float) -> Parts:
    """The network with one number of a part changed."""
    getattr(parts[name], field)[0] = value
    return parts


# ---- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
@pytest.mark.parametrize(
    ("made", "options", "told"),
    [
        (lambda: as_onnx().SerializeToString(), CAFFE, ""),
        (lambda: keras_file(numbers(biases=True), True), (), "HDF5, but damaged or truncated"),
        (lambda: save(state_dict(numbers())), PYTORCH, "damaged or truncated"),
    ],
    ids=["onnx", "keras", "safetensors"],
)
def test_a_truncated_file_is_refused(
    share: float, made: Callable[[], bytes], options: tuple[str, ...], told: str
) -> None:
    content = made()
    assert told in refuse(content[: max(24, int(share * len(content)))], *options)


def test_a_file_of_5_gb_is_refused_before_it_is_read() -> None:
    build_for(KERAS_MEAN)
    for start in (b"\x08\x08", b"\x89HDF\r\n\x1a\n", b"\x00" * 7 + b"\0{"):
        with Path("huge").open("wb") as file:
            file.write(start)
            file.truncate(5 * 2**30)
        assert "too large for what it should be" in refused(*FROM, "huge", *CAFFE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    told = "NaN or infinite numbers: the training that left them diverged"
    parts = changed(numbers(biases=True), "res3a_branch2b", "mean", value)
    assert told in refuse(as_onnx(parts).SerializeToString(), *CAFFE)
    assert told in refuse(save(state_dict(parts)), *CAFFE)
    assert told in refuse(keras_file(parts, True))


def test_numbers_that_no_float32_holds_and_quantised_ones_are_refused() -> None:
    state = state_dict(numbers())
    large = {name: array.astype(np.float64) for name, array in state.items()}
    large["layer2.0.conv1.weight"].flat[0] = 1e300
    assert "too large for float32" in refuse(save(large), *PYTORCH)
    for quantised in (np.int8, np.bool_):
        state["conv1.weight"] = np.ones_like(state["conv1.weight"], quantised)
        assert "conv1.weight: whole numbers" in refuse(save(state), *PYTORCH)


def test_a_negative_variance_is_refused() -> None:
    parts = changed(numbers(), "conv1", "variance", -1.0)
    assert "a negative variance" in refuse(as_onnx(parts).SerializeToString(), *CAFFE)
    assert "bn1.running_var: a negative variance" in refuse(save(state_dict(parts)), *CAFFE)


def test_missing_statistics_are_named() -> None:
    state = state_dict(numbers())
    del state["layer2.1.bn2.running_var"]
    told = refuse(save(state), *PYTORCH)
    assert "layer2.1.bn2.running_var is not in it: BatchNorm's statistics of every layer" in told
    content = io.BytesIO(keras_file(numbers(biases=True), True))
    with h5py.File(content, "r+") as root:
        group = root["conv3_block1_2_bn"]
        group.attrs["weight_names"] = group.attrs["weight_names"][:2]
    assert "conv3_block1_2_bn: 2 arrays, where it has gamma, beta, mean" in refuse(
        content.getvalue()
    )


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    state = state_dict(numbers())
    state["layer1.0.bn2.bias"] = state["layer1.0.bn2.bias"][:-1]
    told = refuse(save(state), *CAFFE)
    assert "arrays of 4 x 4 x 3 x 3, 3, 4 for res2a_branch2b: a kernel has four axes" in told


# ---- other networks -----------------------------------------------------------------------------


def test_another_depth_is_told_with_the_option_that_builds_it() -> None:
    state = state_dict(numbers())
    state |= {
        name.replace("layer3.0", "layer3.1"): array
        for name, array in state.items()
        if name.startswith("layer3.0") and "downsample" not in name
    }
    told = refuse(save(state), *CAFFE)
    assert "1,2,2,2 blocks in its stages, 1,2,1,2 in models/resnet50-noun/train_val" in told
    assert "--blocks 1,2,2,2" in told


def test_another_width_is_told_with_the_option_that_builds_it() -> None:
    told = refuse(save(state_dict(numbers())), *CAFFE, backbone=Backbone(8, BACKBONE.blocks))
    assert "a first convolution of 6 filters before stages of width 4, 8 and 8 in" in told
    assert "build the network with --width 6,4" in told


def test_a_stride_elsewhere_is_refused_with_the_reading_that_has_it_there() -> None:
    told = refuse(save(state_dict(numbers())), *PYTORCH)
    assert "res3a_branch2b: stride 1 in the file, 2 in" not in told
    assert "res3a_branch2a: stride 1 in the file, 2 in the network (`--reading stride`" in told


def test_a_file_that_does_not_say_its_pixels_needs_a_style() -> None:
    told = refuse(as_onnx().SerializeToString())
    assert "ONNX does not say what a pixel is: give --style caffe" in told
    told = refuse(save(state_dict(numbers())))
    assert "give --style pytorch (torchvision, timm) or --style caffe" in told


def test_a_style_is_not_for_files_that_say_it() -> None:
    assert "omit --style" in refuse(keras_file(numbers(biases=True), False), *CAFFE)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("features.0.weight", "AlexNet is not CaffeNet"),
        ("conv1.0.weight", "a stem of three convolutions"),
        ("encoder.embed", "no ResNet of torchvision's names: it has embed"),
    ],
)
def test_other_networks_of_torch_are_told_why_not(name: str, told: str) -> None:
    assert told in refuse(save({name: np.ones(3, np.float32)}), *PYTORCH)


def test_blocks_of_two_convolutions_are_told() -> None:
    state = {k: v for k, v in state_dict(numbers()).items() if "conv3" not in k and "bn3" not in k}
    assert "blocks of two convolutions (ResNet-18, -34)" in refuse(save(state), *PYTORCH)


def test_hdf5_of_something_else_is_told() -> None:
    content = io.BytesIO()
    with h5py.File(content, "w") as root:
        root["table"] = np.ones(3)
    assert "HDF5 without layers of Keras'" in refuse(content.getvalue())


# ---- ONNX ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["weights.bin", "../../etc/passwd", "/etc/passwd"])
def test_onnx_whose_numbers_are_elsewhere_is_refused_and_nothing_is_opened(place: str) -> None:
    model = as_onnx()
    tensor = model.graph.initializer[4]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    told = refuse(model.SerializeToString(), *CAFFE)
    assert f"are in another file ({place!r}), which is not opened: save it in one file" in told


def test_unknown_operators_are_named() -> None:
    model = as_onnx()
    model.graph.node.append(helper.make_node("Resize", ["image"], ["x"]))
    model.graph.node.append(helper.make_node("Fancy", ["image"], ["y"], domain="evil"))
    told = refuse(model.SerializeToString(), *CAFFE)
    assert "operators that no ResNet-50 has: Resize, evil.Fancy" in told


@pytest.mark.parametrize(
    ("operator", "attribute", "value", "told"),
    [
        ("Conv", "group", 2, "groups, as in a ResNeXt"),
        ("Conv", "dilations", [2, 2], "a dilated kernel"),
        ("Conv", "pads", [0, 0, 0, 0], "pads (0, 0, 0, 0), stride 2: not He's window"),
        ("MaxPool", "kernel_shape", [2, 2], "windows of (2, 2), stride 2"),
        ("BatchNormalization", "training_mode", 1, "in training mode"),
    ],
)
def test_layers_that_compute_something_else_are_named(
    operator: str, attribute: str, value: object, told: str
) -> None:
    model = as_onnx()
    node = next(node for node in model.graph.node if node.op_type == operator)
    kept = [each for each in node.attribute if each.name != attribute]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(attribute, value)])
    assert told in refuse(model.SerializeToString(), *CAFFE)


@pytest.mark.parametrize(
    ("operator", "attribute"), [("Conv", "pads"), ("BatchNormalization", "epsilon")]
)
def test_attributes_of_no_type_are_damage(operator: str, attribute: str) -> None:
    model = as_onnx()
    node = next(node for node in model.graph.node if node.op_type == operator)
    next(each for each in node.attribute if each.name == attribute).ClearField("type")
    told = refuse(model.SerializeToString(), *CAFFE)
    assert "ONNX with an attribute that its operator has not" in told


def test_weights_that_are_not_stored_are_refused() -> None:
    model = as_onnx()
    missing = model.graph.initializer.pop(0).name
    told = refuse(model.SerializeToString(), *CAFFE)
    assert f"its input 1 ('{missing}') is computed by the graph, not stored" in told


# ---- pickles ------------------------------------------------------------------------------------


class Payload:
    """What a pickle runs when it is loaded as pickles are."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (_touch, ("touched",))


def _touch(name: str) -> None:
    Path(name).touch()


@pytest.mark.parametrize("kind", ["bare", "zip"])
def test_a_pickle_with_code_is_refused_and_nothing_runs(kind: str) -> None:
    torch_or_skip()
    content = pickle.dumps({"conv1.weight": Payload()})
    if kind == "zip":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("archive/data.pkl", content)
            file.writestr("archive/version", "3")
        content = archive.getvalue()
    told = refuse(content, *PYTORCH)
    assert "which could execute anything: refused, and nothing of it was run" in told
    assert not Path("touched").exists()


@pytest.mark.parametrize(
    "content",
    [b"\x80\x02.", b"\x80\x02e.", b"\x80\x02\x88K\x01K\x02s."],
    ids=["nothing on its stack", "no list", "a number as a dict"],
)
def test_a_pickle_that_no_program_wrote_is_damaged(content: bytes) -> None:
    torch_or_skip()
    assert "begins like a file of torch's, but is damaged" in refuse(content, *PYTORCH)


def test_torchscript_is_refused_and_nothing_of_it_runs() -> None:
    torch = torch_or_skip().torch

    class Program(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self) -> bool:
            return self.training

        @torch.jit.export  # type: ignore[untyped-decorator]
        def __getstate__(self) -> bool:
            return self.training

        @torch.jit.export  # type: ignore[untyped-decorator]
        def __setstate__(self, state: bool) -> None:
            torch.save(torch.ones(1), "touched")
            self.training = state

    saved = io.BytesIO()
    torch.jit.save(torch.jit.script(Program()), saved)
    told = refuse(saved.getvalue(), *PYTORCH)
    assert "TorchScript, a program: refused, and nothing of it was run" in told
    assert not Path("touched").exists()
    torch.jit.load(io.BytesIO(saved.getvalue()))
    assert Path("touched").exists()


def test_a_package_is_told_apart_and_the_weights_in_it_are_named() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("package/__init__.py", "")
        file.writestr("package/open-nsfw.onnx", b"\x08")
    told = refuse(content.getvalue(), *CAFFE)
    assert "a zip archive, not torch's: unpack it, and give the weights that it holds" in told
    assert "holds: package/open-nsfw.onnx" in told


@pytest.mark.parametrize("start", [b"\x80\x02}q\x00.", b"PK\x03\x04" + b"\0" * 40])
def test_a_pickle_without_torch_is_refused_with_the_package(
    start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    told = refuse(start, *PYTORCH)
    assert (
        "needs the package torch, which this Python does not have: pip install 'netgen[torch]'"
        in told
    )
