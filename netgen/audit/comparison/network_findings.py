"""What a comparison of networks says: a sentence for each difference, rewrite and run in Caffe."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from netgen.audit.comparison.differences import DifferenceKind, GraphComparison, LayerDifference
from netgen.audit.comparison.explanations import rule_of, sentence, verdict_of
from netgen.audit.comparison.numeric import SAME, Numeric
from netgen.audit.comparison.references import Reference
from netgen.audit.finding import InspectionFinding, InspectionVerdict
from netgen.caffe.schema import Phase
from netgen.network.variants import Architecture
from netgen.system.text import listed

MOST_OF_A_KIND = 3  # equal differences that are listed one by one
MOST_MISSING = 12
# Fields of which a run of two images shows the effect; others may show in other images only.
SHOWS_IN_NUMBERS = {
    "axis", "bottoms", "dilation", "global_pooling", "group", "kernel_size", "num_axes",
    "operation", "pad", "pool", "power", "scale", "shift", "stride", "transpose",
}  # fmt: skip


def numeric_finding(file: str, reference: Reference, run: Numeric) -> InspectionFinding:
    """Report how far the outputs and gradients are apart that Caffe computes."""
    if run.why:
        what = f"not run in Caffe beside {reference.title}: {run.why}"
        return InspectionFinding(file, what, InspectionVerdict.NOT_CHECKABLE, phase=run.phase)
    what = f"in Caffe, on the same random weights and images, outputs differ from {reference.title}"
    what += f" by at most {run.outputs:.1g} of the largest"
    if run.gradients is not None:
        what += f", and gradients by {run.gradients:.1g}"
    what += ": the same but for rounding" if run.same else f" (the same: at most {SAME:g})"
    verdict = InspectionVerdict.EQUIVALENT if run.same else InspectionVerdict.DIFFERS
    return InspectionFinding(file, what, verdict, phase=run.phase)


def rewrite_findings(file: str, compared: Sequence[GraphComparison]) -> Iterator[InspectionFinding]:
    """Report what the normal form changed in the network but not in the paper's."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for one in compared:
        for rewrite in one.found.rewrites:
            if rewrite not in one.wanted.rewrites:
                found[rewrite.how][rewrite.name] = None
    for how, names in found.items():
        where = f"{file}: {listed(list(names))}"
        yield InspectionFinding(where, how, InspectionVerdict.EQUIVALENT)


def layer_findings(
    file: str, reference: Reference, compared: Sequence[GraphComparison], same: Collection[Phase]
) -> Iterator[InspectionFinding]:
    """Report each difference once, also if it is in both phases.

    Where Caffe computes the `same`, a difference in what a layer computes is none.
    """
    differences: dict[object, tuple[LayerDifference, list[Phase]]] = {}
    for one in compared:
        for difference in one.differences:
            if one.found.phase == "TRAIN" or not _concerns_learning(difference):
                key = (difference.kind, difference.name, difference.field, difference.values)
                differences.setdefault(key, (difference, []))[1].append(one.found.phase)
    source = reference.variant.row.architecture
    alike: dict[tuple[str, object], list[LayerDifference]] = defaultdict(list)
    for difference, phases in differences.values():
        phase: str = phases[0] if len(phases) == 1 and len(compared) > 1 else "both"
        alike[phase, _likeness(difference, source)].append(difference)
    for (phase, _), group in alike.items():
        concerned = {one.found.phase for one in compared} if phase == "both" else {phase}
        computed = _shows_in_numbers(group[0]) and concerned <= set(same)
        for where, difference in _grouped(group):
            verdict = _verdict(difference, source, phase)
            yield InspectionFinding(
                f"{file}: {where}",
                sentence(difference, source),
                InspectionVerdict.EQUIVALENT if computed else verdict,
                rule_of(difference, source),
                phase if len(compared) > 1 else compared[0].found.phase,
            )
    yield from _stages(file, compared[0], [difference for difference, _ in differences.values()])


def _verdict(difference: LayerDifference, source: Architecture, phase: str) -> InspectionVerdict:
    """Return the verdict on a difference; a test without losses tests the same."""
    unused = phase == "TEST" and difference.kind is DifferenceKind.MISSING
    if unused and difference.node.type == "SoftmaxWithLoss":
        return InspectionVerdict.EQUIVALENT
    return verdict_of(difference, source)


def _shows_in_numbers(difference: LayerDifference) -> bool:
    """Return whether a run of two images shows a difference in what a layer computes."""
    if "Accuracy" in {node.type for node in (difference.found, difference.wanted) if node}:
        return False
    return difference.kind is not DifferenceKind.FIELD or difference.field in SHOWS_IN_NUMBERS


def _concerns_learning(difference: LayerDifference) -> bool:
    """Return whether a difference concerns learning or initial values, which TEST does not use."""
    nodes = (difference.found, difference.wanted)
    return any(difference.field in node.traits.learns for node in nodes if node)


def _likeness(difference: LayerDifference, source: Architecture) -> object:
    if difference.kind is DifferenceKind.MISSING:
        return difference.kind, difference.node.type == "Softmax"
    if difference.kind is DifferenceKind.BOTTOMS:
        return difference.kind, difference.name
    return (
        difference.kind,
        difference.node.type,
        difference.field,
        difference.values,
        verdict_of(difference, source),
        sentence(difference, source),
    )


def _grouped(group: Sequence[LayerDifference]) -> Iterator[tuple[str, LayerDifference]]:
    """Yield equal differences one by one, or many as one; each with the layers it is in."""
    most = MOST_MISSING if group[0].kind is DifferenceKind.MISSING else MOST_OF_A_KIND
    if len(group) <= most:
        yield from ((_called(difference), difference) for difference in group)
    else:
        yield listed([_called(difference) for difference in group]), group[0]


def _called(difference: LayerDifference) -> str:
    """Return a layer's name in the file and, if it differs, its name in our network."""
    name, ours = difference.name, difference.node.name
    named = name if name == ours else f"{name} (our {ours})"
    return named + (f", {difference.field}" if difference.field else "")


def _stages(
    file: str, compared: GraphComparison, differences: Sequence[LayerDifference]
) -> Iterator[InspectionFinding]:
    """Report the stages of the network that have no difference."""
    totals = Counter(_stage(node.name) for node in compared.wanted.nodes)
    touched = {_stage(difference.node.name) for difference in differences}
    renamed = {
        _stage(compared.wanted.nodes[w].name)
        for f, w in compared.pairs.items()
        if compared.found.nodes[f].name != compared.wanted.nodes[w].name
    }
    for stage, count in totals.items():
        if stage in touched:
            continue
        verdict = InspectionVerdict.EQUIVALENT if stage in renamed else InspectionVerdict.SAME
        names = "under other names" if stage in renamed else "under their names"
        yield InspectionFinding(f"{file}: {stage}", f"all {count} layers, {names}", verdict)


def _stage(name: str) -> str:
    """Return a layer's stage: the first is the stem, and the heads begin with the last pool."""
    if "conv1" in name:
        return "stem"
    match = re.match(
        r"(?:bn|scale|res|cross|self|inception_|conv|norm|pool(?!5)|relu(?![67]))(\d)", name
    )
    if not match:
        return "heads"
    return "stem" if match[1] == "1" else f"stage {match[1]}"
