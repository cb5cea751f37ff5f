"""Compute the shapes of blobs and parameters layer by layer, and report unknown layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, ParamSpec
from netgen.caffe.schema import SchemaError
from netgen.cost.layers import dense, joins, pointwise, sources, windows
from netgen.cost.layers.layer_types import RULES, Made, Shape, ShapeError, check_size, made
from netgen.cost.wiring import Wired
from netgen.system.text import shape_text

# Importing a family of layers enters its types in `RULES`.
FAMILIES = (joins, dense, pointwise, sources, windows)
NOT_ESTIMATED = {"LSTM", "RNN"}  # Caffe unrolls them into nets of their own
# What reads these has lost the rows and columns of an image.
FLATTENS = {"ArgMax", "Embed", "Flatten", "InnerProduct", "LSTM", "RNN", "Reshape"}
OVER_IMAGES = {"Crop", "Im2col", "LRN", "Pooling", "SPP"}  # and all kinds of convolutions
MOST_NOTICES = 20


def check_hints(net: NetParameter, hints: Mapping[str, Shape]) -> None:
    """Refuse shapes for blobs that no data source makes in any phase.

    Raises
    ------
    SchemaError
        Naming the first such blob.
    """
    read = {top for layer in net.layer if sources.is_source(layer) for top in layer.top}
    for blob in sorted(hints.keys() - read):
        choice = f": choose from {', '.join(sorted(read))}" if read else ""
        raise SchemaError(f"a shape is given for blob {blob!r}, which no data layer makes{choice}")


def unknown_types(layers: Sequence[LayerParameter]) -> list[str]:
    """Name the unknown layer types, and the first layer of each."""
    unknown: dict[str, list[str]] = {}
    for layer in layers:
        if layer.type not in RULES and not sources.is_source(layer):
            unknown.setdefault(layer.type, []).append(layer.name)
    return [
        f"unknown type {kind[:60]!r}, {len(names)} of it, first layer {names[0]!r}: "
        "not counted, nor are the layers that read it"
        for kind, names in list(unknown.items())[:MOST_NOTICES]
    ]


def images_of(layers: Sequence[LayerParameter]) -> set[str]:
    """Find the blobs that have rows and columns: a convolution or the like reads them.

    Directly, or through layers that keep rows and columns.
    """
    images: set[str] = set()
    for layer in reversed(layers):
        slides = layer.type in OVER_IMAGES or "onvolution" in layer.type
        if slides or (layer.type not in FLATTENS and not images.isdisjoint(layer.top)):
            images.update(layer.bottom)
    return images


def give_shapes(
    wired: Sequence[Wired], known: sources.Known
) -> tuple[list[Made | None], list[str]]:
    """Give every blob version its shape, in order.

    Parameters
    ----------
    wired
        The layers; their tops are given `shape` and `batched`.
    known
        What is known of the blobs that data layers make.

    Returns
    -------
    list of Made or None
        One per layer, None where its type or a bottom is unknown.
    list of str
        Notices of what was assumed or is unknown.

    Raises
    ------
    SchemaError
        When sizes do not fit, naming the layer, and what was assumed of the blobs that it follows
        from.
    """
    shaped: list[Made | None] = []
    notices: list[str] = []
    for layer in wired:
        try:
            result, notice = _made(layer, known)
        except ShapeError as error:
            raise _refused(layer, str(error)) from None
        shaped.append(result)
        notices += [notice] if notice else []
        assumed = notice if notice and sources.ASSUMED in notice else layer.assumed
        for top in layer.tops:
            top.assumed = assumed
        batched = any(bottom.batched for bottom in layer.bottoms) or not layer.bottoms
        for top, shape in zip(layer.tops, result.tops if result else (), strict=False):
            top.shape, top.batched = shape, batched and bool(shape)
    return shaped, notices


def _refused(wired: Wired, why: str) -> SchemaError:
    because = f"; {wired.assumed}" if wired.assumed else ""
    return SchemaError(f"layer {wired.layer.name!r} ({wired.layer.type}): {why}{because}")


def _made(wired: Wired, known: sources.Known) -> tuple[Made | None, str | None]:
    layer = wired.layer
    if sources.is_source(layer):
        result, notice = sources.source_made(layer, known)
        for shape in result.tops if result else ():
            check_size(shape)
        return result, notice
    if layer.type not in RULES:
        return None, None
    shapes = [bottom.shape for bottom in wired.bottoms]
    given = [shape for shape in shapes if shape is not None]
    notice = f"layer {layer.name!r}: an {layer.type}'s memory is not counted"
    result = made(layer, given) if len(given) == len(shapes) else None
    return result, notice if layer.type in NOT_ESTIMATED else None


# ---- which layer has which parameter blobs, which are trained, and which are shared -------------


class Blob(NamedTuple):
    """A parameter blob, counted at the first layer that has it."""

    size: int
    trainable: bool


def owned_blobs(wired: Sequence[Wired], shaped: Sequence[Made | None]) -> list[list[Blob]]:
    """List each layer's own parameter blobs, without those that it shares with an earlier layer.

    Parameters
    ----------
    wired, shaped
        The layers, and what they make; None for unknown layers.

    Returns
    -------
    list of list of Blob
        One list per layer.

    Raises
    ------
    SchemaError
        When layers share a blob by name, but with different shapes; naming what was assumed of
        the blobs that these follow from.
    """
    seen: dict[str, Shape] = {}
    owned: list[list[Blob]] = []
    for layer, result in zip(wired, shaped, strict=True):
        owned.append([])
        for index, shape in enumerate(result.blobs if result else ()):
            specs = layer.layer.param
            spec = specs[index] if index < len(specs) else ParamSpec()
            if spec.name and spec.name in seen:
                _check_shared(layer, spec, shape, seen[spec.name])
                continue
            seen[spec.name] = shape
            trained = spec.lr_mult != 0 and layer.layer.type != "BatchNorm"
            owned[-1].append(Blob(prod(shape), trained))
    return owned


def _check_shared(wired: Wired, spec: ParamSpec, shape: Shape, first: Shape) -> None:
    same = prod(shape) == prod(first) if spec.share_mode == ParamSpec.PERMISSIVE else shape == first
    if not same:
        raise _refused(
            wired,
            f"shares parameter {spec.name!r} of {shape_text(first)}, but needs {shape_text(shape)}",
        )
