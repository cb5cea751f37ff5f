"""Compare a network with the paper's networks: the nearest one, its reading, the differences."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netgen.audit.inspection.data_layers import PARAMETERS, inspect_feeds, inspect_phases
from netgen.audit.inspection.differences import (
    DifferenceKind,
    GraphComparison,
    LayerDifference,
    compare,
)
from netgen.audit.inspection.explanations import sentence, verdict_of
from netgen.audit.inspection.finding import InspectionFinding, InspectionVerdict
from netgen.audit.inspection.graph import Graph, graph_of
from netgen.audit.inspection.references import Reference, nearest
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import Phase, SchemaError, SchemaWarning, layers_in, read_net
from netgen.network.build import NetKind
from netgen.network.variants import Architecture
from netgen.system.text import listed

LEAST_IN_COMMON = 0.5  # below this share of layers, a list of differences is not useful
MOST_OF_A_KIND = 3  # equal differences that are listed one by one
MOST_MISSING = 12


@dataclass(frozen=True)
class Inspected:
    """A network, the paper's network nearest to it, and the findings.

    Attributes
    ----------
    net
        The network.
    reference
        The paper's network that it was compared with; None where it resembles none.
    findings
        In the order of the network.
    """

    net: NetParameter
    reference: Reference | None
    findings: tuple[InspectionFinding, ...]


def inspect_net(path: str | os.PathLike[str]) -> Inspected:
    """Compare a network's prototxt, train_val or deploy, with the paper's networks.

    Raises
    ------
    SchemaError
        When the file is no network, or its layers do not connect.
    """
    file = os.fspath(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SchemaWarning)
        net = read_net(path)
    foreign = [
        InspectionFinding(file, str(w.message), InspectionVerdict.NOT_CHECKABLE) for w in caught
    ]
    inspected = inspect_parsed(net, file)
    return Inspected(net, inspected.reference, (*inspected.findings, *foreign))


def inspect_parsed(net: NetParameter, file: str) -> Inspected:
    """Compare a parsed network; `file` is its name. Otherwise as :func:`inspect_net`."""
    kind, phases = _kind(net)
    try:
        graphs = [graph_of(net, phase) for phase in phases]
    except SchemaError as error:
        raise SchemaError(f"{file}: {error}") from None
    reference, likeness = nearest(graphs[0], kind)
    compared = [compare(graph, reference.graph(graph.phase)) for graph in graphs]
    if likeness < 1 and _in_common(compared[0]) < LEAST_IN_COMMON:
        like_none = _like_none(file, reference, compared[0])
        return Inspected(net, None, (like_none, *_refusals(file, graphs)))
    findings = [
        *_phases(file, kind, phases),
        *_refusals(file, graphs),
        *_layers(file, reference, compared),
        _parameters(file, reference, graphs[-1]),
        *inspect_phases(file, compared),
    ]
    for one in compared:
        findings += inspect_feeds(file, reference, one)
    verdict = _summary(file, reference, compared, findings)
    return Inspected(net, reference, (verdict, *findings))


def _kind(net: NetParameter) -> tuple[NetKind, list[Phase]]:
    """Return whether a network is for training or deployment, and its phases."""
    fed: list[Phase] = []
    both: list[Phase] = ["TEST", "TRAIN"]
    for phase in both:
        if any(layer.type in PARAMETERS for layer in layers_in(net, phase)):
            fed.append(phase)
    return ("train_val", fed) if fed else ("deploy", ["TEST"])


def _phases(file: str, kind: NetKind, phases: Sequence[Phase]) -> Iterator[InspectionFinding]:
    if kind == "train_val" and len(phases) == 1:
        what = f"it has data only in {phases[0]}: the other phase was not inspected"
        yield InspectionFinding(file, what, InspectionVerdict.NOT_CHECKABLE)


def _refusals(file: str, graphs: Sequence[Graph]) -> Iterator[InspectionFinding]:
    """Report why Caffe would refuse the network, and which types are unknown; once each."""
    refusals = [graph.counted.refused for graph in graphs if graph.counted.refused]
    for refused in refusals[:1]:  # the other phase's is the same with another batch
        yield InspectionFinding(
            file, f"Caffe would refuse it: {refused}", InspectionVerdict.DIFFERS
        )
    for notice in dict.fromkeys(notice for graph in graphs for notice in graph.counted.notices):
        if "ASSUMED" not in notice:  # of the images' size, which is the paper's
            yield InspectionFinding(file, notice, InspectionVerdict.NOT_CHECKABLE)


def _in_common(compared: GraphComparison) -> float:
    touched = {id(difference.found) for difference in compared.differences}
    same = sum(id(compared.found.nodes[f]) not in touched for f in compared.pairs)
    return same / max(len(compared.found.nodes), len(compared.wanted.nodes), 1)


def _like_none(file: str, reference: Reference, compared: GraphComparison) -> InspectionFinding:
    what = (
        f"like no network of Table 2: {_in_common(compared):.0%} of its"
        f" {len(compared.found.nodes)} layers are as in the nearest, {reference.title}"
    )
    return InspectionFinding(file, what, InspectionVerdict.DIFFERS)


def _layers(
    file: str, reference: Reference, compared: Sequence[GraphComparison]
) -> Iterator[InspectionFinding]:
    """Report each difference once, also if it is in both phases."""
    differences: dict[object, tuple[LayerDifference, list[Phase]]] = {}
    for one in compared:
        for difference in one.differences:
            if one.found.phase == "TRAIN" or not _concerns_learning(difference):
                key = (difference.kind, difference.name, difference.field, difference.values)
                differences.setdefault(key, (difference, []))[1].append(one.found.phase)
    source = reference.variant.row.architecture
    alike: dict[object, list[LayerDifference]] = defaultdict(list)
    for difference, phases in differences.values():
        alike[_likeness(difference, phases, source)].append(difference)
    for group in alike.values():
        yield from _group(file, group, source)
    yield from _stages(file, compared[0], [difference for difference, _ in differences.values()])


def _concerns_learning(difference: LayerDifference) -> bool:
    """Return whether a difference concerns learning or initial values, which TEST does not use."""
    nodes = (difference.found, difference.wanted)
    return any(difference.field in node.traits.learns for node in nodes if node)


def _likeness(difference: LayerDifference, phases: Sequence[Phase], source: Architecture) -> object:
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


def _group(
    file: str, group: Sequence[LayerDifference], source: Architecture
) -> Iterator[InspectionFinding]:
    """Report equal differences one by one, or many in one sentence."""
    most = MOST_MISSING if group[0].kind is DifferenceKind.MISSING else MOST_OF_A_KIND
    if len(group) <= most:
        for difference in group:
            where = f"{file}: {_called(difference)}"
            yield InspectionFinding(
                where, sentence(difference, source), verdict_of(difference, source)
            )
        return
    where = f"{file}: {listed([_called(difference) for difference in group])}"
    yield InspectionFinding(where, sentence(group[0], source), verdict_of(group[0], source))


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


def _parameters(file: str, reference: Reference, graph: Graph) -> InspectionFinding:
    count = graph.counted.parameters
    place = f"Table 2 prints {reference.printed} million for {reference.variant.row.title}"
    if count is None:
        return InspectionFinding(
            file, f"parameters cannot be counted; {place}", InspectionVerdict.NOT_CHECKABLE
        )
    if not reference.is_counted(graph.phase):
        what = f"{count:,} parameters without the auxiliary heads that train; {place}, with them"
        return InspectionFinding(file, what, InspectionVerdict.NOT_CHECKABLE)
    verdict = (
        InspectionVerdict.DIFFERS if _counted_out(reference, graph) else InspectionVerdict.SAME
    )
    return InspectionFinding(file, f"{count:,} parameters; {place}", verdict)


def _counted_out(reference: Reference, graph: Graph) -> bool:
    """Return whether Table 2's count excludes a network."""
    count = graph.counted.parameters
    known = count is not None and reference.is_counted(graph.phase)
    return known and f"{(count or 0) / 1e6:.2f}" != reference.printed


def _summary(
    file: str,
    reference: Reference,
    compared: Sequence[GraphComparison],
    findings: Sequence[InspectionFinding],
) -> InspectionFinding:
    title, layers = reference.variant.row.title, len(compared[0].found.nodes)
    count = sum(finding.verdict is InspectionVerdict.DIFFERS for finding in findings)
    counted_out = not reference.is_ours and _counted_out(reference, compared[-1].found)
    if count > counted_out:
        what = f"nearest to {title} ({reference.title}); differences: {count - counted_out}"
        return InspectionFinding(file, what, InspectionVerdict.DIFFERS)
    renamed = max(one.renamed for one in compared)
    if not reference.is_ours:
        what = f"{title}: equivalent to {reference.title}; ours reads the paper otherwise"
        what += ", since Table 2's count excludes it" if counted_out else ""
        return InspectionFinding(file, what, InspectionVerdict.EQUIVALENT)
    if renamed:
        what = f"{title} ({reference.title}): {renamed} of {layers} layers have other names"
        return InspectionFinding(file, what, InspectionVerdict.EQUIVALENT)
    return InspectionFinding(
        file, f"{title} ({reference.title}): all {layers} layers", InspectionVerdict.SAME
    )
