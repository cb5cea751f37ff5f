"""Runs of `netgen train`: what they leave, and that neither kills nor drops change a bit of it."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from faults.writers import MOMENTS
from support.once import Once
from support.photographs import photograph, saved
from support.training import Place, child_of, copy_of, kill, make_place, wait_for

from data_prep.fashion_mnist import CLASSES
from netgen.caffe.caffe_pb2 import SolverParameter
from netgen.caffe.schema import read_solver
from netgen.commands.cli import main
from netgen.training.journal import read_journal
from netgen.training.memory_check import check_memory
from netgen.training.run_folder import RunFolder

KILLS = 8 * MOMENTS
# Of the 60 iterations, the first round has 25, the second 25, the last 10.
ROUNDS = ("--plateau", "off", "--round", "2")
DROPS = ("--window", "10", "--patience", "1", "--min-gain", "0.5", "--drops", "2")


@pytest.fixture(scope="session")
def shared(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with three finished runs; tests that write into it use folders of their own."""

    def make() -> Place:
        place = make_place(tmp_path_factory.mktemp("training"))
        place.train("runs/rounds", *ROUNDS, "--keep", "20")
        place.train("runs/drops", *DROPS, "--keep", "20")
        return place

    return once("training", make)


@pytest.fixture
def place(shared: Place, tmp_path: Path) -> Place:
    """A copy of the place, to be changed."""
    return copy_of(shared, tmp_path)


def test_a_run_is_all_in_its_folder(shared: Place) -> None:
    folder = shared.folder / "runs/rounds"
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "train_val.prototxt", "solver.prototxt", "run.json", "log.jsonl", "curves.png", "caffe.log",
        "snapshots", "deploy.prototxt", "deploy.json",
    }  # fmt: skip
    given = shared.folder / "models/xs/train_val.prototxt"
    assert (folder / "train_val.prototxt").read_bytes() == given.read_bytes()
    record = json.loads((folder / "run.json").read_text())
    assert record["versions"].keys() >= {"netgen", "caffe", "python"}
    assert record["engine"]["blas"].startswith("lib")
    assert record["engine"]["threads"] == 1
    assert "random_seed: 2016" in record["plan"]["solver"]
    assert "Iteration 55, lr" in (folder / "caffe.log").read_text()


def test_a_runs_folder_copied_elsewhere_is_enough_to_predict(shared: Place, tmp_path: Path) -> None:
    """The network was built as if for other data: what it was trained on tells classes' names."""
    run = Path(shutil.copytree(shared.folder / "runs/rounds", tmp_path / "a copy"))
    picture = tmp_path / "bag.png"
    picture.write_bytes(saved(photograph(0), "PNG"))
    told = CliRunner().invoke(
        main, ["predict", str(picture), "--weights", str(run), "--engine", "opencv", "--json"]
    )
    assert told.exit_code == 0, told.output
    tasks = json.loads(told.stdout)[0]["tasks"]
    assert {guess["name"] for guess in tasks["season"]} == set(CLASSES["season"])
    described = json.loads((run / "deploy.json").read_text())
    assert described["file"] == "data/dataset.toml"
    given = json.loads((shared.folder / "models/xs/deploy.json").read_text())
    assert given["file"] is None
    assert described["images"]["mean"] == given["images"]["mean"]


def test_netgen_log_reads_a_run_by_its_folder_or_any_log_in_it(shared: Place) -> None:
    told = shared.netgen("log", "runs/rounds")
    assert told.returncode == 0, told.stdout
    assert "loss_item" in told.stdout
    assert re.search(r"^top1_item .* guessing|NO BETTER", told.stdout, re.M)
    assert "not finished" not in told.stdout
    assert told.stdout.endswith("\nNext: netgen predict photo.jpg --weights runs/rounds\n")
    for name in ("caffe.log", "log.jsonl"):
        assert shared.netgen("log", f"runs/rounds/{name}").stdout == told.stdout
    tests = json.loads(shared.netgen("log", "runs/rounds", "--json").stdout)["test"]
    assert [test["iteration"] for test in tests] == [15, 30, 45, 60]


def test_netgen_log_and_netgen_eval_agree_on_guessing(shared: Place, tmp_path: Path) -> None:
    """And `eval` finds network and dataset in the folder of the run."""
    out = tmp_path / "result.json"
    words = ("eval", "--weights", "runs/rounds", "--engine", "opencv", "--out", str(out))
    done = shared.netgen(*words)
    assert done.returncode == 0, done.stdout
    log = shared.netgen("log", "runs/rounds").stdout
    for task in json.loads(out.read_text())["tasks"]:
        (line,) = re.findall(rf"^top1_{task['name']} .*$", log, re.M)
        prior = task["prior"]["top1"]
        assert line.split()[5] == f"{100 * prior['correct'] / prior['total']:.2f}"


