"""What a verdict is worth: "reproduced" is never what our own files only repeat."""

from __future__ import annotations

import re

import pytest

from netgen.audit.measurements import AuditInputs
from netgen.audit.measurements.measurement import BASES, Basis
from netgen.audit.measurements.parsed_networks import ParsedNetwork, emitted
from netgen.audit.verdicts import MET, ClaimJudgement, ClaimVerdict, audit, basis_of, judge
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.paper.claims import ARGUMENTS, CLAIMS, Measure


@pytest.fixture(scope="module")
def judged() -> dict[str, ClaimJudgement]:
    return {judgement.claim.id: judgement for judgement in audit(AuditInputs())}


def test_every_measurement_says_what_it_rests_on() -> None:
    assert set(BASES) == set(Measure)
    assert set(MET) == set(Basis)


def test_what_is_reproduced_does_not_rest_on_what_we_chose(
    judged: dict[str, ClaimJudgement],
) -> None:
    reproduced = [j for j in judged.values() if j.verdict is ClaimVerdict.REPRODUCED]
    assert len(reproduced) > 20
    for judgement in reproduced:
        assert basis_of(judgement.claim) not in (Basis.OWN_FILES, Basis.RESULTS, Basis.ALLOWED)


def test_no_claim_whose_evidence_is_in_our_own_files_is_reproduced(
    judged: dict[str, ClaimJudgement],
) -> None:
    """What is not counted whole, by `netgen count`, is only read back from them."""
    reading = [j for j in judged.values() if re.search(r"\b(?:models|solvers)/", j.evidence)]
    measured = [j for j in reading if "`netgen train" not in j.evidence]
    assert len(measured) > 30
    assert [j.claim.id for j in measured if j.verdict is ClaimVerdict.REPRODUCED] == []


@pytest.mark.parametrize("name", ["marginal-cost", "cost-of-more"])
def test_what_depends_on_a_bound_or_a_design_of_ours_is_only_consistent(
    name: str, judged: dict[str, ClaimJudgement]
) -> None:
    assert judged[name].verdict is ClaimVerdict.CONSISTENT


def test_a_bound_that_is_ours_is_told_with_what_it_bounds(
    judged: dict[str, ClaimJudgement],
) -> None:
    cost = judged["marginal-cost"]
    assert cost.found == "24,576 parameters, 0.06 % of X_0's 43,159,431"
    assert "below 1 %, our bound, since none is printed" in cost.evidence


def test_more_cross_residual_layers_and_earlier_branches_are_both_counted(
    judged: dict[str, ClaimJudgement],
) -> None:
    found = judged["cost-of-more"].found
    one, two, three, earlier, earliest = (
        int(number.replace(",", "")) for number in re.findall(r"[\d,]{9,}", found)
    )
    assert (one, two, three, earlier) == (43_171_719, 43_184_007, 55_295_888, 55_283_600)
    assert earliest > two
    assert found.index("layers: ") < found.index("branch: ")


def test_the_hardest_task_is_told_by_its_accuracy_and_not_by_its_gain(
    judged: dict[str, ClaimJudgement],
) -> None:
    assert judged["hardest"].found == "noun 42.18 %, adj 28.88 %, anp 22.89 %"
    assert judged["gain-largest"].found == "noun +5.29 %, adj +7.72 %, anp +10.37 %"
    assert judged["hardest"].found in judged["gain-largest"].evidence


def test_dashed_shortcuts_are_the_scale_layers_between_a_shortcut_and_a_sum(
    judged: dict[str, ClaimJudgement],
) -> None:
    assert judged["figure-4-cross"].found.startswith("12 of 12 Scale layers lie between another")


@pytest.mark.parametrize("name", ["basic-emotions", "not-significant"])
def test_what_no_measurement_could_fail_is_argued_and_not_judged(name: str) -> None:
    assert name not in CLAIMS
    assert name in {one.id for one in ARGUMENTS}


@pytest.mark.parametrize(
    "name",
    [
        *("rate", "momentum", "weight-decay", "batch", "dropout", "flips", "optimiser"),
        *("cross-input", "cross-weight", "cross-parameters", "figure-4-cross"),
    ],
)
def test_a_setting_that_we_wrote_ourselves_is_built_as_printed(
    name: str, judged: dict[str, ClaimJudgement]
) -> None:
    assert judged[name].verdict is ClaimVerdict.BUILT_AS_PRINTED


@pytest.mark.parametrize("name", ["xs-params", "fewer-parameters", "chance-anp-top5", "images"])
def test_what_follows_from_a_count_or_from_other_printed_numbers_is_reproduced(
    name: str, judged: dict[str, ClaimJudgement]
) -> None:
    assert judged[name].verdict is ClaimVerdict.REPRODUCED


def test_what_the_authors_expected_is_told_from_what_they_found(
    judged: dict[str, ClaimJudgement],
) -> None:
    claim = judged["anp-below-adjective"]
    assert claim.claim.quote.startswith("we still did expect")
    assert "what was expected is not what Table 2 has" in claim.found


def test_the_ratio_of_deepsentibanks_accuracies_is_below_all_others(
    judged: dict[str, ClaimJudgement],
) -> None:
    outputs = judged["deepsentibank-outputs"]
    assert outputs.verdict is ClaimVerdict.LEFT_OPEN
    ratios = [float(ratio) for ratio in re.findall(r"\d\.\d\d", outputs.found)]
    assert ratios[0] == pytest.approx(11.96 / 7.86, abs=0.005)
    assert ratios[0] < min(ratios[1:])


# ---- CaffeNet -----------------------------------------------------------------------------------


def rewired(norm_first: bool) -> AuditInputs:
    """CaffeNet with each normalisation before its pool, as AlexNet has them, or as it is."""
    whole = emitted("caffenet-anp")
    net = NetParameter()
    net.CopyFrom(whole.net)
    layers = {layer.name: layer for layer in net.layer}
    for number in "12" if norm_first else "":
        pool, norm = layers[f"pool{number}"], layers[f"norm{number}"]
        norm.bottom[0], pool.bottom[0] = pool.bottom[0], norm.top[0]
    other = ParsedNetwork(net, whole.solver)
    return AuditInputs(network=lambda name: other if name == "caffenet-anp" else emitted(name))


@pytest.mark.parametrize(
    ("norm_first", "verdict", "shown"),
    [
        (False, ClaimVerdict.BUILT_AS_PRINTED, "2 of 2 normalisations follow a pool"),
        (True, ClaimVerdict.NOT_REPRODUCED, "0 of 2 normalisations follow a pool"),
    ],
)
def test_caffenet_is_the_one_that_pools_before_it_normalises(
    norm_first: bool, verdict: ClaimVerdict, shown: str
) -> None:
    judgement = judge("", CLAIMS["caffenet-order"], rewired(norm_first))
    assert judgement.verdict is verdict
    assert judgement.found.startswith(shown)
