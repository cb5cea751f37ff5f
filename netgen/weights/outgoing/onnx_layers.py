"""Caffe's layers as ONNX operators: one function for each type of layer.

ONNX has most of them, with three differences that matter. Caffe's pooling rounds the number of
windows up: here that is explicit padding at the end, because runtimes disagree about ONNX's own
`ceil_mode`. Caffe's average counts its padding and not what lies beyond. And Caffe's BatchNorm
keeps sums that its third blob divides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from netgen.caffe.caffe_pb2 import EltwiseParameter, LayerParameter, LRNParameter, PoolingParameter
from netgen.cost.layers.layer_types import Shape, axis_of
from netgen.cost.layers.windows import Window, convolution_windows, pooling_windows

Array = NDArray[np.floating[Any]]


class ExportError(ValueError):
    """A network that cannot be written as ONNX; the message says which layer, and why."""


@dataclass
class Graph:
    """An ONNX graph that is being written.

    Attributes
    ----------
    nodes, constants
        What is in it so far.
    names
        Blob of Caffe's -> the tensor that has its values now: layers that work in place make a new
        one, because ONNX's tensors are written once.
    shapes
        Blob -> its shape, N x ...; the batch is open.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def new(self, wish: str) -> str:
        """Return a name that no tensor has: the one wished for, or that with a number."""
        name, number = wish, 2
        while name in self._taken:
            name, number = f"{wish}_{number}", number + 1
        self._taken.add(name)
        return name

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add numbers."""
        name = self.new(name)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], wish: str, **attributes: Any) -> str:
        """Add an operator with one output; return that."""
        output = self.new(wish)
        self.nodes.append(
            helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        )
        return output


@dataclass(frozen=True)
class Exported:
    """A layer that is being written: its prototxt, its inputs' tensors and shapes, its blobs."""

    layer: LayerParameter
    inputs: Sequence[str]
    shapes: Sequence[Shape]
    blobs: Sequence[Array]
    graph: Graph

    @property
    def name(self) -> str:
        """The layer's name."""
        return str(self.layer.name)

    def constant(self, what: str, value: NDArray[Any]) -> str:
        """Add numbers of this layer's, in single precision."""
        return self.graph.constant(f"{self.name}/{what}", value.astype(np.float32))

    def add(self, operator: str, *inputs: str, step: str = "", **attributes: Any) -> str:
        """Add an operator of this layer's; `step` names all but its last one."""
        wish = f"{self.name}/{step}" if step else self.name
        return self.graph.add(operator, inputs or self.inputs, wish, **attributes)


Writer = Callable[[Exported], "str | list[str]"]
WRITERS: dict[str, Writer] = {}


def writes(*types: str) -> Callable[[Writer], Writer]:
    """Register a function that writes layers of these types and returns their outputs."""

    def register(function: Writer) -> Writer:
        WRITERS.update(dict.fromkeys(types, function))
        return function

    return register


# ---- what computes nothing ----------------------------------------------------------------------


@writes("Dropout", "Split", "Silence")
def _nothing(one: Exported) -> list[str]:
    return [one.inputs[0]] * len(one.layer.top)


# ---- windows ------------------------------------------------------------------------------------


@writes("Convolution", "Deconvolution")
def _convolution(one: Exported) -> list[str]:
    param = one.layer.convolution_param
    axis = axis_of(param.axis, one.shapes[0])
    _require(axis == 1, one, "it has another axis of channels than 1")
    windows = convolution_windows(param, len(one.shapes[0]) - 2)
    numbers = [one.constant(f"blob{index}", blob) for index, blob in enumerate(one.blobs)]
    operator = "Conv" if one.layer.type == "Convolution" else "ConvTranspose"
    return [
        one.graph.add(
            operator, [tensor, *numbers], str(top), group=int(param.group),
            kernel_shape=[w.kernel for w in windows], strides=[w.stride for w in windows],
            dilations=[w.dilation for w in windows], pads=[w.pad for w in windows] * 2,
        )
        for tensor, top in zip(one.inputs, one.layer.top, strict=True)
    ]  # fmt: skip


@writes("Pooling")
def _pooling(one: Exported) -> str:
    param, shape = one.layer.pooling_param, one.shapes[0]
    _require(len(one.layer.top) == 1, one, "its second output, the maxima's places, is not written")
    _require(param.pool != PoolingParameter.STOCHASTIC, one, "it draws at random")
    average = param.pool == PoolingParameter.AVE
    if param.global_pooling:
        return one.add("GlobalAveragePool" if average else "GlobalMaxPool")
    windows = pooling_windows(param, shape)
    made = one.graph.shapes[one.layer.top[0]][2:]
    begin = [window.pad for window in windows]
    end = [_end(one, *each) for each in zip(shape[2:], made, windows, strict=True)]
    kernel: dict[str, Any] = {
        "kernel_shape": [w.kernel for w in windows],
        "strides": [w.stride for w in windows],
    }
    if not average:
        return one.add("MaxPool", pads=[*begin, *end], **kernel)
    # Caffe counts what it pads with on both sides, and no more: so that is there, as zeros.
    inside = one.inputs[0]
    if any(begin):
        pads = np.array([0, 0, *begin, 0, 0, *begin], np.int64)
        inside = one.add("Pad", inside, one.graph.constant(f"{one.name}/pads", pads), step="padded")
    beyond = [max(0, e - b) for b, e in zip(begin, end, strict=True)]
    _require(all(e >= b for b, e in zip(begin, end, strict=True)) or not any(begin), one,
             "its last windows end within the padding")  # fmt: skip
    return one.add("AveragePool", inside, pads=[0, 0, *beyond], count_include_pad=0, **kernel)


