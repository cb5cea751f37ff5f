"""Equations (1) and (2), the branching point and the shortcuts, measured on the parsed prototxt."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from math import prod, sqrt

from netgen.audit.measurements.equations import is_plain_sum
from netgen.audit.measurements.measurement import Context, Found, measurement
from netgen.audit.measurements.parsed_networks import (
    TASKS,
    cost,
    emitted,
    of_type,
    parameters_of,
    shapes,
)
from netgen.audit.measurements.table_1 import blocks
from netgen.caffe.caffe_pb2 import FillerParameter, LayerParameter
from netgen.network.variants import find, read_as

XS = "models/xs/train_val.prototxt"
PAIRS = tuple(permutations(TASKS, 2))
CONTRIBUTIONS = {
    "x0": "and nothing of other tasks",
    "x1": "and x(j) of every other task j",
    "xs": "and a(j->t) * x(j) of every other task j",
}


def crosses(network: str = "xs") -> list[LayerParameter]:
    """Return the cross weights: the Scale layers that do not follow a BatchNorm in place."""
    scales = of_type("Scale", emitted(network).layers())
    return [layer for layer in scales if layer.top[0] != layer.bottom[0]]


def crossed(network: str = "xs") -> list[LayerParameter]:
    """Return the sums to which other tasks contribute, or would in X_S."""
    return [layer for layer in blocks(network) if "_" in layer.name]


def _own(block: LayerParameter) -> list[str]:
    """Return the names that a task's sum is to begin with: its shortcut and its residual."""
    place, _, task = block.name.partition("_")
    before = f"{place[:-1]}{chr(ord(place[-1]) - 1)}"
    return [f"{before}_{task}", f"{place}_branch2c_{task}"]


@measurement
def equation_2(context: Context) -> Found:
    """Equation (2) in X_S; which x is crossed is our reading, since one x is printed for all."""
    found = cross_sums(context, "xs")
    evidence = f"{found.evidence}; x(j) after its ReLU, all coefficients 1: our reading"
    return replace(found, evidence=evidence, proves=False)


@measurement
def different_inputs(_: Context) -> Found:
    """Whether each sum merges as many different streams as there are tasks."""
    sources = {layer.top[0]: layer.bottom[0] for layer in crosses()}
    merged = [
        {sources.get(blob, blob) for blob in [layer.bottom[0], *layer.bottom[2:]]}
        for layer in crossed()
    ]
    return Found(
        f"{len(merged[0])} different x(j) in each of {len(merged)} sums",
        f"layers res5{{b,c}}_* of {XS}",
        holds=all(len(streams) == len(TASKS) for streams in merged),
    )


@measurement
def cross_sums(_: Context, network: str) -> Found:
    """Own shortcut, residual, and what each other task's shortcut contributes."""
    wrong = [layer.name for layer in crossed(network) if not _is_equation_2(network, layer)]
    count = len(crossed(network))
    cross = ", cross5{b,c}_*_*" if crosses(network) else ""
    return Found(
        f"{count - len(wrong)} of {count} sums add shortcut, residual {CONTRIBUTIONS[network]}",
        f"layers res5{{b,c}}_*{cross} of models/{network}/train_val.prototxt",
        holds=not wrong and count == 2 * len(TASKS),
    )


def _is_equation_2(network: str, layer: LayerParameter) -> bool:
    """Return whether a task's sum adds what its row of section 5.2.2 says."""
    task = layer.name.partition("_")[2]
    before = _own(layer)[0].partition("_")[0]
    others = [f"{before}_{other}" for other in TASKS if other != task]
    scaled = {cross.top[0]: cross.bottom[0] for cross in crosses(network)}
    sources = [scaled.get(blob, blob) for blob in layer.bottom[2:]]
    weighted = all(blob in scaled for blob in layer.bottom[2:])
    expected = {"x0": ([], True), "x1": (others, False), "xs": (others, True)}[network]
    return (
        [*layer.bottom[:2]] == _own(layer)
        and (sources, weighted) == expected
        and is_plain_sum(layer)
    )


