"""The branching point, the cross residuals and their readings (Figure 4)."""

from __future__ import annotations

import pytest
from support.layers import DATA, PAIRS, TASKS, built, named, of_type, reads_before_made
from support.networks import MULTITASK, layers, order, text

from netgen import paper
from netgen.caffe.caffe_pb2 import EltwiseParameter, FillerParameter
from netgen.network.options import Branch, MovedNorm, Normalization, Sharing

# ---- the branching point and the cross residuals ------------------------------------------------


@pytest.mark.parametrize("variant", MULTITASK)
def test_one_normalisation_and_relu_a_task_comes_after_the_sum(variant: str) -> None:
    """Section 4."""
    found = built(variant)
    total = named("res5a", found)
    assert list(total.bottom) == ["res5a_branch1", "res5a_branch2c"]
    writers = {layer.name for layer in found if set(layer.top) & {*total.bottom, "res5a"}}
    assert writers == {"res5a_branch1", "res5a_branch2c", "res5a"}, "none of them is normalised"
    for task in TASKS:
        chain = [layer for layer in found if f"res5a_{task}" in layer.top]
        assert [layer.type for layer in chain] == ["BatchNorm", "Scale", "ReLU"]
        assert list(chain[0].bottom) == ["res5a"], "the tasks share the sum, so none overwrites it"


def test_cross_weights_are_channelwise_named_source_then_target() -> None:
    """Section 5.2: a channelwise scaling, initialised as in He's "Delving Deep"."""
    cross = [layer for layer in built("xs") if layer.name.startswith("cross")]
    assert len(cross) == 2 * len(PAIRS)
    for layer in cross:
        place, source, _target = layer.name.removeprefix("cross").split("_")
        before = {"5b": "res5a", "5c": "res5b"}[place]
        assert list(layer.bottom) == [f"{before}_{source}"]
        assert list(layer.top) == [layer.name]
        param = layer.scale_param
        assert (param.axis, param.num_axes, param.bias_term) == (1, 1, False)
        assert param.filler.type == "msra"
        assert param.filler.variance_norm == FillerParameter.AVERAGE


@pytest.mark.parametrize(
    ("variant", "contributions"),
    [
        ("x0", lambda _place, _before, _j, _t: []),
        ("x1", lambda _place, before, j, _t: [f"{before}_{j}"]),
        ("xs", lambda place, _before, j, t: [f"cross{place}_{j}_{t}"]),
    ],
)
def test_a_tasks_sum_is_its_shortcut_its_residual_and_the_others(
    variant: str, contributions: object
) -> None:
    """Equation (2), and section 5.2.2 for what it is in each network."""
    assert callable(contributions)
    for place, before in (("5b", "res5a"), ("5c", "res5b")):
        for task in TASKS:
            layer = named(f"res{place}_{task}", built(variant))
            others = [j for j in TASKS if j != task]
            assert list(layer.bottom) == [
                f"{before}_{task}",
                f"res{place}_branch2c_{task}",
                *(blob for j in others for blob in contributions(place, before, j, task)),
            ]
            assert layer.eltwise_param.operation == EltwiseParameter.SUM
            assert list(layer.eltwise_param.coeff) == []


# ---- readings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", MovedNorm)
def test_exactly_the_named_normalisations_of_res5a_move(moved: MovedNorm) -> None:
    found = layers(text(order("xs", DATA, moved_norm=moved), "deploy"))
    prefixes = {"BatchNorm": "bn5a_", "Scale": "scale5a_"}
    here = {
        (kind, layer.name.removeprefix(prefix))
        for kind, prefix in prefixes.items()
        for layer in of_type(kind, found)
        if layer.name.startswith(prefix)
    }
    for kind in prefixes:
        for branch in ("branch1", "branch2c"):
            moves = branch in moved.branches and kind in moved.layers
            assert ((kind, branch) in here) is not moves
        for task in DATA.tasks:
            assert ((kind, task.name) in here) is (kind in moved.layers)
    shared_relu = any(layer.name == "res5a_relu" for layer in found)
    assert shared_relu is (moved is MovedNorm.NOTHING)
    assert reads_before_made(found) == []


def test_before_res5a_nothing_of_the_last_stage_is_shared() -> None:
    ordered = order("xs", DATA, branch=Branch.BEFORE_RES5A, moved_norm=MovedNorm.NOTHING)
    found = layers(text(ordered, "deploy"))
    last = [layer.name for layer in found if layer.name.startswith("res5")]
    assert len(last) == 3 * (4 + 3 + 3 + 3 * 3 + 3)  # convolutions, inner ReLUs, sums, ReLUs
    assert all(name.split("_")[-1] in ("noun", "adj", "anp") for name in last)


def test_per_source_a_task_has_one_weight_for_all_who_listen() -> None:
    found = layers(text(order("xs", DATA, sharing=Sharing.PER_SOURCE), "deploy"))
    cross = [layer.name for layer in found if layer.name.startswith("cross")]
    assert sorted(cross) == sorted(f"cross{p}_{t}" for p in ("5b", "5c") for t in paper.TASKS)
    total = named("res5b_adj", found)
    assert list(total.bottom)[2:] == ["cross5b_noun", "cross5b_anp"]
    assert reads_before_made(found) == []


def test_a_normalisation_factor_divides_the_shortcuts_and_not_the_residual() -> None:
    found = layers(text(order("xs", DATA, normalization=Normalization.MEAN), "deploy"))
    total = named("res5c_anp", found)
    assert list(total.eltwise_param.coeff) == pytest.approx([1 / 3, 1, 1 / 3, 1 / 3])
    assert list(named("res5a", found).eltwise_param.coeff) == []


def test_statistics_can_be_frozen() -> None:
    ordered = order("xs", DATA, recipe=paper.Recipe(frozen_statistics=True, batch_size=2))
    found = layers(text(ordered, "train_val"), "TRAIN")
    assert {layer.batch_norm_param.use_global_stats for layer in of_type("BatchNorm", found)} == {
        True
    }
