"""The networks of Table 2: their names, their readings, and parameters for any number of tasks."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import MULTITASK, TRAINED, VARIANTS, committed, dataset, order, text

from netgen import paper
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.network.options import READINGS, Branch, MovedNorm
from netgen.network.residual import RESNET50
from netgen.network.variants import NETWORKS, NetworkRow, find, read_as, variants

TASKS = list(paper.TASKS)
IMAGE = {"data": (3, 224, 224)}


def parameters(prototxt: str) -> int:
    return count(parse_net(prototxt), inputs=IMAGE).parameters


def test_the_variants_are_the_rows_of_table_2_in_its_order() -> None:
    rows = [row.variant for row in paper.TABLE_2 if row.network != "Chance"]
    assert list(dict.fromkeys(rows)) == VARIANTS


def test_a_single_task_network_solves_one_task_and_the_others_all() -> None:
    for name, variant in variants(TASKS).items():
        assert variant.name == name
        task = "anp" if name == "deepsentibank" else name.rpartition("-")[2]
        assert list(variant.tasks) == (TASKS if name in MULTITASK else [task])


@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        *((name, "train_val") for name in TRAINED),
        # Inception-v1's has no auxiliary heads, which Table 2 counts.
        *((name, "deploy") for name in VARIANTS if not name.startswith("inception")),
    ],
)
def test_netgen_counts_the_parameters_of_table_2(variant: str, kind: str) -> None:
    inputs = IMAGE if kind == "train_val" else {}
    net = parse_net(committed(variant, kind))  # type: ignore[arg-type]
    millions = count(net, inputs=inputs).parameters / 1e6
    assert f"{millions:.2f}" == paper.TABLE_2_PARAMETERS[variant]


@pytest.mark.parametrize("variant", MULTITASK)
@settings(max_examples=10)
@given(classes=st.lists(st.integers(2, 20_000), min_size=2, max_size=6))
def test_parameters_of_any_number_of_tasks_follow_the_formula(
    variant: str, classes: list[int]
) -> None:
    tasks = len(classes)
    data = dataset({f"task{index}": number for index, number in enumerate(classes)})
    cross = 4_096 * tasks * (tasks - 1) if variant == "xs" else 0
    assert parameters(text(order(variant, data, RESNET50), "train_val")) == (
        14_607_405 + sum(8_945_671 + 2_049 * number for number in classes) + cross
    )


def test_an_unknown_variant_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ValueError,
        match=r"unknown variant 'x2': choose from deepsentibank, .*, xs \(`netgen list`",
    ):
        find("x2", TASKS)


@pytest.mark.parametrize("variant", MULTITASK)
def test_our_reading_is_the_default_of_every_row(variant: str) -> None:
    row = find(variant, TASKS).row
    defaults = {field.name: field.default for field in fields(NetworkRow)}
    for option in READINGS.values():
        assert getattr(row, option.field) is defaults[option.field]
        assert defaults[option.field] in option.values


def test_every_reading_has_a_name_of_its_own_and_a_meaning() -> None:
    for values in [option.values for option in READINGS.values()]:
        assert len({value.slug for value in values}) == len(values)
        assert len({value.meaning for value in values}) == len(values)
        assert all(value.slug.replace("-", "").isalnum() for value in values)
        assert all(" " in value.meaning for value in values)


def test_every_reading_can_be_asked_for_by_name_and_changes_nothing_else() -> None:
    for name, option in READINGS.items():
        field = option.field
        for value in option.values:
            variant = find("xs", TASKS)
            read = read_as(variant, name, value.slug)
            assert getattr(read.row, field) is value
            for other in fields(NetworkRow):
                if other.name != field:
                    assert getattr(read.row, other.name) == getattr(variant.row, other.name)


@pytest.mark.parametrize(
    ("variant", "field", "value", "message"),
    [
        ("xs", "branches", "never", "unknown reading 'branches': choose from branch, moved-norm"),
        (
            "xs",
            "branch",
            "never",
            "unknown value 'never' of branch: choose from after-res5a, befor",
        ),
        ("xs", "moved-norm", "", "unknown value '' of moved-norm: choose from both, last, "),
        (
            "resnet50-adj",
            "branch",
            "after-res5a",
            "has no blocks of several tasks: branch is for x0, ",
        ),
        (
            "x0",
            "cross-filler",
            "channels",
            "x0 has no learned cross weights: cross-filler is for xs",
        ),
        ("vgg16-adj", "conv1", "sixty", "no residual blocks: conv1 is for resnet50, x0, x1, xs$"),
        (
            "xs",
            "cross-start",
            "zero",
            "'cross-start', which is of another kind \\(extension\\): choo",
        ),
    ],
)
def test_a_reading_that_there_is_not_is_refused(
    variant: str, field: str, value: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_as(find(variant, TASKS), field, value)


def test_single_task_networks_neither_branch_nor_move_a_normalisation() -> None:
    row = NETWORKS["resnet50"]
    assert (row.branch, row.moved_norm) == (Branch.NEVER, MovedNorm.NOTHING)
