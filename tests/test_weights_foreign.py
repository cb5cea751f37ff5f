"""`netgen init --from` files of other programs: the Caffe network computes what they do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from support.caffe_child import in_caffe
from support.foreign import (
    KERAS_EPS,
    KERAS_MEAN,
    NETWORK,
    TORCHS_DEVIATION,
    TORCHS_MEAN,
    TORCHVISION,
    Array,
    Manner,
    apart,
    build_for,
    computed,
    folded,
    in_caffe_pool5,
    keras_file,
    less,
    numbers,
    onnx_model,
    photographs,
    state_dict,
)
from support.initial_weights import init, layers_of, netgen

from netgen.network.options import Conv1Bias

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

MEAN = (104.0, 117.0, 123.0)
SAME = 1e-4  # of the largest value
INITIAL = Path(NETWORK) / "initial.caffemodel"
FROM = ("--variant", "resnet50-noun", "--from")


def conv1(folder: str, images: np.ndarray) -> np.ndarray:
    """In Caffe: the first convolution's output with the initial weights."""
    import caffe

    net = caffe.Net(f"{folder}/deploy.prototxt", f"{folder}/initial.caffemodel", caffe.TEST)
    net.blobs["data"].reshape(*images.shape)
    net.blobs["data"].data[...] = images
    net.forward(end="conv1_relu")
    return np.array(net.blobs["conv1"].data)


def torchs(images: np.ndarray) -> Array:
    """Images as torchvision's networks want them."""
    return np.ascontiguousarray(less(images, TORCHS_MEAN, TORCHS_DEVIATION)[:, ::-1])


# ---- ONNX ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fold", [False, True], ids=["normalised", "folded"])
@pytest.mark.parametrize("channels_last", [False, True], ids=["NCHW", "NHWC"])
def test_onnx_of_he_s_layout_computes_the_same_in_caffe(fold: bool, channels_last: bool) -> None:
    parts = numbers(biases=True)
    manner = Manner(channels_last=channels_last)
    model = onnx_model(folded(parts) if fold else parts, manner)
    Path("other.bin").write_bytes(model.SerializeToString())
    build_for(MEAN)
    said = init(*FROM, "other.bin", "--style", "caffe").stdout
    images = less(photographs(), MEAN)
    assert apart(in_caffe_pool5(images), computed(parts, Manner(), images)) < SAME
    assert ("normalisations are folded" in said) is fold
    assert "Not used from the source: fc5." in said


def test_filters_with_folded_normalisations_get_a_length_at_which_they_learn() -> None:
    """That of the msra filler's; a folded kernel of conv1, for pixels, is far shorter."""
    model = onnx_model(folded(numbers()), Manner())
    Path("other.onnx").write_bytes(model.SerializeToString())
    build_for(MEAN)
    init(*FROM, "other.onnx", "--style", "caffe")
    for name, layer in layers_of(INITIAL).items():
        if name == "conv1" or name.startswith("res"):
            lengths = np.linalg.norm(layer.blobs[0].reshape(len(layer.blobs[0]), -1), axis=1)
            assert lengths == pytest.approx(2**0.5), name


def test_onnx_of_torchvision_s_layout_fits_the_reading_and_the_pool_that_it_has() -> None:
    parts, manner = numbers(), Manner(in_3x3=True, padded=True)
    Path("other.onnx").write_bytes(onnx_model(parts, manner).SerializeToString())
    build_for(TORCHS_MEAN, **TORCHVISION)
    init(*FROM, "other.onnx", "--style", "pytorch")
    images = photographs()
    expected = computed(parts, manner, torchs(images))
    assert apart(in_caffe_pool5(less(images, TORCHS_MEAN)), expected) < SAME


def test_half_precision_is_converted_and_told() -> None:
    parts = numbers()
    model = onnx_model(parts, Manner(half=True))
    Path("half.onnx").write_bytes(model.SerializeToString())
    build_for(MEAN)
    said = init(*FROM, "half.onnx", "--style", "caffe").stdout
    assert "arrays are in half precision" in said
    made = layers_of(INITIAL)
    assert np.array_equal(made["conv1"].blobs[0], parts["conv1"].kernel.astype(np.float16))


def test_what_netgen_exports_comes_back_and_says_its_pixels_itself() -> None:
    parts = numbers()
    Path("first.onnx").write_bytes(onnx_model(parts, Manner()).SerializeToString())
    build_for(MEAN)
    init(*FROM, "first.onnx", "--style", "caffe")
    exported = netgen("export", "--onnx", "again.onnx", "--weights", INITIAL)
    assert exported.exit_code == 0, exported.output
    images = less(photographs(), MEAN)
    before = in_caffe_pool5(images)
    assert "mean" not in init(*FROM, "again.onnx", "--force").stdout
    assert apart(in_caffe_pool5(images), before) < SAME


# ---- torchvision's names ------------------------------------------------------------------------


@pytest.mark.parametrize("bias", list(Conv1Bias))
def test_torchvision_s_names_compute_the_same_in_caffe(bias: Conv1Bias) -> None:
    parts = numbers()
    Path("other.bin").write_bytes(save(state_dict(parts)))
    build_for(TORCHS_MEAN, **TORCHVISION, conv1_bias=bias)
    said = init(*FROM, "other.bin", "--style", "pytorch").stdout
    images = photographs()
    expected = computed(parts, Manner(in_3x3=True, padded=True), torchs(images))
    assert apart(in_caffe_pool5(less(images, TORCHS_MEAN)), expected) < SAME
    assert "first pool" not in said


