"""Compare a caffemodel with the paper's networks: layers, shapes, counts and trained values.

What a training cannot have left is reported too: section 5.2 says how a network starts.
"""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import prod
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from netgen import paper
from netgen.audit.comparison.explanations import starts_at
from netgen.audit.comparison.references import Reference
from netgen.audit.finding import InspectionFinding as Finding
from netgen.audit.finding import InspectionVerdict as Verdict
from netgen.audit.finding import Rule
from netgen.caffe.caffemodel import Shape, Weights, published_by_he, read_weights, sha1, shapes_text
from netgen.caffe.caffemodel_check import (
    Shapes,
    compare,
    faulty_statistics,
    has_statistics,
    not_finite,
    repeated_names,
    same_shapes,
    shapes_of,
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
        *_learned(file, weights),
        *_cross_weights(file, weights),
    ]


def _best(shapes: Shapes) -> Reference:
    """Return the network of Table 2 that shares the largest part of its layers with the file."""
    known = variants(list(paper.TASKS)).values()
    references = [Reference(variant, "deploy").whole for variant in known]
    return max(references, key=lambda reference: _fit(shapes, _shapes(reference)))


def _fit(shapes: Shapes, wanted: Shapes) -> tuple[float, float]:
    """Return the shares of layers that agree in name and shape, and in name: widths may differ."""
    same = sum(same_shapes(shapes.get(name, ()), blobs) for name, blobs in wanted.items())
    every = max(len(shapes.keys() | wanted.keys()), 1)
    return same / every, len(shapes.keys() & wanted.keys()) / every


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
        yield Finding(f"{file}: {listed(found.extra)}", what, Verdict.DIFFERS, Rule.CAFFE)


def _shape_differences(file: str, shapes: Shapes, wanted: Shapes) -> Iterator[Finding]:
    for name in compare(shapes, wanted).shapes:
        theirs, ours = shapes[name], wanted[name]
        what = f"blobs {shapes_text(theirs)}, the paper's network has {shapes_text(ours)}"
        if name.startswith("bn") and len(theirs) != len(ours):
            what += ": another branch's BatchNorm, which Caffe's own does not read"
        yield Finding(f"{file}: {name}", what, Verdict.DIFFERS)
    for name in wanted.keys() & shapes.keys():
        theirs, ours = shapes[name], wanted[name]
        if same_shapes(theirs, ours) and list(map(_stored, theirs)) != list(map(_stored, ours)):
            what = f"blobs {shapes_text(theirs)}, the network has {shapes_text(ours)}: Caffe takes"
            what += " further axes of 1 at the front only"
            yield Finding(f"{file}: {name}", what, Verdict.DIFFERS, Rule.CAFFE)


def _stored(shape: Shape) -> Shape:
    """Return a shape without the axes that files of 2014 have at the front."""
    first = next((i for i, size in enumerate(shape) if size != 1), len(shape))
    return tuple(shape[first:])


def _parameters(file: str, reference: Reference, shapes: Shapes, wanted: Shapes) -> Finding:
    found = sum(prod(shape) for blobs in shapes.values() for shape in blobs)
    ours = sum(prod(shape) for blobs in wanted.values() for shape in blobs)
    what = f"{found:,} parameters, the network has {ours:,}; Table 2 prints {reference.printed}"
    verdict = Verdict.SAME if f"{found / 1e6:.2f}" == reference.printed else Verdict.DIFFERS
    return Finding(file, what + " million", verdict, Rule.COUNTS)


