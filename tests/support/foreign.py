"""A narrow ResNet with random weights and statistics, as the files of other programs have it.

What it computes is said by an ONNX graph that is written here from the numbers and run by
onnxruntime: nothing of netgen's takes part.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from netgen.network.build import network_files
from netgen.network.options import Pool1, Stride
from netgen.network.residual import Backbone
from netgen.system.files import write_all
from support.caffe_child import in_caffe
from support.initial_weights import pools
from support.networks import dataset, order

Array = NDArray[np.float32]
DEPTH, CONV1, WIDTH, SIDE = (1, 2, 1, 2), 6, 4, 64
BACKBONE = Backbone(WIDTH, DEPTH, conv1=CONV1)
CLASSES = 5
NETWORK = "models/resnet50-noun"
TORCHVISION: dict[str, Any] = {"stride": Stride.IN_3X3, "pool1": Pool1.PADDED}
# In B, G, R of 0 to 255.
TORCHS_MEAN = (0.406 * 255, 0.456 * 255, 0.485 * 255)
TORCHS_DEVIATION = (0.225 * 255, 0.224 * 255, 0.229 * 255)
KERAS_MEAN = (103.939, 116.779, 123.68)
EPS, KERAS_EPS = 1e-5, 1.001e-5


@dataclass(frozen=True)
class Part:
    """A convolution, kernel (out, in, H, W), its bias, and its normalisation."""

    kernel: Array
    bias: Array | None
    gamma: Array
    beta: Array
    mean: Array
    variance: Array


Parts = dict[str, Part]


def blocks() -> Iterator[tuple[str, int, int]]:
    """Yield He's name of each block, its stage from 2, and its number from 0."""
    for stage, count in enumerate(DEPTH, 2):
        for number in range(count):
            yield f"res{stage}{'abc'[number]}", stage, number


def numbers(seed: int = 0, biases: bool = False) -> Parts:
    """Random weights and statistics, by He's names."""
    rng = np.random.default_rng(seed)

    def part(out: int, into: int, side: int) -> Part:
        kernel = rng.normal(0, (2 / (into * side * side)) ** 0.5, (out, into, side, side))
        parts = [
            rng.uniform(0.5, 1.5, out), rng.normal(0, 0.2, out), rng.normal(0, 0.3, out),
            rng.uniform(0.5, 2, out),
        ]  # fmt: skip
        bias = rng.normal(0, 0.3, out).astype(np.float32) if biases else None
        return Part(kernel.astype(np.float32), bias, *(p.astype(np.float32) for p in parts))

    found = {"conv1": part(CONV1, 3, 7)}
    channels = CONV1
    for name, stage, number in blocks():
        width = WIDTH * 2 ** (stage - 2)
        if number == 0:
            found[f"{name}_branch1"] = part(4 * width, channels, 1)
        found[f"{name}_branch2a"] = part(width, channels, 1)
        found[f"{name}_branch2b"] = part(width, width, 3)
        found[f"{name}_branch2c"] = part(4 * width, width, 1)
        channels = 4 * width
    return found


def folded(parts: Parts) -> Parts:
    """The same network with its normalisations in its convolutions."""
    found = {}
    for name, part in parts.items():
        gain = part.gamma / np.sqrt(part.variance + EPS)
        bias = (0 if part.bias is None else part.bias) - part.mean
        none = np.zeros(0, np.float32)
        found[name] = Part(
            (part.kernel * gain[:, None, None, None]).astype(np.float32),
            (bias * gain + part.beta).astype(np.float32),
            none, none, none, none,
        )  # fmt: skip
    return found


# ---- what it computes, and ONNX -----------------------------------------------------------------


@dataclass(frozen=True)
class Manner:
    """Where other programs differ: the convolution that strides, the first pool, the axes, eps."""

    in_3x3: bool = False
    padded: bool = False
    channels_last: bool = False
    eps: float = EPS
    half: bool = False


