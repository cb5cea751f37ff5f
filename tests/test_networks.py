"""What the networks are made of, by their prototxt: Table 1, Figure 4, sections 4 and 5.2."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import permutations

import pytest
from helpers import MULTITASK, NARROW, RESIDUAL, TRAINED, Kind, Phase, dataset, layers, order, text
from hypothesis import given, settings
from hypothesis import strategies as st

from netgen import paper
from netgen.caffe.caffe_pb2 import (
    EltwiseParameter,
    FillerParameter,
    LayerParameter,
    PoolingParameter,
)
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.network.build import paper_prototxt
from netgen.network.dataset import RESERVED_NAMES, DatasetError, check_dataset
from netgen.network.options import Branch, MovedNorm, Normalization, Sharing
from netgen.network.residual import Backbone, network

TASKS = list(paper.TASKS)
PAIRS = list(permutations(TASKS, 2))
SINGLE = [variant for variant in RESIDUAL if variant not in MULTITASK]
EVERY_FILE: list[tuple[Kind, Phase]] = [
    ("train_val", "TRAIN"),
    ("train_val", "TEST"),
    ("deploy", "TEST"),
]


@cache
def built(variant: str, kind: Kind = "train_val", phase: Phase = "TRAIN") -> list[LayerParameter]:
    """The layers of one of the paper's networks, as Caffe builds them in a phase."""
    return layers(paper_prototxt(variant, kind), phase)


def of_type(kind: str, found: list[LayerParameter]) -> list[LayerParameter]:
    return [layer for layer in found if layer.type == kind]


def named(name: str, found: list[LayerParameter]) -> LayerParameter:
    [layer] = [layer for layer in found if layer.name == name]
    return layer


# ---- what holds for every network ---------------------------------------------------------------


def names_are_unique(found: list[LayerParameter]) -> bool:
    return max(Counter(layer.name for layer in found).values()) == 1


def reads_before_made(found: list[LayerParameter]) -> list[tuple[str, str]]:
    made: set[str] = set()
    early = []
    for layer in found:
        early += [(layer.name, blob) for blob in layer.bottom if blob not in made]
        made.update(layer.top)
    return early


def made_twice(found: list[LayerParameter]) -> list[str]:
    """Blobs that a second layer makes anew; layers that work in place do not."""
    makers = Counter(blob for layer in found for blob in set(layer.top) - set(layer.bottom))
    return [blob for blob, count in makers.items() if count > 1]


@pytest.mark.parametrize(("kind", "phase"), EVERY_FILE)
@pytest.mark.parametrize("variant", TRAINED)
def test_layer_names_are_unique(variant: str, kind: Kind, phase: Phase) -> None:
    assert names_are_unique(built(variant, kind, phase))


@pytest.mark.parametrize(("kind", "phase"), EVERY_FILE)
@pytest.mark.parametrize("variant", TRAINED)
def test_no_layer_reads_a_blob_before_it_is_made(variant: str, kind: Kind, phase: Phase) -> None:
    assert reads_before_made(built(variant, kind, phase)) == []
    assert made_twice(built(variant, kind, phase)) == []


@pytest.mark.parametrize(("kind", "phase"), EVERY_FILE)
@pytest.mark.parametrize("variant", TRAINED)
def test_every_blob_is_read_or_is_a_result(variant: str, kind: Kind, phase: Phase) -> None:
    found = built(variant, kind, phase)
    read = {blob for layer in found for blob in layer.bottom}
    results = {blob for layer in found for blob in layer.top} - read
    auxiliary = {"loss1/loss", "loss2/loss"} if variant.startswith("inception") else set()
    assert {blob.split("_")[0] for blob in results} == {
        ("train_val", "TRAIN"): {"loss", *auxiliary},
        ("train_val", "TEST"): {"loss", "top1", "top5"},
        ("deploy", "TEST"): {"prob"},
    }[kind, phase]


@pytest.mark.parametrize("variant", RESIDUAL)
def test_deploy_is_the_network_that_was_trained(variant: str) -> None:
    ends = {"Data", "Input", "Softmax", "SoftmaxWithLoss", "Accuracy"}
    trained, deployed = (
        [layer for layer in built(variant, kind) if layer.type not in ends]
        for kind in ("train_val", "deploy")
    )
    assert trained == deployed