def _health(file: str, weights: Sequence[Weights]) -> Iterator[Finding]:
    """Report faults: repeated layers, NaN, statistics that no images have."""
    if twice := repeated_names(weights):
        what = f"{len(twice)} names are used by two layers each: Caffe would take the last one's"
        yield Finding(f"{file}: {listed(twice)}", what + " blobs", Verdict.DIFFERS, Rule.CAFFE)
    if sick := not_finite(weights):
        what = f"NaN or infinite numbers in {len(sick)} layers: the training diverged"
        yield Finding(f"{file}: {listed(sick)}", what, Verdict.DIFFERS, Rule.ITSELF)
    for names, what in faulty_statistics(weights):
        yield Finding(f"{file}: {listed(names)}", what, Verdict.DIFFERS, Rule.CAFFE)
    factors = {float(layer.blobs[2].flat[0]) for layer in weights if has_statistics(layer)}
    if len(factors) > 1:
        what = f"the scale factors of BatchNorm layers go from {min(factors):.6g} to"
        what += f" {max(factors):.6g}: their averages are of unlike numbers of images"
        yield Finding(file, what, Verdict.NOT_CHECKABLE, Rule.ITSELF)


def _learned(file: str, weights: Sequence[Weights]) -> Iterator[Finding]:
    """Report what no training leaves: equal numbers, classifiers as they start, equal towers."""
    sound = [layer for layer in weights if all(np.isfinite(b).all() for b in layer.blobs)]
    rest = [layer for layer in sound if layer.blobs and not CROSS.match(layer.name)]
    if equal := [x.name for x in rest if x.blobs[0].size > 1 and not np.ptp(x.blobs[0])]:
        what = f"all numbers of a blob are equal in {len(equal)} layers: not so in the ResNet that"
        what += " section 5.2 starts from, nor after training"
        yield Finding(f"{file}: {listed(equal)}", what, Verdict.DIFFERS)
    heads = [layer for layer in rest if layer.type == "InnerProduct" and len(layer.blobs) > 1]
    if idle := [layer.name for layer in heads if not layer.blobs[1].any()]:
        what = f"the biases of {len(idle)} classifiers are 0, where they start: not trained"
        yield Finding(f"{file}: {listed(idle)}", what, Verdict.DIFFERS)
    yield from _towers(file, rest)


def _towers(file: str, weights: Sequence[Weights]) -> Iterator[Finding]:
    """Compare the tasks' layers with each other: section 5.2 starts them as the same."""
    by_base: dict[str, list[Weights]] = defaultdict(list)
    for layer in weights:
        base, _, task = layer.name.rpartition("_")
        if task in paper.TASKS:
            by_base[base].append(layer)
    pairs = [pair for towers in by_base.values() for pair in combinations(towers, 2)]
    pairs = [(a, b) for a, b in pairs if a.blobs[0].shape == b.blobs[0].shape]
    same = [f"{a.name} and {b.name}" for a, b in pairs if np.array_equal(a.blobs[0], b.blobs[0])]
    if same:
        what = f"{len(same)} of {len(pairs)} pairs of layers are the same for two tasks, as section"
        what += " 5.2 starts them: not trained since, or trained tied"
        yield Finding(f"{file}: {listed(same)}", what, Verdict.DIFFERS)


# ---- cross weights ------------------------------------------------------------------------------
# "Mostly non-negative cross-task weights were learned", "small, but non-zero", and no "plateau with
# many weights near zero or one" (5.2.2); they start from a Gaussian of mean 0 (5.2). No number is
# printed, so the tests below have an error rate of our own, for all cross weights of a file.

Values = Mapping[str, NDArray[np.float64]]
ERRORS = 0.001  # of files whose cross weights are as drawn, the share that passes for learned
STARTS = ("msra, AVERAGE", "msra, FAN_OUT")  # section 5.2's deviation, in two readings


