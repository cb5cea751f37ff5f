"""Layers without bottoms: the prototxt has their batch size, but seldom the size of their images.

An image's size is looked for in this order: the caller's hint; `crop_size`, or the size that an
ImageData layer resizes to; the first record of the layer's LMDB; one number per record, if the blob
is only read as labels. Else the paper's 3 x 224 x 224 (section 5.2) is assumed, with a notice.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from netgen.caffe.caffe_pb2 import BlobShape, DataParameter, Datum, LayerParameter
from netgen.caffe.databases import DatabaseError, open_database
from netgen.cost.layers.layer_types import ANY, Made, Shape, ShapeError, layer_types, require
from netgen.system.text import shape_text

PAPERS_IMAGE = (3, 224, 224)
OPEN_ENDED = {"Data", "HDF5Data", "ImageData", "Input", "WindowData"}
Image = tuple[int, int, int]


def source_made(
    layer: LayerParameter, hints: Mapping[str, Image], labels: Collection[str]
) -> tuple[Made | None, str | None]:
    """Find what a layer of :data:`OPEN_ENDED` makes.

    Parameters
    ----------
    layer
        The layer.
    hints
        Blob to C, H, W.
    labels
        The blobs that are read as labels only.

    Returns
    -------
    Made or None
        None when the shapes are unknown.
    str or None
        A notice, where something was assumed or is unknown.

    Raises
    ------
    ShapeError
        When no batch size is given, or the LMDB cannot be read.
    """
    require(not layer.bottom, "takes no `bottom`")
    require(len(layer.top) > 0, "takes at least one `top`, has 0")
    if layer.type == "Input":
        return _input(layer, hints)
    if layer.type == "HDF5Data":
        return _hdf5(layer, hints)
    image, notice = _image(layer, hints, labels)
    batch = _batch(layer)
    return Made(((batch, *image), (batch,))[: len(layer.top)]), notice


def _input(layer: LayerParameter, hints: Mapping[str, Image]) -> tuple[Made | None, str | None]:
    if layer.input_param.shape:
        stated = _one_or_each([_shape(shape) for shape in layer.input_param.shape], len(layer.top))
        named = zip(layer.top, stated, strict=True)
        return Made(tuple((*s[:1], *hints[top]) if top in hints else s for top, s in named)), None
    if not set(layer.top) <= hints.keys():
        return None, f"layer {layer.name!r} states no shape: give its blobs' C x H x W"
    return Made(tuple((1, *hints[top]) for top in layer.top)), None


def _hdf5(layer: LayerParameter, hints: Mapping[str, Image]) -> tuple[Made | None, str | None]:
    if not set(layer.top) <= hints.keys():
        return None, f"layer {layer.name!r} reads HDF5: give its blobs' C x H x W"
    return Made(tuple((_batch(layer), *hints[top]) for top in layer.top)), None


def _batch(layer: LayerParameter) -> int:
    batch = {
        "Data": layer.data_param.batch_size,
        "HDF5Data": layer.hdf5_data_param.batch_size,
        "ImageData": layer.image_data_param.batch_size,
        "WindowData": layer.window_data_param.batch_size,
    }[layer.type]
    require(batch > 0, "batch_size must be positive")
    return batch


def _image(
    layer: LayerParameter, hints: Mapping[str, Image], labels: Collection[str]
) -> tuple[Image, str | None]:
    """Find one image's C, H, W, and a notice where it had to be assumed."""
    top, crop = layer.top[0], layer.transform_param.crop_size
    if top in hints:
        return hints[top], None
    stated = _record(layer) if layer.type == "Data" else _resized(layer)
    if crop:
        return (stated[0] if stated else PAPERS_IMAGE[0], crop, crop), None
    if stated:
        return stated, None
    if top in labels:
        return (1, 1, 1), None
    assumed = f"blob {top!r} is ASSUMED to be {shape_text(PAPERS_IMAGE)} per image"
    reason = f"layer {layer.name!r} does not give it, and its data is not here"
    return PAPERS_IMAGE, f"{assumed}: {reason}"


def _resized(layer: LayerParameter) -> Image | None:
    """Read the size that an ImageData layer resizes to."""
    param = layer.image_data_param
    if not (param.new_height and param.new_width):
        return None
    return 3 if param.is_color else 1, param.new_height, param.new_width


def _record(layer: LayerParameter) -> Image | None:
    """Read C, H, W from the first record of a Data layer's LMDB; None where there is none."""
    source = layer.data_param.source
    if layer.data_param.backend != DataParameter.LMDB or not os.path.isdir(source):
        return None
    try:
        with open_database(Path(source)) as cursor:
            _, datum = next(cursor.datums())
    except DatabaseError as error:
        raise ShapeError(f"database {error}") from None
    return _decoded(datum, layer) if datum.encoded else (datum.channels, datum.height, datum.width)


def _decoded(datum: Datum, layer: LayerParameter) -> Image:
    """Decode a record that holds an image file, as Caffe's DataTransformer does."""
    import cv2  # slow to load and seldom needed
    import numpy as np

    param = layer.transform_param
    mode = cv2.IMREAD_COLOR if param.force_color else cv2.IMREAD_UNCHANGED
    mode = cv2.IMREAD_GRAYSCALE if param.force_gray else mode
    image = cv2.imdecode(np.frombuffer(datum.data, np.uint8), mode)
    if image is None:
        raise ShapeError(f"database {layer.data_param.source}: its first record is not an image")
    height, width = image.shape[:2]
    return (image.shape[2] if image.ndim == 3 else 1), height, width


@layer_types("MemoryData", bottoms=(0, 0), tops=(2, 2))
def _memory_data(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    param = layer.memory_data_param
    shape = (param.batch_size, param.channels, param.height, param.width)
    require(min(shape) > 0, "batch_size, channels, height and width must be positive")
    return Made((shape, (param.batch_size,)))


@layer_types("DummyData", bottoms=(0, 0), tops=(1, ANY))
def _dummy_data(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    param, tops = layer.dummy_data_param, len(layer.top)
    axes = [param.num, param.channels, param.height, param.width]
    if not any(axes):
        return Made(_one_or_each([_shape(shape) for shape in param.shape], tops))
    require(all(len(sizes) in (1, tops) for sizes in axes), "needs num, channels, height, width")
    full = [list(sizes) * tops if len(sizes) == 1 else list(sizes) for sizes in axes]
    return Made(tuple(zip(*full, strict=True)))


@layer_types("Parameter", bottoms=(0, 0))
def _parameter(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    shape = _shape(layer.parameter_param.shape)
    return Made((shape,), (shape,))


@layer_types("HDF5Output", bottoms=(2, 2), tops=(0, 0))
def _hdf5_output(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    return Made(())


def _shape(shape: BlobShape) -> Shape:
    return tuple(shape.dim)


def _one_or_each(shapes: list[Shape], tops: int) -> tuple[Shape, ...]:
    require(len(shapes) in (1, tops), f"{len(shapes)} shapes for {tops} tops: give 1, or 1 per top")
    return tuple(shapes * tops if len(shapes) == 1 else shapes)
