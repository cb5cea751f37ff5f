"""Equation (2) and cross weights, measured on the parsed prototxt."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import permutations
from math import prod, sqrt

from netgen import paper
from netgen.audit.comparison.explanations import starts_at
from netgen.audit.comparison.traits import traits_of
from netgen.audit.measurements.measurement import AuditInputs, Basis, Found, measures
from netgen.audit.measurements.parsed_networks import TASKS, ParsedNetwork, of_type, parameters_of
from netgen.audit.measurements.shortcuts import is_plain_sum
from netgen.audit.measurements.table_1 import blocks
from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.network.variants import find, read_as
from netgen.paper.claims import Measure

XS = "models/xs/train_val.prototxt"
PAIRS = tuple(permutations(TASKS, 2))
MEAN = re.compile(r"mean (\S+),")  # of a Gaussian filler; msra's is zero
CONTRIBUTIONS = {
    "x0": "and nothing of other tasks",
    "x1": "and x(j) of every other task j",
    "xs": "and a(j->t) * x(j) of every other task j",
}


def crosses(network: ParsedNetwork) -> list[LayerParameter]:
    """Return the cross weights: the Scale layers that do not follow a BatchNorm in place."""
    scales = of_type("Scale", network.layers())
    return [layer for layer in scales if layer.top[0] != layer.bottom[0]]


def crossed(network: ParsedNetwork) -> list[LayerParameter]:
    """Return the sums to which other tasks contribute, or would in X_S."""
    return [layer for layer in blocks(network) if "_" in layer.name]


def _own(block: LayerParameter) -> list[str]:
    """Return the bottoms that a task's sum should begin with: its shortcut and its residual."""
    place, _, task = block.name.partition("_")
    before = f"{place[:-1]}{chr(ord(place[-1]) - 1)}"
    return [f"{before}_{task}", f"{place}_branch2c_{task}"]


@measures(Measure.EQUATION_2, Basis.ALLOWED)
def equation_2(inputs: AuditInputs) -> Found:
    """Equation (2) in X_S; which x is crossed is our reading, since one x is printed for all."""
    found = cross_sums(inputs, "xs")
    evidence = f"{found.evidence}; x(j) after its ReLU, all coefficients 1: our reading"
    return replace(found, evidence=evidence)


@measures(Measure.DIFFERENT_INPUTS, Basis.OWN_FILES)
def different_inputs(inputs: AuditInputs) -> Found:
    """Whether each sum merges as many different streams as there are tasks."""
    network = inputs.network("xs")
    sources = {layer.top[0]: layer.bottom[0] for layer in crosses(network)}
    merged = [
        {sources.get(blob, blob) for blob in [layer.bottom[0], *layer.bottom[2:]]}
        for layer in crossed(network)
    ]
    return Found(
        f"{len(merged[0])} different x(j) in each of {len(merged)} sums",
        f"layers res5{{b,c}}_* of {XS}",
        holds=all(len(streams) == len(TASKS) for streams in merged),
    )


@measures(Measure.CROSS_SUMS, Basis.OWN_FILES)
def cross_sums(inputs: AuditInputs, variant: str) -> Found:
    """Own shortcut, residual, and what each other task's shortcut contributes."""
    network = inputs.network(variant)
    wrong = [
        layer.name for layer in crossed(network) if not _is_equation_2(variant, network, layer)
    ]
    count = len(crossed(network))
    cross = ", cross5{b,c}_*_*" if crosses(network) else ""
    return Found(
        f"{count - len(wrong)} of {count} sums add shortcut, residual {CONTRIBUTIONS[variant]}",
        f"layers res5{{b,c}}_*{cross} of models/{variant}/train_val.prototxt",
        holds=not wrong and count == 2 * len(TASKS),
    )


@measures(Measure.NO_CONTRIBUTIONS, Basis.OWN_FILES)
def no_contributions(inputs: AuditInputs) -> Found:
    """How many terms of other tasks X_0 adds: none, as if all their weights were zero."""
    terms = sum(len(layer.bottom) - 2 for layer in crossed(inputs.network("x0")))
    return replace(cross_sums(inputs, "x0"), values=(terms, terms))


