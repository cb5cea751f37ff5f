"""Layers that keep a blob's shape: functions of one element, normalisation, scaling."""

from __future__ import annotations

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


@layer_types(
    *("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Exp", "Log", "Power", "ReLU"),
    *("Sigmoid", "Swish", "TanH", "Threshold"),
)
def _elementwise(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    return Made((bottoms[0],))


@layer_types("PReLU")
def _prelu(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    require(len(bottoms[0]) > 1, f"needs at least two axes, has {shape_text(bottoms[0])}")
    slopes = () if layer.prelu_param.channel_shared else (bottoms[0][1],)
    return Made((bottoms[0],), (slopes,))


@layer_types("BatchNorm")
def _batch_norm(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    """Keep mean and variance per channel, and the factor that both are divided by."""
    require(len(bottoms[0]) > 1, f"needs at least two axes, has {shape_text(bottoms[0])}")
    channels = bottoms[0][1:2]
    return Made((bottoms[0],), (channels, channels, (1,)))


@layer_types("LRN")
def _lrn(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    require(len(bottoms[0]) == 4, f"needs four axes, has {shape_text(bottoms[0])}")
    require(layer.lrn_param.local_size % 2 == 1, "local_size must be odd")
    return Made((bottoms[0],))


@layer_types("MVN")
def _mvn(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    require(len(bottoms[0]) <= 4, f"needs at most four axes, has {shape_text(bottoms[0])}")
    return Made((bottoms[0] + (1,) * (4 - len(bottoms[0])),))


@layer_types("Scale", bottoms=(1, 2))
def _scale(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    param = layer.scale_param
    factors = _covered(param.axis, param.num_axes, bottoms)
    learned = [] if len(bottoms) > 1 else [factors]
    return Made((bottoms[0],), (*learned, *([factors] if param.bias_term else [])))


@layer_types("Bias", bottoms=(1, 2))
def _bias(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    terms = _covered(layer.bias_param.axis, layer.bias_param.num_axes, bottoms)
    return Made((bottoms[0],), () if len(bottoms) > 1 else (terms,))


def _covered(axis: int, num_axes: int, bottoms: list[Shape]) -> Shape:
    """Find the shape of a Scale's factors or a Bias's terms."""
    whole = bottoms[0]
    if len(bottoms) > 1:
        start = axis_of(axis, whole) if bottoms[1] else 0
        same_shape(bottoms[1], whole[start : start + len(bottoms[1])])
        return bottoms[1]
    start = axis_of(axis, whole)
    require(num_axes >= -1, "num_axes must be -1 or more")
    end = len(whole) if num_axes == -1 else start + num_axes
    require(end <= len(whole), f"axes {start} to {end - 1} are not all in {shape_text(whole)}")
    return whole[start:end]
