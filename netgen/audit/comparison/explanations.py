"""Describe a difference from the paper's network: what differs, its place in the paper, and why.

Also its verdict: another function differs; another initial value that He's weights overwrite is
equivalent; what the paper leaves open cannot be checked.
"""

from __future__ import annotations

import math
import re

from netgen.audit.comparison.differences import DifferenceKind, LayerDifference
from netgen.audit.comparison.nodes import Node
from netgen.audit.finding import InspectionVerdict, Rule
from netgen.cost.layers.layer_types import RULES
from netgen.network.variants import Architecture
from netgen.paper import CROSS_CHANNELS
from netgen.system.text import value_text

HE = "He's ResNet-50, the paper's [14]"
# What Table 1 prints of a layer, or implies by the sizes that it prints.
TABLE_1_SAYS = {"", "type", "bottom", "kernel_size", "num_output", "pool", "stride", "pad"}
# Where the paper describes a layer, by its name in our networks (He's, and a task's suffix).
PLACES = (
    (r"cross\d", "section 5.2"),
    (r"(bn|scale)5a_(?!branch)|res5a_relu", "section 4: one normalisation and ReLU per task"),
    (r"res5a$", "section 4: the branching point"),
    (r"res5[bc]_(?!branch|relu)", "equation 2"),
    (r"res\d\w(_relu)?(_(?!branch)\w+)?$", "equation 1"),
    (r"(bn|scale)|.*relu", f"section 3: batch normalisation and ReLU, as in {HE}"),
    (r"fc", "Table 1 and section 5.1"),
    (r"loss", "section 4"),
    (r"top\d", "Table 2"),
    (r"", "Table 1"),
)

# The layers of a baseline that the paper describes; the others it names by their source only.
OF_TASKS = re.compile(r"fc_|loss_|top\d")
OPEN = "the paper does not say how baselines were trained; ours is as published with their weights"

REASONS = {
    "loss_weight": 'section 4: "we simply use the unweighted sum"',
    "param.name": "layers that share weights are one layer; the paper's share none",
    "moving_average_fraction": "the paper is silent; ours is Caffe's default",
    "eps": "the paper is silent; ours is Caffe's default",
    "use_global_stats": 'section 4 wants "a slightly different normalization for each task branch"'
    " to be learned: our choice, the paper names no mode",
}
MOST = {"eps": math.inf, "moving_average_fraction": 1.0}  # that makes sense; at least 0
BATCH_NORM_RATES = (
    "the statistics are then decayed like weights by engines that do not force these rates to 0,"
    " as those of 2016 do not: all three alike, so that the averages hardly move; Caffe 1.0 forces"
    " them to 0"
)
UNEVEN_RATES = (
    "engines of 2016 then decay the three unlike each other, which changes the averages that are"
    " tested with; Caffe 1.0 forces all to 0"
)


def place_of(node: Node, source: Architecture, field: str = "") -> str:
    """Return where the paper describes a layer, or a field of it, or else the network's source."""
    if source is not Architecture.RESNET and not OF_TASKS.match(node.name):
        return str(source.value)
    if field in ("lr_mult", "decay_mult"):
        return "section 5.2: one rate and one weight decay"
    place = next(place for pattern, place in PLACES if re.match(pattern, node.name))
    return HE if place.startswith("Table 1") and field not in TABLE_1_SAYS else place


def rule_of(difference: LayerDifference, source: Architecture = Architecture.RESNET) -> Rule:
    """Return whose rule a difference concerns: the paper's, or what it leaves to us."""
    if difference.kind is not DifferenceKind.FIELD:
        return Rule.PAPER
    left = _is_left(difference) or _is_open(difference, source)
    fills = difference.field.endswith("filler") and not difference.node.name.startswith("cross")
    if difference.field in MOST and not left:
        return Rule.CAFFE  # it is no number that it can use
    return Rule.OURS if left or fills else Rule.PAPER


