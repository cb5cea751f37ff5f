"""Weights audited: each mutation of a caffemodel is named with its layer, and no rewrite is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.audit import differing, shown
from support.networks import MULTITASK
from support.weight_changes import (
    CROSSED,
    MUTATIONS,
    REWRITES,
    UNCLEAR,
    Model,
    message,
    narrow,
    trained,
)

from netgen.audit.inspection import InspectionFinding as Finding
from netgen.audit.inspection import InspectionVerdict as Verdict
from netgen.audit.inspection.inspect_weights import ERRORS, inspect_weights

FILE = "their.caffemodel"
CASES = [(n, v) for n in MUTATIONS for v in MULTITASK if v == "xs" or n not in CROSSED]


@cache
def _trained(variant: str) -> Model:
    return trained(narrow(variant).net())


def model_of(variant: str) -> Model:
    """A model to be changed; its arrays are replaced, not written to."""
    return {name: (kind, list(blobs)) for name, (kind, blobs) in _trained(variant).items()}


def found_in(net: Any, variant: str) -> list[Finding]:
    """What is found in a caffemodel, but for the count: a narrow network's is not Table 2's."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        path.write_bytes(net.SerializeToString())
        found = inspect_weights(path, narrow(variant))
    return [finding for finding in found if "Table 2 prints" not in finding.what]


def test_there_are_at_least_fifteen_mutations_of_each_network() -> None:
    assert len(CASES) >= 3 * 15 + len(CROSSED)
    assert len(REWRITES) >= 7


@pytest.mark.parametrize("variant", MULTITASK)
def test_weights_as_training_leaves_them_are_the_papers(variant: str) -> None:
    found = found_in(message(model_of(variant)), variant)
    assert not differing(found), shown(differing(found))


@pytest.mark.parametrize(("name", "variant"), CASES)
@given(data=st.data())
@settings(max_examples=3)
def test_a_mutation_of_weights_is_named_with_its_layer(
    name: str, variant: str, data: st.DataObject
) -> None:
    model = model_of(variant)
    layer = MUTATIONS[name](model, data.draw)
    found = found_in(message(model), variant)
    wanted = Verdict.NOT_CHECKABLE if name in UNCLEAR else Verdict.DIFFERS
    told = [finding for finding in found if finding.verdict is wanted]
    assert any(layer in finding.where for finding in told), shown(found)


@pytest.mark.parametrize("name", REWRITES)
@given(data=st.data())
@settings(max_examples=5)
def test_the_same_weights_written_otherwise_are_not_refused(name: str, data: st.DataObject) -> None:
    variant = data.draw(st.sampled_from(MULTITASK), "variant")
    net = message(model_of(variant))
    REWRITES[name](net, data.draw)
    found = found_in(net, variant)
    assert not differing(found), shown(differing(found))


# ---- the rules that are statistical -------------------------------------------------------------


def crosses(values: Iterator[np.ndarray]) -> list[Finding]:
    """What is found of X_S's cross weights, if they were these."""
    model = model_of("xs")
    for name in [name for name in model if name.startswith("cross")]:
        model[name] = ("Scale", [next(values).astype(np.float32)])
    return [finding for finding in found_in(message(model), "xs") if "cross" in finding.where]


@given(seed=st.integers(0, 2**32), sigma=st.sampled_from([0.04418, 0.03125]))
@settings(max_examples=25, derandomize=True)
def test_of_cross_weights_that_were_only_drawn_none_is_taken_for_learned(
    seed: int, sigma: float
) -> None:
    """One file in a thousand may be; these files are the same in every run."""
    rng = np.random.default_rng(seed)
    found = crosses(rng.normal(0, sigma, 2048) for _ in range(12))
    (told,) = [finding for finding in found if "as drawn at the start" in finding.what]
    assert told.verdict is Verdict.DIFFERS
    assert told.what.startswith("12 of 12 layers")
    assert f"{ERRORS:.1%}" in told.what


@given(seed=st.integers(0, 2**32), mean=st.floats(0.01, 0.1), deviation=st.floats(0.02, 0.1))
@settings(max_examples=25, derandomize=True)
def test_cross_weights_of_a_shifted_mean_are_learned(
    seed: int, mean: float, deviation: float
) -> None:
    rng = np.random.default_rng(seed)
    found = crosses(rng.normal(mean, deviation, 2048) for _ in range(12))
    assert not [finding for finding in found if "as drawn" in finding.what], shown(found)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.9, Verdict.SAME), (0.6, Verdict.SAME), (0.51, Verdict.NOT_CHECKABLE),
     (0.49, Verdict.NOT_CHECKABLE), (0.4, Verdict.DIFFERS)],
)  # fmt: skip
def test_mostly_non_negative_is_told_from_what_chance_would_do(
    share: float, verdict: Verdict
) -> None:
    """Of 2,048 weights, random signs give 50 +- 4.5%."""
    size, rng = 2048, np.random.default_rng(1)
    signs = np.where(np.arange(size) < share * size, 1, -1)
    found = crosses(signs * rng.uniform(0.01, 0.1, size) for _ in range(12))
    told = [finding for finding in found if "mostly non-negative" in finding.what]
    assert {finding.verdict for finding in told} == {verdict}, shown(told)


@pytest.mark.parametrize("variant", MULTITASK)
def test_a_network_of_another_width_is_held_against_the_one_that_has_its_layers(
    variant: str,
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        path.write_bytes(message(model_of(variant)).SerializeToString())
        found = inspect_weights(path)
    names = {"x0": ("(x0)", "(x1)"), "x1": ("(x0)", "(x1)"), "xs": ("(xs)",)}
    assert any(name in found[0].what for name in names[variant]), found[0].what
