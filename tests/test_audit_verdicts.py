"""Verdicts are computed: a claim that is changed fails, and a network that is changed too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgen.audit.measurements import AuditInputs
from netgen.audit.measurements.measurement import Basis, Estimate, Found
from netgen.audit.measurements.parsed_networks import ParsedNetwork, emitted
from netgen.audit.readings import CountedReading, readings
from netgen.audit.verdicts import (
    MET,
    ClaimJudgement,
    ClaimVerdict,
    audit,
    judge,
    tally,
    verdict_of,
)
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, PoolingParameter
from netgen.network import variants as known
from netgen.network.options import READINGS, CrossWeight
from netgen.network.variants import NetworkRow
from netgen.paper.claims import CLAIMS, PARTS, Claim, Measure

NOWHERE = AuditInputs()


@pytest.fixture(scope="module")
def judged() -> dict[str, ClaimJudgement]:
    return {judgement.claim.id: judgement for judgement in audit(NOWHERE)}


@pytest.fixture(scope="module")
def read() -> list[CountedReading]:
    return readings()


def verdict(claim: Claim) -> ClaimVerdict:
    return judge("some part", claim, NOWHERE).verdict


# ---- of this paper ------------------------------------------------------------------------------


def test_nothing_that_should_be_reproduced_is_not(judged: dict[str, ClaimJudgement]) -> None:
    assert [name for name, j in judged.items() if j.verdict is ClaimVerdict.NOT_REPRODUCED] == []


def test_every_judgement_says_what_was_found_or_is_missing_and_where(
    judged: dict[str, ClaimJudgement],
) -> None:
    for name, judgement in judged.items():
        assert judgement.evidence, name
        assert judgement.found or judgement.verdict.name.startswith("NEEDS"), name


@pytest.mark.parametrize(
    "name",
    [
        *("table1-res5-blocks", "equation-2-indices", "projections"),
        *("projections-relu", "projections-norm", "inception-heads"),
    ],
)
def test_what_the_paper_contradicts_itself_comes_with_the_reading_that_fits(
    name: str, judged: dict[str, ClaimJudgement]
) -> None:
    assert judged[name].verdict is ClaimVerdict.CONTRADICTED
    assert judged[name].fits


@pytest.mark.parametrize("name", ["table1-conv1-filters", "chance-adj-top1"])
def test_a_contradiction_that_rests_on_one_glyph_is_our_copys(
    name: str, judged: dict[str, ClaimJudgement]
) -> None:
    assert judged[name].verdict is ClaimVerdict.CONTRADICTED_IN_OUR_COPY


def test_table_2s_residual_networks_are_reproduced(judged: dict[str, ClaimJudgement]) -> None:
    found = {name: judged[f"{name}-params"].found for name in ("x0", "x1", "xs", "resnet50-anp")}
    assert found == {
        "x0": "43,159,431", "x1": "43,159,431", "xs": "43,184,007", "resnet50-anp": "24,694,366"
    }  # fmt: skip
    for name in found:
        assert judged[f"{name}-params"].verdict is ClaimVerdict.REPRODUCED


def test_accuracies_wait_for_training(judged: dict[str, ClaimJudgement]) -> None:
    for name in ("xs", "x0", "x1", "resnet50"):
        for score in ("noun-top1", "adj-top5", "anp-top1"):
            assert judged[f"{name}-{score}"].verdict is ClaimVerdict.NEEDS_TRAINING


def test_what_rests_on_accuracies_is_never_called_reproduced(
    judged: dict[str, ClaimJudgement],
) -> None:
    resting = [j for j in judged.values() if "need training" in j.evidence]
    assert len(resting) > 10
    assert {j.verdict for j in resting} == {ClaimVerdict.CONSISTENT}


def test_a_network_that_is_not_in_the_list_is_refused() -> None:
    claim = replace(CLAIMS["xs-params"], of=("SomeNet", "anp"))
    with pytest.raises(ValueError, match="no variant is 'SomeNet' for 'anp': `netgen list`"):
        verdict(claim)


def test_a_network_is_reproduced_as_soon_as_it_is_in_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the baselines will be: the title of Table 2's row is enough."""
    row = NetworkRow("Some-Net", cross=CrossWeight.SCALE)
    monkeypatch.setitem(known.NETWORKS, "somenet", row)
    claim = replace(CLAIMS["xs-params"], of=("SomeNet", "anp"))
    assert verdict(claim) is ClaimVerdict.REPRODUCED


