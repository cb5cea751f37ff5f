"""`netgen init --from` a VGG-16 of torchvision's or Keras': the Caffe network computes the same."""

from __future__ import annotations

import io
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from msgspec.structs import replace
from safetensors.numpy import save
from support.foreign import (
    KERAS_MEAN,
    TORCHS_DEVIATION,
    TORCHS_MEAN,
    apart,
    in_caffe_fc7,
    less,
)
from support.initial_weights import netgen
from support.networks import dataset, order

from netgen.network.build import network_files
from netgen.network.residual import Backbone
from netgen.system.files import write_all
from netgen.weights.weighted_layers import read_weighted_network

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

NET = Path("models/vgg16-noun")
SIDE = 64  # of images: the last maps are 2 x 2, so that their order matters
STAGES = (2, 2, 3, 3, 3)
CONVOLUTIONS = [f"conv{stage}_{i + 1}" for stage, n in enumerate(STAGES, 1) for i in range(n)]
FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision's numbers of these
MEAN = (104.0, 117.0, 123.0)
SAME = 1e-4  # of the largest value
Layers = dict[str, tuple[np.ndarray, np.ndarray]]


@pytest.fixture
def layers(in_an_empty_folder: None) -> Layers:
    """A narrow network in the folder, and random weights for it, as Oxford's files have them."""
    data = dataset({"noun": 3}, (3, SIDE, SIDE))
    data = replace(data, images=replace(data.images, mean=MEAN))
    write_all(network_files(order("vgg16-noun", data, Backbone(width=4))))
    rng = np.random.default_rng(4)
    made = {}
    for layer in read_weighted_network(NET / "train_val.prototxt").layers:
        shape, bias = layer.blobs
        scale = (2 / np.prod(shape[1:])) ** 0.5
        made[layer.name] = (
            rng.normal(0, scale, shape).astype(np.float32),
            rng.normal(0, 0.3, bias).astype(np.float32),
        )
    return made


def torchs(layers: Layers) -> bytes:
    names = dict(zip(CONVOLUTIONS, (f"features.{i}" for i in FEATURES), strict=True))
    names |= {"fc6": "classifier.0", "fc7": "classifier.3", "fc_noun": "classifier.6"}
    state: dict[str, np.ndarray] = {}
    for name, (weights, bias) in layers.items():
        state |= {f"{names[name]}.weight": weights, f"{names[name]}.bias": bias}
    return save(state)


def kerass(layers: Layers) -> bytes:
    """As Keras saves it; its first full layer reads rows, columns, then maps."""
    names = {name: re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", name) for name in CONVOLUTIONS}
    names |= {"fc6": "fc1", "fc7": "fc2", "fc_noun": "predictions"}
    content = io.BytesIO()
    with h5py.File(content, "w") as root:
        for name, (weights, bias) in layers.items():
            array = weights.transpose(2, 3, 1, 0) if weights.ndim == 4 else weights.T
            if name == "fc6":
                maps = len(layers["conv5_3"][1])
                side = round((weights.shape[1] / maps) ** 0.5)
                channels_first = weights.reshape(-1, maps, side, side)
                array = channels_first.transpose(2, 3, 1, 0).reshape(weights.shape[1], -1)
            group = root.create_group(names[name])
            group.attrs["weight_names"] = [b"kernel", b"bias"]
            group["kernel"], group["bias"] = array, bias
    return content.getvalue()


def computed(layers: Layers, images: np.ndarray) -> np.ndarray:
    """The same by numpy, in double precision, from Oxford's weights."""
    x = images.astype(np.float64)
    for stage, count in enumerate(STAGES, 1):
        for index in range(1, count + 1):
            x = np.maximum(convolved(x, *layers[f"conv{stage}_{index}"]), 0)
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
    x = x.reshape(len(x), -1)
    for name in ("fc6", "fc7"):
        weights, bias = layers[name]
        x = np.maximum(x @ weights.T.astype(np.float64) + bias, 0)
    return np.asarray(x)


def convolved(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows, kernel) + bias[:, None, None])


def of_caffe(images: np.ndarray, mean: tuple[float, ...]) -> np.ndarray:
    return in_caffe_fc7(less(images, mean))


def start(content: bytes, *options: str) -> str:
    Path("source").write_bytes(content)
    ended = netgen("init", "--variant", "vgg16-noun", "--from", "source", *options)
    assert ended.exit_code == 0, ended.output
    return str(ended.output)


def photographs() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (2, 3, SIDE, SIDE), np.uint8)