def test_a_run_that_has_not_displayed_anything_is_one_message(place: Place) -> None:
    run = place.folder / "runs/rounds"
    (run / "log.jsonl").write_text('{"event": "start", "iteration": 0, "epoch": 12.5}\n')
    told = place.netgen("log", "runs/rounds")
    assert told.returncode == 1
    assert "log.jsonl: no iteration in it yet" in told.stdout
    told = place.netgen("log", "models")
    assert told.returncode == 1
    assert "models: a folder without log.jsonl" in told.stdout


def test_the_journal_has_every_display_and_test(shared: Place) -> None:
    entries = read_journal(shared.folder / "runs/rounds/log.jsonl")

    def iterations(event: str) -> list[int]:
        return [entry["iteration"] for entry in entries if entry["event"] == event]

    assert iterations("train") == list(range(0, 60, 5))
    assert iterations("test") == [15, 30, 45, 60]
    assert iterations("round") == [0, 25, 50]
    test = next(entry for entry in entries if entry["event"] == "test")
    assert {"loss_item", "top1_item", "top5_item"} <= test["outputs"].keys()
    order = [entry["iteration"] for entry in entries]
    assert order == sorted(order)
    assert entries[-1]["why"] == "max_iter"


def test_displayed_losses_and_tests_are_caffes(place: Place) -> None:
    """One round, displays of every iteration, so that a mean is of one.

    But for the last test: before it, Caffe has one more batch pass the training net, for a display,
    and BatchNorm's averages move once more. Ours is of the weights in the snapshot.
    """
    place.edit("solvers/xs.prototxt", lambda text: text.replace("display: 5", "display: 1"))
    place.train("runs/one", "--plateau", "off")
    log = place.folder / "stock.log"
    log.write_text(place.caffe("-solver", "runs/one/solver.prototxt"))
    from netgen.caffe.training_log import read_log

    stock = read_log(log)
    entries = place.journal("runs/one")
    for event, readings in (("train", stock.train[:60]), ("test", stock.test[:3])):
        ours = {e["iteration"]: e["outputs"] for e in entries if e["event"] == event}
        assert ours.keys() - {60} == {reading.iteration for reading in readings}
        for reading in readings:
            assert ours[reading.iteration] == pytest.approx(reading.values, rel=1e-4)


def test_stock_caffe_gives_the_same_bits_with_the_drops_that_came_to_be(place: Place) -> None:
    entries = place.journal("runs/drops")
    drops = [entry["iteration"] for entry in entries if entry["event"] == "drop"]
    assert drops, "the rule never acted"
    assert list(read_solver(place.path("runs/drops", "solver.prototxt")).stepvalue) == drops
    log = place.caffe("-solver", "runs/drops/solver.prototxt")
    assert "lr = 0.001" in log
    compared = 0
    for model in place.path("runs/drops", "snapshots").glob("*.caffemodel"):
        stock = place.folder / "models/xs/snapshots" / model.name
        if stock.exists():
            assert model.read_bytes() == stock.read_bytes(), model.name
            compared += int(model.stem.rpartition("_")[2]) > drops[0]
    assert compared, "no snapshot after the drop was compared"


def test_stock_caffe_repeats_a_later_round_from_its_first_snapshot(place: Place) -> None:
    solver = place.path("runs/rounds", "solver.prototxt")
    changed = solver.read_text().replace("random_seed: 2016", "random_seed: 2017")
    solver.write_text(changed.replace("max_iter: 60", "max_iter: 50"))
    place.caffe(
        "-solver", "runs/rounds/solver.prototxt",
        "-snapshot", "runs/rounds/snapshots/xs_iter_25.solverstate",
    )  # fmt: skip
    stock = place.folder / "models/xs/snapshots/xs_iter_50.caffemodel"
    assert stock.read_bytes() == place.weights("runs/rounds", 50)


def test_converged_is_said_and_ends_the_run(shared: Place) -> None:
    end = shared.journal("runs/drops")[-1]
    assert end["event"] == "end"
    assert end["why"] == "converged"
    assert end["iteration"] < 60
    assert "gained less than 50%" in str(end["what"])


def test_a_converged_run_has_nothing_left_to_do(place: Place) -> None:
    before = place.journal("runs/drops")
    assert "converged" in place.resume("runs/drops")
    assert place.journal("runs/drops") == before


