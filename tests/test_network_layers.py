"""What holds for the layers of every network, by their prototxt (sections 4 and 5.2)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.layers import (
    DATA,
    EVERY_FILE,
    TASKS,
    built,
    made_twice,
    named,
    names_are_unique,
    of_type,
    reads_before_made,
)
from support.networks import (
    MULTITASK,
    NARROW,
    RESIDUAL,
    TRAINED,
    Kind,
    Phase,
    dataset,
    layers,
    order,
    text,
)

from netgen.network.dataset import RESERVED_NAMES, DatasetError, check_dataset
from netgen.network.options import MovedNorm, Sharing
from netgen.network.residual import Backbone, network

# ---- what holds for every network ---------------------------------------------------------------


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
