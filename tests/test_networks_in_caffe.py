"""The networks in real Caffe: they load, have Table 2's parameters, and compute as OpenCV does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from caffe_child import Answer, in_caffe
from conftest import Once
from helpers import (
    MULTITASK,
    NARROW,
    RESIDUAL,
    ROOT,
    dataset,
    make_databases,
    order,
    text,
)

from netgen import paper
from netgen.network import options
from netgen.network.build import network_files
from netgen.network.dataset import MTVSO, Dataset
from netgen.network.options import Branch, BranchStage, MovedNorm, Normalization, Sharing
from netgen.network.residual import Backbone
from netgen.paper import Recipe
from netgen.system.files import write_all

# Blob by blob, in Caffe (Table 2 prints them in millions, with two decimals).
PARAMETERS = {
    "resnet50-noun": 23_903_452,
    "resnet50-adj": 23_801_002,
    "resnet50-anp": 24_694_366,
    "x0": 43_159_431,
    "x1": 43_159_431,
    "xs": 43_184_007,
}


# ---- the paper's networks, as committed ---------------------------------------------------------


def parameters(net: Any) -> int:
    return sum(blob.data.size for blobs in net.params.values() for blob in blobs)


def load_everything(variant: str) -> dict[str, Any]:
    """In Caffe: load a solver, with train_val in both phases, and deploy; run deploy once.

    The weights that deploy ran with are left in ``<variant>.caffemodel``.
    """
    import caffe

    solver = caffe.get_solver(f"solvers/{variant}.prototxt")
    train, [test] = solver.net, solver.test_nets
    found: dict[str, Any] = {
        "batches": {"TRAIN": train.blobs["data"].num, "TEST": test.blobs["data"].num},
        "outputs": {"TRAIN": sorted(train.outputs), "TEST": sorted(test.outputs)},
        "cross weights": {
            name: blobs[0].data.copy()
            for name, blobs in train.params.items()
            if name.startswith("cross")
        },
        "parameters": {"TRAIN": parameters(train), "TEST": parameters(test)},
    }
    # No second network may read a database while the first one lives.
    del solver, train, test
    deploy = caffe.Net(f"models/{variant}/deploy.prototxt", caffe.TEST)
    found["parameters"]["deploy"] = parameters(deploy)
    found["image"], found["probabilities"] = run_at_random(deploy, f"{variant}.caffemodel")
    return found


def run_at_random(net: Any, weights: str, seed: int = 0) -> tuple[np.ndarray, dict[str, Any]]:
    """In Caffe: give a network random blobs, save them, and run it on a random image."""
    rng = np.random.default_rng(seed)
    fill_all(net, rng)
    image = rng.normal(0, 50, net.blobs["data"].data.shape).astype(np.float32)
    net.blobs["data"].data[...] = image
    net.forward()
    classifiers = [name for name in net.params if name.startswith(("fc_", "fc8-t"))]
    scores = [name for name in net.blobs if name.startswith("fc_")]
    for name, score in zip(classifiers, scores, strict=True):
        # so that no class takes all the probability
        net.params[name][0].data[...] *= 2 / net.blobs[score].data.std()
    outputs = net.forward(start=classifiers[0])
    net.save(weights)
    return image, {name: values.copy() for name, values in outputs.items()}


def fill_all(net: Any, rng: np.random.Generator) -> None:
    """In Caffe: give a network random blobs."""
    kinds = {name: layer.type for name, layer in zip(net._layer_names, net.layers, strict=True)}
    for name, blobs in net.params.items():
        fill(blobs, kinds[name], rng)


def fill(blobs: Any, kind: str, rng: np.random.Generator) -> None:
    """Random numbers, as they might be after training: variances are positive, averages scaled."""
    first = blobs[0].data
    if kind == "BatchNorm":
        factor = rng.uniform(0.5, 999)  # Caffe keeps sums of weighted averages, and of weights
        blobs[0].data[...] = factor * rng.normal(0, 0.3, first.shape)
        blobs[1].data[...] = factor * rng.uniform(0.5, 2, first.shape)
        blobs[2].data[...] = factor
    elif kind == "Scale":
        first[...] = rng.uniform(-0.2, 1, first.shape)
    else:
        first[...] = rng.standard_normal(first.shape, np.float32)
        first *= np.sqrt(2 / first[0].size)
    if kind != "BatchNorm" and len(blobs) > 1:
        blobs[1].data[...] = rng.normal(0, 0.3, blobs[1].data.shape)


@pytest.fixture
def loaded(once: Once, tmp_path: Path, variant: str) -> Answer:
    """What Caffe found in a variant's committed files, and what OpenCV made of its deploy.

    They are loaded where the paper's databases are in place, a few records long.
    """

    def load() -> Answer:
        few = Dataset(
            MTVSO.name,
            MTVSO.images,
            MTVSO.tasks,
            *(type(split)(5, split.images, split.labels) for split in (MTVSO.train, MTVSO.test)),
        )
        make_databases(few, tmp_path)
        shutil.copytree(ROOT / "models", tmp_path / "models")
        (tmp_path / "solvers").mkdir()
        for solver in (ROOT / "solvers").glob("*.prototxt"):
            on_cpu = solver.read_text().replace("solver_mode: GPU", "solver_mode: CPU")
            (tmp_path / "solvers" / solver.name).write_text(on_cpu)
        answer = in_caffe(load_everything, variant, folder=tmp_path)
        weights = tmp_path / f"{variant}.caffemodel"
        deploy = tmp_path / f"models/{variant}/deploy.prototxt"
        answer.value["opencv"] = in_opencv(deploy, weights, answer.value)
        weights.unlink()  # 170 MB
        return answer

    answer: Answer = once(f"loaded-{variant}", load)
    return answer


def in_opencv(deploy: Path, weights: Path, ran: dict[str, Any]) -> dict[str, np.ndarray]:
    """Run a network in OpenCV on the image that it ran on in Caffe."""
    net = cv2.dnn.readNetFromCaffe(str(deploy), str(weights))
    net.setInput(ran["image"], "data")
    names = list(ran["probabilities"])
    return dict(zip(names, net.forward(names), strict=True))


@pytest.mark.parametrize("variant", RESIDUAL)
def test_every_network_has_the_parameters_of_table_2(variant: str, loaded: Answer) -> None:
    expected = PARAMETERS[variant]
    assert loaded.value["parameters"] == dict.fromkeys(("TRAIN", "TEST", "deploy"), expected)
    assert f"{expected / 1e6:.2f}" == paper.TABLE_2_PARAMETERS[variant]


@pytest.mark.parametrize("variant", RESIDUAL)
def test_caffe_loads_solver_train_val_and_deploy_without_a_warning(
    variant: str, loaded: Answer
) -> None:
    assert "Creating training net" in loaded.log, "Caffe's log has to be on for this to say much"
    assert loaded.complaints == []
    assert loaded.value["batches"]["TRAIN"] == 24


@pytest.mark.parametrize("variant", RESIDUAL)
def test_training_ends_in_losses_and_testing_in_accuracies_too(
    variant: str, loaded: Answer
) -> None:
    tasks = [variant.removeprefix("resnet50-")] if variant not in MULTITASK else list(paper.TASKS)
    losses = [f"loss_{task}" for task in tasks]
    accuracies = [f"top{k}_{task}" for task in tasks for k in (1, 5)]
    assert loaded.value["outputs"]["TRAIN"] == sorted(losses)
    assert loaded.value["outputs"]["TEST"] == sorted(losses + accuracies)


@pytest.mark.parametrize("variant", RESIDUAL)
def test_opencv_computes_the_same_probabilities_as_caffe(variant: str, loaded: Answer) -> None:
    agree(loaded.value["probabilities"], loaded.value["opencv"])


def agree(caffe: dict[str, np.ndarray], opencv: dict[str, np.ndarray]) -> None:
    assert caffe.keys() == opencv.keys()
    for name, probabilities in caffe.items():
        spread = np.log(probabilities).std()
        assert 0.5 < spread < 5, f"{name}: probabilities that say too little to be compared"
        np.testing.assert_allclose(
            opencv[name].reshape(-1), probabilities.reshape(-1), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("variant", ["xs"])
def test_cross_weights_start_small_around_zero(variant: str, loaded: Answer) -> None:
    weights = loaded.value["cross weights"]
    assert {array.shape for array in weights.values()} == {(2048,)}
    assert len(weights) == 2 * 6
    together = np.concatenate(list(weights.values()))
    # Caffe's msra with AVERAGE takes n = (1 + 2048) / 2 for a blob of one axis. Of 24,576 values,
    # the deviation is within 2% (more than 4 standard errors).
    assert together.std() == pytest.approx(np.sqrt(2 / 1024.5), rel=0.02)
    assert abs(together.mean()) < 0.0015


# ---- the readings of an ambiguous text ----------------------------------------------------------

# Of x0, which x1 shares, and of xs.
MOVED_NORM = {
    MovedNorm.BOTH: (43_159_431, 43_184_007),
    MovedNorm.LAST: (43_167_624, 43_192_200),
    MovedNorm.BOTH_SCALES: (43_155_334, 43_179_910),
    MovedNorm.LAST_SCALE: (43_159_430, 43_184_006),
    MovedNorm.BOTH_BATCHNORMS: (43_155_335, 43_179_911),
    MovedNorm.LAST_BATCHNORM: (43_159_432, 43_184_008),
    MovedNorm.NOTHING: (43_151_238, 43_175_814),
}
READINGS = [
    *(("x0", {"moved_norm": moved}, counts[0]) for moved, counts in MOVED_NORM.items()),
    *(("xs", {"moved_norm": moved}, counts[1]) for moved, counts in MOVED_NORM.items()),
    ("xs", {"sharing": Sharing.PER_SOURCE}, 43_159_431 + 2 * 3 * 2048),
    ("x1", {"sharing": Sharing.PER_SOURCE}, 43_159_431),
    ("xs", {"normalization": Normalization.MEAN}, 43_184_007),
    ("x0", {"branch": Branch.BEFORE_RES5A, "moved_norm": MovedNorm.NOTHING}, 55_250_830),
    ("xs", {"branch": Branch.BEFORE_RES5A, "moved_norm": MovedNorm.NOTHING}, 55_275_406),
]


def count_each(prototxts: list[str]) -> list[int]:
    """In Caffe: the parameters of networks, one after the other."""
    import caffe

    counts = []
    for prototxt in prototxts:
        Path("net.prototxt").write_text(prototxt, encoding="utf-8")
        counts.append(parameters(caffe.Net("net.prototxt", caffe.TEST)))
    return counts


def test_every_reading_can_be_built_and_has_its_own_count(tmp_path: Path) -> None:
    prototxts = [
        # Random numbers take most of the time that a network takes to load; none are needed here.
        text(order(variant, MTVSO, Backbone(), **reading), "deploy").replace(
            'type: "msra"', 'type: "constant"'
        )
        for variant, reading, _ in READINGS
    ]
    answer = in_caffe(count_each, prototxts, folder=tmp_path)
    assert dict(zip(map(str, READINGS), answer.value, strict=True)) == {
        str(reading): reading[-1] for reading in READINGS
    }
    assert answer.complaints == []
    assert {value for _, reading, _ in READINGS for value in reading.values()} >= {
        value
        for option in options.READINGS.values()
        for value in option.values
        if value is not option.ours  # ours is what every other row shows
    }


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
        f"{field}: {reading.slug}": order(variant, dataset(FIVE, (3, 32, 32)), **{field: reading})
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
            **{"branch_stage": BranchStage.AFTER_RES4A, extension.field: choice},
        )
        for extension in options.EXTENSIONS.values()
        for choice in extension.values[1:]
    },
}


def run_each(prototxts: dict[str, str]) -> dict[str, Any]:
    """In Caffe: run networks, one after the other, leaving ``<number>.prototxt`` and weights."""
    import caffe

    ran = {}
    for number, (name, prototxt) in enumerate(prototxts.items()):
        Path(f"{number}.prototxt").write_text(prototxt, encoding="utf-8")
        net = caffe.Net(f"{number}.prototxt", caffe.TEST)
        image, probabilities = run_at_random(net, f"{number}.caffemodel", seed=number)
        ran[name] = {
            "image": image,
            "probabilities": probabilities,
            "pooled": {net.blobs[blob].data.shape for blob in net.blobs if blob[:5] == "pool5"},
        }
    return ran


def test_opencv_and_caffe_agree_on_other_images_tasks_and_readings(tmp_path: Path) -> None:
    prototxts = {name: text(ordered, "deploy") for name, ordered in OTHERS.items()}
    answer = in_caffe(run_each, prototxts, folder=tmp_path)
    assert answer.complaints == []
    for number, (name, ran) in enumerate(answer.value.items()):
        weights = tmp_path / f"{number}.caffemodel"
        opencv = in_opencv(tmp_path / f"{number}.prototxt", weights, ran)
        assert len(opencv) == len(OTHERS[name].variant.tasks)
        width = OTHERS[name].backbone.width
        assert ran["pooled"] == {(1, 32 * width, 1, 1)}, "the average is over the whole image"
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