def verdict_of(
    difference: LayerDifference, source: Architecture = Architecture.RESNET
) -> InspectionVerdict:
    """Return the verdict on a difference in a network from that source."""
    if difference.kind is DifferenceKind.EXTRA:
        same = _only_measures(difference)
        return InspectionVerdict.EQUIVALENT if same else InspectionVerdict.DIFFERS
    if difference.kind is DifferenceKind.MISSING and difference.node.type == "Softmax":
        return InspectionVerdict.EQUIVALENT
    if difference.kind is DifferenceKind.FIELD:
        return (
            InspectionVerdict.NOT_CHECKABLE
            if _is_open(difference, source)
            else _judge_field(difference)
        )
    return InspectionVerdict.DIFFERS


def sentence(difference: LayerDifference, source: Architecture = Architecture.RESNET) -> str:
    """Return what differs, the paper's value and its place, and, if not obvious, why it matters."""
    return SENTENCES[difference.kind](difference, source)


def starts_at(filler: object) -> float | None:
    """Return the standard deviation that Caffe's filler gives a cross weight of shape (2048).

    For `msra` and `xavier`, such a blob has a fan-in of 1 and a fan-out of 2,048.
    """
    fans = {"FAN_IN": 1.0, "FAN_OUT": CROSS_CHANNELS, "AVERAGE": (1 + CROSS_CHANNELS) / 2}
    kind, _, rest = str(filler).partition(", ")
    if kind in ("msra", "xavier"):
        return math.sqrt((2 if kind == "msra" else 1) / fans[rest])
    if kind == "gaussian":
        return float(rest.rpartition("std ")[2])
    return 0.0 if kind.startswith("constant") else None


def start_of(filler: object) -> str:
    """Return how cross weights start: the deviation of a Gaussian of zero mean, or the filler."""
    text = str(filler)
    gaussian = text.startswith(("msra, ", "gaussian, mean 0, "))
    return f"deviation {starts_at(text):.3g}" if gaussian else text


def _only_measures(difference: LayerDifference) -> bool:
    """Return whether a layer only reports: it has no weights, and nothing uses it."""
    return not difference.values[1] and difference.node.type in RULES


def _is_open(difference: LayerDifference, source: Architecture) -> bool:
    """Return whether it concerns the initial values or rates of a baseline, which are left open."""
    learns = difference.field.endswith(("filler", "_mult"))
    return learns and source is not Architecture.RESNET


def _judge_field(difference: LayerDifference) -> InspectionVerdict:
    node, (found, _) = difference.node, difference.values
    if difference.field.endswith("filler"):
        return _judge_filler(difference)
    if _is_left(difference):
        return InspectionVerdict.NOT_CHECKABLE
    if node.type == "BatchNorm" and difference.field in ("lr_mult", "decay_mult"):
        return InspectionVerdict.EQUIVALENT if _even(found) else InspectionVerdict.DIFFERS
    return InspectionVerdict.DIFFERS


def _is_left(difference: LayerDifference) -> bool:
    """Return whether the paper is silent: statistics, and the rates of biases."""
    field, (found, wanted) = difference.field, difference.values
    if field in MOST:
        return isinstance(found, float) and 0 <= found <= MOST[field]
    if field == "use_global_stats":  # in tests, batch normalisation uses what training averaged
        return found is True
    if field in ("lr_mult", "decay_mult") and difference.node.type != "BatchNorm":
        return _first(found) == _first(wanted)
    return field == "round_mode"


def _first(rates: object) -> object:
    """Return the rate of a layer's weights, which come before its biases."""
    return rates[0] if isinstance(rates, tuple) and rates else None


def _judge_filler(difference: LayerDifference) -> InspectionVerdict:
    """Judge another filler: the paper prints that of cross weights; He's weights replace most."""
    node = difference.node
    if node.name.startswith("cross"):
        starts = {start_of(value) for value in difference.values}
        return InspectionVerdict.EQUIVALENT if len(starts) == 1 else InspectionVerdict.DIFFERS
    return (
        InspectionVerdict.NOT_CHECKABLE
        if node.type == "InnerProduct"
        else InspectionVerdict.EQUIVALENT
    )


def _even(rates: object) -> bool:
    return isinstance(rates, tuple) and len(set(rates)) == 1