def test_kerass_vgg16_computes_what_it_did_and_its_maps_are_read_in_the_other_order(
    layers: Layers,
) -> None:
    assert "Keras' VGG16" in start(kerass(layers))
    images = photographs()
    # A convolution's padding is the mean, so only a network with Keras' own is the same everywhere.
    ours = of_caffe(images, KERAS_MEAN)
    shift = np.array(MEAN) - KERAS_MEAN
    moved = dict(layers)
    kernel, bias = layers["conv1_1"]
    moved["conv1_1"] = (kernel, bias + kernel.sum((2, 3)) @ shift.astype(np.float32))
    assert apart(ours, computed(moved, less(images, KERAS_MEAN))) < SAME


def test_torchvisions_vgg16_computes_what_it_did_on_pixels_of_its_own(layers: Layers) -> None:
    said = start(torchs(layers), "--style", "pytorch")
    assert "VGG-16 with torchvision's names" in said
    kernel, bias = layers["conv1_1"]
    own = kernel[:, ::-1] / np.reshape(TORCHS_DEVIATION, (3, 1, 1))
    shift = np.round(np.array(MEAN) - TORCHS_MEAN, 4)
    moved = dict(layers)
    moved["conv1_1"] = (own, bias + own.sum((2, 3)) @ shift)
    images = photographs()
    assert apart(of_caffe(images, MEAN), computed(moved, less(images, MEAN))) < SAME
    # And inside the image, its first layer is torchvision's on torchvision's pixels.
    torch_pixels = less(images, TORCHS_MEAN, TORCHS_DEVIATION)[:, ::-1]
    theirs = convolved(torch_pixels, kernel, bias)[..., 1:-1, 1:-1]
    inner = convolved(less(images, MEAN), *moved["conv1_1"])[..., 1:-1, 1:-1]
    assert apart(inner, theirs) < SAME


def test_a_conversion_of_oxfords_own_weights_is_copied(layers: Layers) -> None:
    start(torchs(layers), "--style", "caffe")
    images = photographs()
    assert apart(of_caffe(images, MEAN), computed(layers, less(images, MEAN))) < SAME


def refused(content: bytes, *options: str) -> str:
    Path("source").write_bytes(content)
    ended = netgen("init", "--variant", "vgg16-noun", "--from", "source", *options)
    assert ended.exit_code == 1, ended.output
    return str(ended.output)


def test_what_does_not_fit_is_refused_with_the_reason(layers: Layers) -> None:
    assert "give --style pytorch" in refused(torchs(layers))
    cut = {name: each for name, each in layers.items() if name != "conv3_2"}
    assert "neither Keras' ResNet50 nor its VGG16" in refused(kerass(cut))
    sick = dict(layers)
    sick["fc7"] = (np.full_like(layers["fc7"][0], np.nan), layers["fc7"][1])
    assert "NaN" in refused(torchs(sick), "--style", "caffe")
    normal = {f"features.{i}.running_mean": np.zeros(1, np.float32) for i in (1, 4)}
    state = {f"features.{i}.{part}": np.zeros((1, 1), np.float32)
             for i in FEATURES for part in ("weight", "bias")}  # fmt: skip
    assert "batch normalisation" in refused(save(state | normal), "--style", "caffe")


@pytest.mark.parametrize(
    ("name", "place", "array", "told"),
    [
        ("conv5_3", 0, np.float32(1), "no weights and bias of conv5_3"),
        ("conv5_3", 0, np.ones((4, 4), np.float32), "arrays of 4 x 4, "),
        ("conv1_1", 1, np.ones(5, np.float32), ", 5 for conv1_1: weights of 4 axes and a bias"),
        ("conv5_3", 0, np.ones((0, 4, 3, 3), np.float32), "arrays of 0 x 4 x 3 x 3"),
        ("fc7", 1, np.array([b"a"]), "fc7: bytes8, where a network's weights are floats"),
    ],
    ids=["a number", "a matrix", "another bias", "no maps", "text"],
)
def test_arrays_that_do_not_belong_together_are_refused(
    layers: Layers, name: str, place: int, array: np.ndarray, told: str
) -> None:
    whole = kerass(layers)
    parts = {"conv5_3": "block5_conv3", "conv1_1": "block1_conv1", "fc7": "fc2"}
    content = io.BytesIO(whole)
    with h5py.File(content, "r+") as root:
        group = root[parts[name]]
        field = ("kernel", "bias")[place]
        del group[field]
        group[field] = array.transpose(2, 3, 1, 0) if np.ndim(array) == 4 else array
    assert told in refused(content.getvalue())