@pytest.mark.parametrize("variant", RESIDUAL)
def test_only_the_classifiers_and_what_the_paper_names_are_in_it(variant: str) -> None:
    assert {layer.type for layer in built(variant)} == {
        *("Data", "Convolution", "BatchNorm", "Scale", "ReLU", "Pooling", "Eltwise"),
        *("InnerProduct", "SoftmaxWithLoss"),
    }  # "No dropout was used in residual or cross-residual networks" (section 5.2)


@pytest.mark.parametrize("variant", RESIDUAL)
def test_every_convolution_and_classifier_has_a_filler(variant: str) -> None:
    for layer in of_type("Convolution", built(variant)):
        assert layer.convolution_param.weight_filler.type == "msra", layer.name
    for layer in of_type("InnerProduct", built(variant)):
        assert layer.inner_product_param.weight_filler.type == "gaussian", layer.name
        assert layer.inner_product_param.weight_filler.std == pytest.approx(0.01)


@pytest.mark.parametrize("variant", RESIDUAL)
def test_averages_of_normalisations_are_not_trained(variant: str) -> None:
    for layer in of_type("BatchNorm", built(variant)):
        assert [(p.lr_mult, p.decay_mult) for p in layer.param] == [(0, 0)] * 3, layer.name
        assert not layer.batch_norm_param.HasField("use_global_stats")


@pytest.mark.parametrize("variant", RESIDUAL)
def test_all_else_is_trained_at_one_rate(variant: str) -> None:
    for layer in built(variant):
        if layer.type != "BatchNorm":
            assert {(p.lr_mult, p.decay_mult) for p in layer.param} <= {(1, 1)}, layer.name


@pytest.mark.parametrize("variant", TRAINED)
def test_images_are_mirrored_in_training_only_and_never_cropped(variant: str) -> None:
    for phase, mirror in (("TRAIN", True), ("TEST", False)):
        images = named("data", built(variant, "train_val", phase))
        assert images.transform_param.mirror is mirror
        assert images.transform_param.crop_size == 0
        assert list(images.transform_param.mean_value) == [104, 117, 123]
        for labels in of_type("Data", built(variant, "train_val", phase)):
            if labels is not images:
                assert not labels.HasField("transform_param"), "labels are not to be changed"


@pytest.mark.parametrize("variant", TRAINED)
def test_images_and_labels_are_read_in_step(variant: str) -> None:
    for phase in ("TRAIN", "TEST"):
        batches = {
            layer.data_param.batch_size
            for layer in of_type("Data", built(variant, "train_val", phase))
        }
        assert len(batches) == 1
        assert batches == {24} or phase == "TEST"  # section 5.2


@pytest.mark.parametrize("variant", RESIDUAL)
def test_the_loss_is_an_unweighted_sum(variant: str) -> None:
    losses = of_type("SoftmaxWithLoss", built(variant))
    assert len(losses) == (3 if variant in MULTITASK else 1)
    for loss in losses:
        assert set(loss.loss_weight) <= {1}, "section 4: 'we simply use the unweighted sum'"
        task = loss.name.removeprefix("loss_")
        assert list(loss.bottom) == [f"fc_{task}", f"label_{task}"]


@pytest.mark.parametrize("variant", RESIDUAL)
def test_accuracies_are_those_of_table_2_and_only_tested(variant: str) -> None:
    assert of_type("Accuracy", built(variant)) == []
    accuracies = of_type("Accuracy", built(variant, "train_val", "TEST"))
    tasks = TASKS if variant in MULTITASK else [variant.removeprefix("resnet50-")]
    assert {(*layer.bottom, layer.accuracy_param.top_k) for layer in accuracies} == {
        (f"fc_{task}", f"label_{task}", k) for task in tasks for k in (1, 5)
    }


def test_top_5_is_for_tasks_of_more_than_five_classes() -> None:
    found = layers(text(order("xs", dataset({"five": 5, "six": 6})), "train_val"), "TEST")
    top_5 = [a.name for a in of_type("Accuracy", found) if a.accuracy_param.top_k == 5]
    assert top_5 == ["top5_six"]


# ---- He's ResNet-50 -----------------------------------------------------------------------------


