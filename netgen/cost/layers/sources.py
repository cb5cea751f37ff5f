"""Layers without bottoms: the prototxt has their batch size, but seldom the size of their records.

A record's size is looked for in this order: the caller's hint; `crop_size`, or the size that an
ImageData layer resizes to; the first record of the layer's LMDB; one number per record, if the blob
is only read as labels. Else the paper's 3 x 224 x 224 (section 5.2) is assumed, with a notice, if a
convolution or a pooling reads the blob. What a program or an HDF5 file feeds is never assumed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from netgen.caffe.caffe_pb2 import BlobShape, DataParameter, Datum, LayerParameter
from netgen.caffe.database_cursor import DatabaseError
from netgen.caffe.databases import first_datum
from netgen.cost.layers.layer_types import (
    ANY,
    RULES,
    Made,
    Shape,
    ShapeError,
    layer_types,
    require,
)
from netgen.system.text import shape_text

PAPERS_IMAGE = (3, 224, 224)
ASSUMED = "ASSUMED"  # in each notice of an assumption
OPEN_ENDED = {"Data", "HDF5Data", "ImageData", "Input", "WindowData"}
AXES = 3  # of a record of a database: C x H x W
Image = tuple[int, int, int]


class Known(NamedTuple):
    """What is known of the blobs that sources make, by the blob's name.

    Attributes
    ----------
    hints
        Sizes per record that the caller gives: (C, H, W) of images, (D,) of vectors.
    labels
        Blobs that are read as labels only, and their (C, H, W).
    images
        Blobs that a convolution, a pooling or the like reads.
    read
        Blobs that any layer reads, but for Silence.
    batch
        The batch size of the first source that says one; 1 without.
    """

    hints: Mapping[str, Shape]
    labels: Mapping[str, Image]
    images: Collection[str]
    read: Collection[str]
    batch: int = 1


def is_source(layer: LayerParameter) -> bool:
    """Return whether a layer's tops have sizes that its prototxt may leave open.

    Besides Caffe's own data layers that is every layer of an unknown type that reads nothing:
    Python layers, and the data layers of other branches of Caffe.
    """
    unknown = layer.type not in RULES and not layer.bottom and len(layer.top) > 0
    return layer.type in OPEN_ENDED or unknown


def source_made(layer: LayerParameter, known: Known) -> tuple[Made | None, str | None]:
    """Find what a source makes (see :func:`is_source`).

    Parameters
    ----------
    layer
        The layer.
    known
        What is known of the blobs.

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
        return _input(layer, known.hints)
    if layer.type not in OPEN_ENDED or layer.type == "HDF5Data":
        return _by_hints(layer, known)
    batch = _batch(layer)
    record, notice = _record(layer, known)
    if record is None:
        return None, notice
    return Made(((batch, *record), (batch,))[: len(layer.top)]), notice


def _input(layer: LayerParameter, hints: Mapping[str, Shape]) -> tuple[Made | None, str | None]:
    if layer.input_param.shape:
        stated = _one_or_each([_shape(shape) for shape in layer.input_param.shape], len(layer.top))
        named = zip(layer.top, stated, strict=True)
        return Made(tuple((*s[:1], *hints[top]) if top in hints else s for top, s in named)), None
    if not set(layer.top) <= hints.keys():
        return None, _unstated(layer, "states no shape")
    return Made(tuple((1, *hints[top]) for top in layer.top)), None


def _by_hints(layer: LayerParameter, known: Known) -> tuple[Made | None, str | None]:
    """Find the tops of a layer whose file or program alone has their sizes; labels need no hint."""
    sizes: dict[str, Shape] = {**known.labels, **known.hints}
    of_file = layer.type == "HDF5Data"
    if not set(layer.top) <= sizes.keys() or not (of_file or known.hints.keys() & set(layer.top)):
        return None, _unstated(layer, "does not state its shapes")
    batch = _batch(layer) if of_file else batch_of(layer)
    notice = None
    if not batch:
        notice = f"blob {layer.top[0]!r} is {ASSUMED} to have {known.batch} records per batch:"
        notice += f" layer {layer.name!r} ({layer.type[:60]}) does not say how many"
    return Made(tuple((batch or known.batch, *sizes[top]) for top in layer.top)), notice