def test_choices_of_the_recipe_are_left_open_and_say_where_they_are_set(
    judged: dict[str, ClaimJudgement],
) -> None:
    for name, judgement in judged.items():
        if name.startswith("open-"):
            assert judgement.verdict is ClaimVerdict.LEFT_OPEN
            assert judgement.evidence.startswith("netgen/paper/printed.py, ")


def test_the_summary_counts_every_claim_once(judged: dict[str, ClaimJudgement]) -> None:
    assert sum(tally(judged.values()).values()) == len(CLAIMS)


# ---- broken claims ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("xs-params", ("43.19",)),
        ("table1-res4", ("14 × 14", "1 × 1, 256", "3 × 3, 256", "1 × 1, 1024", "×5")),
        ("table1-conv1", ("112×112", "7 × 7", "/1")),
        ("table1-heads", ("117-d", "167-d", "553-d")),
        ("table1-layers", ("101",)),
        ("cross-input", ("7 × 7 × 1024",)),
        ("cross-parameters", ("2,047",)),
        ("cross-layers", ("three",)),
        ("batch", ("32",)),
        ("momentum", ("0.95",)),
        ("weight-decay", ("0.0005",)),
        ("rate", ("0.01",)),
        ("fewer-parameters", (">41%",)),
        ("less-than-60", ("59%",)),
        ("total-parameters", ("~43.2M", "~72.3M")),
        ("gain", ("~10.38%",)),
        ("drop", ("~8%",)),
        ("images", ("384,259",)),
        ("split", ("75/25",)),
        ("chance-anp-top5", ("0.91",)),
        ("image-size", ("227 × 227",)),
    ],
)
def test_another_printed_value_is_not_reproduced(name: str, printed: tuple[str, ...]) -> None:
    assert verdict(CLAIMS[name]) in MET.values()
    assert verdict(replace(CLAIMS[name], printed=printed)) is ClaimVerdict.NOT_REPRODUCED


@given(
    value=st.floats(-1e6, 1e6), holds=st.booleans(), basis=st.sampled_from(Basis),
    glyph=st.booleans(), fits=st.sampled_from(["", "another reading"]),
)  # fmt: skip
def test_a_verdict_follows_from_what_was_found_alone(
    value: float, holds: bool, basis: Basis, glyph: bool, fits: str
) -> None:
    claim = Claim("a", "b", "of 7", ("7",), Measure.TASKS, one_glyph=glyph)
    found = verdict_of(claim, Found("", "", (value,), holds, fits), basis)
    if holds and 6.5 <= value <= 7.5:
        assert found is MET[basis]
    elif not fits:
        assert found is ClaimVerdict.NOT_REPRODUCED
    else:
        assert found is (
            ClaimVerdict.CONTRADICTED_IN_OUR_COPY if glyph else ClaimVerdict.CONTRADICTED
        )


@given(printed=st.floats(0, 100), value=st.floats(0, 100), wide=st.floats(0, 2))
def test_an_estimate_meets_what_lies_in_its_interval(
    printed: float, value: float, wide: float
) -> None:
    text = f"{printed:.2f}"
    claim = Claim("a", "b", text, (text,), Measure.ACCURACY)
    estimate = Estimate(value, value - wide, value + wide)
    found = verdict_of(claim, Found("", "", (estimate,)), Basis.TRAINED)
    inside = value - wide <= float(text) <= value + wide
    assert found is (ClaimVerdict.REPRODUCED if inside else ClaimVerdict.NOT_REPRODUCED)


