"""Is this network the paper's? Which one, in which reading; and if not quite, layer by layer."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netgen.audit.inspection.data_layers import PARAMETERS, inspect_feeds, inspect_phases
from netgen.audit.inspection.differences import Comparison, Difference, Kind, compare
from netgen.audit.inspection.explanations import sentence, verdict_of
from netgen.audit.inspection.finding import Finding, Verdict
from netgen.audit.inspection.graph import Graph, graph_of
from netgen.audit.inspection.references import Reference, nearest
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import Phase, SchemaError, SchemaWarning, layers_in, read_net
from netgen.network.build import Kind as NetKind
from netgen.network.variants import Architecture
from netgen.system.text import listed

LEAST_IN_COMMON = 0.5  # below, a list of differences tells nobody anything
MOST_OF_A_KIND = 3  # alike differences that are told one by one
MOST_MISSING = 12


@dataclass(frozen=True)
class Inspected:
    """A network, what it is nearest to, and what was found.

    Attributes
    ----------
    net
        The network.
    reference
        The paper's network that it was compared with; None where it is like none.
    findings
        In the order of the network.
    """

    net: NetParameter
    reference: Reference | None
    findings: tuple[Finding, ...]


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
    foreign = [Finding(file, str(w.message), Verdict.NOT_CHECKABLE) for w in caught]
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
    """Tell a network that is trained from one that is deployed, and in which phases it exists."""
    fed: list[Phase] = []
    both: list[Phase] = ["TEST", "TRAIN"]
    for phase in both:
        if any(layer.type in PARAMETERS for layer in layers_in(net, phase)):
            fed.append(phase)
    return ("train_val", fed) if fed else ("deploy", ["TEST"])


def _phases(file: str, kind: NetKind, phases: Sequence[Phase]) -> Iterator[Finding]:
    if kind == "train_val" and len(phases) == 1:
        what = f"it is fed in {phases[0]} only: the other phase was not inspected"
        yield Finding(file, what, Verdict.NOT_CHECKABLE)


def _refusals(file: str, graphs: Sequence[Graph]) -> Iterator[Finding]:
    """Pass on why Caffe would refuse the network, and which types are unknown; once each."""
    refusals = [graph.counted.refused for graph in graphs if graph.counted.refused]
    for refused in refusals[:1]:  # the other phase's is the same with another batch
        yield Finding(file, f"Caffe would refuse it: {refused}", Verdict.DIFFERS)
    for notice in dict.fromkeys(notice for graph in graphs for notice in graph.counted.notices):
        if "ASSUMED" not in notice:  # of the images' size, which is the paper's
            yield Finding(file, notice, Verdict.NOT_CHECKABLE)


def _in_common(compared: Comparison) -> float:
    touched = {id(difference.found) for difference in compared.differences}
    same = sum(id(compared.found.nodes[f]) not in touched for f in compared.pairs)
    return same / max(len(compared.found.nodes), len(compared.wanted.nodes), 1)


def _like_none(file: str, reference: Reference, compared: Comparison) -> Finding:
    what = (
        f"like no network of Table 2: of its {len(compared.found.nodes)} layers"
        f" {_in_common(compared):.0%} are as in the nearest, {reference.title}"
    )
    return Finding(file, what, Verdict.DIFFERS)


def _layers(file: str, reference: Reference, compared: Sequence[Comparison]) -> Iterator[Finding]:
    """Tell each difference once, whether it is in both phases or in one."""
    differences: dict[object, tuple[Difference, list[Phase]]] = {}
    for one in compared:
        for difference in one.differences:
            if one.found.phase == "TRAIN" or not _concerns_learning(difference):
                key = (difference.kind, difference.name, difference.field, difference.values)
                differences.setdefault(key, (difference, []))[1].append(one.found.phase)
    source = reference.variant.row.architecture
    alike: dict[object, list[Difference]] = defaultdict(list)
    for difference, phases in differences.values():
        alike[_likeness(difference, phases, source)].append(difference)
    for group in alike.values():
        yield from _group(file, group, source)
    yield from _stages(file, compared[0], [difference for difference, _ in differences.values()])


def _concerns_learning(difference: Difference) -> bool:
    """Tell whether a difference is in how a network learns or starts: it says nothing in TEST."""
    nodes = (difference.found, difference.wanted)
    return any(difference.field in node.traits.learns for node in nodes if node)


def _likeness(difference: Difference, phases: Sequence[Phase], source: Architecture) -> object:
    if difference.kind is Kind.MISSING:
        return difference.kind, difference.node.type == "Softmax"
    if difference.kind is Kind.BOTTOMS:
        return difference.kind, difference.name
    return (
        difference.kind,
        difference.node.type,
        difference.field,
        difference.values,
        verdict_of(difference, source),
        sentence(difference, source),
    )


def _group(file: str, group: Sequence[Difference], source: Architecture) -> Iterator[Finding]:
    """Tell alike differences one by one, or many in one sentence."""
    most = MOST_MISSING if group[0].kind is Kind.MISSING else MOST_OF_A_KIND
    if len(group) <= most:
        for difference in group:
            where = f"{file}: {_called(difference)}"
            yield Finding(where, sentence(difference, source), verdict_of(difference, source))
        return
    where = f"{file}: {listed([_called(difference) for difference in group])}"
    yield Finding(where, sentence(group[0], source), verdict_of(group[0], source))


def _called(difference: Difference) -> str:
    """Name a layer as the file does and, where that is another name, as our network does."""
    name, ours = difference.name, difference.node.name
    named = name if name == ours else f"{name} (our {ours})"
    return named + (f", {difference.field}" if difference.field else "")


def _stages(
    file: str, compared: Comparison, differences: Sequence[Difference]
) -> Iterator[Finding]:
    """Tell which stages of the network have no difference at all."""
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
        verdict = Verdict.EQUIVALENT if stage in renamed else Verdict.SAME
        names = "under other names" if stage in renamed else "under their names"
        yield Finding(f"{file}: {stage}", f"all {count} layers, {names}", verdict)


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


def _parameters(file: str, reference: Reference, graph: Graph) -> Finding:
    count = graph.counted.parameters
    place = f"Table 2 prints {reference.printed} million for {reference.variant.row.title}"
    if count is None:
        return Finding(file, f"parameters cannot be counted; {place}", Verdict.NOT_CHECKABLE)
    if not reference.is_counted(graph.phase):
        what = f"{count:,} parameters without the auxiliary heads that train; {place}, with them"
        return Finding(file, what, Verdict.NOT_CHECKABLE)
    verdict = Verdict.DIFFERS if _counted_out(reference, graph) else Verdict.SAME
    return Finding(file, f"{count:,} parameters; {place}", verdict)


def _counted_out(reference: Reference, graph: Graph) -> bool:
    """Tell whether Table 2's count excludes a network."""
    count = graph.counted.parameters
    known = count is not None and reference.is_counted(graph.phase)
    return known and f"{(count or 0) / 1e6:.2f}" != reference.printed


def _summary(
    file: str, reference: Reference, compared: Sequence[Comparison], findings: Sequence[Finding]
) -> Finding:
    title, layers = reference.variant.row.title, len(compared[0].found.nodes)
    count = sum(finding.verdict is Verdict.DIFFERS for finding in findings)
    counted_out = not reference.is_ours and _counted_out(reference, compared[-1].found)
    if count > counted_out:
        what = f"nearest to {title} ({reference.title}); differences: {count - counted_out}"
        return Finding(file, what, Verdict.DIFFERS)
    renamed = max(one.renamed for one in compared)
    if not reference.is_ours:
        what = f"{title}: equivalent to {reference.title}; ours reads the paper otherwise"
        what += ", since Table 2's count excludes it" if counted_out else ""
        return Finding(file, what, Verdict.EQUIVALENT)
    if renamed:
        what = f"{title} ({reference.title}): {renamed} of {layers} layers have other names"
        return Finding(file, what, Verdict.EQUIVALENT)
    return Finding(file, f"{title} ({reference.title}): all {layers} layers", Verdict.SAME)
