"""Networks of other tasks and images in real Caffe: they compute as OpenCV does, and learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.caffe_child import Answer, in_caffe
from support.networks import ANY_CARD, NARROW, dataset, make_databases, order, text
from support.networks_in_caffe import agree, in_opencv, run_each
from support.once import Once

from netgen.network import options
from netgen.network.build import network_files
from netgen.network.options import Branch, BranchStage, MovedNorm, Normalization, Sharing
from netgen.network.residual import Backbone
from netgen.paper import Recipe
from netgen.system.files import write_all

# ---- other people's images and tasks ------------------------------------------------------------


TWO = {"item": 10, "season": 3}
FIVE = {"a": 2, "b": 3, "c-2": 5, "d": 6, "e": 11}
EARLIER = replace(NARROW, blocks=(1, 1, 2, 2))
OTHERS = {
    "two tasks, grey": order("xs", dataset(TWO, (1, 28, 28))),
    "five tasks": order("xs", dataset(FIVE, (3, 32, 32))),
    "five tasks, x1": order("x1", dataset(FIVE, (3, 32, 32))),
    "wide images": order("xs", dataset(TWO, (3, 40, 72))),
    "tall images, no number of them even": order("x0", dataset(TWO, (3, 75, 33))),
    "large stem, wide images": order(
        "xs", dataset(TWO, (3, 97, 130)), Backbone(width=4, blocks=(1, 2, 1, 2))
    ),
    "large stem, whose pool's last window overhangs": order(
        "xs", dataset(TWO, (3, 36, 68)), Backbone(width=4, blocks=(1, 1, 1, 2))
    ),
    "large stem, small images": order(
        "x1", dataset(TWO, (3, 32, 32)), Backbone(width=4, blocks=(1, 1, 1, 2))
    ),
    "one task of two": order("resnet50-season", dataset(TWO, (3, 30, 50))),
    **{
        f"{field}: {reading.slug}": order(
            variant, dataset(FIVE, (3, 32, 32)), NARROW, ANY_CARD, Path(), **{field: reading}
        )
        for variant, field, reading in (
            *(("xs", "moved_norm", moved) for moved in MovedNorm),
            ("xs", "branch", Branch.BEFORE_RES5A),
            ("xs", "sharing", Sharing.PER_SOURCE),
            ("xs", "normalization", Normalization.MEAN),
            ("x1", "normalization", Normalization.MEAN),
        )
    },
    **{
        f"beyond the paper, {extension.field}: {choice.slug}": order(
            "xs",
            dataset(FIVE, (3, 32, 32)),
            EARLIER,
            ANY_CARD,
            Path(),
            **{"branch_stage": BranchStage.AFTER_RES4A, extension.field: choice},
        )
        for extension in options.EXTENSIONS.values()
        for choice in extension.values[1:]
    },
}


def test_opencv_and_caffe_agree_on_other_images_tasks_and_readings(tmp_path: Path) -> None:
    prototxts = {name: text(ordered, "deploy") for name, ordered in OTHERS.items()}
    answer = in_caffe(run_each, prototxts, folder=tmp_path)
    assert answer.complaints == []
    for number, (name, ran) in enumerate(answer.value.items()):
        weights = tmp_path / f"{number}.caffemodel"
        opencv = in_opencv(tmp_path / f"{number}.prototxt", weights, ran)
        assert len(opencv) == len(OTHERS[name].variant.tasks)
        backbone = OTHERS[name].backbone
        assert backbone is not None
        assert ran["pooled"] == {(1, 32 * backbone.width, 1, 1)}, (
            "the average is over the whole image"
        )
        agree(ran["probabilities"], opencv)


# ---- training -----------------------------------------------------------------------------------


def train_and_test(solver_file: str, iterations: int) -> dict[str, Any]:
    """In Caffe: train, then test one batch."""
    import caffe

    solver = caffe.get_solver(solver_file)
    before = {name: blobs[0].data.copy() for name, blobs in solver.net.params.items()}
    solver.step(iterations)
    moved = {
        name: float(np.abs(blobs[0].data - before[name]).max())
        for name, blobs in solver.net.params.items()
    }
    [test] = solver.test_nets
    test.share_with(solver.net)
    tested = {name: float(value) for name, value in test.forward().items()}
    shown = {
        phase: {name: net.blobs[name].data.copy() for name in net.blobs if name in SHOWN}
        for phase, net in (("TRAIN", solver.net), ("TEST", test))
    }
    return {"moved": moved, "tested": tested, "shown": shown}


SHOWN = ("data", "label_item", "label_season")


@pytest.fixture(scope="session")
def two_tasks(once: Once, tmp_path_factory: pytest.TempPathFactory) -> tuple[Answer, Any]:
    """A small network after one iteration and one test, and the databases that it saw."""

    def train() -> tuple[Answer, Any]:
        folder = tmp_path_factory.mktemp("two_tasks")
        data = dataset(TWO, (3, 16, 24), records=12)
        ordered = order("xs", data, NARROW, Recipe(batch_size=12, memory=1), folder)
        shown = make_databases(data, folder)
        write_all(network_files(ordered))
        return in_caffe(train_and_test, str(ordered.solver), 1, folder=folder), shown

    answer: tuple[Answer, Any] = once("two_tasks", train)
    return answer


def test_a_small_network_trains_and_tests_without_a_warning(two_tasks: tuple[Answer, Any]) -> None:
    answer, _ = two_tasks
    assert answer.complaints == []
    losses = [value for name, value in answer.value["tested"].items() if name.startswith("loss")]
    assert len(losses) == 2
    assert np.isfinite(losses).all()


def test_every_layer_with_parameters_learns(two_tasks: tuple[Answer, Any]) -> None:
    answer, _ = two_tasks
    assert [name for name, moved in answer.value["moved"].items() if moved == 0] == []


def test_top_5_is_left_out_for_tasks_of_five_classes_or_fewer(
    two_tasks: tuple[Answer, Any],
) -> None:
    answer, _ = two_tasks
    assert sorted(answer.value["tested"]) == [
        *("loss_item", "loss_season"),
        *("top1_item", "top1_season"),
        "top5_item",
    ]


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_images_come_in_order_with_their_own_labels_less_the_mean(
    two_tasks: tuple[Answer, Any], phase: str
) -> None:
    answer, databases = two_tasks
    seen, written = answer.value["shown"][phase], databases[phase]
    for task in TWO:
        np.testing.assert_array_equal(seen[f"label_{task}"].reshape(-1), written.labels[task])
    mean = np.array([100, 101, 102], np.float32).reshape(3, 1, 1)
    flipped = 0
    for image, original in zip(seen["data"], written.images - mean, strict=True):
        flips = np.array_equal(image, original[:, :, ::-1])
        assert flips or np.array_equal(image, original)
        flipped += flips
    if phase == "TRAIN":
        assert 0 < flipped < 12, "random flips: some, not all (the seed is in the solver)"
    else:
        assert flipped == 0