@pytest.mark.parametrize("first", [0x08, 0x80])
def test_safetensors_may_begin_as_onnx_or_a_pickle_does(first: int) -> None:
    """They begin with the length of their header."""
    made = (save(state_dict(numbers()), {"": " " * size}) for size in range(0, 256 * 8, 8))
    Path("other").write_bytes(next(content for content in made if content[0] == first))
    build_for(TORCHS_MEAN, **TORCHVISION)
    init(*FROM, "other", "--style", "pytorch")


def test_conversions_of_he_s_weights_have_torchvision_s_names_and_caffe_s_style() -> None:
    parts = numbers()
    names = {f"backbone.{name}": array for name, array in state_dict(parts).items()}
    Path("msra.safetensors").write_bytes(save(names))
    build_for(MEAN)
    init(*FROM, "msra.safetensors", "--style", "caffe")
    images = less(photographs(), MEAN)
    assert apart(in_caffe_pool5(images), computed(parts, Manner(), images)) < SAME


def test_another_mean_is_folded_and_is_exact_but_for_the_border() -> None:
    parts = numbers()
    Path("tv.safetensors").write_bytes(save(state_dict(parts)))
    other = (90.0, 117.0, 140.0)
    build_for(other, **TORCHVISION)
    said = init(*FROM, "tv.safetensors", "--style", "pytorch").stdout
    assert "its mean is 103.53, 116.28, 123.675 in B, G, R, the network's 90, 117, 140" in said
    images = photographs()
    ours = in_caffe(conv1, NETWORK, less(images, other), folder=Path.cwd()).value
    build_for(TORCHS_MEAN, **TORCHVISION)
    init(*FROM, "tv.safetensors", "--style", "pytorch", "--force")
    theirs = in_caffe(conv1, NETWORK, less(images, TORCHS_MEAN), folder=Path.cwd()).value
    inside = np.s_[:, :, 2:-2, 2:-2]  # 7 x 7 with stride 2 reaches 3 pixels out: two rows
    assert apart(ours[inside], theirs[inside]) < 1e-5
    assert apart(ours, theirs) > 1e-3


def test_the_first_pool_of_another_network_is_told() -> None:
    Path("tv.safetensors").write_bytes(save(state_dict(numbers())))
    build_for(TORCHS_MEAN, stride=TORCHVISION["stride"])
    said = init(*FROM, "tv.safetensors", "--style", "pytorch").stdout
    assert "`--beyond pool1=padded` builds the network that computes the same" in said


# ---- Keras --------------------------------------------------------------------------------------


@pytest.mark.parametrize("since_2019", [False, True], ids=["2016", "2019"])
def test_keras_files_compute_the_same_in_caffe(since_2019: bool) -> None:
    parts = numbers(biases=True)
    Path("keras.bin").write_bytes(keras_file(parts, since_2019))
    build_for(KERAS_MEAN)
    said = init(*FROM, "keras.bin").stdout
    images = less(photographs(), KERAS_MEAN)
    expected = computed(parts, Manner(eps=KERAS_EPS), images)
    assert apart(in_caffe_pool5(images), expected) < SAME
    assert "not one of the published files" in said


def test_a_biased_stem_starts_from_zero_and_batchnorm_has_the_bias() -> None:
    parts = numbers(biases=True)
    Path("keras.h5").write_bytes(keras_file(parts, since_2019=False))
    build_for(KERAS_MEAN)
    init(*FROM, "keras.h5")
    made = layers_of(INITIAL)
    conv1 = parts["conv1"]
    assert not made["conv1"].blobs[1].any()
    assert conv1.bias is not None
    assert made["bn_conv1"].blobs[0] == pytest.approx(conv1.mean - conv1.bias, abs=1e-6)
    assert made["scale_conv1"].blobs[1] == pytest.approx(conv1.beta)


# ---- what is told -------------------------------------------------------------------------------


def test_a_cross_residual_network_starts_from_other_programs_too() -> None:
    parts = numbers()
    Path("other.onnx").write_bytes(onnx_model(parts, Manner()).SerializeToString())
    build_for(MEAN, "xs")
    init("--variant", "xs", "--from", "other.onnx", "--style", "caffe")
    made = layers_of(Path("models/xs/initial.caffemodel"))
    for task in ("noun", "adj"):
        kernel = made[f"res5b_branch2b_{task}"].blobs[0]
        assert np.array_equal(kernel, parts["res5b_branch2b"].kernel)


def test_a_proof_runs_both_networks_and_prints_each_stage() -> None:
    Path("other.onnx").write_bytes(onnx_model(numbers(), Manner()).SerializeToString())
    build_for(MEAN)
    words = (*FROM, "other.onnx", "--style", "caffe", "--prove")
    lines = init(*words).stdout.splitlines()
    at = lines.index("Both networks on the same images, the largest difference of each stage:")
    stages = [line.split()[0] for line in lines[at + 1 : at + 7]]
    assert stages == ["conv1", "res2", "res3", "res4", "res5", "pool5"]
    assert lines[at + 7] == "  They compute the same."
    found = json.loads(init(*words, "--force", "--json").stdout)["proof"]
    assert all(0 <= one["relative"] < SAME for one in found)


def test_a_proof_fails_where_the_networks_differ() -> None:
    """The source's numbers pool from a pixel outside, the network's do not."""
    parts = numbers()
    manner = Manner(padded=True)
    Path("other.onnx").write_bytes(onnx_model(parts, manner).SerializeToString())
    build_for(MEAN)
    found = netgen("init", *FROM, "other.onnx", "--style", "caffe", "--prove")
    assert found.exit_code == 1
    assert "They differ from res2 on." in found.stdout
