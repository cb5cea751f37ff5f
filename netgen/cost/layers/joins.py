"""Layers that join, cut, repeat, select from or reshape blobs."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from netgen.caffe.caffe_pb2 import ConcatParameter, LayerParameter, SliceParameter
from netgen.cost.layers.layer_types import (
    ANY,
    Made,
    Shape,
    axis_of,
    layer_types,
    require,
    same_shape,
    with_size,
)
from netgen.system.text import shape_text


@layer_types("Eltwise", bottoms=(2, ANY))
def _eltwise(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    for other in bottoms[1:]:
        same_shape(other, bottoms[0])
    param = layer.eltwise_param
    require(len(param.coeff) in (0, len(bottoms)), "needs one coeff per bottom, or none")
    return Made((bottoms[0],))


@layer_types("Concat", bottoms=(1, ANY))
def _concat(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    param = layer.concat_param
    axis = axis_of(_axis(param, "concat_dim"), bottoms[0])
    for other in bottoms[1:]:
        require(
            len(other) == len(bottoms[0]),
            f"{shape_text(other)} does not fit {shape_text(bottoms[0])}",
        )
        same_shape((*other[:axis], 0, *other[axis + 1 :]), with_size(bottoms[0], axis, 0))
    return Made((with_size(bottoms[0], axis, sum(shape[axis] for shape in bottoms)),))


@layer_types("Slice", tops=(1, ANY))
def _slice(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    axis = axis_of(_axis(layer.slice_param, "slice_dim"), bottoms[0])
    size, parts = bottoms[0][axis], len(layer.top)
    points = list(layer.slice_param.slice_point)
    if not points:
        require(size % parts == 0, f"{size} cannot be cut into {parts} equal parts")
        points = [size // parts * i for i in range(1, parts)]
    require(len(points) == parts - 1, f"{len(points)} slice_point do not make {parts} parts")
    edges = [0, *points, size]
    widths = [end - start for start, end in pairwise(edges)]
    require(all(width > 0 for width in widths), f"slice_point {points} do not rise within {size}")
    return Made(tuple(with_size(bottoms[0], axis, width) for width in widths))


@layer_types("Split", tops=(1, ANY))
def _split(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    return Made((bottoms[0],) * len(layer.top))


@layer_types("Flatten")
def _flatten(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    shape, param = bottoms[0], layer.flatten_param
    start, end = axis_of(param.axis, shape), axis_of(param.end_axis, shape)
    return Made(((*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]),))


@layer_types("Reshape")
def _reshape(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    """Reshape: 0 copies an axis, -1 is computed; axes outside [axis, axis + num_axes) stay."""
    shape, param = bottoms[0], layer.reshape_param
    start = param.axis if param.axis >= 0 else len(shape) + param.axis + 1
    end = len(shape) if param.num_axes == -1 else start + param.num_axes
    require(
        0 <= start <= end <= len(shape), f"axes {start} to {end} are not in {shape_text(shape)}"
    )
    new = list(param.shape.dim)
    for i, size in enumerate(new):
        if size == 0:
            require(start + i < len(shape), f"no axis {start + i} in {shape_text(shape)} to copy")
            new[i] = shape[start + i]
    require(new.count(-1) <= 1, "only one dim may be -1")
    top = [*shape[:start], *new, *shape[end:]]
    if -1 in new:
        rest = prod(size for size in top if size != -1)
        require(
            rest > 0 and prod(shape) % rest == 0, f"{shape_text(shape)} is not a multiple of {rest}"
        )
        top[start + new.index(-1)] = prod(shape) // rest
    require(prod(top) == prod(shape), f"{shape_text(shape)} cannot become {shape_text(tuple(top))}")
    return Made((tuple(top),))


@layer_types("Reduction")
def _reduction(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    axis = layer.reduction_param.axis
    return Made((bottoms[0][: axis_of(axis, bottoms[0])] if bottoms[0] else (),))


@layer_types("Tile")
def _tile(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    axis = axis_of(layer.tile_param.axis, bottoms[0])
    require(layer.tile_param.tiles > 0, "tiles must be positive")
    return Made((with_size(bottoms[0], axis, bottoms[0][axis] * layer.tile_param.tiles),))


@layer_types("Crop", bottoms=(2, 2))
def _crop(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    (shape, like), param = bottoms, layer.crop_param
    axis = axis_of(param.axis, shape)
    require(
        len(like) >= len(shape), f"{shape_text(like)} has no sizes for all of {shape_text(shape)}"
    )
    require(len(param.offset) in (0, 1, len(shape) - axis), "needs 0 or 1 offsets, or 1 per axis")
    offsets = list(param.offset) or [0]
    for i in range(axis, len(shape)):
        offset = offsets[0] if len(offsets) == 1 else offsets[i - axis]
        require(like[i] + offset <= shape[i], f"{like[i]} after {offset} is not within {shape[i]}")
    return Made((shape[:axis] + like[axis : len(shape)],))


@layer_types("BatchReindex", bottoms=(2, 2))
def _batch_reindex(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    require(len(bottoms[1]) == 1, f"needs a vector of indices, has {shape_text(bottoms[1])}")
    return Made((bottoms[1] + bottoms[0][1:],))


@layer_types("Filter", bottoms=(2, ANY), tops=(1, ANY))
def _filter(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    """Keep the images that the last bottom selects: counted as all, as Caffe sets it up."""
    require(len(layer.top) == len(bottoms) - 1, "needs one top per bottom, except for the last")
    return Made(tuple(bottoms[:-1]))


@layer_types("ArgMax")
def _arg_max(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    shape, param = bottoms[0], layer.argmax_param
    if param.HasField("axis"):
        axis = axis_of(param.axis, shape)
        require(param.top_k <= shape[axis], f"top_k {param.top_k} of {shape[axis]}")
        return Made((with_size(shape, axis, param.top_k),))
    require(param.top_k <= prod(shape[1:]), f"top_k {param.top_k} of {prod(shape[1:])}")
    last = (1,) * max(0, len(shape) - 3)
    return Made(((shape[0], 2 if param.out_max_val else 1, param.top_k, *last),))


@layer_types("Silence", bottoms=(1, ANY), tops=(0, 0))
def _silence(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    return Made(())


def _axis(param: ConcatParameter | SliceParameter, older: str) -> int:
    """Read an axis from the field of its present or its older name."""
    name = older if param.HasField(older) else "axis"
    return int(getattr(param, name))