def he_block(place: str, tail: str = "") -> list[tuple[str, str]]:
    """Names and types of one of He's blocks, in his order, with `tail` after each name."""
    branches = ["branch2a", "branch2b", "branch2c"]
    if place.endswith("a"):
        branches.insert(0, "branch1")
    found = []
    for branch in branches:
        found += [
            (f"res{place}_{branch}", "Convolution"),
            (f"bn{place}_{branch}", "BatchNorm"),
            (f"scale{place}_{branch}", "Scale"),
        ]
        if branch in ("branch2a", "branch2b"):
            found.append((f"res{place}_{branch}_relu", "ReLU"))
    found += [(f"res{place}", "Eltwise"), (f"res{place}_relu", "ReLU")]
    return [(name + tail, kind) for name, kind in found]


BLOCKS = {2: "abc", 3: "abcd", 4: "abcdef", 5: "abc"}
PLACES = [f"{stage}{letter}" for stage, letters in BLOCKS.items() for letter in letters]
HE_STEM = [
    ("conv1", "Convolution"),
    ("bn_conv1", "BatchNorm"),
    ("scale_conv1", "Scale"),
    ("conv1_relu", "ReLU"),
    ("pool1", "Pooling"),
]


@pytest.mark.parametrize("variant", SINGLE)
def test_the_single_task_network_is_hes_by_name_type_and_order(variant: str) -> None:
    """Caffe copies weights by name, so a name that differs is a layer that starts from nothing."""
    task = variant.removeprefix("resnet50-")
    assert [(layer.name, layer.type) for layer in built(variant, "deploy")] == [
        ("data", "Input"),
        *HE_STEM,
        *(layer for place in PLACES for layer in he_block(place)),
        ("pool5", "Pooling"),
        (f"fc_{task}", "InnerProduct"),
        (f"prob_{task}", "Softmax"),
    ]


@pytest.mark.parametrize("variant", MULTITASK)
def test_a_multitask_network_is_hes_up_to_res5a_then_once_a_task(variant: str) -> None:
    moved = {f"{half}5a_{branch}" for half in ("bn", "scale") for branch in ("branch1", "branch2c")}
    moved.add("res5a_relu")
    trunk = [place for place in PLACES if place <= "5a"]
    shared = [*HE_STEM, *(layer for place in trunk for layer in he_block(place))]
    own = [
        layer
        for task in TASKS
        for layer in (
            *((f"bn5a_{task}", "BatchNorm"), (f"scale5a_{task}", "Scale")),
            (f"res5a_relu_{task}", "ReLU"),
            *he_block("5b", f"_{task}"),
            *he_block("5c", f"_{task}"),
            *((f"pool5_{task}", "Pooling"), (f"fc_{task}", "InnerProduct")),
            (f"prob_{task}", "Softmax"),
        )
    ]
    cross = [(f"cross{place}_{j}_{t}", "Scale") for place in ("5b", "5c") for j, t in PAIRS]
    found = [(layer.name, layer.type) for layer in built(variant, "deploy")[1:]]
    assert sorted(found) == sorted(
        [layer for layer in shared if layer[0] not in moved]
        + own
        + (cross if variant == "xs" else [])
    )
    assert found[: len(shared) - 5] == [layer for layer in shared if layer[0] not in moved]


@pytest.mark.parametrize("variant", RESIDUAL)
def test_stages_have_the_output_sizes_and_channels_of_table_1(variant: str) -> None:
    net = parse_net(paper_prototxt(variant, "deploy"))
    shapes = {top.name: top.shape for layer in count(net, "TEST").layers for top in layer.tops}
    tail = "_anp" if "res5c_anp" in shapes else ""
    assert {
        blob: shapes[blob]
        for blob in ("conv1", "pool1", "res2c", "res3d", "res4f", f"res5c{tail}", f"pool5{tail}")
    } == {
        "conv1": (1, 64, 112, 112),  # Table 1 prints 60 filters; He's weights have 64
        "pool1": (1, 64, 56, 56),
        "res2c": (1, 256, 56, 56),
        "res3d": (1, 512, 28, 28),
        "res4f": (1, 1024, 14, 14),
        f"res5c{tail}": (1, 2048, 7, 7),
        f"pool5{tail}": (1, 2048, 1, 1),
    }


