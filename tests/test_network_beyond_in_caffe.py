"""What goes beyond the paper, in real Caffe: starts, what learns and what stays, to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.caffe_child import Answer, in_caffe
from support.cost import resident
from support.networks import dataset, make_databases, order, text
from support.networks_in_caffe import run_at_random
from support.once import Once

from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.network.build import network_files
from netgen.network.options import (
    BranchStage,
    CrossBias,
    CrossForm,
    CrossLearning,
    CrossStart,
    SelfWeight,
    Towers,
)
from netgen.network.residual import Backbone, Stem
from netgen.paper import Recipe
from netgen.system.files import write_all

TINY = Backbone(width=8, blocks=(1, 1, 2, 3), stem=Stem.SMALL)
CLASSES = {"noun": 7, "adj": 4, "anp": 9}
SIZE = (3, 16, 24)
FIXED = {"cross_learning": CrossLearning.FIXED}
EARLIER = {"branch_stage": BranchStage.AFTER_RES4A}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "x0": ("x0", {}),
    "x1": ("x1", {}),
    "xs": ("xs", {}),
    "zero": ("xs", {"cross_start": CrossStart.ZERO, **FIXED}),
    "one": ("xs", {"cross_start": CrossStart.ONE, **FIXED}),
    "zero convolution": (
        "xs",
        {
            "cross_start": CrossStart.ZERO,
            "cross_form": CrossForm.CONVOLUTION,
            "cross_bias": CrossBias.YES,
        },
    ),
    "random": ("xs", FIXED),
    "self": ("xs", {"self_weight": SelfWeight.LEARNED}),
    "frozen": ("xs", {"towers": Towers.FROZEN, "self_weight": SelfWeight.LEARNED}),
    "x0 earlier": ("x0", EARLIER),
    "zero earlier": ("xs", {"cross_start": CrossStart.ZERO, **EARLIER}),
}
ITERATIONS = 3


def write(name: str, folder: Path) -> str:
    """Write a network's files, with databases of its own; return its folder and variant."""
    variant, choices = NETWORKS[name]
    place = folder / name.replace(" ", "-")
    data = dataset(CLASSES, SIZE, folder=str(place / "data"))
    make_databases(data, place)
    recipe = Recipe(batch_size=4, base_lr=0.05, memory=1)
    write_all(network_files(order(variant, data, TINY, recipe, place, **choices)))
    return f"{place}/{{}}/{variant}"


# ---- before training ----------------------------------------------------------------------------


def run_with_the_same_weights(nets: dict[str, str]) -> dict[str, Any]:
    """In Caffe: give the first network random weights, and all the same ones by name; run all.

    What the first has not, cross and self weights, is then at the others' start.
    """
    import caffe

    ran: dict[str, dict[str, np.ndarray]] = {}
    for name, file in nets.items():
        net = caffe.Net(file, caffe.TEST)
        if not ran:
            image, _ = run_at_random(net, "same.caffemodel")
        net.copy_from("same.caffemodel")
        net.blobs["data"].data[...] = image
        net.forward()
        ran[name] = {blob: values.data.copy() for blob, values in net.blobs.items()}
    return ran


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x0", "zero"),
        ("x0", "zero convolution"),
        ("x1", "one"),
        ("xs", "self"),
        ("x0 earlier", "zero earlier"),
    ],
)
def test_a_constant_start_computes_what_the_plain_network_does(
    one: str, other: str, tmp_path: Path
) -> None:
    nets = {
        name: write(name, tmp_path).format("models") + "/deploy.prototxt" for name in (one, other)
    }
    answer = in_caffe(run_with_the_same_weights, nets, folder=tmp_path)
    assert answer.complaints == []
    plain, beyond = answer.value[one], answer.value[other]
    towers = [
        blob for blob in plain if blob.startswith(("res5c_", "prob_")) and "branch" not in blob
    ]
    assert len(towers) == 2 * len(CLASSES)
    for blob in towers:
        assert plain[blob].std() > 0
        np.testing.assert_array_equal(plain[blob], beyond[blob], err_msg=blob)


def test_another_start_would_not_compute_the_same(tmp_path: Path) -> None:
    nets = {
        name: write(name, tmp_path).format("models") + "/deploy.prototxt" for name in ("x0", "one")
    }
    ran = in_caffe(run_with_the_same_weights, nets, folder=tmp_path).value
    assert np.abs(ran["x0"]["res5b_adj"] - ran["one"]["res5b_adj"]).max() > 0


