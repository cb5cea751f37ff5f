"""Runs on several GPUs, with a Caffe that only speaks: this machine has neither."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest
from support.paths import ROOT, TESTS

from netgen.caffe.schema import read_solver
from netgen.caffe.training_log import LogEvent, LogReader, read_log
from netgen.training import several_gpus
from netgen.training.driver import RunListener
from netgen.training.fingerprint import EngineFingerprint
from netgen.training.journal import journal_log, read_journal
from netgen.training.plan import TrainingPlan
from netgen.training.plateau import PlateauRule
from netgen.training.recorder import Recorder
from netgen.training.run_folder import RunFolder, RunRecord, WeightsFile
from netgen.training.state import Outcome, TrainingState

SOLVER = (
    'net: "n" max_iter: 60 display: 5 snapshot: 20 base_lr: 0.01 lr_policy: "fixed"'
    ' type: "SGD" random_seed: 1 solver_mode: GPU'
)


def record(patience: int = 2, weights: WeightsFile | None = None) -> RunRecord:
    plan = TrainingPlan(
        name="xs", solver=SOLVER, net="", losses={"loss_item": 1.0}, records=50, batch=8,
        test_records=0, test_batch=0, round_iterations=60, gpus=[0, 1],
        rule=PlateauRule(window=5, patience=patience, gain=0.01, drops=1), observed=None, best=[],
        keep=2, reseed=False, explosion=10.0,
    )  # fmt: skip
    engine = EngineFingerprint("1.0.0", "", "", 1, "GPU")
    return RunRecord({}, "", "", [], "xs", engine, weights, plan)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.snapshots.mkdir(parents=True)
    folder.net.write_text("")
    return folder


def program(folder: RunFolder, wording: str) -> Path:
    file = folder.path / "caffe"
    fake = TESTS / "support/fake_caffe.py"
    file.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {fake} {wording} "$@"\n')
    file.chmod(0o755)
    return file


def train(folder: RunFolder, wording: str = "1.0", patience: int = 2) -> Outcome:
    listener = RunListener(lambda _: None, lambda _: None)
    return several_gpus.train(folder, record(patience), listener, program(folder, wording))


@pytest.mark.parametrize("wording", ["2016", "1.0"])
def test_a_plateau_starts_caffe_again_with_a_lower_rate(folder: RunFolder, wording: str) -> None:
    outcome = train(folder, wording)
    entries = read_journal(folder.journal)
    (drop,) = [entry for entry in entries if entry["event"] == "drop"]
    assert drop["lr"] == 0.001
    assert list(read_solver(folder.solver).stepvalue) == [drop["iteration"]]
    assert outcome.reason == "converged"
    log = folder.caffe_log.read_text()
    assert "lr = 0.001" in log
    shown = {e["iteration"] for e in entries if e["event"] == "train"}
    assert shown == {reading.iteration for reading in read_log(folder.caffe_log).train}
    assert len(list(folder.snapshots.glob("*.json"))) == 2


def test_a_training_to_its_last_iteration_has_a_journal_that_is_read(folder: RunFolder) -> None:
    """Caffe displays its last loss without the outputs that it is of."""
    assert train(folder, patience=60).reason == "max_iter"
    assert "Iteration 60, loss" in folder.caffe_log.read_text()
    log = journal_log(folder.journal, folder.path / "no net")
    assert log.finished
    assert log.train[-1].iteration == 55
    older = {"event": "train", "iteration": 60, "loss": 3.5, "outputs": {}, "lr": 0.01}
    lines = folder.journal.read_text().splitlines(keepends=True)
    folder.journal.write_text("".join((*lines[:-1], json.dumps(older) + "\n", lines[-1])))
    assert journal_log(folder.journal, folder.path / "no net") == log


def test_a_signal_stops_caffe_with_a_snapshot(folder: RunFolder) -> None:
    def on_event(entry: dict[str, object]) -> None:
        if entry["iteration"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    listener = RunListener(on_event, lambda _: None)
    outcome = several_gpus.train(folder, record(), listener, program(folder, "1.0"))
    assert outcome.reason == "stopped"
    assert outcome.signal == signal.SIGTERM
    assert (folder.snapshots / f"xs_iter_{outcome.iteration}.json").exists()


def test_only_a_better_test_is_the_best(folder: RunFolder) -> None:
    plan = msgspec.structs.replace(record().plan, best=["top1_a", "top1_b"])
    state = TrainingState()
    recorder = Recorder(folder, plan, state, lambda _: None)
    tests = [(5, 0.25, 0.25), (10, 0.5, 0.0), (15, 0.25, 0.5), (20, 0.0, 0.5)]
    best = [recorder.test(at, {"top1_a": a, "top1_b": b}) for at, a, b in tests]
    assert best == [True, False, True, False]
    assert (state.best, state.best_iteration) == (0.375, 15)
    assert [entry["iteration"] for entry in read_journal(folder.journal)] == [5, 10, 15, 20]


def test_the_command_names_gpus_solver_and_start(folder: RunFolder) -> None:
    words = several_gpus.command(Path("caffe"), folder, record(), None)
    assert words == ["caffe", "train", "-solver", str(folder.round_solver), "-gpu", "0,1"]
    begun = record(weights=WeightsFile("w.caffemodel", ""))
    assert several_gpus.command(Path("caffe"), folder, begun, None)[-2:] == [
        "-weights", "w.caffemodel",
    ]  # fmt: skip


def test_the_solver_has_the_runs_snapshots_and_averaged_losses(folder: RunFolder) -> None:
    text = several_gpus.solver(record().plan, folder, [20])
    assert f'snapshot_prefix: "{folder.snapshots}/xs"' in text
    assert "average_loss: 5" in text
    assert "stepvalue: 20" in text
    assert "device_id" not in text


def test_an_event_is_whole_when_the_next_line_begins() -> None:
    reader = LogReader()
    start = "I1122 10:00:00.000001 1 solver.cpp:1] "
    lines = [
        "Iteration 5, loss = 2", "    Train net output #0: a = 1 (* 1 = 1 loss)",
        "    Train net output #1: b = 0.5", "Iteration 5, lr = 0.1",
        "Iteration 6, Testing net (#0)", "    Test net output #0: top1 = 0.25",
        "Snapshotting solver state to binary proto file s_iter_6.solverstate",
    ]  # fmt: skip
    events = [event for line in lines if (event := reader.read(start + line))]
    assert events == [
        LogEvent("train", 5, 2.0, {"a": 1.0, "b": 0.5}),
        LogEvent("rate", 5, rate=0.1),
        LogEvent("test", 6, outputs={"top1": 0.25}),
    ]
    assert reader.end() == LogEvent("snapshot", 6, file="s_iter_6.solverstate")


def test_a_real_log_is_understood_as_the_log_reader_understands_it(real_log: Path) -> None:
    reader, events = LogReader(), []
    for line in real_log.read_text().splitlines():
        if event := reader.read(line):
            events.append(event)
    log = read_log(real_log)
    for what, readings in (("train", log.train), ("test", log.test)):
        ours = {e.iteration: e.outputs for e in events if e.what == what and e.outputs}
        assert ours == {reading.iteration: reading.values for reading in readings}


def test_lines_of_other_layers_do_not_part_a_test_from_its_outputs() -> None:
    reader = LogReader()
    start = "I1122 10:00:00.000001 1 solver.cpp:1] "
    lines = [
        "Iteration 6, Testing net (#0)", "Ignoring source layer loss_item",
        "Restarting data prefetching from start.", "    Test net output #0: top1 = 0.25",
        "Iteration 6, Testing net (#1)", "    Test net output #0: top1 = 0.75",
        "Iteration 6, loss = 2", "    Train net output #0: a = 1",
    ]  # fmt: skip
    events = [event for line in lines if (event := reader.read(start + line))]
    assert events == [LogEvent("test", 6, outputs={"top1": 0.25})]
    assert reader.end() == LogEvent("train", 6, 2.0, {"a": 1.0})
