"""What goes beyond the paper: every combination is refused plainly, or built and counted."""

from __future__ import annotations

from dataclasses import fields
from itertools import permutations
from typing import Any

import pytest
from click.testing import CliRunner, Result
from helpers import ANY_CARD, MULTITASK, NARROW, dataset, layers, order, text
from hypothesis import event, given, settings
from hypothesis import strategies as st
from test_networks import (
    EVERY_FILE,
    made_twice,
    named,
    names_are_unique,
    of_type,
    reads_before_made,
)

from netgen import paper
from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.schema import parse_net
from netgen.commands.cli import main
from netgen.cost.complexity import count
from netgen.network.build import BuildSpec
from netgen.network.options import (
    EXTENSIONS,
    OPTIONS,
    READINGS,
    Branch,
    BranchStage,
    Conv1,
    Conv1Bias,
    CrossBias,
    Crossed,
    CrossForm,
    CrossLearning,
    CrossStart,
    CrossWeight,
    MovedNorm,
    Normalization,
    SelfWeight,
    Sharing,
    Towers,
)
from netgen.network.residual import Backbone, Stem
from netgen.network.variants import (
    NETWORKS,
    NetworkRow,
    UnsuitedError,
    Variant,
    find,
    go_beyond,
    read_as,
)

TASKS = list(paper.TASKS)
CLASSES = {"noun": 7, "adj": 9, "anp": 11}
DATA = dataset(CLASSES, (3, 32, 32))
DEEPER = Backbone(width=4, blocks=(1, 1, 2, 3), stem=Stem.SMALL)


def built(variant: str = "xs", backbone: Backbone = DEEPER, **choices: Any) -> list[LayerParameter]:
    """The layers of a narrow network with these choices, as Caffe trains them."""
    return layers(text(order(variant, DATA, backbone, **choices), "train_val"), "TRAIN")


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
        ("vgg16-adj", "conv1", "sixty", "no residual blocks: conv1 is for resnet50, x0, x1, xs$"),
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


# ---- any combination ----------------------------------------------------------------------------


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
    filters = 60 if row.conv1 is Conv1.SIXTY else backbone.width
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
    readings = sorted(READINGS.keys() - ({"branch"} if data.draw(st.booleans()) else set()))
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


# ---- the command line ---------------------------------------------------------------------------


def netgen(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, [str(word) for word in arguments])


def test_list_shows_what_goes_beyond_the_paper_and_where_that_speaks_of_it() -> None:
    import json

    rows = json.loads(netgen("list", "--beyond", "--json").stdout)
    assert [row["--beyond"] for row in rows] == [
        f"{name}={value.slug}"
        for name, extension in EXTENSIONS.items()
        for value in extension.values
    ]
    assert sum(row["ours"] == "*" for row in rows) == len(EXTENSIONS)
    assert {row["place"] for row in rows} == {e.place for e in EXTENSIONS.values()}


def test_count_counts_what_build_builds(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--variant", "xs", "--width", 4, "--blocks", "1,1,2,2", "--reading",
               "moved-norm=last", "--beyond", "branch=after-res4a", "--beyond",
               "cross-form=convolution")  # fmt: skip
    assert netgen("build", *options).exit_code == 0
    file = netgen("count", "models/xs/train_val.prototxt", "--input", "data=3x224x224")
    assert netgen("count", *options).stdout == file.stdout
    assert "trainable" in file.stdout


def test_count_counts_what_no_memory_would_hold() -> None:
    assert (
        "66,512,813" in netgen("count", "--variant", "xs", "--beyond", "branch=after-res4a").stdout
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("count --variant xs --beyond x=y", 2, "unknown extension 'x'"),
        ("count --variant xs --beyond towers", 2, "unknown value '' of towers: choose from traine"),
        ("build --variant xs --beyond towers=frozen --beyond towers=trained", 2, "given twice"),
        ("build --variant xs --beyond branch=after-res4a --reading branch=after-res5a", 2, "twice"),
        ("build --variant x0 --beyond cross-start=zero", 1, "x0 has no learned cross weights"),
        ("build --variant xs --beyond crossed=all-blocks", 1, "let the tasks part earlier"),
        ("build --all --beyond crossed=all-blocks", 1, "no network is left: nothing was written"),
        ("list --beyond --readings", 2, "two lists"),
        ("figure architecture --variant x1 --beyond towers=x --out a.png", 2, "unknown value 'x'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_and_nothing_is_written(
    arguments: str, code: int, message: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = netgen(*arguments.split())
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert message in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_all_leaves_out_what_an_extension_does_not_suit(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = netgen("build", "--all", "--beyond", "self-weight=learned", "--memory", 20)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == MULTITASK
    assert "left out resnet50-noun: resnet50-noun has no blocks of several tasks" in result.stderr


def test_a_header_says_what_goes_beyond_the_paper(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (
        "build",
        "--variant",
        "xs",
        "--beyond",
        "cross-start=zero",
        "--beyond",
        "towers=frozen",
    )
    assert "begin with weights, as `netgen init` makes" in netgen(*words).stderr
    header = (tmp_path / "models/xs/deploy.prototxt").read_text().splitlines()[2]
    assert header.endswith("--variant xs --beyond cross-start=zero --beyond towers=frozen")


def test_normalization_divides_self_weights_too() -> None:
    found = built(self_weight=SelfWeight.LEARNED, normalization=Normalization.MEAN)
    total = named("res5b_noun", found)
    assert total.bottom[0] == "self5b_noun"
    assert list(total.eltwise_param.coeff) == pytest.approx([1 / 3, 1, 1 / 3, 1 / 3])