def _is_equation_2(variant: str, network: ParsedNetwork, layer: LayerParameter) -> bool:
    """Return whether a task's sum adds what section 5.2.2 describes for its variant."""
    task = layer.name.partition("_")[2]
    before = _own(layer)[0].partition("_")[0]
    others = [f"{before}_{other}" for other in TASKS if other != task]
    scaled = {cross.top[0]: cross.bottom[0] for cross in crosses(network)}
    sources = [scaled.get(blob, blob) for blob in layer.bottom[2:]]
    weighted = all(blob in scaled for blob in layer.bottom[2:])
    expected = {"x0": ([], True), "x1": (others, False), "xs": (others, True)}[variant]
    return (
        [*layer.bottom[:2]] == _own(layer)
        and (sources, weighted) == expected
        and is_plain_sum(layer)
    )


@measures(Measure.WEIGHTS_BY_SOURCE, Basis.OWN_FILES)
def weights_by_source(inputs: AuditInputs) -> Found:
    """Whether we index weights by the source only, as equation (2) does."""
    network = inputs.network("xs")
    weights = crosses(network)
    sources = {tuple(layer.name.split("_")[:2]) for layer in weights}
    per_source = parameters_of(read_as(find("xs", TASKS), "sharing", "per-source"))
    count, ours = per_source / 1e6, network.cost().parameters / 1e6
    printed = paper.TABLE_2_PARAMETERS["xs"]
    return Found(
        f"{len(weights)} weights from {len(sources)} sources: one per ordered pair and layer",
        f"layers cross5* of {XS}; readings, sharing",
        holds=len(weights) == len(sources),
        fits=f"Figure 5's SourceTask-TargetTask: a weight per pair gives {ours:.2f} M as in Table"
        f" 2, a weight per source {count:.2f} M"
        if f"{ours:.2f}" == printed != f"{count:.2f}"
        else "",
    )


@measures(Measure.SELF_SHORTCUTS, Basis.OWN_FILES)
def self_shortcuts(inputs: AuditInputs) -> Found:
    """Whether a task's own shortcut is added as it is."""
    sums = crossed(inputs.network("xs"))
    wrong = [layer.name for layer in sums if list(layer.bottom[:2]) != _own(layer)]
    shown = f"{len(sums) - len(wrong)} of {len(sums)} sums add it as it is"
    return Found(shown, f"layers res5{{b,c}}_* of {XS}", holds=bool(sums) and not wrong)


@measures(Measure.CROSS_CONNECTIONS, Basis.ALLOWED)  # the picture is not in the text
def cross_connections(inputs: AuditInputs) -> Found:
    """Cross weights per layer, and numbers in each: the curves of Figure 5's two plots."""
    network = inputs.network("xs")
    weights = crosses(network)
    levels = {
        level: [layer for layer in weights if layer.name.startswith(level)]
        for level in _levels(network)
    }
    sizes = {_size(network, layer) for layer in weights}
    return Found(
        f"{len(levels)} layers x {len(PAIRS)} ordered pairs, {max(sizes, default=0):,} numbers each"
        f": {len(weights)} curves",
        f"layers {', '.join(f'{level}_*' for level in levels)} of {XS}; drawn by"
        " `netgen figure weights`",
        holds=all(len(level) == len(PAIRS) for level in levels.values())
        and sizes == {paper.CROSS_CHANNELS},
    )


def _levels(network: ParsedNetwork) -> list[str]:
    return sorted({layer.name.partition("_")[0] for layer in crosses(network)})


def _size(network: ParsedNetwork, layer: LayerParameter) -> int:
    blobs = next(one.blobs for one in network.cost().layers if one.name == layer.name)
    return sum(prod(blob) for blob in blobs)


@measures(Measure.CROSS_SHORTCUTS, Basis.OWN_FILES)
def cross_shortcuts(inputs: AuditInputs) -> Found:
    """Scale layers from one task's shortcut to the same block's sum of another task."""
    network = inputs.network("xs")
    weights, sums = crosses(network), crossed(network)
    dashed = {
        (weight.name, sum_.name)
        for weight in weights
        for sum_ in sums
        if weight.top[0] in sum_.bottom[2:] and _is_shortcut_of_another(weight.bottom[0], sum_)
    }
    return Found(
        f"{len(dashed)} of {len(weights)} Scale layers lie between another task's shortcut and a"
        " task's sum",
        f"layers cross5{{b,c}}_*_*, res5{{b,c}}_* of {XS}",
        holds=len(dashed) == len(weights) == len(PAIRS) * len(_levels(network)) > 0,
    )


