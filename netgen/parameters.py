"""Which layer has which parameters: blobs, what trains them, and those that layers share."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from netgen.caffe_pb2 import LayerParameter, ParamSpec
from netgen.layers.table import Made, Shape, text
from netgen.schema import SchemaError
from netgen.wiring import Wired


class Blob(NamedTuple):
    """A parameter blob that a layer is the first to have."""

    size: int
    trainable: bool


def owned_blobs(wired: Sequence[Wired], shaped: Sequence[Made | None]) -> list[list[Blob]]:
    """List each layer's own parameter blobs: one under a name that came before is another's.

    Parameters
    ----------
    wired, shaped
        The layers, and what they make; None for those that are not understood.

    Returns
    -------
    list of list of Blob
        One list a layer.

    Raises
    ------
    SchemaError
        When layers share a blob under one name, but not in shape.
    """
    seen: dict[str, Shape] = {}
    owned: list[list[Blob]] = []
    for layer, result in zip(wired, shaped, strict=True):
        owned.append([])
        for index, shape in enumerate(result.blobs if result else ()):
            specs = layer.layer.param
            spec = specs[index] if index < len(specs) else ParamSpec()
            if spec.name and spec.name in seen:
                _check_shared(layer.layer, spec, shape, seen[spec.name])
                continue
            seen[spec.name] = shape
            trained = spec.lr_mult != 0 and layer.layer.type != "BatchNorm"
            owned[-1].append(Blob(prod(shape), trained))
    return owned


def _check_shared(layer: LayerParameter, spec: ParamSpec, shape: Shape, first: Shape) -> None:
    same = prod(shape) == prod(first) if spec.share_mode == ParamSpec.PERMISSIVE else shape == first
    if not same:
        raise SchemaError(
            f"layer {layer.name!r} ({layer.type}): shares parameter {spec.name!r} of "
            f"{text(first)}, but needs {text(shape)}"
        )