def test_a_claim_of_two_numbers_is_not_met_by_one() -> None:
    claim = Claim("a", "b", "7 and 8", ("7", "8"), Measure.TASKS)
    assert verdict_of(claim, Found("", "", (7.0,)), Basis.COUNT) is ClaimVerdict.NOT_REPRODUCED


# ---- broken networks ----------------------------------------------------------------------------


def named(net: NetParameter, name: str) -> LayerParameter:
    return next(layer for layer in net.layer if layer.name == name)


def stride(net: NetParameter) -> None:
    named(net, "res4a_branch2a").convolution_param.stride[0] = 1
    named(net, "res4a_branch1").convolution_param.stride[0] = 1
    named(net, "res5a_branch2a").convolution_param.stride[0] = 4
    named(net, "res5a_branch1").convolution_param.stride[0] = 4


def dropout(net: NetParameter) -> None:
    net.layer.add(name="drop", type="Dropout", bottom=["pool5_anp"], top=["pool5_anp"])


def weighted(net: NetParameter) -> None:
    named(net, "loss_anp").loss_weight.append(2)


def mirrored_test(net: NetParameter) -> None:
    for layer in net.layer:
        if layer.name == "data":
            layer.transform_param.mirror = True


def swapped(net: NetParameter) -> None:
    sums = named(net, "res5b_noun")
    sums.bottom[0], sums.bottom[2] = "res5a_adj", "res5a_noun"


def averaged(net: NetParameter) -> None:
    named(net, "res5c_adj").eltwise_param.coeff[:] = [0.5] * 4


def xavier(net: NetParameter) -> None:
    named(net, "cross5b_adj_noun").scale_param.filler.type = "xavier"


def no_average(net: NetParameter) -> None:
    named(net, "cross5b_adj_noun").scale_param.filler.ClearField("variance_norm")


def biased(net: NetParameter) -> None:
    for layer in net.layer:
        if layer.name.startswith("cross"):
            layer.scale_param.bias_term = True


def batch_of_16(net: NetParameter) -> None:
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.batch_size = 16


def uncrossed_shortcut(net: NetParameter) -> None:
    named(net, "cross5b_adj_noun").bottom[0] = "res5b_branch2c_adj"


def top_10(net: NetParameter) -> None:
    named(net, "top5_adj").accuracy_param.top_k = 10


def max_pool(net: NetParameter) -> None:
    named(net, "pool5_noun").pooling_param.pool = PoolingParameter.MAX


BROKEN: dict[str, tuple[Callable[[NetParameter], None], set[str]]] = {
    "stride": (stride, {"table1-res4", "table1-downsampling"}),
    "dropout": (dropout, {"dropout"}),
    "loss weight": (weighted, {"loss-sum"}),
    "mirrored tests": (mirrored_test, {"flips"}),
    "swapped shortcuts": (swapped, {"equation-2", "self-identity"}),
    "averaged shortcuts": (averaged, {"equation-2"}),
    "another filler": (xavier, {"initial-cross"}),
    "filler without AVERAGE": (no_average, {"initial-cross"}),
    "biased cross weights": (biased, {"cross-weight", "cross-parameters", "xs-params"}),
    "a residual crossed": (uncrossed_shortcut, {"figure-4-cross", "figure-3-skips"}),
    "another batch": (batch_of_16, {"batch"}),
    "top 10": (top_10, {"top-k"}),
}


@pytest.mark.parametrize("change", BROKEN)
def test_a_changed_network_is_not_reproduced(change: str) -> None:
    edit, expected = BROKEN[change]
    whole = emitted("xs")
    broken = ParsedNetwork(NetParameter(), whole.solver)
    broken.net.CopyFrom(whole.net)
    edit(broken.net)
    inputs = AuditInputs(network=lambda name: broken if name == "xs" else emitted(name))
    for name in expected:
        judgement = judge("some part", CLAIMS[name], inputs)
        assert judgement.verdict is ClaimVerdict.NOT_REPRODUCED, name


# ---- readings -----------------------------------------------------------------------------------


def test_ours_is_among_the_readings_of_every_question_and_fits(read: list[CountedReading]) -> None:
    for question in {r.question.id for r in read}:
        (ours,) = (r for r in read if r.question.id == question and r.answer.ours)
        assert ours.fits
        assert ours.status in ("implied", "chosen")


