"""Fully connected and recurrent layers, and the losses and measures that read their scores."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.cost.layers.layer_types import (
    Made,
    Shape,
    axis_of,
    layer_types,
    require,
    same_shape,
)
from netgen.system.text import shape_text


@layer_types("InnerProduct")
def _inner_product(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    param = layer.inner_product_param
    axis = axis_of(param.axis, bottoms[0])
    inputs, outputs = prod(bottoms[0][axis:]), param.num_output
    require(outputs > 0, "num_output must be positive")
    weights = (inputs, outputs) if param.transpose else (outputs, inputs)
    blobs = (weights, (outputs,)) if param.bias_term else (weights,)
    work = prod(bottoms[0][:axis]) * inputs * outputs
    return Made(((*bottoms[0][:axis], outputs),), blobs, work)


@layer_types("Embed")
def _embed(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    param = layer.embed_param
    require(param.num_output > 0 and param.input_dim > 0, "num_output, input_dim must be positive")
    weights = (param.input_dim, param.num_output)
    blobs = (weights, (param.num_output,)) if param.bias_term else (weights,)
    return Made(((*bottoms[0], param.num_output),), blobs)


@layer_types("LSTM", "RNN", bottoms=(2, 5), tops=(1, 3))
def _recurrent(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    """Map time x streams x ...: an LSTM has four gates, an RNN has an output layer in addition."""
    param, lstm = layer.recurrent_param, layer.type == "LSTM"
    require(len(bottoms[0]) > 1, f"needs time and stream axes, has {shape_text(bottoms[0])}")
    (time, streams), outputs = bottoms[0][:2], param.num_output
    same_shape(bottoms[1], (time, streams))
    require(outputs > 0, "num_output must be positive")
    width, states = (4 * outputs, 2) if lstm else (outputs, 1)
    hidden = states if param.expose_hidden else 0
    static = [prod(bottoms[2][1:])] if len(bottoms) > 2 + hidden else []
    inputs = prod(bottoms[0][2:])
    from_input = ((width, inputs), (width,), *((width, size) for size in static))
    recurrent = ((width, outputs),) if lstm else ((width, outputs), (outputs, outputs), (outputs,))
    work = time * streams * sum(prod(blob) for blob in (*from_input[:1], *recurrent[:2]))
    work += streams * sum(width * size for size in static)
    tops = ((time, streams, outputs), *[(1, streams, outputs)] * hidden)
    return Made(tops, (*from_input, *recurrent), work)


# ---- losses and measures: they read scores and labels, and make a scalar ------------------------


@layer_types("Softmax")
def _softmax(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    axis_of(layer.softmax_param.axis, bottoms[0])
    return Made((bottoms[0],))


@layer_types("SoftmaxWithLoss", bottoms=(2, 2), tops=(1, 2))
def _softmax_loss(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    _check_labels(bottoms, axis_of(layer.softmax_param.axis, bottoms[0]))
    return Made(((), bottoms[0]))


@layer_types("Accuracy", bottoms=(2, 2), tops=(1, 2))
def _accuracy(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    axis = axis_of(layer.accuracy_param.axis, bottoms[0])
    _check_labels(bottoms, axis)
    classes, top_k = bottoms[0][axis], layer.accuracy_param.top_k
    require(top_k <= classes, f"top_k {top_k} of {classes} classes")
    return Made(((), (classes,)))


def _check_labels(bottoms: Sequence[Shape], axis: int) -> None:
    scores, labels = bottoms
    wanted = prod(scores[:axis]) * prod(scores[axis + 1 :])
    require(
        prod(labels) == wanted,
        f"{shape_text(labels)} labels for scores of {shape_text(scores)}:"
        f" give one per prediction, {wanted:,}",
    )


@layer_types("EuclideanLoss", "SigmoidCrossEntropyLoss", bottoms=(2, 2))
def _pairwise_loss(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    a, b = bottoms
    require(prod(a) == prod(b) and a[:1] == b[:1], f"{shape_text(a)} does not fit {shape_text(b)}")
    return Made(((),))


@layer_types("HingeLoss", "MultinomialLogisticLoss", bottoms=(2, 2))
@layer_types("InfogainLoss", bottoms=(2, 3), tops=(1, 2))
@layer_types("ContrastiveLoss", bottoms=(3, 3))
def _other_loss(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    a, b = bottoms[:2]
    require(a[:1] == b[:1], f"{shape_text(a)} and {shape_text(b)} differ in the number of images")
    return Made(((), bottoms[0]))