def _end(one: Exported, size: int, made: int, window: Window) -> int:
    """Return the padding at the end that makes as many windows when these are rounded down."""
    needed = (made - 1) * window.stride + window.kernel - size - window.pad
    _require((size + window.pad + max(needed, 0) - window.kernel) // window.stride + 1 == made, one,
             "its windows cannot be written with padding alone")  # fmt: skip
    _require(needed < window.kernel, one, "its last window has nothing but padding in it")
    return max(needed, 0)


@writes("LRN")
def _local_response(one: Exported) -> str:
    param = one.layer.lrn_param
    _require(
        param.norm_region == LRNParameter.ACROSS_CHANNELS, one, "it normalises within channels"
    )
    return one.add("LRN", size=param.local_size, alpha=param.alpha, beta=param.beta, bias=param.k)


# ---- channels -----------------------------------------------------------------------------------


@writes("BatchNorm")
def _batch_norm(one: Exported) -> str:
    """Write a BatchNorm; its fourth and fifth blob are those of the Scale that follows, if any."""
    mean, variance = statistics(one.blobs)
    scale, bias = one.blobs[3:5] or (np.ones_like(mean), np.zeros_like(mean))
    numbers = (("scale", scale), ("bias", bias), ("mean", mean), ("variance", variance))
    tensors = [one.constant(what, value) for what, value in numbers]
    epsilon = one.layer.batch_norm_param.eps
    return one.add("BatchNormalization", one.inputs[0], *tensors, epsilon=epsilon)


def statistics(blobs: Sequence[Array]) -> tuple[Array, Array]:
    """Return a BatchNorm's mean and variance: its sums, divided by its third blob."""
    count = float(blobs[2].reshape(-1)[0])
    factor = 1 / count if count else 0.0
    return blobs[0].astype(np.float64) * factor, blobs[1].astype(np.float64) * factor


@writes("Scale", "Bias")
def _scale(one: Exported) -> str:
    is_scale = one.layer.type == "Scale"
    given = one.layer.scale_param.axis if is_scale else one.layer.bias_param.axis
    rank, axis = len(one.shapes[0]), axis_of(given, one.shapes[0])
    operator = "Mul" if is_scale else "Add"
    has_bias = is_scale and one.layer.scale_param.bias_term
    if len(one.inputs) == 2:
        factor = _stretched(one, rank - axis - len(one.shapes[1]))
        bias = one.blobs[0] if has_bias else None
    else:
        factor = one.constant("blob0", _aligned(one.blobs[0], rank, axis))
        bias = one.blobs[1] if has_bias else None
    if bias is None:
        return one.add(operator, one.inputs[0], factor)
    scaled = one.add(operator, one.inputs[0], factor, step="scaled")
    return one.add("Add", scaled, one.constant("bias", _aligned(bias, rank, axis)))


def _aligned(numbers: Array, rank: int, axis: int) -> Array:
    """Return numbers of the axes from `axis` on, in a shape that broadcasts as ONNX does."""
    return numbers.reshape(*numbers.shape, *[1] * (rank - axis - numbers.ndim))


def _stretched(one: Exported, more: int) -> str:
    """Return the second input with `more` axes of length 1 at its end."""
    if more <= 0:
        return one.inputs[1]
    first = len(one.shapes[1])
    axes = one.graph.constant(f"{one.name}/axes", np.arange(first, first + more))
    return one.add("Unsqueeze", one.inputs[1], axes, step="stretched")


@writes("InnerProduct")
def _inner_product(one: Exported) -> str:
    param = one.layer.inner_product_param
    _require(axis_of(param.axis, one.shapes[0]) == 1, one, "its axis is not 1")
    weights = one.blobs[0].reshape(one.blobs[0].shape[-2:])
    numbers = [one.constant("weights", weights)]
    if param.bias_term:
        numbers.append(one.constant("bias", one.blobs[1].reshape(-1)))
    flat = one.inputs[0]
    if len(one.shapes[0]) != 2:
        flat = one.add("Flatten", flat, step="flat", axis=1)
    return one.add("Gemm", flat, *numbers, transB=int(not param.transpose))


# ---- elements -----------------------------------------------------------------------------------