def _cross_weights(file: str, weights: Sequence[Weights]) -> Iterator[Finding]:
    """Report cross weights' statistics, compared with Figure 5 and their initial values."""
    named = [layer for layer in weights if CROSS.match(layer.name) and layer.blobs]
    values: Values = {x.name: x.blobs[0].astype(np.float64).ravel() for x in named}
    values = {name: v for name, v in values.items() if v.size and np.isfinite(v).all()}
    # Two statistics per layer, each to two sides (Bonferroni's correction).
    limit = NormalDist().inv_cdf(1 - ERRORS / (4 * max(len(values), 1)))
    for name, v in values.items():
        yield _signs(f"{file}: {name}", v, limit)
        yield from _plateau(f"{file}: {name}", v)
    drawn = [n for n, v in values.items() if any(_is_drawn(v, limit, start) for start in STARTS)]
    if drawn:
        what = f"{len(drawn)} of {len(values)} layers could be as drawn at the start, from a"
        what += " Gaussian (section 5.2): nothing learned shows in mean and deviation (of files"
        what += f" only drawn, {ERRORS:.1%} would not be found)"
        yield Finding(f"{file}: {listed(drawn)}", what, Verdict.DIFFERS)
    yield from _tied(file, values)


def _signs(where: str, values: NDArray[np.float64], limit: float) -> Finding:
    """Judge "mostly", read as more than half, by what random signs would do."""
    share, chance = float(np.mean(values >= 0)), limit / (2 * math.sqrt(values.size))
    what = f"{values.size:,} weights, mean {values.mean():.4f}, deviation {values.std():.4f} (at"
    what += f" the start 0 and {starts_at(STARTS[0]):.4f}), {share:.1%} not negative; section"
    what += ' 5.2.2: "mostly non-negative"'
    if abs(share - 0.5) <= chance:
        what += f" (random signs would give 50 +- {chance:.1%})"
        return Finding(where, what, Verdict.NOT_CHECKABLE, Rule.READING)
    return Finding(where, what, Verdict.same_if(share > 0.5), Rule.READING)


def _plateau(where: str, values: NDArray[np.float64]) -> Iterator[Finding]:
    """Report weights that are not "small, but non-zero", or of which many are equal."""
    numbers, counts = np.unique(values, return_counts=True)
    most = int(counts.argmax())
    if counts[most] > max(1, values.size // 50):
        network = {0.0: ", as without cross-residuals (X_0)", 1.0: ", as in X_1"}
        what = f"{counts[most]:,} of {values.size:,} weights are {numbers[most]:.6g}"
        what += network.get(float(numbers[most]), "")
        yield Finding(where, f"{what}: section 5.2.2 saw no plateau", Verdict.DIFFERS)
    elif np.abs(values).mean() > 0.5:
        what = (
            f"a mean magnitude of {np.abs(values).mean():.3g}, nearer to the identity's 1 than to"
        )
        what += ' 0: "the weight magnitudes are indeed small" (section 5.2.2)'
        yield Finding(where, what, Verdict.DIFFERS, Rule.READING)


def _is_drawn(values: NDArray[np.float64], limit: float, start: str) -> bool:
    """Return whether mean and deviation are those of a draw from where cross weights start.

    The sum of squares is compared with chi-squared's by Wilson and Hilferty's cube root. Of layers
    of 2,048, a mean that moved by 0.006 is found in 19 of 20, or a deviation that grew by 10%.
    """
    sigma, n = starts_at(start) or 1.0, values.size
    mean = values.mean() * math.sqrt(n) / sigma
    spread = 2 / (9 * n)
    square = (np.cbrt(np.square(values / sigma).mean()) - 1 + spread) / math.sqrt(spread)
    return bool(abs(mean) <= limit and abs(square) <= limit)


def _tied(file: str, values: Values) -> Iterator[Finding]:
    """Report cross weights that were not learned apart: equal, proportional or permuted."""
    for (one, a), (other, b) in combinations(values.items(), 2):
        if a.size != b.size or not (np.ptp(a) and np.ptp(b)):
            continue
        linear = abs(np.corrcoef(a, b)[0, 1]) > 1 - 1e-6
        how = "proportional" if linear else "the same numbers in another order"
        if linear or np.array_equal(np.sort(a), np.sort(b)):
            how = "equal" if np.array_equal(a, b) else how
            what = f"{how}: Figure 5 has weights of its own for each SourceTask-TargetTask"
            yield Finding(f"{file}: {one} and {other}", what, Verdict.DIFFERS)
