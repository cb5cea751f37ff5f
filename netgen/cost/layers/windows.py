"""Shapes of the layers that slide a window over an image: convolution, pooling and similar ones.

For a window of size k and dilation d, on n elements padded by p on both sides, moved by s:

    Convolution      floor((n + 2p - (d (k - 1) + 1)) / s) + 1
    Deconvolution    s (n - 1) + d (k - 1) + 1 - 2p         (the inverse)
    Pooling          ceil((n + 2p - k) / s) + 1, less one window that would start in the padding
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from netgen.caffe.caffe_pb2 import ConvolutionParameter, LayerParameter, PoolingParameter
from netgen.cost.layers.layer_types import ANY, Made, Shape, axis_of, layer_types, require
from netgen.system.text import shape_text


@dataclass(frozen=True)
class Window:
    """A window along one axis."""

    kernel: int
    stride: int
    pad: int
    dilation: int = 1

    @property
    def extent(self) -> int:
        """Elements from its first to its last, gaps of a dilated kernel included."""
        return self.dilation * (self.kernel - 1) + 1


def convolved(size: int, window: Window) -> int:
    """Count the positions at which a window lies within the padded `size` elements."""
    free = size + 2 * window.pad - window.extent
    _require_space(size, window, free)
    return max(free, 0) // window.stride + 1


def deconvolved(size: int, window: Window) -> int:
    """Count the elements that `size` positions of a window cover, without the padding."""
    spread = window.stride * (size - 1) + window.extent - 2 * window.pad
    require(spread > 0, f"nothing is left of {size} elements after a pad of {window.pad}")
    return spread


def pooled(size: int, window: Window, up: bool = True) -> int:
    """Count the positions of a pooling window; none starts in the padding at the end.

    With `up` (Caffe's default) the number is rounded up: the last window may reach beyond the end.
    """
    free = size + 2 * window.pad - window.kernel
    _require_space(size, window, free if up else min(free, 0) * window.stride)
    steps = -(-free // window.stride) if up else free // window.stride
    beyond = window.pad > 0 and steps * window.stride >= size + window.pad
    return steps + 1 - beyond


def _require_space(size: int, window: Window, free: int) -> None:
    """Accept a window that is too large by less than its stride: C++ divides towards zero."""
    padded = f"{size} elements padded by {window.pad}"
    require(free > -window.stride, f"a kernel of {window.extent} is too large for {padded}")


def convolution_windows(param: ConvolutionParameter, axes: int) -> list[Window]:
    """Read a Convolution's windows, one per spatial axis.

    Raises
    ------
    ShapeError
        When they are not given once, once per axis, or as _h and _w.
    """
    columns = [
        _per_axis(param, "kernel_size", "kernel", axes, None),
        _per_axis(param, "stride", "stride", axes, 1),
        _per_axis(param, "pad", "pad", axes, 0),
        _spread(list(param.dilation), axes, "dilation", 1),
    ]
    windows = [Window(*row) for row in zip(*columns, strict=True)]
    for window in windows:
        positive = window.kernel > 0 and window.stride > 0 and window.dilation > 0
        require(positive, "kernel_size, stride and dilation must be positive")
    return windows


def _per_axis(
    param: ConvolutionParameter, name: str, short: str, axes: int, default: int | None
) -> list[int]:
    high, wide = f"{short}_h", f"{short}_w"
    values = list(getattr(param, name))
    if not (param.HasField(high) or param.HasField(wide)):
        return _spread(values, axes, name, default)
    require(not values, f"{name} and {high}, {wide} are both given: keep one kind")
    require(axes == 2, f"{high} and {wide} need two spatial axes, there are {axes}")
    return [getattr(param, high), getattr(param, wide)]


def _spread(values: Sequence[int], axes: int, name: str, default: int | None) -> list[int]:
    if not values and default is not None:
        values = [default]
    require(len(values) in (1, axes), f"{name} is given {len(values)} times for {axes} axes")
    return [values[0]] * axes if len(values) == 1 else list(values)


@layer_types("Convolution", "Deconvolution", bottoms=(1, ANY), tops=(1, ANY))
def _convolution(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    shape, param = bottoms[0], layer.convolution_param
    require(all(other == shape for other in bottoms), "all bottoms must have one shape")
    require(len(bottoms) == len(layer.top), "needs as many tops as bottoms")
    axis = axis_of(param.axis, shape)
    batch, channels, outputs, group = shape[:axis], shape[axis], param.num_output, param.group
    require(outputs > 0 and group > 0, "num_output and group must be positive")
    divides = channels % group == 0 and outputs % group == 0
    require(divides, f"group {group} does not divide {channels} inputs and {outputs} outputs")
    backwards = layer.type == "Deconvolution"
    windows = convolution_windows(param, len(shape) - axis - 1)
    resize = deconvolved if backwards else convolved
    size = tuple(map(resize, shape[axis + 1 :], windows))
    kernel = tuple(window.kernel for window in windows)
    many, few = (channels, outputs) if backwards else (outputs, channels)
    weights = (many, few // group, *kernel)
    blobs = (weights, (outputs,)) if param.bias_term else (weights,)
    positions = prod(shape[axis + 1 :] if backwards else size)
    work = len(bottoms) * prod(batch) * positions * prod(weights)
    return Made(((*batch, outputs, *size),) * len(bottoms), blobs, work)


@layer_types("Im2col")
def _im2col(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    shape, param = bottoms[0], layer.convolution_param
    axis = axis_of(param.axis, shape)
    windows = convolution_windows(param, len(shape) - axis - 1)
    size = tuple(map(convolved, shape[axis + 1 :], windows))
    return Made(((*shape[:axis], shape[axis] * prod(w.kernel for w in windows), *size),))


@layer_types("Pooling", tops=(1, 2))
def _pooling(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    param, shape = layer.pooling_param, bottoms[0]
    require(len(shape) == 4, f"needs four axes, has {shape_text(shape)}")
    up = param.round_mode == PoolingParameter.CEIL
    size = [pooled(n, window, up) for n, window in zip(shape[2:], pooling_windows(param, shape))]  # noqa: B905
    return Made(((*shape[:2], *size),) * 2)


def pooling_windows(param: PoolingParameter, shape: Shape) -> list[Window]:
    """Read a Pooling's two windows."""
    given = any(param.HasField(name) for name in ("kernel_size", "kernel_h", "kernel_w"))
    kernels = list(shape[2:]) if param.global_pooling else _both(param, "kernel", "kernel_size")
    require(not (param.global_pooling and given), "global_pooling takes no kernel size")
    strides, pads = _both(param, "stride", "stride"), _both(param, "pad", "pad")
    require(min(kernels) > 0 and min(strides) > 0, "kernel size and stride must be positive")
    windows = [Window(*row) for row in zip(kernels, strides, pads, strict=True)]
    plain = all(window.stride == 1 and window.pad == 0 for window in windows)
    require(plain or not param.global_pooling, "global_pooling takes stride 1 and pad 0 only")
    inside = all(window.pad < window.kernel for window in windows)
    require(inside, "pad must be less than the kernel")
    return windows


def _both(param: PoolingParameter, short: str, name: str) -> list[int]:
    high, wide = f"{short}_h", f"{short}_w"
    pair = [field for field in (high, wide) if param.HasField(field)]
    if not pair:
        return [getattr(param, name)] * 2
    require(len(pair) == 2, f"{high} and {wide} are needed together")
    require(not param.HasField(name), f"{name} and {high}, {wide}: keep one kind")
    return [getattr(param, high), getattr(param, wide)]


@layer_types("SPP")
def _spatial_pyramid(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    """Pool over 1, 4, 16, ... bins and join the results to one vector per image."""
    shape, height = bottoms[0], layer.spp_param.pyramid_height
    require(len(shape) == 4, f"needs four axes, has {shape_text(shape)}")
    require(height > 0, "pyramid_height must be positive")
    levels = [[pooled(n, _bin(n, 2**level)) for n in shape[2:]] for level in range(height)]
    if height == 1:  # Caffe leaves a pyramid of one level unflattened
        return Made(((*shape[:2], *levels[0]),))
    return Made(((shape[0], shape[1] * sum(map(prod, levels))),))


def _bin(size: int, bins: int) -> Window:
    kernel = -(-size // bins)
    pad = (kernel * bins - size + 1) // 2
    require(0 <= pad < kernel, f"{bins} bins are too many for {size} elements")
    return Window(kernel, kernel, pad)
