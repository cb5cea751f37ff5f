"""What a verdict is worth: "reproduced" is never what our own files only repeat."""

from __future__ import annotations

import re

import pytest

from netgen.audit.measurements import AuditInputs
from netgen.audit.measurements.measurement import BASES, Basis
from netgen.audit.measurements.parsed_networks import ParsedNetwork, emitted
from netgen.audit.verdicts import MET, ClaimJudgement, ClaimVerdict, audit, basis_of, judge
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.paper.claims import CLAIMS, Measure


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


def test_a_claim_whose_evidence_is_a_layer_or_a_solver_is_built_as_printed_unless_it_is_counted(
    judged: dict[str, ClaimJudgement],
) -> None:
    """What `netgen count` does not count in these files is only read back from them."""
    reads = re.compile(r"\blayers? \S+ of models/|\bin solvers/|^models/\*|Data layers of")
    for name, judgement in judged.items():
        if reads.search(judgement.evidence) and judgement.verdict is ClaimVerdict.REPRODUCED:
            assert BASES[judgement.claim.measure] is Basis.COUNT, name


@pytest.mark.parametrize(
    "name", ["rate", "momentum", "weight-decay", "batch", "dropout", "flips", "optimiser"]
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


def test_emotions_are_counted_on_plutchiks_wheel(judged: dict[str, ClaimJudgement]) -> None:
    emotions = judged["basic-emotions"]
    assert emotions.verdict is ClaimVerdict.REPRODUCED
    assert emotions.found.startswith("24 words: 8 basic emotions, each in 3 degrees")


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