def test_kills_at_random_moments_change_no_bit(place: Place) -> None:
    """Of the parent or the child, also before the first snapshot; runs that end are compared."""
    moments = random.Random(5)
    whole = place.journal("runs/rounds")
    killed = ended = 0
    while killed < KILLS or not ended:
        run = f"runs/killed-{ended}"
        begun = place.path(run, "run.json").exists()
        how = ("--resume",) if begun else ("--variant", "xs", *ROUNDS, "--keep", "20")
        with place.start("train", "--run", run, *how) as process:
            # Now and then while it starts, mostly while Caffe trains; never after enough kills.
            if moments.random() < 0.8:
                wait_for(lambda process=process: child_of(process), process)  # type: ignore[misc]
            if killed < KILLS:
                time.sleep(moments.uniform(0, 2.5))
                kill(child_of(process) if moments.random() < 0.5 else process.pid)
            said, _ = process.communicate(timeout=240)
        killed += process.returncode != 0
        if process.returncode == 0:
            assert place.weights(run) == place.weights("runs/rounds"), said
            assert place.journal(run) == whole
            ended += 1
    assert killed >= KILLS


def test_a_kill_in_the_middle_of_a_snapshot_changes_no_bit(place: Place) -> None:
    folder = place.path("runs/killed", "snapshots")
    words: tuple[str, ...] = (
        *("train", "--variant", "xs", "--run", "runs/killed"), *ROUNDS, "--keep", "20",
    )  # fmt: skip
    halves = 0
    for iteration in (10, 25, 40):
        model, manifest = folder / f"xs_iter_{iteration}.caffemodel", f"xs_iter_{iteration}.json"
        with place.start(*words) as process:
            wait_for(model.exists, process)
            process.kill()
            process.communicate(timeout=120)
        halves += model.exists() and not (folder / manifest).exists()
        words = ("train", "--resume", "--run", "runs/killed")
    assert halves, "no snapshot was caught half-written"
    place.resume("runs/killed")
    assert place.weights("runs/killed") == place.weights("runs/rounds")
    assert not [path for path in folder.iterdir() if path.name.startswith(".restored")]


def test_kills_change_no_drop(place: Place) -> None:
    words = ("train", "--variant", "xs", "--run", "runs/killed", *DROPS, "--keep", "20")
    drop = next(e["iteration"] for e in place.journal("runs/drops") if e["event"] == "drop")
    manifest = place.path("runs/killed", f"snapshots/xs_iter_{drop}.json")
    with place.start(*words) as process:
        wait_for(manifest.exists, process)
        process.kill()
        process.communicate(timeout=120)
    place.resume("runs/killed")
    last = place.journal("runs/drops")[-1]["iteration"]
    assert isinstance(last, int)
    assert place.weights("runs/killed", last) == place.weights("runs/drops", last)
    assert place.journal("runs/killed") == place.journal("runs/drops")


def test_ctrl_c_makes_a_snapshot_and_says_how_to_go_on(place: Place) -> None:
    words = ("train", "--variant", "xs", "--run", "runs/stopped", *ROUNDS)
    with place.start(*words) as process:
        manifest = place.path("runs/stopped", "snapshots/xs_iter_10.json")
        wait_for(manifest.exists, process)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "by SIGINT" in said
    assert "with: netgen train --resume --run runs/stopped" in said
    assert place.journal("runs/stopped")[-1]["why"] == "stopped"
    place.resume("runs/stopped")
    assert place.weights("runs/stopped") == place.weights("runs/rounds")
    assert place.journal("runs/stopped")[-1]["why"] == "max_iter"


def test_a_signal_in_a_test_changes_no_bit(place: Place) -> None:
    """A test of 3,000 batches: the signal comes while it is under way, and it is done again."""

    def one_long_test(text: str) -> str:
        return text.replace("test_iter: 10", "test_iter: 3000").replace("iter: 60", "iter: 20")

    place.edit("solvers/xs.prototxt", one_long_test)
    place.train("runs/whole", *ROUNDS)
    with place.start("train", "--variant", "xs", "--run", "runs/stopped", *ROUNDS) as process:
        wait_for(place.path("runs/stopped", "snapshots/xs_iter_10.json").exists, process)
        time.sleep(0.4)  # five iterations take less
        process.terminate()
        process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    manifest = json.loads(place.path("runs/stopped", "snapshots/xs_iter_15.json").read_text())
    assert manifest["state"]["due"], "the signal came too late"
    place.resume("runs/stopped")
    assert place.weights("runs/stopped", 20) == place.weights("runs/whole", 20)
    assert place.journal("runs/stopped") == place.journal("runs/whole")