def _field(difference: LayerDifference, source: Architecture) -> str:
    found, wanted = map(value_text, difference.values)
    text = f"{difference.field} {found}, the paper's network has {wanted}"
    place = place_of(difference.node, source, difference.field)
    return f"{text} ({place}){_why(difference, source)}"


def _why(difference: LayerDifference, source: Architecture) -> str:
    if _is_open(difference, source):
        return f": {OPEN}"
    node, field = difference.node, difference.field
    reason = REASONS.get(field, "")
    if field.endswith("filler"):
        reason = _why_filler(difference)
    elif node.type == "BatchNorm" and field in ("lr_mult", "decay_mult"):
        reason = BATCH_NORM_RATES if _even(difference.values[0]) else UNEVEN_RATES
    elif node.name.startswith("cross") and field == "bias_term":
        reason = (
            f"a cross weight is a product a * x and {CROSS_CHANNELS:,} parameters, without a bias"
        )
    elif field in ("lr_mult", "decay_mult") and _is_left(difference):
        reason = "the paper does not say how biases learn; ours learn as weights do"
    elif field == "lr_mult":
        reason = "section 5.2 names one learning rate for all"
    return f": {reason}" if reason else ""


def _why_filler(difference: LayerDifference) -> str:
    node = difference.node
    if node.type == "InnerProduct":
        return "the paper does not say how classifiers start; ours is Caffe's example's"
    if not node.name.startswith("cross"):
        return "of no effect where ImageNet's weights are copied over it, as section 5.2 has it"
    deviations = [starts_at(value) for value in difference.values]
    found, wanted = (f"{d:.3g}" if d is not None else "another" for d in deviations)
    start = f"it starts at a standard deviation of {found}, the paper's of {wanted}"
    if difference.values[0] == "constant 1":
        start = "it starts as the identity of X_1, the paper's at a deviation of " + wanted
    return f"{start} (n_l is the average of input and output units)"


def _bottoms(difference: LayerDifference, source: Architecture) -> str:
    found, wanted = difference.values
    verb = "sum" if difference.node.type == "Eltwise" else "read"
    place = place_of(difference.node, source)
    if not found:
        return f"does not {verb} {wanted}, as the paper's network does ({place})"
    if not wanted:
        return f"{verb}s {found} too, the paper's network does not ({place})"
    return f"{verb}s {found}, the paper's network {wanted} there ({place})"


def _type(difference: LayerDifference, source: Architecture) -> str:
    found, wanted = difference.values
    place = place_of(difference.node, source)
    return f"is of type {found}, the paper's of type {wanted} ({place})"


def _missing(difference: LayerDifference, source: Architecture) -> str:
    node = difference.node
    text = f"is missing: the paper's network has this {node.type} ({place_of(node, source)})"
    if node.type == "Softmax":
        text += ": the classes are ranked alike without it"
    return text


def _extra(difference: LayerDifference, source: Architecture) -> str:
    node, (reads, readers) = difference.node, difference.values
    article = "an" if node.type[:1].upper() in set("AEIOU") else "a"
    text = f"{article} {node.type[:60]} on {reads} that the paper's network does not have"
    if source is not Architecture.RESNET:
        return f"{text} ({place_of(node, source)})"
    if node.type not in RULES:
        return text + "; netgen does not know the type"
    if _only_measures(difference):
        return text + "; it changes nothing else"
    return text + WHY_NOT.get(node.type, "").format(readers=readers)


WHY_NOT = {
    "Dropout": ' (section 5.2: "No dropout was used in residual or cross-residual networks")',
    "ReLU": " (on a projection section 5.2's words would allow it; He's network, whose weights it"
    " starts from, has none there)",
    "Softmax": ": {readers} then works on probabilities, not on scores",
}
SENTENCES = {
    DifferenceKind.FIELD: _field,
    DifferenceKind.BOTTOMS: _bottoms,
    DifferenceKind.TYPE: _type,
    DifferenceKind.MISSING: _missing,
    DifferenceKind.EXTRA: _extra,
}