@measurement
def weights_by_source(_: Context) -> Found:
    """Equation (2) indexes weights by the source alone: whether that is how we build them."""
    sources = {tuple(layer.name.split("_")[:2]) for layer in crosses()}
    per_source = parameters_of(read_as(find("xs", TASKS), "sharing", "per-source"))
    count, ours = per_source / 1e6, cost("xs").parameters / 1e6
    return Found(
        f"{len(crosses())} weights from {len(sources)} sources: one an ordered pair and layer",
        f"layers cross5* of {XS}; readings, sharing",
        holds=len(crosses()) == len(sources),
        fits=f"Figure 5's SourceTask-TargetTask: a weight a pair gives {ours:.2f} M as in Table 2,"
        f" a weight a source {count:.2f} M"
        if f"{ours:.2f}" == "43.18" != f"{count:.2f}"
        else "",
    )


@measurement
def self_shortcuts(_: Context) -> Found:
    """Whether a task's own shortcut is added as it is."""
    wrong = [layer.name for layer in crossed() if list(layer.bottom[:2]) != _own(layer)]
    return Found("added as they are", f"layers res5{{b,c}}_* of {XS}", holds=not wrong)


@measurement
def cross_connections(_: Context) -> Found:
    """Cross weights a layer, and numbers in each: the curves of Figure 5's two plots."""
    levels = {name: [c for c in crosses() if c.name.startswith(name)] for name in _levels()}
    sizes = {_size(layer) for layer in crosses()}
    return Found(
        f"{len(levels)} layers x {len(PAIRS)} ordered pairs, {max(sizes, default=0):,} numbers each"
        f": {len(crosses())} curves",
        f"layers {', '.join(f'{name}_*' for name in levels)} of {XS}; `netgen figure`",
        holds=all(len(level) == len(PAIRS) for level in levels.values()) and sizes == {2048},
        proves=False,  # the picture is not in the text
    )


def _levels() -> list[str]:
    return sorted({layer.name.partition("_")[0] for layer in crosses()})


def _size(layer: LayerParameter) -> int:
    blobs = next(one.blobs for one in cost("xs").layers if one.name == layer.name)
    return sum(prod(blob) for blob in blobs)


@measurement
def cross_pairs(_: Context) -> Found:
    """Whether each cross weight goes from one task to another, each ordered pair once a layer."""
    names = sorted(layer.name for layer in crosses())
    expected = sorted(f"{level}_{j}_{t}" for level in _levels() for j, t in PAIRS)
    return Found(
        ", ".join(f"{j}-{t}" for j, t in PAIRS), f"layers cross5* of {XS}", holds=names == expected
    )


@measurement
def cross_layers(_: Context) -> Found:
    """Layers with cross weights."""
    return Found(" and ".join(_levels()), f"layers cross* of {XS}", (len(_levels()),))


@measurement
def cross_parameters(_: Context) -> Found:
    """Parameters of the largest cross weight."""
    largest = max(map(_size, crosses()))
    total = sum(map(_size, crosses()))
    return Found(
        f"{largest:,} each, {total:,} in all", f"layers cross5* of {XS}", (largest,),
    )  # fmt: skip


@measurement
def cross_input(_: Context) -> Found:
    """Height, width and channels of what is crossed."""
    found = {shapes("xs")[layer.bottom[0]][1:] for layer in crosses()}
    channels, height, width = found.pop() if len(found) == 1 else (0, 0, 0)
    return Found(
        f"{height} x {width} x {channels}", f"bottoms of cross5* in {XS}", (height, width, channels)
    )


@measurement
def cross_weight(_: Context) -> Found:
    """Height, width and channels of a cross weight: a channel's number serves all its pixels."""
    sizes = {_size(layer) for layer in crosses()}
    bias = any(layer.scale_param.bias_term for layer in crosses())
    return Found(
        f"{max(sizes, default=0):,} numbers, {'with' if bias else 'without'} bias",
        f"layers cross5* of {XS}",
        (1, 1, *sizes),
        holds=not bias,
    )


@measurement
def cross_filler(context: Context) -> Found:
    """Compute the standard deviation of cross weights, as Caffe does and as the words say."""
    fillers = [layer.scale_param.filler for layer in crosses()]
    channels = cross_weight(context).values[2]
    numerator = 2.0  # of Caffe's msra filler
    caffe = sqrt(numerator / ((1 + channels) / 2))  # to Caffe a blob of C has fan-in 1, fan-out C
    average = all(f.type == "msra" and f.variance_norm == FillerParameter.AVERAGE for f in fillers)
    return Found(
        f"{caffe:.5f} in Caffe, where n = (1 + {channels:g}) / 2;"
        f" {sqrt(2 / channels):.5f} if both units are counted as channels",
        f"fillers of cross5* in {XS}: msra, AVERAGE",
        (numerator,),
        holds=average,
        proves=False,
    )
