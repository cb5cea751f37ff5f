"""The solver that `netgen build` writes: section 5.2, its test batch and its options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.build_command import refused, succeed, tree
from support.networks import TRAINED
from support.paths import ROOT

from netgen.caffe.schema import read_net, read_solver

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.mark.parametrize("variant", TRAINED)
def test_the_solver_says_what_section_5_2_says(variant: str) -> None:
    solver = read_solver(ROOT / f"solvers/{variant}.prototxt")
    assert (solver.type, solver.lr_policy) == ("SGD", "fixed")
    assert solver.momentum == pytest.approx(0.9)
    assert solver.weight_decay == pytest.approx(0.0001)
    assert solver.base_lr == pytest.approx(0.001)
    assert solver.net == f"models/{variant}/train_val.prototxt"
    assert solver.solver_mode == type(solver).GPU
    assert not solver.test_initialization
    assert solver.random_seed >= 0


def batch_in_test(folder: Path, variant: str) -> int:
    [images] = [
        layer
        for layer in read_net(folder / f"models/{variant}/train_val.prototxt").layer
        if layer.name == "data" and layer.include[0].phase == 1
    ]
    batch: int = images.data_param.batch_size
    return batch


@pytest.mark.parametrize("variant", TRAINED)
def test_a_test_covers_every_test_image_exactly_once(variant: str) -> None:
    solver = read_solver(ROOT / f"solvers/{variant}.prototxt")
    assert list(solver.test_iter) == [77_073 // batch_in_test(ROOT, variant)]
    assert solver.test_iter[0] * batch_in_test(ROOT, variant) == 77_073


@pytest.mark.parametrize(("gib", "batch"), [(12, 3), (16, 23), (80, 23)])
def test_the_test_batch_is_what_the_memory_allows(gib: int, batch: int, tmp_path: Path) -> None:
    succeed("build", "--variant", "xs", "--memory", gib)
    assert batch_in_test(tmp_path, "xs") == batch
    assert list(read_solver(tmp_path / "solvers/xs.prototxt").test_iter) == [77_073 // batch]


def test_a_network_that_does_not_fit_the_memory_is_refused(tmp_path: Path) -> None:
    message = refused(1, "build", "--variant", "xs", "--memory", 8)
    assert re.search(r"xs needs about 9\.\d GiB to train at batch 24", message)
    assert "lower --batch-size, or raise --memory" in message
    assert tree(tmp_path) == {}


def test_the_solver_runs_where_it_is_told_to(tmp_path: Path) -> None:
    result = succeed("build", "--variant", "x0", "--solver-mode", "cpu")
    solver = read_solver(tmp_path / "solvers/x0.prototxt")
    assert solver.solver_mode == type(solver).CPU
    assert result.stderr.endswith("solvers/x0.prototxt -weights models/x0/initial.caffemodel\n")


def test_a_rate_drops_tenfold_where_asked_and_else_stays(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0", "--stepvalues", "900,1200")
    solver = read_solver(tmp_path / "solvers/x0.prototxt")
    assert (solver.lr_policy, list(solver.stepvalue)) == ("multistep", [900, 1200])
    assert solver.gamma == pytest.approx(0.1)
    succeed("build", "--variant", "x0")
    solver = read_solver(tmp_path / "solvers/x0.prototxt")
    assert (solver.lr_policy, list(solver.stepvalue)) == ("fixed", [])


@pytest.mark.parametrize("values", ["900,90", "90,90", "0,90", "", "90,", "1e3", "-5"])
def test_iterations_that_do_not_rise_are_refused(values: str) -> None:
    assert "is not an increasing list of iterations, such as 900,1200" in refused(
        2, "build", "--variant", "x0", "--stepvalues", values
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--stepvalues", "90,3000000000"), "3000000000 is too large: at most 1,000,000,000"),
        (("--stepvalues", "900", "--max-iter", "100"), "iteration 900: the training has 100"),
        (("--stepvalues", "90,100", "--max-iter", "100"), "iteration 100: the training has 100"),
        (("--stepvalues", "1000000000"), "iteration 1,000,000,000: the training has"),
    ],
)
def test_a_drop_that_never_comes_is_refused(words: tuple[str, ...], reason: str) -> None:
    assert reason in refused(2, "build", "--variant", "x0", *words)


def test_the_last_iteration_may_have_a_drop(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0", "--stepvalues", "99", "--max-iter", "100")
    assert list(read_solver(tmp_path / "solvers/x0.prototxt").stepvalue) == [99]


def test_images_are_not_flipped_where_they_should_not_be(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0", "--no-mirror")
    text = (tmp_path / "models/x0/train_val.prototxt").read_text()
    assert "mirror:" not in text
    assert "without the paper's random flips" in text