@writes("ReLU")
def _relu(one: Exported) -> str:
    slope = one.layer.relu_param.negative_slope
    return one.add("LeakyRelu", alpha=slope) if slope else one.add("Relu")


@writes("ELU")
def _elu(one: Exported) -> str:
    return one.add("Elu", alpha=one.layer.elu_param.alpha)


@writes("PReLU")
def _prelu(one: Exported) -> str:
    shared = one.layer.prelu_param.channel_shared
    slope = one.blobs[0].reshape(-1, *([1] * (0 if shared else len(one.shapes[0]) - 2)))
    return one.add("PRelu", one.inputs[0], one.constant("slope", slope))


@writes("Sigmoid", "TanH", "AbsVal", "BNLL")
def _named(one: Exported) -> str:
    names = {"Sigmoid": "Sigmoid", "TanH": "Tanh", "AbsVal": "Abs", "BNLL": "Softplus"}
    return one.add(names[one.layer.type])


@writes("Power")
def _power(one: Exported) -> str:
    param = one.layer.power_param
    tensor = one.inputs[0]
    for step, operator, number, nothing in (
        ("scaled", "Mul", param.scale, 1), ("shifted", "Add", param.shift, 0),
        ("raised", "Pow", param.power, 1),
    ):  # fmt: skip
        if number != nothing:
            tensor = one.add(operator, tensor, one.constant(step, np.array(number)), step=step)
    return one.add("Identity", tensor)


@writes("Softmax")
def _softmax(one: Exported) -> str:
    return one.add("Softmax", axis=axis_of(one.layer.softmax_param.axis, one.shapes[0]))


# ---- several inputs or outputs ------------------------------------------------------------------


@writes("Eltwise")
def _eltwise(one: Exported) -> str:
    param, tensors = one.layer.eltwise_param, list(one.inputs)
    if param.operation == EltwiseParameter.MAX:
        return one.add("Max")
    if param.operation == EltwiseParameter.PROD:
        return _chain(one, "Mul", tensors)
    for index, coefficient in enumerate(param.coeff):
        if coefficient != 1:
            number = one.constant(f"coefficient{index}", np.array(coefficient))
            tensors[index] = one.add("Mul", tensors[index], number, step=f"term{index}")
    return _chain(one, "Add", tensors)


def _chain(one: Exported, operator: str, tensors: Sequence[str]) -> str:
    result = tensors[0]
    for index, tensor in enumerate(tensors[1:], 2):
        step = "" if index == len(tensors) else f"first{index}"
        result = one.add(operator, result, tensor, step=step)
    return result


@writes("Concat")
def _concat(one: Exported) -> str:
    param = one.layer.concat_param
    axis = param.concat_dim if param.HasField("concat_dim") else param.axis
    return one.add("Concat", axis=axis_of(int(axis), one.shapes[0]))


@writes("Slice")
def _slice(one: Exported) -> list[str]:
    param = one.layer.slice_param
    axis = axis_of(int(param.slice_dim if param.HasField("slice_dim") else param.axis),
                   one.shapes[0])  # fmt: skip
    sizes = [one.graph.shapes[top][axis] for top in one.layer.top]
    lengths = one.graph.constant(f"{one.name}/lengths", np.array(sizes, np.int64))
    outputs = [one.graph.new(str(top)) for top in one.layer.top]
    one.graph.nodes.append(
        helper.make_node("Split", [one.inputs[0], lengths], outputs, name=one.name, axis=axis)
    )
    return outputs


@writes("Flatten", "Reshape")
def _reshape(one: Exported) -> str:
    made, shape = one.graph.shapes[one.layer.top[0]], one.shapes[0]
    _require(made[0] == shape[0] and prod(made) == prod(shape), one, "it changes the batch")
    return one.add(
        "Reshape", one.inputs[0],
        one.graph.constant(f"{one.name}/shape", np.array([0, *made[1:]], np.int64)),
    )  # fmt: skip


# ---- all ----------------------------------------------------------------------------------------


def write_layer(
    graph: Graph, layer: LayerParameter, shapes: Iterable[Shape], blobs: Sequence[Array]
) -> None:
    """Add a layer to a graph; `shapes` are those of its bottoms.

    Raises
    ------
    ExportError
        ONNX has nothing for this type of layer, or for how it is used here.
    """
    writer = WRITERS.get(layer.type)
    if writer is None:
        known = ", ".join(sorted(WRITERS))
        raise ExportError(
            f"layer {layer.name!r}: no ONNX for its type {layer.type}; there is for {known}"
        )
    one = Exported(layer, [graph.names[blob] for blob in layer.bottom], list(shapes), blobs, graph)
    written = writer(one)
    outputs = [written] if isinstance(written, str) else written
    graph.names.update(zip(layer.top, outputs, strict=True))


def _require(condition: bool, one: Exported, why: str) -> None:
    if not condition:
        raise ExportError(f"layer {one.name!r} ({one.layer.type}) has no ONNX: {why}")
