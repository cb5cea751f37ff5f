"""Compare a caffemodel with the paper's networks: layers, shapes, counts and trained values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np

from netgen import paper
from netgen.audit.inspection.explanations import starts_at
from netgen.audit.inspection.finding import InspectionFinding as Finding
from netgen.audit.inspection.finding import InspectionVerdict as Verdict
from netgen.audit.inspection.references import Reference
from netgen.caffe.caffemodel import Weights, published_by_he, read_weights, sha1, shapes_text
from netgen.caffe.caffemodel_check import (
    Shapes,
    compare,
    not_finite,
    repeated_names,
    same_shapes,
    shapes_of,
    without_statistics,
)
from netgen.cost.complexity import count
from netgen.network.variants import variants
from netgen.system.text import listed

CROSS = re.compile(r"cross\d")
IMAGE = {"data": (3, paper.IMAGE_SIZE, paper.IMAGE_SIZE)}


def inspect_weights(
    path: str | os.PathLike[str], reference: Reference | None = None
) -> list[Finding]:
    """Compare a caffemodel with the deploy network of the paper's that it fits best.

    Parameters
    ----------
    path
        The caffemodel.
    reference
        Its network; by default found by names and shapes.

    Raises
    ------
    ValueError
        The file is no caffemodel, damaged or truncated.
    """
    file, weights = os.fspath(path), read_weights(path)
    if published_by_he(sha1(Path(path))):
        what = "He's ResNet-50 for ImageNet, byte for byte: what section 5.2 starts from"
        return [Finding(file, what, Verdict.SAME), *_health(file, weights)]
    shapes = shapes_of(weights)
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
    """Return the network of Table 2 that shares the largest part of its layers with the file."""
    known = variants(list(paper.TASKS)).values()
    references = [Reference(variant, "deploy").whole for variant in known]
    return max(references, key=lambda reference: _fit(shapes, _shapes(reference)))


def _fit(shapes: Shapes, wanted: Shapes) -> float:
    same = sum(same_shapes(shapes.get(name, ()), blobs) for name, blobs in wanted.items())
    return same / max(len(shapes.keys() | wanted.keys()), 1)


def _shapes(reference: Reference) -> Shapes:
    if reference.kind == "deploy":
        layers = count(reference.net(), "TEST").layers
    else:
        layers = count(reference.net(), "TRAIN", inputs=IMAGE).layers
    return {layer.name: layer.blobs for layer in layers if layer.blobs}


def _coverage(file: str, reference: Reference, shapes: Shapes, wanted: Shapes) -> Iterator[Finding]:
    """Report which layers the file and the network share: Caffe copies by name, silently."""
    network = f"{reference.variant.row.title} ({reference.title})"
    found = compare(shapes, wanted)
    if not found.missing:
        what = f"all {len(wanted)} layers of {network} that have weights"
        yield Finding(file, what, Verdict.SAME)
    else:
        what = f"lacks {len(found.missing)} of the {len(wanted)} layers with weights of {network}:"
        what += " Caffe copies by name and would leave them as they start"
        yield Finding(f"{file}: {listed(found.missing)}", what, Verdict.DIFFERS)
    if found.extra:
        what = f"{len(found.extra)} layers that {network} does not have: Caffe would ignore them"
        yield Finding(f"{file}: {listed(found.extra)}", what, Verdict.DIFFERS)


def _shape_differences(file: str, shapes: Shapes, wanted: Shapes) -> Iterator[Finding]:
    for name in compare(shapes, wanted).shapes:
        theirs, ours = shapes[name], wanted[name]
        what = f"blobs {shapes_text(theirs)}, the paper's network has {shapes_text(ours)}"
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
    """Report faults: repeated layers, NaN, statistics of no images."""
    if twice := repeated_names(weights):
        what = (
            f"{len(twice)} names are used by two layers each: Caffe would take the last one's blobs"
        )
        yield Finding(f"{file}: {listed(twice)}", what, Verdict.DIFFERS)
    if sick := not_finite(weights):
        what = f"NaN or infinite numbers in {len(sick)} layers: the training diverged"
        yield Finding(f"{file}: {listed(sick)}", what, Verdict.DIFFERS)
    if empty := [layer.name for layer in without_statistics(weights)]:
        what = f"the scale factor of {len(empty)} BatchNorm layers is 0: their averages are of no"
        what += " images, and in TEST Caffe takes mean and variance as 0"
        yield Finding(f"{file}: {listed(empty)}", what, Verdict.DIFFERS)


def _cross_weights(file: str, weights: Sequence[Weights]) -> Iterator[Finding]:
    """Report cross weights' statistics, compared with Figure 5 and their initial values."""
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
