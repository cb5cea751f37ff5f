"""The weights to start from: which file it is, and whether Caffe's layers can take its blobs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netgen.caffe.caffemodel import HE_RESNET50, Weights, read_weights, sha1
from netgen.system.text import listed

PEEK = 256  # bytes that tell a prototxt: a caffemodel has binary lengths among the first
# Both fold what Caffe keeps in a Scale layer into BatchNorm, each in its own order.
FIVE_BLOBS = "NVIDIA's or Intel's Caffe wrote it, with Scale's gain and bias inside"


class SurgeryError(ValueError):
    """Weights that a network cannot start from; the message says why and what next."""


@dataclass(frozen=True)
class Source:
    """A caffemodel: its file, its sha1, and its layers by name."""

    file: str
    sha1: str
    layers: Mapping[str, Weights]

    @property
    def is_hes(self) -> bool:
        """Whether it is the ResNet-50 that He published, byte for byte."""
        return self.sha1 == HE_RESNET50


def read_source(path: str | os.PathLike[str]) -> Source:
    """Read a caffemodel, and check what its names and shapes cannot tell.

    Raises
    ------
    SchemaError, CaffemodelError
        It is no caffemodel, or damaged.
    SurgeryError
        It is text, has two layers of one name, numbers that are none, or another Caffe's BatchNorm.
    """
    file = os.fspath(path)
    if _is_text(Path(path)):
        raise SurgeryError(f"{file}: text, not weights: a network's prototxt is given with --net")
    weights = read_weights(path)
    layers = {layer.name: layer for layer in weights}
    if len(layers) < len(weights):
        names = [layer.name for layer in weights]
        twice = [name for name in layers if names.count(name) > 1]
        raise SurgeryError(f"{file}: two layers of one name ({listed(twice)}): which one is meant?")
    for reason in (*_dialect(weights), *_sick(weights)):
        raise SurgeryError(f"{file}: {reason}")
    return Source(file, sha1(Path(path)), layers)


def _is_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(PEEK).decode()
    except (OSError, UnicodeDecodeError):
        return False
    return bool(start) and all(sign.isprintable() or sign.isspace() for sign in start)


def _dialect(weights: list[Weights]) -> Iterator[str]:
    """Tell what other branches of Caffe call BatchNorm; ours keeps mean, variance and a factor."""
    norms = [layer for layer in weights if layer.type == "BatchNorm"]
    for layer in norms:
        if len(layer.blobs) != 3:
            whose = FIVE_BLOBS if len(layer.blobs) == 5 else "another branch of Caffe wrote it"
            yield (
                f"{layer.name}: a BatchNorm of {len(layer.blobs)} blobs, where Caffe's has 3"
                f" (mean, variance, factor): {whose}. Convert it for BVLC's Caffe first"
            )
    for layer in norms:
        if len(layer.blobs) == 3 and not layer.blobs[2].any() and layer.blobs[1].any():
            yield (
                f"{layer.name}: a BatchNorm whose factor is 0, which would make Caffe take its mean"
                " and variance as 0: NVIDIA's Caffe wrote it in the old format. Set the third blob"
                " of every BatchNorm to 1 first"
            )


def _sick(weights: list[Weights]) -> Iterator[str]:
    sick = [layer.name for layer in weights if not all(np.isfinite(b).all() for b in layer.blobs)]
    if sick:
        yield f"{listed(sick)}: NaN or infinite numbers: the training that left them diverged"