def _is_shortcut_of_another(blob: str, sum_: LayerParameter) -> bool:
    own = _own(sum_)[0]
    place = own.partition("_")[0]
    return blob != own and blob in {f"{place}_{task}" for task in TASKS}


@measures(Measure.CROSS_PAIRS, Basis.OWN_FILES)
def cross_pairs(inputs: AuditInputs) -> Found:
    """Whether each layer has one cross weight for each ordered pair of tasks."""
    network = inputs.network("xs")
    names = sorted(layer.name for layer in crosses(network))
    expected = sorted(f"{level}_{j}_{t}" for level in _levels(network) for j, t in PAIRS)
    return Found(
        ", ".join(dict.fromkeys("-".join(name.split("_")[1:]) for name in names)),
        f"layers cross5* of {XS}",
        holds=names == expected,
    )


@measures(Measure.CROSS_LAYERS, Basis.OWN_FILES)
def cross_layers(inputs: AuditInputs) -> Found:
    """Layers with cross weights."""
    levels = _levels(inputs.network("xs"))
    return Found(" and ".join(levels), f"layers cross* of {XS}", (len(levels),))


@measures(Measure.CROSS_PARAMETERS, Basis.OWN_FILES)
def cross_parameters(inputs: AuditInputs) -> Found:
    """Parameters of the largest cross weight."""
    network = inputs.network("xs")
    sizes = [_size(network, layer) for layer in crosses(network)]
    largest = max(sizes)
    shown = f"{largest:,} each, {sum(sizes):,} in all"
    return Found(shown, f"layers cross5* of {XS}", (largest,))


@measures(Measure.CROSS_INPUT, Basis.OWN_FILES)
def cross_input(inputs: AuditInputs) -> Found:
    """Height, width and channels of what is crossed."""
    network = inputs.network("xs")
    found = {network.shapes[layer.bottom[0]][1:] for layer in crosses(network)}
    channels, height, width = found.pop() if len(found) == 1 else (0, 0, 0)
    return Found(
        f"{height} x {width} x {channels}", f"bottoms of cross5* in {XS}", (height, width, channels)
    )


@measures(Measure.CROSS_WEIGHT, Basis.OWN_FILES)
def cross_weight(inputs: AuditInputs) -> Found:
    """Height, width and channels of a cross weight: one number for all pixels of a channel."""
    network = inputs.network("xs")
    sizes = {_size(network, layer) for layer in crosses(network)}
    bias = any(layer.scale_param.bias_term for layer in crosses(network))
    return Found(
        f"{max(sizes, default=0):,} numbers, {'with' if bias else 'without'} bias",
        f"layers cross5* of {XS}",
        (1, 1, *sizes),
        holds=not bias,
    )


@measures(Measure.CROSS_FILLER, Basis.ALLOWED)
def cross_filler(inputs: AuditInputs) -> Found:
    """Mean of cross weights, and numerator of their variance, with Caffe's n for both units."""
    fillers = {
        traits_of(layer, "TRAIN", None).learns["filler"] for layer in crosses(inputs.network("xs"))
    }
    deviations = [starts_at(filler) or 0.0 for filler in fillers]
    means = {float(found[1]) if (found := MEAN.search(str(one))) else 0.0 for one in fillers}
    channels = paper.CROSS_CHANNELS
    units = (1 + channels) / 2  # for Caffe, a blob of C numbers has 1 input unit, C output units
    return Found(
        f"{', '.join(f'{one:.5f}' for one in deviations)} in Caffe, where n = (1 + {channels}) / 2;"
        f" {sqrt(2 / channels):.5f} if both units are counted as channels",
        f"fillers of cross5* in {XS}: {', '.join(map(str, fillers))}",
        (*means, *(one**2 * units for one in deviations)),
        holds=all(str(filler).startswith(("msra", "gaussian")) for filler in fillers),
    )
