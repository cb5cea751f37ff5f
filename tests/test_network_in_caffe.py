"""The networks in real Caffe: they load, have Table 2's parameters, and compute as OpenCV does."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from support.caffe_child import Answer, in_caffe
from support.networks import ANY_CARD, MULTITASK, RESIDUAL, make_databases, order, text
from support.networks_in_caffe import agree, in_opencv, parameters, run_at_random
from support.once import Once
from support.paths import ROOT

from netgen import paper
from netgen.network import options
from netgen.network.dataset import MTVSO
from netgen.network.options import (
    Branch,
    Choice,
    Conv1,
    Conv1Bias,
    CrossFiller,
    MovedNorm,
    Normalization,
    ProjectionReLU,
    Sharing,
    Stride,
)
from netgen.network.residual import Backbone

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


@pytest.fixture
def loaded(once: Once, tmp_path: Path, variant: str) -> Answer:
    """What Caffe found in a variant's committed files, and what OpenCV made of its deploy.

    They are loaded where the paper's databases are in place, a few records long.
    """

    def load() -> Answer:
        few = replace(
            MTVSO, train=replace(MTVSO.train, records=5), test=replace(MTVSO.test, records=5)
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
READINGS: list[tuple[str, Mapping[str, Choice], int]] = [
    *(("x0", {"moved_norm": moved}, counts[0]) for moved, counts in MOVED_NORM.items()),
    *(("xs", {"moved_norm": moved}, counts[1]) for moved, counts in MOVED_NORM.items()),
    ("xs", {"sharing": Sharing.PER_SOURCE}, 43_159_431 + 2 * 3 * 2048),
    ("x1", {"sharing": Sharing.PER_SOURCE}, 43_159_431),
    ("xs", {"normalization": Normalization.MEAN}, 43_184_007),
    ("xs", {"cross_filler": CrossFiller.CHANNELS}, 43_184_007),
    ("xs", {"projection_relu": ProjectionReLU.YES}, 43_184_007),
    ("xs", {"stride": Stride.IN_3X3}, 43_184_007),
    ("xs", {"conv1": Conv1.SIXTY}, 43_182_119),
    ("xs", {"conv1_bias": Conv1Bias.NO}, 43_183_943),
    ("resnet50-noun", {"stride": Stride.IN_3X3}, 23_903_452),
    ("resnet50-noun", {"conv1": Conv1.SIXTY}, 23_901_564),
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
        text(order(variant, MTVSO, Backbone(), ANY_CARD, Path(), **reading), "deploy").replace(
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
