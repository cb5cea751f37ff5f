"""Losses and measures: scores and labels in, a scalar out."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from netgen.caffe_pb2 import LayerParameter
from netgen.layers.table import Made, Shape, axis_of, layer_types, require, text


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
        f"{text(labels)} labels for scores of {text(scores)}: one label a prediction, {wanted:,}",
    )


@layer_types("EuclideanLoss", "SigmoidCrossEntropyLoss", bottoms=(2, 2))
def _pairwise_loss(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    a, b = bottoms
    require(prod(a) == prod(b) and a[:1] == b[:1], f"{text(a)} does not fit {text(b)}")
    return Made(((),))


@layer_types("HingeLoss", "MultinomialLogisticLoss", bottoms=(2, 2))
@layer_types("InfogainLoss", bottoms=(2, 3), tops=(1, 2))
@layer_types("ContrastiveLoss", bottoms=(3, 3))
def _other_loss(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    a, b = bottoms[:2]
    require(a[:1] == b[:1], f"{text(a)} and {text(b)} are not as many images")
    return Made(((), bottoms[0]))