@pytest.mark.parametrize("variant", RESIDUAL)
def test_convolutions_are_those_of_table_1(variant: str) -> None:
    for layer in of_type("Convolution", built(variant)):
        param = layer.convolution_param
        shape = (param.num_output, *param.kernel_size, *param.stride, *param.pad, param.bias_term)
        if layer.name == "conv1":
            assert shape == (64, 7, 2, 3, True)
            continue
        place, branch = layer.name.removeprefix("res").split("_")[:2]
        width = 64 * 2 ** (int(place[0]) - 2)
        stride = 2 if place in ("3a", "4a", "5a") else 1
        assert (
            shape
            == {
                "branch1": (4 * width, 1, stride, 0, False),
                "branch2a": (width, 1, stride, 0, False),
                "branch2b": (width, 3, 1, 1, False),
                "branch2c": (4 * width, 1, 1, 0, False),
            }[branch]
        )


@pytest.mark.parametrize("variant", RESIDUAL)
def test_projections_are_four_and_every_other_shortcut_is_identity(variant: str) -> None:
    """Section 5.2: "B option" shortcuts."""
    projections = [layer for layer in built(variant) if layer.name.endswith("_branch1")]
    projections = of_type("Convolution", projections)
    assert [layer.name for layer in projections] == [f"res{n}a_branch1" for n in (2, 3, 4, 5)]
    for layer in of_type("Eltwise", built(variant)):
        block, _, task = layer.name.partition("_")
        place, tail = block.removeprefix("res"), f"_{task}" if task else ""
        before = f"res{place[0]}{chr(ord(place[1]) - 1)}{tail}"
        shortcut = f"{block}_branch1" if place.endswith("a") else before
        assert list(layer.bottom)[:2] == [shortcut, f"{block}_branch2c{tail}"]


@pytest.mark.parametrize("variant", RESIDUAL)
def test_pools_are_those_of_table_1(variant: str) -> None:
    first, *last = of_type("Pooling", built(variant))
    assert (first.pooling_param.pool, first.pooling_param.kernel_size) == (PoolingParameter.MAX, 3)
    assert (first.pooling_param.stride, first.pooling_param.pad) == (2, 0)
    for layer in last:
        assert (layer.pooling_param.pool, layer.pooling_param.kernel_size) == (
            PoolingParameter.AVE,
            7,
        )


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


DATA = dataset({"noun": 7, "adj": 9, "anp": 11}, (3, 32, 32))


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
    reading = {"branch": Branch.BEFORE_RES5A, "moved_norm": MovedNorm.NOTHING}
    found = layers(text(order("xs", DATA, **reading), "deploy"))
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


# ---- any tasks, any backbone --------------------------------------------------------------------

# Parts of layer names, which a name made of one of these and a task might run into.
PARTS = ["data", "label", "loss", "res5a", "bn", "scale", "conv1", "top5", "fc", "prob", "pool5"]
TASK_NAMES = st.one_of(
    st.sampled_from([*PARTS, *sorted(RESERVED_NAMES), "a", "b-c"]),
    st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True),
)


@settings(max_examples=25)
@given(
    names=st.lists(TASK_NAMES, min_size=1, max_size=4, unique=True),
    variant=st.sampled_from(MULTITASK),
    moved=st.sampled_from(MovedNorm),
    sharing=st.sampled_from(Sharing),
)
def test_layer_and_blob_names_are_unique_for_any_task_names(
    names: list[str], variant: str, moved: MovedNorm, sharing: Sharing
) -> None:
    data = dataset(dict.fromkeys(names, 6), (1, 8, 8))
    if set(names) & RESERVED_NAMES:
        with pytest.raises(DatasetError, match="choose another"):
            check_dataset(data)
        return
    check_dataset(data)
    ordered = order(variant, data, NARROW, moved_norm=moved, sharing=sharing)
    for kind, phase in EVERY_FILE:
        found = layers(text(ordered, kind), phase)
        assert names_are_unique(found)
        assert made_twice(found) == []
        assert reads_before_made(found) == []


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((3, 4, 6, 1), "the last stage has one block, which the tasks share: give it two or more"),
        ((3, 4, 6, 27), "27 blocks in a stage: at most 26 have a letter"),
    ],
)
def test_a_backbone_that_cannot_be_is_refused(blocks: tuple[int, ...], message: str) -> None:
    ordered = order("xs", DATA)
    with pytest.raises(ValueError, match=message):
        network(ordered.variant, DATA, Backbone(blocks=blocks))