def test_tests_that_do_not_cover_the_test_set_go_on_where_they_were(place: Place) -> None:
    place.edit("solvers/xs.prototxt", lambda text: text.replace("test_iter: 10", "test_iter: 7"))
    place.train("runs/whole", "--plateau", "item", "--round", "9", "--keep", "20")
    words = ("--run", "runs/killed", "--plateau", "item", "--round", "9")
    with place.start("train", "--variant", "xs", *words) as process:
        wait_for(place.path("runs/killed", "snapshots/xs_iter_30.json").exists, process)
        process.kill()
        process.communicate(timeout=120)
    place.resume("runs/killed")
    ours, whole = ([e for e in place.journal(run) if e["event"] == "test"] for run in
                   ("runs/killed", "runs/whole"))  # fmt: skip
    assert ours == whole


def test_dropout_is_the_same_after_a_kill(place: Place) -> None:
    def with_dropout(text: str) -> str:
        layer = 'layer { name: "drop" type: "Dropout" bottom: "pool5_item" top: "pool5_item" }\n'
        place_ = text.index('layer {\n  name: "fc_item"')
        return text[:place_] + layer + text[place_:]

    place.edit("models/xs/train_val.prototxt", with_dropout)
    place.train("runs/whole", *ROUNDS)
    with place.start("train", "--variant", "xs", "--run", "runs/killed", *ROUNDS) as process:
        wait_for(place.path("runs/killed", "snapshots/xs_iter_40.json").exists, process)
        process.kill()
        process.communicate(timeout=120)
    place.resume("runs/killed")
    assert place.weights("runs/killed") == place.weights("runs/whole")
    assert place.weights("runs/whole") != place.weights("runs/rounds")


def test_the_newest_snapshots_and_the_best_are_kept(place: Place) -> None:
    place.train("runs/few", *ROUNDS, "--keep", "2")
    entries = place.journal("runs/few")
    made = [e["iteration"] for e in entries if e["event"] == "snapshot"]
    best = [e["iteration"] for e in entries if e["event"] == "snapshot" and e["best"]][-1]
    tests = {e["iteration"]: e["outputs"] for e in entries if e["event"] == "test"}
    accuracy = {
        at: sum(outputs[f"top1_{task}"] for task in ("item", "family", "season"))
        for at, outputs in tests.items()
    }
    assert accuracy[best] == max(accuracy.values())
    kept = {
        int(path.stem.rpartition("_")[2])
        for path in place.path("runs/few", "snapshots").glob("*.caffemodel")
    }
    assert kept == {*made[-2:], best}


def test_weights_to_begin_with_are_those_that_it_begins_with(place: Place) -> None:
    """A rate of 0 leaves them as they are."""
    place.edit("solvers/xs.prototxt", lambda text: text.replace("base_lr: 0.01", "base_lr: 0"))
    weights = "runs/rounds/snapshots/xs_iter_60.caffemodel"
    place.train("runs/further", "--plateau", "off", "--weights", weights)
    from netgen.caffe.caffemodel import read_weights

    given, after = (
        {layer.name: layer for layer in read_weights(place.folder / path)}
        for path in (weights, "runs/further/snapshots/xs_iter_60.caffemodel")
    )
    assert given.keys() == after.keys()
    for name, layer in given.items():
        if layer.type != "BatchNorm":  # which keeps averaging
            for one, other in zip(layer.blobs, after[name].blobs, strict=True):
                assert (one == other).all(), name


def test_the_seed_of_a_solver_without_one_is_remembered(place: Place) -> None:
    place.edit("solvers/xs.prototxt", lambda text: text.replace("random_seed: 2016", ""))
    place.train("runs/drawn", *ROUNDS)
    solver: SolverParameter = read_solver(place.path("runs/drawn", "solver.prototxt"))
    assert solver.random_seed >= 0
    assert place.weights("runs/drawn") != place.weights("runs/rounds")


def test_the_memory_is_estimated_within_fifteen_per_cent(place: Place) -> None:
    """The most that the process with Caffe had resident, against what was said before it began."""
    peak = 0
    words = ("train", "--variant", "xs", "--run", "runs/x", "--plateau", "off")
    with place.start(*words, CAFFE_PLAIN="1") as process:  # what the estimate is of
        while process.poll() is None:
            if worker := child_of(process):
                peak = max(peak, resident(worker))
            time.sleep(0.01)
    record = RunFolder(place.folder / "runs/x").read()
    before = Path.cwd()
    os.chdir(place.folder)
    try:
        needed = check_memory(record.plan, Path("runs/x/train_val.prototxt")).needed
    finally:
        os.chdir(before)
    assert needed == pytest.approx(peak, rel=0.15)


def resident(pid: int) -> int:
    """The most bytes that a process has had resident so far."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        if match := re.search(r"VmHWM:\s+(\d+) kB", status):
            return 1024 * int(match[1])
    return 0
