"""Are these weights of the paper's network? Layers, shapes and counts, and what training left."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from netgen import paper
from netgen.audit.inspection.explanations import starts_at
from netgen.audit.inspection.finding import InspectionFinding as Finding
from netgen.audit.inspection.finding import InspectionVerdict as Verdict
from netgen.audit.inspection.references import Reference
from netgen.caffe.caffemodel import HE_RESNET50, Weights, read_weights, sha1, squeezed
from netgen.cost.complexity import count
from netgen.cost.layers.table import Shape, text
from netgen.network.variants import variants
from netgen.system.text import listed

CROSS = re.compile(r"cross\d")
IMAGE = {"data": (3, paper.IMAGE_SIZE, paper.IMAGE_SIZE)}
Shapes = Mapping[str, tuple[Shape, ...]]


def inspect_weights(
    path: str | os.PathLike[str], reference: Reference | None = None
) -> list[Finding]:
    """Compare a caffemodel with the deploy network of the paper's that it fits best.

    Parameters
    ----------
    path
        The caffemodel.
    reference
        The network that it is said to be of; found by names and shapes where it is not given.

    Raises
    ------
    ValueError
        When the file is no caffemodel, damaged or truncated.
    """
    file, weights = os.fspath(path), read_weights(path)
    if sha1(Path(path)) == HE_RESNET50:
        what = "He's ResNet-50 for ImageNet, byte for byte: what section 5.2 starts from"
        return [Finding(file, what, Verdict.SAME), *_health(file, weights)]
    shapes = {layer.name: tuple(blob.shape for blob in layer.blobs) for layer in weights}
    reference = reference.whole if reference else _best(shapes)
    wanted = _shapes(reference)
    return [
        *_coverage(file, reference, shapes, wanted),
        *_shape_differences(file, shapes, wanted),
        _parameters(file, reference, shapes, wanted),
        *_health(file, weights),
        *_cross_weights(file, weights),
    ]


def _best(shapes: Shapes) -> Reference:
    """Return the network of Table 2 that most of the blobs fit, and that asks for the fewest."""
    known = variants(list(paper.TASKS)).values()
    references = [Reference(variant, "deploy").whole for variant in known]
    return max(references, key=lambda reference: _fit(shapes, _shapes(reference)))


def _fit(shapes: Shapes, wanted: Shapes) -> float:
    same = sum(squeezed(shapes.get(name, ())) == squeezed(blobs) for name, blobs in wanted.items())
    return same / max(len(shapes.keys() | wanted.keys()), 1)


def _shapes(reference: Reference) -> Shapes:
    if reference.kind == "deploy":
        layers = count(reference.net(), "TEST").layers
    else:
        layers = count(reference.net(), "TRAIN", inputs=IMAGE).layers
    return {layer.name: layer.blobs for layer in layers if layer.blobs}


def _coverage(file: str, reference: Reference, shapes: Shapes, wanted: Shapes) -> Iterator[Finding]:
    """Tell which layers the file and the network have in common: Caffe copies by name, silently."""
    network = f"{reference.variant.row.title} ({reference.title})"
    lacking = [name for name in wanted if name not in shapes]
    others = [name for name in shapes if name not in wanted]
    if not lacking:
        what = f"all {len(wanted)} layers of {network} that have weights"
        yield Finding(file, what, Verdict.SAME)
    else:
        what = f"lacks {len(lacking)} of the {len(wanted)} layers with weights of {network}:"
        what += " Caffe copies by name and would leave them as they start"
        yield Finding(f"{file}: {listed(lacking)}", what, Verdict.DIFFERS)
    if others:
        what = f"{len(others)} layers that {network} does not have: Caffe would ignore them"
        yield Finding(f"{file}: {listed(others)}", what, Verdict.DIFFERS)


def _shape_differences(file: str, shapes: Shapes, wanted: Shapes) -> Iterator[Finding]:
    for name, ours in wanted.items():
        theirs = shapes.get(name)
        if theirs is None or squeezed(theirs) == squeezed(ours):
            continue
        found, paper_s = (", ".join(map(text, blobs)) for blobs in (theirs, ours))
        what = f"blobs {found}, the paper's network has {paper_s}"
        if name.startswith("bn") and len(theirs) != len(ours):
            what += ": another branch's BatchNorm, which Caffe's own does not read"
        yield Finding(f"{file}: {name}", what, Verdict.DIFFERS)


def _parameters(file: str, reference: Reference, shapes: Shapes, wanted: Shapes) -> Finding:
    found = sum(prod(shape) for blobs in shapes.values() for shape in blobs)
    ours = sum(prod(shape) for blobs in wanted.values() for shape in blobs)
    what = f"{found:,} parameters, the network has {ours:,}; Table 2 prints {reference.printed}"
    verdict = Verdict.SAME if f"{found / 1e6:.2f}" == reference.printed else Verdict.DIFFERS
    return Finding(file, what + " million", verdict)


def _health(file: str, weights: Sequence[Weights]) -> Iterator[Finding]:
    """Tell what no trained network has: numbers that are none, statistics of no images."""
    sick = [
        layer.name for layer in weights if not all(np.isfinite(blob).all() for blob in layer.blobs)
    ]
    if sick:
        what = f"NaN or infinite numbers in {len(sick)} layers: the training diverged"
        yield Finding(f"{file}: {listed(sick)}", what, Verdict.DIFFERS)
    empty = [
        layer.name
        for layer in weights
        if layer.type == "BatchNorm" and len(layer.blobs) == 3 and not layer.blobs[2].any()
    ]
    if empty:
        what = f"the scale factor of {len(empty)} BatchNorm layers is 0: their averages are of no"
        what += " images, and in TEST Caffe takes mean and variance as 0"
        yield Finding(f"{file}: {listed(empty)}", what, Verdict.DIFFERS)


def _cross_weights(file: str, weights: Sequence[Weights]) -> Iterator[Finding]:
    """Tell cross weights' statistics beside Figure 5 and their start."""
    start = starts_at("msra, AVERAGE")
    for layer in weights:
        if not CROSS.match(layer.name) or not layer.blobs:
            continue
        values = layer.blobs[0].astype(np.float64)
        if not np.isfinite(values).all():
            continue
        share = float(np.mean(values >= 0))
        mostly = Verdict.SAME if share > 0.5 else Verdict.DIFFERS
        what = f"{values.size:,} weights, mean {values.mean():.4f}, deviation {values.std():.4f}"
        what += f" (at the start 0 and {start:.4f}), {share:.1%} not negative; section 5.2.2:"
        yield Finding(f"{file}: {layer.name}", what + ' "mostly non-negative"', mostly)
