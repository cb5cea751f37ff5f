"""Compare a network with the paper's networks: the nearest one, its reading, the differences."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netgen.audit.comparison.differences import GraphComparison, compare
from netgen.audit.comparison.graph import Graph, graph_of
from netgen.audit.comparison.network_findings import (
    layer_findings,
    numeric_finding,
    rewrite_findings,
)
from netgen.audit.comparison.numeric import run_both
from netgen.audit.comparison.references import Reference, nearest
from netgen.audit.finding import InspectionFinding, InspectionVerdict, Rule
from netgen.audit.inspection.data_layers import feeds_training, inspect_feeds, inspect_phases
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import Phase, SchemaError, SchemaWarning, layers_in, read_net
from netgen.network.build import NetKind
from netgen.system.text import listed

LEAST_IN_COMMON = 0.5  # below this share of layers, a list of differences is not useful


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


def inspect_net(path: str | os.PathLike[str], numeric: bool = False) -> Inspected:
    """Compare a network's prototxt, train_val or deploy, with the paper's networks.

    Parameters
    ----------
    path
        The prototxt.
    numeric
        Also run both in Caffe: see `netgen.audit.comparison.numeric`.

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
    inspected = inspect_parsed(net, file, numeric)
    return Inspected(net, inspected.reference, (*inspected.findings, *foreign))


def inspect_parsed(net: NetParameter, file: str, numeric: bool = False) -> Inspected:
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
    runs = [run_both(net, reference.net(), one) for one in compared] if numeric else []
    same = {run.phase for run in runs if run.same}
    findings = [
        *_phases(file, kind, phases),
        *_refusals(file, graphs),
        *(numeric_finding(file, reference, run) for run in runs),
        *rewrite_findings(file, compared),
        *layer_findings(file, reference, compared, same),
        *_given_values(file, net),
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
        if feeds_training(layers_in(net, phase)):
            fed.append(phase)
    return ("train_val", fed) if fed else ("deploy", ["TEST"])


def _phases(file: str, kind: NetKind, phases: Sequence[Phase]) -> Iterator[InspectionFinding]:
    if kind == "train_val" and len(phases) == 1:
        what = f"it has data only in {phases[0]}: the other phase was not inspected"
        other = "TEST" if phases[0] == "TRAIN" else "TRAIN"
        yield InspectionFinding(
            file, what, InspectionVerdict.NOT_CHECKABLE, Rule.CAFFE, phase=other
        )


def _given_values(file: str, net: NetParameter) -> Iterator[InspectionFinding]:
    """Report layers whose weights are in the prototxt: Caffe starts from these."""
    named = [layer.name for layer in net.layer if layer.blobs]
    if named:
        what = "has its weights in this file, and Caffe starts from them; section 5.2 starts cross"
        what += " weights at random, and other layers from ImageNet's"
        where = f"{file}: {listed(named)}, blobs"
        yield InspectionFinding(where, what, InspectionVerdict.DIFFERS)


def _refusals(file: str, graphs: Sequence[Graph]) -> Iterator[InspectionFinding]:
    """Report why Caffe would refuse the network, and which types are unknown; once each."""
    refusing = [graph for graph in graphs if graph.counted.refused]
    for graph in refusing[:1]:  # the other phase's is the same with another batch
        what = f"Caffe would refuse it: {graph.counted.refused}"
        phase = "both" if len(refusing) > 1 else graph.phase
        yield InspectionFinding(file, what, InspectionVerdict.DIFFERS, Rule.CAFFE, phase)
    for notice in dict.fromkeys(notice for graph in graphs for notice in graph.counted.notices):
        if "ASSUMED" not in notice:  # of the images' size, which is the paper's
            yield InspectionFinding(file, notice, InspectionVerdict.NOT_CHECKABLE, Rule.CAFFE)


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


def _parameters(file: str, reference: Reference, graph: Graph) -> InspectionFinding:
    count = graph.counted.parameters
    place = f"Table 2 prints {reference.printed} million for {reference.variant.row.title}"
    if count is None:
        return InspectionFinding(
            file,
            f"parameters cannot be counted; {place}",
            InspectionVerdict.NOT_CHECKABLE,
            Rule.COUNTS,
        )
    if not reference.is_counted(graph.phase):
        what = f"{count:,} parameters without the auxiliary heads that train; {place}, with them"
        return InspectionFinding(file, what, InspectionVerdict.NOT_CHECKABLE, Rule.COUNTS)
    verdict = InspectionVerdict.same_if(not _counted_out(reference, graph))
    return InspectionFinding(file, f"{count:,} parameters; {place}", verdict, Rule.COUNTS)


def _counted_out(reference: Reference, graph: Graph) -> bool:
    """Return whether Table 2's count excludes a network."""
    count = graph.counted.parameters
    known = count is not None and reference.is_counted(graph.phase)
    return known and f"{(count or 0) / 1e6:.2f}" != reference.printed


def _left_open(findings: Sequence[InspectionFinding]) -> int:
    """Return in how many lines the network differs from what netgen chose."""
    unlike = (InspectionVerdict.NOT_CHECKABLE, InspectionVerdict.EQUIVALENT)
    return sum(f.rule is Rule.OURS and f.verdict in unlike for f in findings)


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
        return InspectionFinding(file, what, InspectionVerdict.EQUIVALENT, Rule.READING)
    if lines := _left_open(findings):
        what = f"{title} ({reference.title}), but for what the paper leaves open ({lines} below)"
        return InspectionFinding(file, what, InspectionVerdict.EQUIVALENT, Rule.OURS)
    if any(one.differences for one in compared):
        what = f"{title} ({reference.title}), but for what is equivalent"
        return InspectionFinding(file, what, InspectionVerdict.EQUIVALENT)
    if renamed or any(one.found.rewrites != one.wanted.rewrites for one in compared):
        what = f"{title} ({reference.title}): {renamed} of {layers} layers have other names"
        if not renamed:
            what = f"{title} ({reference.title}), written otherwise"
        return InspectionFinding(file, what, InspectionVerdict.EQUIVALENT)
    return InspectionFinding(
        file, f"{title} ({reference.title}): all {layers} layers", InspectionVerdict.SAME
    )
