"""Caffe's program and netgen's commands on the software GPU: training, testing, going on."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.network_gradients import NETWORKS
from support.networks import ANY_CARD, make_databases
from support.once import Once
from support.software_gpu import COMPLAINT, SoftwareGpu
from support.training import TESTED, Place, child_of, copy_of, kill, make_place, wait_for
from support.two_devices import without_dropout

from netgen.caffe.caffemodel import read_weights
from netgen.network.build import network_files
from netgen.paper import Recipe
from netgen.system.files import write_all

# At this rate; at the demo's, roundings grow so that after ten iterations Caffe's own loops for the
# CPU are as far from ours (CAFFE_PLAIN=1) as the GPU is: some percent. Losses were 2e-5 apart, and
# what weights had moved 1.2e-2 of the largest move.
BOUND, BOUND_OF_MOVES = 1e-3, 5e-2
LOSS = re.compile(r"Iteration (\d+).*, loss = (\S+)")
RECIPE = Recipe(
    batch_size=4, max_iter=24, test_interval=12, snapshot=12, display=1, base_lr=0.0001,
    moving_average=0.9, memory=1e6,
)  # fmt: skip
CAFFENET = NETWORKS["caffenet-noun"]
ROUNDS = ("--plateau", "off", "--round", "1")


@pytest.fixture(scope="session")
def shared(gpu: SoftwareGpu, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A narrow X_S and 50 images, with a run on the CPU and the same on the GPU."""

    def make() -> Place:
        place = make_place(tmp_path_factory.mktemp("software-gpu-training"), RECIPE)
        place = replace(place, python=gpu.python, environment=gpu.environment)
        place.train("runs/cpu", *ROUNDS)
        place.train("runs/gpu", *ROUNDS, "--gpu", "0")
        return place

    return once("software-gpu-training", make)


@pytest.fixture
def place(shared: Place, tmp_path: Path) -> Place:
    """A copy of the place, to be changed."""
    return copy_of(shared, tmp_path)


def losses(log: str) -> np.ndarray:
    """The losses that Caffe displayed, one an iteration."""
    shown = LOSS.findall(log)
    assert [int(number) for number, _ in shown] == list(
        range(int(shown[0][0]), int(shown[-1][0]) + 1)
    )
    return np.array([float(loss) for _, loss in shown])


def learned(file: Path) -> np.ndarray:
    layers = [layer for layer in read_weights(file) if layer.type != "BatchNorm"]
    return np.concatenate([blob.ravel() for layer in layers for blob in layer.blobs])


def moves(folder: Path) -> np.ndarray:
    """How far each learned weight moved from the first snapshot to the last."""
    last = learned(folder / "xs_iter_24.caffemodel")
    moved: np.ndarray = last - learned(folder / "xs_iter_12.caffemodel")
    return moved


def agree(found: np.ndarray, expected: np.ndarray, bound: float) -> None:
    """Compare arrays with the largest number expected."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound * np.abs(expected).max())


# ---- caffe --------------------------------------------------------------------------------------


def test_caffe_trains_and_resumes_on_a_gpu_as_on_the_cpu(place: Place) -> None:
    logs, moved = {}, {}
    state = "models/xs/snapshots/xs_iter_12.solverstate"
    for device, words in (("cpu", ()), ("gpu", ("-gpu", "0"))):
        first = place.caffe("-solver", "solvers/xs.prototxt", *words)
        assert ("Using GPUs 0" in first) == (device == "gpu")
        assert COMPLAINT not in first
        resumed = place.caffe("-solver", "solvers/xs.prototxt", *words, "-snapshot", state)
        logs[device] = losses(first), losses(resumed)
        moved[device] = moves(place.folder / "models/xs/snapshots")
    for on_cpu, on_gpu in zip(logs["cpu"], logs["gpu"], strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=BOUND)
    assert len(logs["cpu"][0]) > len(logs["cpu"][1]) >= 12
    agree(moved["gpu"], moved["cpu"], BOUND_OF_MOVES)


def test_a_snapshot_of_a_gpu_goes_on_on_the_cpu(place: Place) -> None:
    place.caffe("-solver", "solvers/xs.prototxt", "-gpu", "0")
    words = (
        "-solver",
        "solvers/xs.prototxt",
        "-snapshot",
        "models/xs/snapshots/xs_iter_12.solverstate",
    )
    on_gpu, on_cpu = losses(place.caffe(*words, "-gpu", "0")), losses(place.caffe(*words))
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=BOUND)


def aborted_at_the_end(error: subprocess.CalledProcessError) -> str:
    """Return the log of a Caffe that aborted when all was done.

    An open defect: in about one run of thirty on a busy machine, a thread of two GPUs' aborts in
    the C library as it ends. All is written by then, and the tests compare that.
    """
    log = str(error.stderr)
    assert error.returncode == -signal.SIGABRT, log
    assert "Optimization Done." in log
    return log


def test_two_gpus_train_as_one_cpu_with_twice_the_batch(gpu: SoftwareGpu, tmp_path: Path) -> None:
    """A network without BatchNorm, whose statistics are of a GPU's own half."""
    found: dict[str, list[np.ndarray]] = {}
    for name, batch, words in (("cpu", 8, ()), ("gpus", 4, ("-gpu", "0,1"))):
        recipe = replace(
            ANY_CARD, batch_size=batch, mirror=False, max_iter=6, snapshot=2, test_interval=6,
            display=1, base_lr=0.01,
        )  # fmt: skip
        ordered = replace(CAFFENET, recipe=recipe)
        make_databases(ordered.dataset, tmp_path / name)
        files = network_files(ordered)
        write_all({tmp_path / name / file: without_dropout(files[file]) for file in files})
        two = gpu.environment | {"SOFTWARE_GPUS": "2"}
        place = Place(tmp_path / name, python=gpu.python, environment=two)
        try:
            log = place.caffe("-solver", str(ordered.solver), *words)
        except subprocess.CalledProcessError as error:
            log = aborted_at_the_end(error)
        assert COMPLAINT not in log
        assert ("Using GPUs 0, 1" in log) == (name == "gpus")
        snapshots = tmp_path / name / ordered.folder / "snapshots"
        found[name] = [
            learned(snapshots / f"{CAFFENET.variant.name}_iter_{iteration}.caffemodel")
            for iteration in (2, 4, 6)
        ]
    (first, *_, last), (first_on_cpu, *_, last_on_cpu) = found["gpus"], found["cpu"]
    agree(first, first_on_cpu, BOUND)
    agree(last - first, last_on_cpu - first_on_cpu, BOUND_OF_MOVES)


