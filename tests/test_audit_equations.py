"""Equations (3) and (4), the split and the arithmetic, each computed another way."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgen import paper
from netgen.audit.measurements import AuditInputs
from netgen.audit.measurements.counts import _factors, printed_excess, roundings
from netgen.audit.verdicts import judge
from netgen.paper.claims import CLAIMS
from netgen.paper.implied import Rounding, training_images


def test_an_open_highway_is_a_residual_layer_exactly() -> None:
    assert judge("", CLAIMS["equation-3"], AuditInputs()).found == "differs from equation (1) by 0"


def test_an_ungated_lstm_is_a_residual_layer_in_its_cell_and_not_in_its_output() -> None:
    judgement = judge("", CLAIMS["equation-4"], AuditInputs())
    assert judgement.found.endswith("cell c by 0")
    assert judgement.fits == "the cell state c is one; h is only up to the outer tanh"


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_the_outer_tanh_never_lets_a_large_input_through(x: float, w: float) -> None:
    """So it is no residual layer: its output stays within -1 and 1, a shortcut's does not."""
    assert abs(np.tanh(x + np.tanh(w * x))) <= 1


def test_the_printed_split_has_221_test_images_more_than_a_fifth() -> None:
    assert printed_excess() == pytest.approx(221.4)


def test_rounding_down_is_the_only_rule_within_three_standard_deviations() -> None:
    sigmas = {rule.name: rule.sigmas for rule in roundings()}
    assert sigmas == pytest.approx({"floor": 0.03, "nearest": 33.3, "ceil": 66.5}, abs=0.05)


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_roundings_are_those_of_four_fifths_for_one_pair_and_for_many(images: list[int]) -> None:
    for rule, rounded in (
        (Rounding.FLOOR, floor),
        (Rounding.NEAREST, round),
        (Rounding.CEIL, ceil),
    ):
        exact = [rounded(Fraction(4 * n, 5)) for n in images]
        assert [rule.of(n) for n in images] == exact
        assert rule.of(np.array(images, np.int64)).tolist() == exact
    assert training_images(images[0]) == floor(Fraction(4 * images[0], 5))


def test_the_expected_excess_is_what_random_ontologies_have() -> None:
    rng = random.Random(5)
    expectation = next(one for one in roundings() if one.rule is Rounding.FLOOR)
    found = []
    for _ in range(300):
        images = [rng.randint(500, 1000) for _ in range(paper.TASKS["anp"])]
        found.append(sum(n - 4 * n // 5 for n in images) - sum(images) / 5)
    assert np.mean(found) == pytest.approx(expectation.expected, abs=2)
    assert np.std(found) == pytest.approx(expectation.deviation, rel=0.2)


def test_the_test_set_factors_into_3_23_and_1117() -> None:
    assert _factors(paper.TEST_IMAGES) == [3, 23, 1117]


@given(st.integers(2, 10**5))
def test_factors_are_primes_in_order_whose_product_is_the_number(number: int) -> None:
    factors = _factors(number)
    assert np.prod(factors, dtype=np.int64) == number
    assert all(a <= b for a, b in pairwise(factors))
    assert all(_factors(factor) == [factor] for factor in set(factors))
