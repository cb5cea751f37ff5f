"""Check that a caffemodel can be used, and that it has the weights of a network.

Caffe copies weights by layer name: it does not report layers that the file lacks, it reads the
BatchNorm of another branch of Caffe without an error, and it aborts at another shape. So `init`,
`train`, `eval` and `predict` check a file here before Caffe reads it; `audit --weights` reports the
same as findings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgen.caffe.caffemodel import (
    CaffemodelError,
    Shape,
    Weights,
    published_by_he,
    read_weights,
    sha1,
    shapes_text,
)
from netgen.system.text import listed

Shapes = Mapping[str, Sequence[Shape]]  # layer -> the shapes of its blobs
# Both store in BatchNorm what Caffe keeps in a Scale layer, each in its own order.
FIVE_BLOBS = "NVIDIA's or Intel's Caffe wrote it, with Scale's gain and bias inside"
EPSILON = 1e-5  # BatchNorm's, by default


@dataclass(frozen=True)
class Caffemodel:
    """A caffemodel without known faults: its file, and its layers by name."""

    file: str
    layers: Mapping[str, Weights]

    @cached_property
    def sha1(self) -> str:
        """The file's SHA-1; the file is read again for it."""
        return sha1(Path(self.file))

    @property
    def is_hes(self) -> bool:
        """Whether it is the ResNet-50 that He published, byte for byte."""
        return published_by_he(self.sha1)


def read_checked(path: str | os.PathLike[str]) -> Caffemodel:
    """Read a caffemodel, and refuse one that would train or score wrongly.

    Raises
    ------
    SchemaError, CaffemodelError
        It is not a caffemodel, is damaged, or has two layers of the same name, NaN or infinite
        numbers, or BatchNorm layers that another branch of Caffe wrote or no images leave.
    """
    file, weights = os.fspath(path), read_weights(path)
    if twice := repeated_names(weights):
        raise CaffemodelError(
            f"{file}: two layers of one name ({listed(twice)}): which one is meant?"
        )
    for reason in foreign_batch_norms(weights):
        raise CaffemodelError(f"{file}: {reason}")
    if sick := not_finite(weights):
        raise CaffemodelError(
            f"{file}: {listed(sick)}: NaN or infinite numbers: the training that left them diverged"
        )
    if large := [each.name for each in weights if any(_is_too_large(b) for b in each.blobs)]:
        raise CaffemodelError(
            f"{file}: {listed(large)}: numbers that are too large for the single precision that"
            " Caffe computes in: is it damaged?"
        )
    for names, what in (*_negative_factors(weights), *_negative_variances(weights)):
        raise CaffemodelError(f"{file}: {what} ({listed(names)}): is it damaged?")
    return Caffemodel(file, {layer.name: layer for layer in weights})


def _is_too_large(blob: NDArray[np.floating[Any]]) -> bool:
    return blob.dtype.itemsize > 4 and bool((np.abs(blob) > np.finfo(np.float32).max).any())


def repeated_names(weights: Iterable[Weights]) -> list[str]:
    """Return the names that more than one layer has; Caffe would take the last one's blobs."""
    counts: dict[str, int] = {}
    for layer in weights:
        counts[layer.name] = counts.get(layer.name, 0) + 1
    return [name for name, count in counts.items() if count > 1]


def not_finite(weights: Iterable[Weights]) -> list[str]:
    """Return the layers with NaN or infinite numbers."""
    return [layer.name for layer in weights if not all(np.isfinite(b).all() for b in layer.blobs)]


def without_statistics(weights: Iterable[Weights]) -> list[Weights]:
    """Return the BatchNorm layers whose factor is 0: Caffe takes their mean and variance as 0."""
    norms = (layer for layer in weights if layer.type == "BatchNorm" and len(layer.blobs) == 3)
    return [layer for layer in norms if not layer.blobs[2].any()]


def has_statistics(layer: Weights) -> bool:
    """Return whether a layer is a BatchNorm of Caffe's own with averages of some images."""
    return layer.type == "BatchNorm" and len(layer.blobs) == 3 and bool(layer.blobs[2].any())


def faulty_statistics(weights: Sequence[Weights]) -> Iterator[tuple[list[str], str]]:
    """Yield BatchNorm layers whose averages no images leave, and what is wrong with them.

    Caffe divides mean and variance by the scale factor, a sum of positive shares, adds
    :data:`EPSILON` to the variance and takes its root.
    """
    if empty := [layer.name for layer in without_statistics(weights)]:
        what = f"the scale factor of {len(empty)} BatchNorm layers is 0: their averages are of no"
        yield empty, what + " images, and in TEST Caffe takes mean and variance as 0"
    yield from _negative_factors(weights)
    yield from _negative_variances(weights)
    kept = [layer for layer in weights if has_statistics(layer)]
    if flat := [layer.name for layer in kept if not layer.blobs[1].any()]:
        what = f"the variance is 0 in all channels of {len(flat)} BatchNorm layers: images vary"
        yield flat, what