def onnx_model(parts: Parts, manner: Manner) -> onnx.ModelProto:
    """The network as ONNX, with names that say nothing; its outputs are pool5 and the classes."""
    nodes: list[Any] = []
    stored: list[Any] = []
    kind = np.float16 if manner.half else np.float32

    def keep(value: NDArray[Any]) -> str:
        name = f"n{len(stored)}"
        stored.append(numpy_helper.from_array(value.astype(kind), name))
        return name

    def add(operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"t{len(nodes)}"
        nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def unit(x: str, name: str, stride: int) -> str:
        part = parts[name]
        pad = part.kernel.shape[2] // 2
        inputs = [x, keep(part.kernel)] + ([] if part.bias is None else [keep(part.bias)])
        x = add("Conv", *inputs, strides=[stride] * 2, pads=[pad] * 4)
        if not part.gamma.size:
            return x
        norm = [keep(v) for v in (part.gamma, part.beta, part.mean, part.variance)]
        return add("BatchNormalization", x, *norm, epsilon=manner.eps)

    x = add("Transpose", "image", perm=[0, 3, 1, 2]) if manner.channels_last else "image"
    x = add("Relu", unit(x, "conv1", 2))
    window = {"pads": [1] * 4} if manner.padded else {"ceil_mode": 1}
    x = add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], **window)
    for name, stage, number in blocks():
        stride = 2 if stage > 2 and not number else 1
        first, second = (1, stride) if manner.in_3x3 else (stride, 1)
        shortcut = unit(x, f"{name}_branch1", stride) if not number else x
        y = add("Relu", unit(x, f"{name}_branch2a", first))
        y = add("Relu", unit(y, f"{name}_branch2b", second))
        x = add("Relu", add("Add", unit(y, f"{name}_branch2c", 1), shortcut))
    pool5 = add("GlobalAveragePool", x)
    matrix = np.random.default_rng(9).normal(0, 1, (CLASSES, 4 * WIDTH * 8))
    add("Gemm", add("Flatten", pool5), keep(matrix), keep(np.arange(CLASSES)), transB=1)
    shape: list[int | str | None] = (
        [1, SIDE, SIDE, 3] if manner.channels_last else ["N", 3, SIDE, SIDE]
    )
    element = onnx.TensorProto.FLOAT16 if manner.half else onnx.TensorProto.FLOAT
    ends = [pool5, nodes[-1].output[0]]
    graph = helper.make_graph(
        nodes, "other", [helper.make_tensor_value_info("image", element, shape)],
        [helper.make_tensor_value_info(end, element, None) for end in ends], stored,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def computed(parts: Parts, manner: Manner, images: Array) -> Array:
    """pool5 of the network, N x C, by onnxruntime; `images`: N x 3 x H x W as it wants them."""
    model = onnx_model(parts, replace(manner, channels_last=False, half=False))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: Array = session.run(None, {"image": images})[0].reshape(len(images), -1)
    return found


# ---- other files --------------------------------------------------------------------------------

TORCHS = {"branch1": "downsample.{}", "branch2a": "{}1", "branch2b": "{}2", "branch2c": "{}3"}


def state_dict(parts: Parts) -> dict[str, Array]:
    """The network under torchvision's names."""
    found: dict[str, Array] = {}

    def enter(part: Part, convolution: str, norm: str) -> None:
        found[f"{convolution}.weight"] = part.kernel
        for name, value in (
            ("weight", part.gamma), ("bias", part.beta), ("running_mean", part.mean),
            ("running_var", part.variance),
        ):  # fmt: skip
            found[f"{norm}.{name}"] = value

    enter(parts["conv1"], "conv1", "bn1")
    for name, stage, number in blocks():
        for branch, at in TORCHS.items():
            if f"{name}_{branch}" in parts:
                layer = f"layer{stage - 1}.{number}."
                halves = ("0", "1") if branch == "branch1" else ("conv", "bn")
                enter(parts[f"{name}_{branch}"], *(layer + at.format(half) for half in halves))
    found["fc.weight"] = np.ones((CLASSES, 4 * WIDTH * 8), np.float32)
    found["fc.bias"] = np.zeros(CLASSES, np.float32)
    return found


def keras_file(parts: Parts, since_2019: bool) -> bytes:
    """The network as Keras' HDF5, with the names before or since 2019."""
    content = io.BytesIO()
    with h5py.File(content, "w") as root:

        def enter(layer: str, **arrays: NDArray[Any]) -> None:
            group = root.create_group(layer)
            names = [f"{layer}/{name}:0" for name in arrays]
            for name, array in zip(names, arrays.values(), strict=True):
                group.create_dataset(name, data=array)
            group.attrs["weight_names"] = [name.encode() for name in names]

        for he, part in parts.items():
            if since_2019:
                number = {"1": 0, "2a": 1, "2b": 2, "2c": 3}.get(he[12:])
                new = (
                    "" if number is None else f"conv{he[3]}_block{'abc'.index(he[4]) + 1}_{number}"
                )
                stem = new or "conv1"
                convolution, norm = f"{stem}_conv", f"{stem}_bn"
            else:
                convolution = he
                norm = "bn_conv1" if he == "conv1" else he.replace("res", "bn")
            assert part.bias is not None
            enter(convolution, kernel=part.kernel.transpose(2, 3, 1, 0), bias=part.bias)
            enter(norm, gamma=part.gamma, beta=part.beta, moving_mean=part.mean,
                  moving_variance=part.variance)  # fmt: skip
        root.create_group("activation_1").attrs["weight_names"] = []
    return content.getvalue()


# ---- the network in Caffe -----------------------------------------------------------------------


def build_for(
    mean: tuple[float, ...],
    variant: str = "resnet50-noun",
    backbone: Backbone | None = BACKBONE,
    **choices: Any,
) -> None:
    """Write a Caffe network, of this depth and width, for images with this mean."""
    data = dataset({"noun": 3} if "noun" in variant else {"noun": 3, "adj": 2}, (3, SIDE, SIDE))
    centred = msgspec.structs.replace(data.images, mean=mean)
    data = msgspec.structs.replace(data, images=centred)
    write_all(network_files(order(variant, data, backbone, **choices)))


def photographs(count: int = 2) -> NDArray[np.uint8]:
    """Images, N x 3 x H x W, in B, G, R."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (count, 3, SIDE, SIDE), np.uint8)


def less(images: NDArray[np.uint8], mean: tuple[float, ...], deviation: Any = 1.0) -> Array:
    """Images less a mean, by a deviation: in the order of the channels."""
    shape = (-1, 1, 1)
    centred = images - np.array(mean).reshape(shape)
    found: Array = (centred / np.broadcast_to(deviation, 3).reshape(shape)).astype(np.float32)
    return found


def in_caffe_pool5(fed: Array, folder: str = NETWORK) -> Array:
    """pool5 of the Caffe network with its initial weights, N x C."""
    net = (f"{folder}/deploy.prototxt", f"{folder}/initial.caffemodel")
    found: list[dict[str, Array]] = in_caffe(pools, [net], fed, folder=Path.cwd()).value
    return np.asarray(found[0]["pool5"], np.float32).reshape(len(fed), -1)


def in_caffe_fc7(fed: Array, folder: str = "models/vgg16-noun") -> Array:
    """What the last layer before the classifier gives, of the Caffe VGG-16 with these weights."""
    net = (f"{folder}/deploy.prototxt", f"{folder}/initial.caffemodel")
    found: Array = in_caffe(_fc7, *net, fed, folder=Path.cwd()).value
    return found


def _fc7(model: str, weights: str, fed: Array) -> Array:
    import caffe

    net = caffe.Net(model, weights, caffe.TEST)
    net.blobs["data"].reshape(*fed.shape)
    net.blobs["data"].data[...] = fed
    net.forward()
    return np.array(net.blobs["fc7"].data)


def apart(ours: Array, theirs: Array) -> float:
    """The largest difference, as a share of the largest value."""
    assert ours.shape == theirs.shape
    assert theirs.std() > 0.01
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