def _unstated(layer: LayerParameter, why: str) -> str:
    top = layer.top[0]
    return (
        f"layer {layer.name!r} ({layer.type[:60]}) {why}: give the sizes of its blobs' records, as"
        f" in --input {top}=3x224x224 or {top}=128"
    )


def batch_of(layer: LayerParameter) -> int:
    """Return the batch size that a source states; 0 where it does not."""
    params: dict[str, Any] = {
        "HDF5Data": layer.hdf5_data_param,
        "ImageData": layer.image_data_param,
        "WindowData": layer.window_data_param,
    }
    # Other branches' data layers have data_param too.
    return int(params.get(layer.type, layer.data_param).batch_size) if not layer.bottom else 0


def _batch(layer: LayerParameter) -> int:
    batch = batch_of(layer)
    require(batch > 0, "batch_size must be positive")
    return batch


def _record(layer: LayerParameter, known: Known) -> tuple[Image | None, str | None]:
    """Find a record's C, H, W, and a notice where it had to be assumed or is unknown."""
    top, crop = layer.top[0], layer.transform_param.crop_size
    if top in known.hints:
        return _as_datum(known.hints[top]), None
    stated = _first_record(layer) if layer.type == "Data" else _resized(layer)
    if crop:
        return _cropped(layer, crop, stated or known.labels.get(top))
    return (stated, None) if stated else _by_readers(layer, known)


def _by_readers(layer: LayerParameter, known: Known) -> tuple[Image | None, str | None]:
    """Infer a record's C, H, W from what reads it."""
    top = layer.top[0]
    if top in known.labels:
        return known.labels[top], None
    if top not in known.read:
        return (1, 1, 1), f"blob {top!r} is {ASSUMED} to be a number per record: nothing reads it"
    if top not in known.images:
        return None, _unstated(layer, f"feeds {top!r} to no convolution or pooling")
    assumed = f"blob {top!r} is {ASSUMED} to be {shape_text(PAPERS_IMAGE)} per image"
    reason = f"layer {layer.name!r} does not give it, and its data is not here"
    return PAPERS_IMAGE, f"{assumed}: {reason} (--input {top}=CxHxW)"


def _as_datum(hint: Shape) -> Image:
    """Give a vector the axes that a Datum has: D x 1 x 1."""
    require(len(hint) <= AXES, f"a record is C x H x W, {shape_text(hint)} is given for it")
    channels, height, width = (*hint, *(1,) * (AXES - len(hint)))
    return channels, height, width


def _cropped(
    layer: LayerParameter, crop: int, stated: Image | None
) -> tuple[Image | None, str | None]:
    if stated:
        return (stated[0], crop, crop), None
    if layer.type != "Data":
        return (3 if layer.image_data_param.is_color else 1, crop, crop), None
    channels, top = PAPERS_IMAGE[0], layer.top[0]
    notice = f"blob {top!r} is {ASSUMED} to have {channels} channels: its data is not here"
    return (channels, crop, crop), f"{notice} (--input {top}=Cx{crop}x{crop})"


def _resized(layer: LayerParameter) -> Image | None:
    """Read the size that an ImageData layer resizes to."""
    param = layer.image_data_param
    if not (param.new_height and param.new_width):
        return None
    return 3 if param.is_color else 1, param.new_height, param.new_width


def _first_record(layer: LayerParameter) -> Image | None:
    """Read C, H, W from the first record of a Data layer's LMDB; None where there is none."""
    source = layer.data_param.source
    if layer.data_param.backend != DataParameter.LMDB or not os.path.isdir(source):
        return None
    try:
        datum = first_datum(Path(source))
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