def _negative_factors(weights: Sequence[Weights]) -> Iterator[tuple[list[str], str]]:
    kept = [layer for layer in weights if has_statistics(layer)]
    if negative := [layer.name for layer in kept if layer.blobs[2].flat[0] < 0]:
        what = f"the scale factor of {len(negative)} BatchNorm layers is negative: it counts images"
        yield negative, what


def _negative_variances(weights: Sequence[Weights]) -> Iterator[tuple[list[str], str]]:
    kept = [layer for layer in weights if has_statistics(layer)]
    if no_root := [x.name for x in kept if (x.blobs[1] / x.blobs[2].flat[0] < -EPSILON).any()]:
        what = f"negative variances in {len(no_root)} BatchNorm layers: in TEST Caffe takes their"
        yield no_root, what + " root, which is NaN"


def foreign_batch_norms(weights: Sequence[Weights]) -> Iterator[str]:
    """Yield what is wrong with each BatchNorm that is not BVLC's (mean, variance and factor)."""
    for layer in weights:
        if layer.type == "BatchNorm" and len(layer.blobs) != 3:
            origin = FIVE_BLOBS if len(layer.blobs) == 5 else "another branch of Caffe wrote it"
            yield (
                f"{layer.name}: a BatchNorm of {len(layer.blobs)} blobs, where Caffe's has 3"
                f" (mean, variance, factor): {origin}. Convert it for BVLC's Caffe first"
            )
    for layer in without_statistics(weights):
        if layer.blobs[1].any():
            yield (
                f"{layer.name}: a BatchNorm whose factor is 0, which would make Caffe take its mean"
                " and variance as 0: NVIDIA's Caffe wrote it in the old format. Set the third blob"
                " of every BatchNorm to 1 first"
            )


# ---- a caffemodel compared with a network -------------------------------------------------------


@dataclass(frozen=True)
class WeightDifferences:
    """The layers that only the network has, that only the file has, and that differ in shape."""

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    shapes: tuple[str, ...]


def shapes_of(weights: Iterable[Weights]) -> Shapes:
    """Return the shapes of each layer's blobs."""
    return {layer.name: tuple(blob.shape for blob in layer.blobs) for layer in weights}


def same_shapes(one: Iterable[Shape], other: Iterable[Shape]) -> bool:
    """Return whether blobs fit, without axes of 1: older files have four axes for every blob."""
    return _squeezed(one) == _squeezed(other)


def compare(found: Shapes, wanted: Shapes) -> WeightDifferences:
    """Compare the layers of a file with those of a network, by name and shape."""
    shared = [name for name in wanted if name in found]
    return WeightDifferences(
        missing=tuple(name for name in wanted if name not in found),
        extra=tuple(name for name in found if name not in wanted),
        shapes=tuple(name for name in shared if not same_shapes(found[name], wanted[name])),
    )


def check_weights(
    path: str | os.PathLike[str], net: str | os.PathLike[str], wanted: Shapes
) -> Caffemodel:
    """Check that a caffemodel has every layer of a network, in its shape; return it.

    Layers that only the file has (losses, other classifiers) are accepted: Caffe ignores them.

    Parameters
    ----------
    path
        The caffemodel.
    net
        The network's prototxt, for messages.
    wanted
        The network's layers with weights.

    Raises
    ------
    SchemaError, CaffemodelError
        As for :func:`read_checked`; or the weights are those of another network.
    """
    read = read_checked(path)
    found = shapes_of(read.layers.values())
    differences = compare(found, wanted)
    parts = [f"it lacks {listed(differences.missing)}"] if differences.missing else []
    for name in differences.shapes[:1]:
        has, needs = shapes_text(found[name]), shapes_text(wanted[name])
        more = len(differences.shapes) - 1
        rest = f" ({more:,} more layers differ in shape)" if more else ""
        parts.append(f"its layer {name} has blobs of {has}, the network needs {needs}{rest}")
    if parts:
        raise CaffemodelError(
            f"{os.fspath(path)}: weights of another network, not weights of {os.fspath(net)}: of"
            f" {len(wanted)} layers with weights {'; '.join(parts)}. Use weights trained for this"
            " network, or make initial ones with `netgen init`"
        )
    return read


def _squeezed(blobs: Iterable[Shape]) -> list[Shape]:
    return [tuple(size for size in shape if size != 1) for shape in blobs]
