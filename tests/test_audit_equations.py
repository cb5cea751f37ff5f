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
from netgen.paper.claims import ARGUMENTS, CLAIMS, ROWS, Claim, Conclusion, Measure
from netgen.paper.implied import Rounding, training_images

numbers = st.floats(-50, 50)


def concludes(name: str) -> Conclusion:
    return next(one.conclusion for one in ARGUMENTS if one.id == name)


@given(numbers, numbers)
def test_an_open_highway_is_a_residual_layer_whatever_it_transforms(x: float, h: float) -> None:
    transform = carry = 1.0
    assert h * transform + x * carry == h + x
    assert concludes("equation-3") is Conclusion.FOLLOWS


@given(numbers, numbers)
def test_an_ungated_lstm_is_a_residual_layer_in_its_cell_and_not_in_its_output(
    x: float, w: float
) -> None:
    """Its output stays within -1 and 1, which a sum with a shortcut does not."""
    residual = np.tanh(w * x)
    cell = 1.0 * x + 1.0 * residual
    assert cell == x + residual
    assert abs(1.0 * np.tanh(cell)) <= 1
    assert concludes("equation-4") is Conclusion.FOLLOWS_IN_PART


# ---- what is relative to what -------------------------------------------------------------------

NETWORKS = sorted({row.network for row in ROWS.values()} - {"Chance", "DeepSentiBank"})
EVERY = {"better": st.sampled_from(NETWORKS), "worse": st.sampled_from(NETWORKS)}


def found(measure: Measure, *of: str) -> str:
    return judge("", Claim("a", "b", "c", (), measure, of), AuditInputs()).found


@given(**EVERY, task=st.sampled_from(sorted(paper.TASKS)))
def test_a_gain_and_a_loss_say_which_accuracy_is_100_percent(
    better: str, worse: str, task: str
) -> None:
    high, low = (float(ROWS[network, task].top1) for network in (better, worse))
    gain, loss = found(Measure.GAIN, better, worse, task), found(Measure.DROP, worse, better, task)
    assert gain == f"{100 * (high - low) / low:+.3f} % of {worse}'s {low:.2f}"
    assert loss == f"{100 * (low - high) / high:+.3f} % of {better}'s {high:.2f}"


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("gain", "X_0-ResNet-50"), ("gain-rounded", "X_0-ResNet-50"),
        ("drop", "ResNet-50"), ("drop-again", "X_S-ResNet-50"),
    ],
)  # fmt: skip
def test_the_two_percentages_of_the_text_go_in_different_directions(name: str, base: str) -> None:
    judgement = judge("", CLAIMS[name], AuditInputs())
    assert f"of {base}'s" in judgement.found
    assert "relative to the " in judgement.evidence


@pytest.mark.parametrize(
    ("name", "relative"),
    [("x0-below-single", "losses in % of ResNet-50's"), ("xs-above-x0", "gains in % of X_0-"),
     ("x1-drops", "losses in % of X_0-ResNet-50's")],
)  # fmt: skip
def test_a_comparison_of_networks_says_what_its_percentages_are_of(
    name: str, relative: str
) -> None:
    assert relative in judge("", CLAIMS[name], AuditInputs()).evidence


def test_identity_weights_are_held_against_none_and_not_against_another_architecture() -> None:
    assert "X_1-ResNet-50 below X_0-ResNet-50" in found(Measure.BELOW, *CLAIMS["x1-drops"].of)


# ---- the split ----------------------------------------------------------------------------------


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