@pytest.mark.parametrize(
    "choices",
    [
        {"towers": Towers.FROZEN},
        {"cross_form": CrossForm.CONVOLUTION},
        {"self_weight": SelfWeight.LEARNED, **EARLIER},
    ],
    ids=["frozen", "convolutions", "earlier"],
)
def test_memory_is_estimated_as_caffe_takes_it(choices: dict[str, Any], tmp_path: Path) -> None:
    images = dataset(CLASSES, (3, 48, 48), folder=str(tmp_path / "data"))
    make_databases(images, tmp_path)
    wider = replace(TINY, width=16, stem=Stem.IMAGENET)
    prototxt = text(
        order("xs", images, wider, Recipe(batch_size=24, memory=100), **choices), "train_val"
    )
    estimated = count(parse_net(prototxt), "TRAIN", inputs={"data": (3, 48, 48)}).memory.total
    measured = in_caffe(resident, prototxt, str(tmp_path)).value[0]
    assert estimated == pytest.approx(measured, rel=0.05)


# ---- after some training ------------------------------------------------------------------------


def train(solvers: dict[str, tuple[str, str]], iterations: int) -> dict[str, Any]:
    """In Caffe: train networks from random weights; how far blobs moved, and a test image's."""
    import caffe
    from support.networks_in_caffe import fill_all

    found = {}
    for name, (solver_file, deploy) in solvers.items():
        started = caffe.Net(deploy, caffe.TEST)
        fill_all(started, np.random.default_rng(5))
        started.save("start.caffemodel")
        solver = caffe.get_solver(solver_file)
        solver.net.copy_from("start.caffemodel")
        image = np.random.default_rng(6).normal(0, 50, started.blobs["data"].data.shape)
        before = tower(started, image)
        solver.step(iterations)
        solver.net.save("end.caffemodel")
        moved = {
            f"{layer} {index}": float(np.abs(blob.data - ended.data).max())
            for layer, blobs in started.params.items()
            for index, (blob, ended) in enumerate(zip(blobs, solver.net.params[layer], strict=True))
        }
        del solver
        ended = caffe.Net(deploy, caffe.TEST)
        ended.copy_from("end.caffemodel")
        found[name] = {"moved": moved, "before": before, "after": tower(ended, image)}
    return found


def tower(net: Any, image: np.ndarray) -> dict[str, np.ndarray]:
    """In Caffe: what a network makes of an image up to where tasks cross, and its last block."""
    net.blobs["data"].data[...] = image
    net.forward()
    names = [name for name in net.blobs if name.startswith("res5a_") and "branch" not in name]
    return {name: net.blobs[name].data.copy() for name in (*names, "res5c_noun")}


@pytest.fixture(scope="session")
def trained(once: Once, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Networks after a few iterations."""

    def measure() -> Answer:
        folder = tmp_path_factory.mktemp("beyond")
        solvers = {}
        for name in ("xs", "random", "self", "frozen"):
            place = write(name, folder)
            deploy = place.format("models") + "/deploy.prototxt"
            solvers[name] = (place.format("solvers") + ".prototxt", deploy)
        return in_caffe(train, solvers, ITERATIONS, folder=folder)

    answer: Answer = once("beyond", measure)
    assert answer.complaints == []
    value: dict[str, Any] = answer.value
    return value


def moved(trained: dict[str, Any], network: str, *starts: str) -> list[float]:
    return [far for blob, far in trained[network]["moved"].items() if blob.startswith(starts)]


def test_fixed_cross_weights_stay_where_learned_ones_move(trained: dict[str, Any]) -> None:
    assert all(moved(trained, "xs", "cross"))
    assert len(moved(trained, "random", "cross")) == 2 * 6
    assert not any(moved(trained, "random", "cross"))
    assert all(moved(trained, "random", "res5b_branch2a_", "fc_"))


def test_self_weights_learn(trained: dict[str, Any]) -> None:
    assert len(moved(trained, "self", "self")) == 2 * 3
    assert all(moved(trained, "self", "self", "cross"))


def test_frozen_towers_stay_and_what_crosses_them_learns(trained: dict[str, Any]) -> None:
    learned = ("cross", "self", "fc_")
    assert all(moved(trained, "frozen", *learned))
    others = [
        blob
        for blob, far in trained["frozen"]["moved"].items()
        if far and not blob.startswith(learned)
    ]
    assert others == []


def test_frozen_towers_compute_what_they_did(trained: dict[str, Any]) -> None:
    before, after = trained["frozen"]["before"], trained["frozen"]["after"]
    for task in CLASSES:
        np.testing.assert_array_equal(before[f"res5a_{task}"], after[f"res5a_{task}"])
        assert np.any(
            trained["xs"]["before"][f"res5a_{task}"] != trained["xs"]["after"][f"res5a_{task}"]
        )
    assert np.any(before["res5c_noun"] != after["res5c_noun"])
