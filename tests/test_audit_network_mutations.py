"""Networks changed by operators, at drawn places: what matters is told, what does not is not."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.audit import differing, network, shown
from support.network_mutations import MUTATIONS, mutated
from support.network_rewrites import REWRITES
from support.networks import MULTITASK
from support.paths import ROOT

from netgen.audit.inspection import InspectionFinding as Finding
from netgen.audit.inspection import InspectionVerdict as Verdict
from netgen.audit.inspection import Rule
from netgen.audit.inspection.inspect_network import inspect_parsed
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import SchemaError

FEWEST, FEWEST_REWRITES = 120, 60  # kinds


@cache
def committed(variant: str) -> bytes:
    return network(ROOT / f"models/{variant}/train_val.prototxt").SerializeToString()


def inspected(net: NetParameter) -> tuple[Finding, ...]:
    """What an inspection finds; a network that does not connect is one difference."""
    try:
        return inspect_parsed(net, "net").findings
    except SchemaError as error:
        return (Finding("net", str(error), Verdict.DIFFERS, Rule.CAFFE),)


def told(found: tuple[Finding, ...], baseline: tuple[Finding, ...]) -> bool:
    """Whether a change is told: as a difference, as another reading, or as left open."""
    return any(
        finding.verdict is Verdict.DIFFERS
        or (finding.rule in (Rule.READING, Rule.OURS) and finding not in baseline)
        for finding in found
    )


@cache
def baseline(variant: str) -> tuple[Finding, ...]:
    return inspected(NetParameter.FromString(committed(variant)))


def test_there_are_enough_kinds_of_changes() -> None:
    assert len(MUTATIONS) >= FEWEST


@pytest.mark.parametrize("name", MUTATIONS)
@settings(max_examples=1)
@given(variant=st.sampled_from(MULTITASK), seed=st.integers(0, 10**6))
def test_no_change_of_what_a_network_computes_passes(name: str, variant: str, seed: int) -> None:
    net = NetParameter.FromString(committed(variant))
    place = mutated(net, MUTATIONS[name], random.Random(seed))
    if place is None:
        net = NetParameter.FromString(committed("xs"))
        place = mutated(net, MUTATIONS[name], random.Random(seed))
        variant = "xs"
    found = inspected(net)
    assert told(found, baseline(variant)), f"{name} at {place} of {variant}:\n{shown(found)}"


def test_there_are_enough_kinds_of_rewrites() -> None:
    assert len(REWRITES) >= FEWEST_REWRITES


@pytest.mark.parametrize("name", REWRITES)
@settings(max_examples=1)
@given(variant=st.sampled_from(MULTITASK), seed=st.integers(0, 10**6))
def test_no_rewrite_that_computes_the_same_is_refused(name: str, variant: str, seed: int) -> None:
    net = NetParameter.FromString(committed(variant))
    if mutated(net, REWRITES[name], random.Random(seed)) is None:
        variant, net = "xs", NetParameter.FromString(committed("xs"))
        mutated(net, REWRITES[name], random.Random(seed))
    found = inspected(net)
    assert not differing(found), f"{name} of {variant}:\n{shown(found)}"
    assert f"({variant})" in found[0].what, found[0].what


@settings(max_examples=10)
@given(
    names=st.lists(st.sampled_from(sorted(REWRITES)), min_size=2, max_size=6, unique=True),
    seed=st.integers(0, 10**6),
)
def test_several_rewrites_at_once_are_the_same_network(names: list[str], seed: int) -> None:
    net, rng = NetParameter.FromString(committed("xs")), random.Random(seed)
    for name in names:
        mutated(net, REWRITES[name], rng)
    found = inspected(net)
    assert not differing(found), f"{names}:\n{shown(found)}"
