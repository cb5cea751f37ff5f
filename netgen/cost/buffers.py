"""What each layer type keeps for itself while Caffe runs, beyond its tops and parameters.

One small function per layer type, written after the private blobs of the C++ layer: which ones it
has, and which of them the CPU's forward and backward touch; memory is allocated at the first touch.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from netgen.caffe.caffe_pb2 import EltwiseParameter, LRNParameter, PoolingParameter, SPPParameter
from netgen.cost.layers.layer_types import Made, axis_of
from netgen.cost.layers.windows import convolution_windows
from netgen.cost.wiring import Wired

# Batches of images that a data layer keeps ready. Caffe 1.0: four, as floats. Caffe of 2016: three
# as floats, and four as bytes that are not yet transformed.
PREFETCHED = 4


class Buffers(NamedTuple):
    """Elements that a layer keeps for itself: those that grow with the batch, and the others."""

    batched: int = 0
    fixed: int = 0


class Situation(NamedTuple):
    """What a layer's buffers depend on: the layer, its shapes, and how it is used."""

    wired: Wired
    made: Made
    backward: bool  # whether the gradient of its first bottom is computed

    @property
    def bottom(self) -> tuple[int, ...]:
        """Shape of the first bottom, which is known where buffers are counted."""
        return self.wired.bottoms[0].shape or ()

    @property
    def size(self) -> int:
        """Elements of the first bottom."""
        return prod(self.bottom)


BuffersRule = Callable[[Situation], Buffers]
RULES: dict[str, BuffersRule] = {}


def buffers(situation: Situation) -> Buffers:
    """Count what a layer keeps for itself; none for types without an entry in `RULES`."""
    rule = RULES.get(situation.wired.layer.type)
    return rule(situation) if rule else Buffers()


def _keeps(*types: str) -> Callable[[BuffersRule], BuffersRule]:
    def register(rule: BuffersRule) -> BuffersRule:
        RULES.update(dict.fromkeys(types, rule))
        return rule

    return register


@_keeps("Convolution", "Deconvolution")
def _convolution(s: Situation) -> Buffers:
    """Count the buffer of one unfolded image, which all images of the batch use in turn.

    Backward touches it even for a 1 x 1 convolution, which does not need it.
    """
    param, backwards = s.wired.layer.convolution_param, s.wired.layer.type == "Deconvolution"
    axis = axis_of(param.axis, s.bottom)
    windows = convolution_windows(param, len(s.bottom) - axis - 1)
    plain = all((w.kernel, w.stride, w.pad) == (1, 1, 0) for w in windows)
    folded, flat = (s.made.tops[0], s.bottom) if backwards else (s.bottom, s.made.tops[0])
    unfolded = prod(w.kernel for w in windows) * folded[axis] * prod(flat[axis + 1 :])
    ones = prod(s.made.tops[0][axis + 1 :]) if param.bias_term else 0
    touched = not plain or backwards or s.backward
    return Buffers(0, ones + (unfolded if touched else 0))


@_keeps("InnerProduct", "Embed")
def _linear(s: Situation) -> Buffers:
    return Buffers(prod(s.made.tops[0][:-1]) if len(s.made.blobs) > 1 else 0)


@_keeps("BatchNorm")
def _batch_norm(s: Situation) -> Buffers:
    """Count the variance in the input's shape, and the result; in place, its gradient too."""
    channels = s.bottom[1]
    copies = 3 if s.backward and s.wired.in_place else 2
    grown = copies * s.size + s.bottom[0] * channels + s.bottom[0]
    return Buffers(grown, 2 * channels + prod(s.bottom[2:]))


@_keeps("Scale")
def _scale(s: Situation) -> Buffers:
    """Count a copy of the input if in place; for the gradient, one sum per image and factor."""
    factors = s.wired.bottoms[1].shape if len(s.wired.bottoms) > 1 else s.made.blobs[0]
    axis = axis_of(s.wired.layer.scale_param.axis, s.bottom) if factors else 0
    sums = prod(s.bottom[:axis]) * prod(factors or ())
    ones = 2 * s.size // max(sums, 1)
    return Buffers((s.size if s.wired.in_place else 0) + (sums if s.backward else 0), ones)


@_keeps("Pooling")
def _pooling(s: Situation) -> Buffers:
    maximum = s.wired.layer.pooling_param.pool == PoolingParameter.MAX
    return Buffers(prod(s.made.tops[0]) if maximum and len(s.made.tops) == 1 else 0)


@_keeps("SPP")
def _spatial_pyramid(s: Situation) -> Buffers:
    """Count each level's result, the positions of its maxima, and gradients of input and result."""
    param = s.wired.layer.spp_param
    pooled = prod(s.made.tops[0]) * (2 if param.pool == SPPParameter.MAX else 1)
    gradients = prod(s.made.tops[0]) + param.pyramid_height * s.size
    return Buffers(pooled + (gradients if s.backward else 0))


@_keeps("LRN")
def _lrn(s: Situation) -> Buffers:
    if s.wired.layer.lrn_param.norm_region == LRNParameter.ACROSS_CHANNELS:
        return Buffers(s.size)
    # Within a channel, the layer runs a net of its own: split, square, pool, power.
    return Buffers((8 if s.backward else 3) * s.size)


@_keeps("MVN")
def _mvn(s: Situation) -> Buffers:
    return Buffers(s.size + 2 * prod(s.bottom[:2]), prod(s.bottom[1:]))


@_keeps("Dropout", "EuclideanLoss", "SigmoidCrossEntropyLoss", "ContrastiveLoss")
def _one_copy(s: Situation) -> Buffers:
    return Buffers(s.size)


@_keeps("PReLU")
def _prelu(s: Situation) -> Buffers:
    return Buffers(s.size if s.wired.in_place else 0, 2 * prod(s.bottom[1:]))


@_keeps("Softmax")
def _softmax(s: Situation) -> Buffers:
    classes = s.bottom[axis_of(s.wired.layer.softmax_param.axis, s.bottom)]
    return Buffers(s.size // max(classes, 1), classes)


@_keeps("SoftmaxWithLoss")
def _softmax_loss(s: Situation) -> Buffers:
    scale, ones = _softmax(s)
    return Buffers(s.size + scale, ones)


@_keeps("Eltwise")
def _eltwise(s: Situation) -> Buffers:
    maximum = s.wired.layer.eltwise_param.operation == EltwiseParameter.MAX
    return Buffers(s.size if maximum else 0)


@_keeps("Data", "ImageData", "WindowData")
def _prefetched(s: Situation) -> Buffers:
    return Buffers(PREFETCHED * sum(map(prod, s.made.tops)))


@_keeps("MemoryData")
def _memory_data(s: Situation) -> Buffers:
    return Buffers(sum(map(prod, s.made.tops)))
