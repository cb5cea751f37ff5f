"""What a network is fed, audited: each mutation of a data layer is named, and no rewrite is."""

from __future__ import annotations

from functools import cache

import pytest
from google.protobuf.text_format import Merge
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.audit import differing, layer, network, replace_layers, shown
from support.feeding_changes import LABELS, MUTATIONS, PHASES, Place, places
from support.feeding_rewrites import REWRITES
from support.networks import MULTITASK
from support.paths import ROOT

from netgen.audit.inspection import InspectionFinding as Finding
from netgen.audit.inspection import InspectionVerdict as Verdict
from netgen.audit.inspection import Rule
from netgen.audit.inspection.data_layers import is_source
from netgen.audit.inspection.inspect_network import inspect_parsed
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, NetStateRule

# An example is a network inspected: a failing one is not made smaller.
FEW = settings(max_examples=5, phases=(Phase.generate,))
CASES = [(name, place) for name, mutated in MUTATIONS.items() for place in places(mutated)]


@cache
def read(variant: str) -> NetParameter:
    return network(ROOT / f"models/{variant}/train_val.prototxt")


def copy(variant: str) -> NetParameter:
    made = NetParameter()
    made.CopyFrom(read(variant))
    return made


def found_in(net: NetParameter) -> list[Finding]:
    return list(inspect_parsed(net, "net").findings)


@cache
def usual(variant: str) -> frozenset[Finding]:
    return frozenset(found_in(read(variant)))


def test_there_are_at_least_thirty_mutations_of_layers_and_phases() -> None:
    assert len(set(CASES)) == len(CASES) >= 150
    assert len(MUTATIONS) >= 40
    assert len(REWRITES) >= 20


@pytest.mark.parametrize("name", MUTATIONS)
@given(data=st.data())
@FEW
def test_a_mutation_of_what_is_fed_is_named_with_its_layer(name: str, data: st.DataObject) -> None:
    mutated = MUTATIONS[name]
    variant = data.draw(st.sampled_from(MULTITASK), "variant")
    place = data.draw(st.sampled_from(places(mutated)), "place")
    net = copy(variant)
    mutated.apply(net, place.of(net), data.draw)
    new = [finding for finding in found_in(net) if finding not in usual(variant)]
    wanted = {Verdict.NOT_CHECKABLE} if mutated.unclear else {Verdict.DIFFERS}
    assert any(tells(finding, place) and finding.verdict in wanted for finding in new), shown(new)
    assert not (mutated.unclear and differing(new)), shown(new)


def tells(finding: Finding, place: Place) -> bool:
    """Whether a finding names a place: its layer, or its task, and its phase."""
    task = place.layer.removeprefix("label_")
    named = task in f"{finding.where} {finding.what}"
    return named and finding.phase in (place.phase, "both", "")


@pytest.mark.parametrize("name", REWRITES)
@given(data=st.data())
@FEW
def test_a_rewrite_that_feeds_the_same_is_not_refused(name: str, data: st.DataObject) -> None:
    net = copy(data.draw(st.sampled_from(MULTITASK), "variant"))
    REWRITES[name](net, data.draw)
    assert not differing(found_in(net)), shown(differing(found_in(net)))


@given(data=st.data())
@FEW
def test_rewrites_together_are_not_refused(data: st.DataObject) -> None:
    kept = ["defaults_written_out", "the_unrounded_mean", "labels_mirrored", "fields_of_2014",
            "another_folder", "images_that_have_a_label_too", "other_names"]  # fmt: skip
    net = copy(data.draw(st.sampled_from(MULTITASK), "variant"))
    for name in data.draw(st.lists(st.sampled_from(kept[:-1]), unique=True, min_size=2)):
        REWRITES[name](net, data.draw)
    REWRITES["other_names"](net, data.draw)
    assert not differing(found_in(net)), shown(differing(found_in(net)))


# ---- what the paper leaves open -----------------------------------------------------------------

LEFT_OPEN = {
    "no mean": "mean_value: 0",
    "another mean": "mean_value: 100 mean_value: 110 mean_value: 120",
    "a mean in R, G, B": "mean_value: 123 mean_value: 117 mean_value: 104",
    "a mean of a file": 'mean_file: "imagenet_mean.binaryproto"',
    "values of 0 to 1": "scale: 0.00392157 mean_value: 104 mean_value: 117 mean_value: 123",
    "a crop": "crop_size: 224 mean_value: 104 mean_value: 117 mean_value: 123",
}