def test_a_reading_is_implied_only_where_no_other_fits(read: list[CountedReading]) -> None:
    for r in read:
        others = [x for x in read if x.question is r.question and x.fits and x is not r]
        if r.answer.ours:
            assert (r.status == "chosen") == bool(others)


@pytest.mark.parametrize(
    ("question", "made", "variant", "count"),
    [
        ("branch", "branch=before-res5a", "xs", 55_283_600),
        ("moved-norm", "moved-norm=last", "x0", 43_167_624),
        ("moved-norm", "moved-norm=last", "xs", 43_192_200),
        ("moved-norm", "moved-norm=nothing", "x0", 43_151_238),
        ("moved-norm", "moved-norm=last-scale", "xs", 43_184_006),
        ("moved-norm", "moved-norm=both-scales", "xs", 43_179_910),
        ("sharing", "sharing=per-source", "xs", 43_184_007 - 12_288),
        ("cross-bias", "cross-bias=yes", "xs", 43_184_007 + 24_576),
        ("self-scale", "self-weight=learned", "xs", 43_184_007 + 12_288),
        ("cross-layers", "crossed=first-block", "xs", 43_184_007 - 12_288),
        ("cross-layers", "branch=before-res5a + crossed=all-blocks", "xs", 55_283_600 + 12_288),
        ("projection-relu", "projection-relu=yes", "xs", 43_184_007),
        ("cross-filler", "cross-filler=channels", "xs", 43_184_007),
        ("stride", "stride=in-3x3", "xs", 43_184_007),
        ("conv1", "conv1=sixty", "xs", 43_182_119),
        ("conv1-bias", "conv1-bias=no", "resnet50-anp", 24_694_366 - 64),
    ],
)
def test_a_reading_is_counted(
    question: str, made: str, variant: str, count: int, read: list[CountedReading]
) -> None:
    (found,) = (r for r in read if r.question.id == question and r.answer.made == made)
    assert found.counts[variant].parameters == count
    printed = found.question.printed
    assert found.fits == all(
        f"{n.parameters / 1e6:.2f}" == printed[v] for v, n in found.counts.items()
    )


def test_a_reading_that_fits_the_total_is_excluded_by_what_a_cross_weight_has(
    read: list[CountedReading],
) -> None:
    """Half as many weights with biases count the same: 43.18 does not tell, 2,048 each does."""
    for made in ("sharing=per-source + cross-bias=yes", "crossed=first-block + cross-bias=yes"):
        (found,) = (r for r in read if r.answer.made == made)
        assert found.counts["xs"].parameters == 43_184_007
        assert found.counts["xs"].each == 4_096
        assert found.status == "excluded"


def test_what_is_implied_and_what_is_chosen(read: list[CountedReading]) -> None:
    assert {r.question.id: r.status for r in read if r.answer.ours} == {
        "branch": "implied",
        "moved-norm": "chosen",
        "sharing": "implied",
        "normalization": "chosen",
        "cross-bias": "implied",
        "self-scale": "implied",
        "cross-layers": "implied",
        "projection-relu": "chosen",
        "cross-filler": "chosen",
        "stride": "chosen",
        "statistics": "implied",
        "conv1": "chosen",
        "conv1-bias": "chosen",
    }


def test_every_value_of_every_reading_field_is_shown(read: list[CountedReading]) -> None:
    shown = {step for r in read for step in r.answer.made.split(" + ")}
    for name, option in READINGS.items():
        assert {f"{name}={value.slug}" for value in option.values} <= shown


def test_counting_readings_leaves_the_networks_as_they_were(read: list[CountedReading]) -> None:
    assert read
    assert verdict(CLAIMS["xs-params"]) is ClaimVerdict.REPRODUCED
    assert verdict(CLAIMS["table1-conv1"]) is ClaimVerdict.BUILT_AS_PRINTED


def test_every_part_of_the_paper_has_claims() -> None:
    assert all(PARTS.values())
