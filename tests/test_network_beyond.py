"""What goes beyond the paper: the table of choices, and what each builds."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from support.beyond import CLASSES, DATA, TASKS, built
from support.layers import named, of_type, reads_before_made
from support.networks import MULTITASK, NARROW, dataset, order, text

from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.network.options import (
    EXTENSIONS,
    OPTIONS,
    Branch,
    BranchStage,
    CrossBias,
    Crossed,
    CrossForm,
    CrossLearning,
    CrossStart,
    Normalization,
    Pool1,
    SelfWeight,
    Towers,
)
from netgen.network.residual import Backbone, Stem
from netgen.network.variants import (
    NETWORKS,
    NetworkRow,
    UnsuitedError,
    find,
    go_beyond,
)

# ---- the table of choices -----------------------------------------------------------------------


def test_the_paper_is_the_default_of_every_row() -> None:
    defaults = {field.name: field.default for field in fields(NetworkRow)}
    for name in MULTITASK:
        for option in EXTENSIONS.values():
            field = option.field
            assert getattr(NETWORKS[name], field) is option.values[0] is defaults[field]


def test_every_choice_has_a_name_of_its_own_a_meaning_and_a_place_in_the_paper() -> None:
    for extension in EXTENSIONS.values():
        assert len({value.slug for value in extension.values}) == len(extension.values) > 1
        assert len({value.meaning for value in extension.values}) == len(extension.values)
        assert all(value.slug.replace("-", "").isalnum() for value in extension.values)
        assert all(" " in value.meaning for value in extension.values)
        assert extension.place.startswith(("section", "Table"))


def test_every_field_of_a_row_that_is_a_choice_is_in_one_of_the_tables() -> None:
    given = {field.name for field in fields(NetworkRow)} - {"title", "architecture"}
    assert sorted(given - {"weights", "outputs"}) == sorted(option.field for option in OPTIONS)


@pytest.mark.parametrize(
    ("variant", "field", "value", "message"),
    [
        ("xs", "cross-sart", "zero", "unknown extension 'cross-sart': choose from cross-start, "),
        ("xs", "cross-start", "two", "unknown value 'two' of cross-start: choose from random, "),
        ("x0", "cross-start", "zero", "x0 has no learned cross weights: cross-start is for xs$"),
        ("x1", "cross-form", "convolution", "x1 has no learned cross weights: cross-form is for"),
        ("x0", "crossed", "first-block", "x0 has no cross-residuals: crossed is for x1, xs$"),
        ("resnet50-adj", "towers", "frozen", "has no blocks of several tasks: towers is for x0, "),
        (
            "xs",
            "conv1",
            "sixty",
            "'conv1', which is of another kind \\(reading\\): choose from cross",
        ),
    ],
)
def test_what_a_network_has_not_cannot_be_changed(
    variant: str, field: str, value: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        go_beyond(find(variant, TASKS), field, value)


@pytest.mark.parametrize(
    ("variant", "choices", "message"),
    [
        (
            "xs",
            {"cross_form": CrossForm.CONVOLUTION, "cross_start": CrossStart.ONE},
            "a 1 x 1 convolution of ones .* is no identity: say cross-start=zero, or cross-form=sc",
        ),
        (
            "x1",
            {"crossed": Crossed.ALL_BLOCKS},
            "no block of a task has a projection .* earlier, with --reading branch=before-res5a or",
        ),
    ],
)
def test_choices_that_contradict_each_other_are_refused(
    variant: str, choices: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsuitedError, match=message):
        built(variant, **choices)


def test_a_network_whose_tasks_would_cross_nowhere_is_refused() -> None:
    backbone = Backbone(width=4, blocks=(1, 1, 1, 1), stem=Stem.SMALL)
    with pytest.raises(ValueError, match="so none is crossed: give the last stage two blocks or"):
        built("xs", backbone, branch=Branch.BEFORE_RES5A)
    found = built("xs", backbone, branch=Branch.BEFORE_RES5A, crossed=Crossed.ALL_BLOCKS)
    assert "cross5a_noun_adj" in {layer.name for layer in found}


# ---- what each choice builds --------------------------------------------------------------------


def crosses(found: list[LayerParameter]) -> list[LayerParameter]:
    return [layer for layer in found if layer.name.startswith("cross")]


def rates(layer: LayerParameter) -> set[tuple[float, float]]:
    return {(param.lr_mult, param.decay_mult) for param in layer.param}


@pytest.mark.parametrize(("start", "value"), [(CrossStart.ZERO, 0), (CrossStart.ONE, 1)])
def test_cross_weights_can_start_alike(start: CrossStart, value: float) -> None:
    for layer in crosses(built(cross_start=start)):
        assert (layer.scale_param.filler.type, layer.scale_param.filler.value) == (
            "constant",
            value,
        )


def test_fixed_cross_weights_neither_learn_nor_decay() -> None:
    found = built(cross_learning=CrossLearning.FIXED, cross_bias=CrossBias.YES)
    for layer in crosses(found):
        assert len(layer.param) == 2
        assert rates(layer) == {(0, 0)}
    assert rates(named("res5b_branch2a_noun", found)) == set()


def test_a_cross_weight_can_be_a_convolution_from_all_channels_to_all() -> None:
    net = parse_net(text(order("xs", DATA, cross_form=CrossForm.CONVOLUTION), "deploy"))
    cost = {layer.name: layer for layer in count(net, "TEST").layers}
    channels = 32 * NARROW.width
    assert cost["cross5b_adj_noun"].blobs == ((channels, channels, 1, 1),)
    found = [layer for layer in net.layer if layer.name.startswith("cross")]
    assert {layer.type for layer in found} == {"Convolution"}
    assert {layer.convolution_param.weight_filler.type for layer in found} == {"msra"}


def test_a_self_weight_is_on_the_tasks_own_shortcut_and_starts_as_the_identity() -> None:
    found = built(self_weight=SelfWeight.LEARNED)
    for task in CLASSES:
        weight, total = named(f"self5b_{task}", found), named(f"res5b_{task}", found)
        assert list(weight.bottom) == [f"res5a_{task}"]
        assert (weight.scale_param.filler.type, weight.scale_param.filler.value) == ("constant", 1)
        assert total.bottom[0] == weight.top[0]
        assert not weight.scale_param.bias_term


def test_frozen_towers_leave_only_weights_on_shortcuts_and_classifiers_to_learn() -> None:
    found = built(towers=Towers.FROZEN, self_weight=SelfWeight.LEARNED)
    blobs = {layer.name: len(layer.blobs) for layer in count_train(found)}
    for layer in found:
        learns = layer.name.startswith(("cross", "self", "fc_"))
        if blobs[layer.name] and not learns:
            assert len(layer.param) == blobs[layer.name], layer.name
            assert rates(layer) == {(0, 0)}, layer.name
        elif learns:
            assert (0, 0) not in rates(layer)
    assert all(layer.batch_norm_param.use_global_stats for layer in of_type("BatchNorm", found))


def count_train(found: list[LayerParameter]) -> Any:
    from netgen.caffe.caffe_pb2 import NetParameter

    return count(NetParameter(layer=found), "TRAIN", inputs={"data": (3, 32, 32)}).layers


def test_after_res4a_the_identity_blocks_of_two_stages_are_crossed() -> None:
    found = built(branch_stage=BranchStage.AFTER_RES4A)
    assert {layer.name.split("_")[0] for layer in crosses(found)} == {
        "cross4b",
        "cross5b",
        "cross5c",
    }
    assert list(named("bn4a_noun", found).bottom) == ["res4a"]
    assert list(named("res5a_adj", found).bottom) == ["res5a_branch1_adj", "res5a_branch2c_adj"]


def test_all_blocks_add_the_other_tasks_projections() -> None:
    found = built(branch_stage=BranchStage.AFTER_RES4A, crossed=Crossed.ALL_BLOCKS)
    assert list(named("res5a_adj", found).bottom)[2:] == ["cross5a_noun_adj", "cross5a_anp_adj"]
    assert list(named("cross5a_noun_adj", found).bottom) == ["res5a_branch1_noun"]
    assert reads_before_made(found) == []


@pytest.mark.parametrize(
    ("stage", "first"),
    [(BranchStage.AFTER_RES5A, "cross5b"), (BranchStage.AFTER_RES4A, "cross4b")],
)
def test_only_the_first_block_can_be_crossed(stage: BranchStage, first: str) -> None:
    found = crosses(built(branch_stage=stage, crossed=Crossed.FIRST_BLOCK))
    assert {layer.name.split("_")[0] for layer in found} == {first}


# ---- the command line ---------------------------------------------------------------------------


def test_normalization_divides_self_weights_too() -> None:
    found = built(self_weight=SelfWeight.LEARNED, normalization=Normalization.MEAN)
    total = named("res5b_noun", found)
    assert total.bottom[0] == "self5b_noun"
    assert list(total.eltwise_param.coeff) == pytest.approx([1 / 3, 1, 1 / 3, 1 / 3])


# ---- other people's ResNet-50s ------------------------------------------------------------------


@pytest.mark.parametrize("side", [224, 65, 64, 63, 33])
def test_a_padded_first_pool_halves_what_it_reads(side: int) -> None:
    data = dataset(CLASSES, (3, side, side))
    for pool1 in Pool1:
        ordered = order("xs", data, Backbone(4, (1, 1, 1, 2)), pool1=pool1)
        net = parse_net(text(ordered, "deploy"))
        tops = {top.name: top.shape for made in count(net, "TEST").layers for top in made.tops}
        conv1, pooled = (tops[blob] or () for blob in ("conv1", "pool1"))
        if pool1 is Pool1.PADDED:
            assert pooled[2:] == (-(-conv1[2] // 2),) * 2
        assert tops["pool5_noun"] == (1, 128, 1, 1)


def test_the_stem_can_be_wider_than_the_stages_by_their_width() -> None:
    found = built(backbone=Backbone(4, (1, 1, 1, 2), Stem.SMALL, conv1=8))
    assert named("conv1", found).convolution_param.num_output == 8
    assert named("res2a_branch2a", found).convolution_param.num_output == 4
    assert named("res5b_branch2c_noun", found).convolution_param.num_output == 4 * 8 * 4
