"""Every combination of choices is refused plainly, or built and counted."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from support.layers import EVERY_FILE, made_twice, names_are_unique, reads_before_made
from support.networks import ANY_CARD, MULTITASK, dataset, layers, text

from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.network.build import BuildSpec
from netgen.network.options import (
    EXTENSIONS,
    READINGS,
    Branch,
    BranchStage,
    Conv1,
    Conv1Bias,
    CrossBias,
    Crossed,
    CrossForm,
    CrossStart,
    CrossWeight,
    MovedNorm,
    SelfWeight,
    Sharing,
)
from netgen.network.residual import Backbone, Stem
from netgen.network.variants import (
    NetworkRow,
    Variant,
    find,
    go_beyond,
    read_as,
)


def is_contradiction(row: NetworkRow, backbone: Backbone) -> bool:
    earlier = row.branch_stage is BranchStage.AFTER_RES4A
    own_projected = row.branch is Branch.BEFORE_RES5A or earlier
    _, _, fourth, fifth = backbone.blocks
    alike = fifth - 1 + (fourth - 1) * earlier
    return (
        (row.cross_form is CrossForm.CONVOLUTION and row.cross_start is CrossStart.ONE)
        or (row.crossed is Crossed.ALL_BLOCKS and not own_projected)
        or (row.branch is Branch.AFTER_RES5A and not earlier and fifth == 1)
        or (
            row.cross is not CrossWeight.NONE
            and not alike
            and row.crossed is not Crossed.ALL_BLOCKS
        )
    )


def batch_norm(channels: int) -> int:
    return 2 * channels + 1  # mean, variance and their factor


def norm(channels: int) -> int:
    return batch_norm(channels) + 2 * channels


def block(inputs: int, width: int, projected: bool) -> int:
    """Parameters of He's bottleneck block."""
    wide = 4 * width
    found = inputs * width + 9 * width * width + width * wide + 2 * norm(width) + norm(wide)
    return found + projected * (inputs * wide + norm(wide))


def expected(row: NetworkRow, backbone: Backbone, channels: int, classes: list[int]) -> int:
    """Parameters by arithmetic, from what the paper and the choices say."""
    tasks = len(classes)
    filters = 60 if row.conv1 is Conv1.SIXTY else backbone.conv1 or backbone.width
    kernel = 7 if backbone.stem is Stem.IMAGENET else 3
    total = channels * filters * kernel**2 + norm(filters)
    total += filters * (row.conv1_bias is Conv1Bias.YES)
    stage_parted = 2 if row.branch_stage is BranchStage.AFTER_RES4A else 3
    parting = (stage_parted, int(row.branch is Branch.AFTER_RES5A))
    inputs, own = filters, []
    for stage, blocks in enumerate(backbone.blocks):
        width = backbone.width * 2**stage
        for index in range(blocks):
            is_own = (stage, index) >= parting
            total += block(inputs, width, index == 0) * (tasks if is_own else 1)
            if is_own:
                own.append((4 * width, index == 0))
            else:
                branching = (4 * width, index == 0)
            inputs = 4 * width
    total += moved(row.moved_norm, *branching, tasks)
    alike = [wide for wide, projected in own if not projected]
    wides = {
        Crossed.IDENTITY_BLOCKS: alike,
        Crossed.ALL_BLOCKS: [wide for wide, _ in own],
        Crossed.FIRST_BLOCK: alike[:1],
    }[row.crossed]
    total += sum(crossing(row, wide, tasks) for wide in wides)
    return total + sum(number * (inputs + 1) for number in classes)


def moved(moved_norm: MovedNorm, wide: int, projected: bool, tasks: int) -> int:
    each = batch_norm(wide) * ("BatchNorm" in moved_norm.layers)
    each += 2 * wide * ("Scale" in moved_norm.layers)
    branches = sum(branch == "branch2c" or projected for branch in moved_norm.branches)
    return each * (tasks - branches) if moved_norm is not MovedNorm.NOTHING else 0


def crossing(row: NetworkRow, wide: int, tasks: int) -> int:
    self_weights = tasks * wide * (row.self_weight is SelfWeight.LEARNED)
    if row.cross is not CrossWeight.SCALE:
        return self_weights
    each = wide * wide if row.cross_form is CrossForm.CONVOLUTION else wide
    each += wide * (row.cross_bias is CrossBias.YES)
    pairs = len(list(permutations(range(tasks), 2)))
    heard = tasks if tasks > 1 else 0  # a source that others listen to
    return self_weights + each * (pairs if row.sharing is Sharing.PER_PAIR else heard)


def chosen(variant: Variant, data: st.DataObject) -> Variant:
    """`variant` with a few fields of its row changed, by name, as the command line does it."""
    beyond = [name for name, e in EXTENSIONS.items() if variant.row.has(e.needs)]
    for field in data.draw(st.lists(st.sampled_from(beyond), unique=True, max_size=6)):
        value = data.draw(st.sampled_from(EXTENSIONS[field].values))
        variant = go_beyond(variant, field, value.slug)
    known = {name for name, reading in READINGS.items() if variant.row.has(reading.needs)}
    readings = sorted(known - ({"branch"} if data.draw(st.booleans()) else set()))
    for field in data.draw(st.lists(st.sampled_from(readings), unique=True, max_size=3)):
        value = data.draw(st.sampled_from(READINGS[field].values))
        variant = read_as(variant, field, value.slug)
    return variant


@settings(max_examples=150)
@given(
    name=st.sampled_from(MULTITASK),
    classes=st.lists(st.integers(2, 9), min_size=2, max_size=4),
    channels=st.sampled_from([1, 3]),
    backbone=st.builds(
        Backbone,
        width=st.integers(1, 5),
        blocks=st.tuples(*[st.integers(1, 2)] * 2, *[st.integers(1, 3)] * 2),
        stem=st.sampled_from(Stem),
        conv1=st.none() | st.integers(1, 9),
    ),
    data=st.data(),
)
def test_every_combination_is_refused_or_built_and_counted(
    name: str, classes: list[int], channels: int, backbone: Backbone, data: st.DataObject
) -> None:
    images = dataset({f"t{i}": n for i, n in enumerate(classes)}, (channels, 32, 32))
    variant = chosen(find(name, [task.name for task in images.tasks]), data)
    ordered = BuildSpec(variant, images, backbone, ANY_CARD)
    if is_contradiction(variant.row, backbone):
        event("refused")
        with pytest.raises(ValueError, match=r": (say|let|give)"):
            text(ordered, "deploy")
        return
    for kind, phase in EVERY_FILE:
        prototxt = text(ordered, kind)
        found = layers(prototxt, phase)
        assert names_are_unique(found)
        assert made_twice(found) == []
        assert reads_before_made(found) == []
        cost = count(parse_net(prototxt), phase, inputs={"data": (channels, 32, 32)})
        assert cost.parameters == expected(variant.row, backbone, channels, classes)
        assert cost.notices == ()