@pytest.mark.parametrize("field", LEFT_OPEN)
@pytest.mark.parametrize("variant", MULTITASK)
def test_what_the_paper_leaves_open_is_not_held_against_a_network(variant: str, field: str) -> None:
    net = copy(variant)
    for phase in PHASES.values():
        param = layer(net, "data", phase).transform_param
        param.ClearField("mean_value")
        Merge(LEFT_OPEN[field], param)
    found = found_in(net)
    assert not differing(found), shown(differing(found))
    new = [finding for finding in found if finding not in usual(variant)]
    open_ones = [x for x in new if x.rule is Rule.OURS and x.verdict is Verdict.NOT_CHECKABLE]
    assert {finding.phase for finding in open_ones} == {"TRAIN", "TEST"}, shown(new)


@pytest.mark.parametrize(
    ("fields", "feeds"),
    [
        ({"type": "Data", "top": ["data"]}, True),
        ({"type": "Python", "top": ["data", "label"]}, True),
        ({"type": "TheirData", "top": ["data"]}, True),
        ({"type": "DummyData", "top": ["data"]}, True),
        ({"type": "Input", "top": ["data"]}, False),
        ({"type": "Parameter", "top": ["w"]}, False),
        ({"type": "Python", "bottom": ["data"], "top": ["loss"]}, False),
    ],
)
def test_a_layer_that_reads_nothing_feeds_but_for_what_waits_for_a_program(
    fields: dict[str, object], feeds: bool
) -> None:
    assert is_source(LayerParameter(**fields)) is feeds  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", MULTITASK)
def test_one_python_layer_that_feeds_all_is_no_deploy_network_and_not_judged(variant: str) -> None:
    net = copy(variant)
    made = [
        LayerParameter(name="theirs", type="Python", top=["data", *LABELS], include=[rule])
        for rule in (NetStateRule(phase=phase) for phase in PHASES.values())
    ]
    replace_layers(net, [*made, *(x for x in net.layer if x.bottom)])
    found = found_in(net)
    assert not differing(found), shown(differing(found))
    assert f"({variant})" in found[0].what
    told = [x for x in found if x.where.startswith("net: theirs") and "Python layer" in x.what]
    assert {finding.phase for finding in told} == {"TRAIN", "TEST"}
    assert {finding.verdict for finding in told} == {Verdict.NOT_CHECKABLE}
    assert any("parameters; Table 2 prints" in finding.what for finding in found)


def test_labels_of_a_head_that_is_one_layer_in_ours_and_two_in_theirs_are_judged_too() -> None:
    net = copy("xs")
    loss = layer(net, "loss_adj")
    softmax = LayerParameter(name="p", type="Softmax", bottom=[loss.bottom[0]], top=["p"])
    loss.type, loss.bottom[0] = "MultinomialLogisticLoss", "p"
    layers = list(net.layer)
    place = next(index for index, each in enumerate(layers) if each.name == "loss_adj")
    replace_layers(net, [*layers[:place], softmax, *layers[place:]])
    assert not differing(found_in(net)), shown(differing(found_in(net)))
    layer(net, "label_adj", PHASES["TRAIN"]).transform_param.scale = 2
    told = [finding for finding in differing(found_in(net)) if "label_adj, scale" in finding.where]
    assert [finding.phase for finding in told] == ["TRAIN"]


@pytest.mark.parametrize("variant", MULTITASK)
def test_inputs_that_a_program_fills_are_a_training_network_where_labels_are_read(
    variant: str,
) -> None:
    net = copy(variant)
    for each in [each for each in net.layer if each.type == "Data"]:
        shape = each.input_param.shape.add(dim=[each.data_param.batch_size])
        shape.dim.extend((3, 224, 224) if each.name == "data" else ())
        each.type = "Input"
        each.ClearField("data_param")
        each.ClearField("transform_param")
    found = found_in(net)
    assert not differing(found), shown(differing(found))
    told = {finding.where for finding in found if "come from a program (Input" in finding.what}
    assert told == {f"net: {name}, type" for name in ("data", *LABELS)}
    layer(net, "label_adj", PHASES["TEST"]).input_param.shape[0].dim[0] = 24
    assert any("label_adj, batch_size" in x.where for x in differing(found_in(net)))