# ---- netgen -------------------------------------------------------------------------------------


def test_netgen_trains_on_a_gpu_as_on_the_cpu(shared: Place) -> None:
    on_cpu, on_gpu = shared.journal("runs/cpu"), shared.journal("runs/gpu")
    assert [entry["event"] for entry in on_gpu] == [entry["event"] for entry in on_cpu]
    shown = [
        [entry["outputs"] for entry in entries if entry["event"] in ("train", "test")]
        for entries in (on_gpu, on_cpu)
    ]
    assert len(shown[0]) > 24
    for found, expected in zip(*shown, strict=True):
        assert found == pytest.approx(expected, rel=BOUND)
    found, expected = (
        learned(shared.path(run, "snapshots/xs_iter_24.caffemodel"))
        for run in ("runs/gpu", "runs/cpu")
    )
    agree(found, expected, BOUND)


def test_a_run_that_was_killed_goes_on_to_the_same_bits(place: Place) -> None:
    shutil.copytree(place.folder / "runs/gpu", place.folder / "kept")
    shutil.rmtree(place.folder / "runs/gpu")
    with place.start("train", "--variant", "xs", "--run", "runs/gpu", *ROUNDS, "--gpu", "0") as run:
        wait_for(place.path("runs/gpu", "snapshots/xs_iter_13.caffemodel").exists, run)
        kill(child_of(run))
        kill(run.pid)
    assert not place.path("runs/gpu", "snapshots/xs_iter_24.caffemodel").exists()
    place.resume("runs/gpu")
    assert place.weights("runs/gpu", 24) == place.weights("kept", 24)


def test_an_evaluation_on_a_gpu_is_the_cpus(place: Place) -> None:
    results = []
    for words in ((), ("--gpu", "0")):
        done = place.netgen(
            "eval", "--variant", "xs", "--weights", "runs/gpu/snapshots/xs_iter_24.caffemodel",
            *("--dataset", "data/dataset.toml", "--net", "models/xs/deploy.prototxt"),
            *("--engine", "caffe", "--out", "result.json", *words),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        results.append(json.loads((place.folder / "result.json").read_text())["tasks"])
    assert results[0] == results[1]
    assert results[0][0]["accuracy"]["top1"]["total"] == TESTED


def test_netgen_trains_on_two_gpus_and_goes_on_after_a_signal(place: Place) -> None:
    words = ("train", "--variant", "xs", "--run", "runs/two", "--plateau", "off", "--gpu", "0,1")
    with place.start(*words, SOFTWARE_GPUS="2") as run:
        wait_for(place.path("runs/two", "log.jsonl").exists, run)
        wait_for(lambda: "train" in place.path("runs/two", "log.jsonl").read_text(), run)
        run.send_signal(signal.SIGTERM)
        said, _ = run.communicate(timeout=place.timeout)
    assert COMPLAINT not in said
    assert place.journal("runs/two")[-1]["why"] == "stopped", said
    assert [*place.path("runs/two", "snapshots").glob("*.solverstate")]
    if place.netgen("train", "--resume", "--run", "runs/two", SOFTWARE_GPUS="2").returncode != 0:
        place.resume("runs/two", SOFTWARE_GPUS="2")  # see aborted_at_the_end
    assert place.journal("runs/two")[-1]["why"] == "max_iter"
    assert np.isfinite(learned(place.path("runs/two", "snapshots/xs_iter_24.caffemodel"))).all()


def test_a_gpu_that_is_not_there_is_refused(place: Place) -> None:
    words = ("--variant", "xs", "--run", "runs/other")
    assert "finds no GPU" in place.refused(*words, "--gpu", "0", SOFTWARE_GPUS="0")
    assert "invalid device" in place.refused(*words, "--gpu", "1")


def test_too_little_memory_is_said_in_one_message(place: Place) -> None:
    told = place.refused(
        "--variant", "xs", "--run", "runs/x", "--gpu", "0", SOFTWARE_GPU_MEMORY="1"
    )
    assert "memory" in told


def test_the_doctor_finds_that_caffe_works_on_it(place: Place) -> None:
    done = place.netgen("doctor", "--gpu", "--json", SOFTWARE_GPUS="2")
    findings = {row["about"]: row for row in json.loads(done.stdout)["findings"]}
    assert findings["Caffe on the GPU"]["what"] == "works"
    assert "netgen software GPU" in findings["GPU"]["what"]
    assert "software-gpu-" in findings["Caffe"]["what"]
