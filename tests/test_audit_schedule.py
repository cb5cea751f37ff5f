"""Learning rates: as Caffe computes them for each iteration, and as its program logs them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.solver_changes import rate_between

from netgen.audit.inspection.schedule import POLICIES, same_rate, schedule_of
from netgen.caffe.caffe_pb2 import SolverParameter
from netgen.caffe.schema import parse_solver

CAFFE = Path(sys.executable).parent / "caffe"
NET = """
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 1 dim: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
SETTINGS = {
    "fixed": "",
    "step": "gamma: 0.1 stepsize: 5",
    "exp": "gamma: 0.9",
    "inv": "gamma: 0.5 power: 0.75",
    "multistep": "gamma: 0.1 stepvalue: 3 stepvalue: 9 stepvalue: 4 stepvalue: 99",
    "poly": "power: 1.5",
    "sigmoid": "gamma: 0.5 stepsize: 6",
}


class CaffesSolver:
    """`SGDSolver::GetLearningRate` of Caffe, word for word, with the step that it keeps."""

    def __init__(self, param: SolverParameter) -> None:
        self.param, self.current_step = param, 0

    def rate(self, iteration: int) -> float:
        p = self.param
        with np.errstate(all="ignore"):
            if p.lr_policy == "step":
                self.current_step = iteration // p.stepsize
            elif p.lr_policy == "multistep" and self.current_step < len(p.stepvalue):
                self.current_step += iteration >= p.stepvalue[self.current_step]
            gamma, power, one = np.float64(p.gamma), np.float64(p.power), np.float64(1)
            factors: dict[str, Callable[[], np.float64]] = {
                "fixed": lambda: one,
                "step": lambda: gamma**self.current_step,
                "multistep": lambda: gamma**self.current_step,
                "exp": lambda: gamma**iteration,
                "inv": lambda: (one + gamma * iteration) ** -power,
                "poly": lambda: (one - iteration / p.max_iter) ** power,
                "sigmoid": lambda: one / (one + np.exp(-gamma * (iteration - p.stepsize))),
            }
            return float(p.base_lr * factors[p.lr_policy]())


@st.composite
def solvers(draw: st.DrawFn) -> SolverParameter:
    return SolverParameter(
        lr_policy=draw(st.sampled_from([*sorted(POLICIES), "multistep", "multistep"])),
        base_lr=draw(rate_between(1e-6, 1)),
        gamma=draw(st.sampled_from([0, 0.1, 0.5, 0.99, 1, 2]) | rate_between(0.01, 1.5)),
        power=draw(st.sampled_from([0, 1, 2]) | rate_between(-1, 3)),
        stepsize=draw(st.integers(1, 130)),
        stepvalue=draw(st.lists(st.integers(-3, 20) | st.integers(1, 130), max_size=5)),
        max_iter=draw(st.integers(1, 120)),
    )


@settings(max_examples=500)
@given(solvers())
def test_every_iteration_has_the_rate_that_caffe_computes(solver: SolverParameter) -> None:
    schedule, caffes = schedule_of(solver), CaffesSolver(solver)
    assert schedule
    for iteration in range(solver.max_iter):
        found, wanted = schedule.rate(iteration), caffes.rate(iteration)
        assert same_rate(found, wanted, 1e-9), (iteration, found, wanted)


@given(solvers())
def test_the_changes_are_all_that_changes(solver: SolverParameter) -> None:
    schedule, caffes = schedule_of(solver), CaffesSolver(solver)
    assert schedule
    changes = {change.iteration: change.after for change in schedule.changes()}
    rate = schedule.rate(0)
    for iteration in range(solver.max_iter):
        rate = changes.get(iteration, rate)
        assert same_rate(rate, caffes.rate(iteration), 1e-4), (iteration, changes)


@pytest.mark.parametrize("policy", SETTINGS)
def test_the_rates_are_those_that_caffe_logs(policy: str, tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    text = f'net: "net.prototxt" base_lr: 0.01 lr_policy: "{policy}" {SETTINGS[policy]}'
    text += " max_iter: 12 display: 1 solver_mode: CPU snapshot_after_train: false"
    (tmp_path / "solver.prototxt").write_text(text)
    run = subprocess.run(
        [CAFFE, "train", "-solver", "solver.prototxt"], cwd=tmp_path,
        stderr=subprocess.PIPE, text=True, timeout=60, check=True, env={"GLOG_logtostderr": "1"},
    )  # fmt: skip
    logged = dict(re.findall(r"Iteration (\d+), lr = (\S+)", run.stderr))
    assert len(logged) == 12
    schedule = schedule_of(parse_solver(text))
    assert schedule
    for iteration, rate in logged.items():
        assert same_rate(schedule.rate(int(iteration)), float(rate), 1e-4), iteration
