"""What `netgen cluster --slurm` writes, in a real Slurm on this machine; `./run slurm` runs it.

The scripts are submitted as they are printed. This machine's Caffe is for the CPU: jobs that train
are those of `--solver-mode cpu`, and the script for GPUs is shown up to the training.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.networks import VARIANTS
from support.paths import ROOT
from support.slurm import SHORT, Slurm, SlurmError, Task, running
from support.small_table_2 import long_training, small_table_2
from support.studies import PAIRED, study, two_classes_each
from support.training import Place

from netgen.caffe.engine import find_engine

FOLDER = ROOT / "build/slurm"
VGG = "VGG_ILSVRC_16_layers.caffemodel"
KILL_WAIT = 30  # seconds: Slurm's default


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums are the same wherever they are computed; jobs get the environment of `sbatch`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        patch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        yield


@pytest.fixture(scope="session")
def slurm(request: pytest.FixtureRequest) -> Iterator[Slurm]:
    terminal = request.config.pluginmanager.getplugin("terminalreporter")
    with ExitStack() as stack:
        try:
            slurm = stack.enter_context(running(FOLDER, say=terminal.write_line))
        except SlurmError as error:
            pytest.exit(str(error), returncode=1)
        yield slurm


def script(place: Place, *words: str) -> Path:
    """Write what `netgen cluster --slurm` prints for a folder into that folder."""
    printed = place.netgen("cluster", "--slurm", "--folder", str(place.folder), *words)
    assert printed.returncode == 0, printed.stdout
    file = place.folder / "table2.sh"
    file.write_text(printed.stdout)
    return file


def log(place: Place, task: int) -> str:
    return (place.folder / f"table2-{task}.log").read_text()


def end_of(place: Place, variant: str) -> dict[str, object]:
    """The last entry of a run's journal."""
    return place.journal(f"runs/{variant}")[-1]


# ---- Table 2 ------------------------------------------------------------------------------------


@dataclass
class Table2:
    """The array submitted without VGG's weights, then with them; and the same without a queue."""

    first: dict[str, Task]
    second: dict[str, Task]
    logs: dict[str, str]
    made: dict[str, int]  # when the first array wrote a result
    at_once: list[int]  # how many ran, each time that this changed
    gpus: dict[int, str]
    queued: Place
    local: Place = field(repr=False)


@pytest.fixture(scope="session")
def table2(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table2]:
    local = small_table_2(tmp_path_factory.mktemp("local"))
    queued = Place(tmp_path_factory.mktemp("queued") / "shared")
    shutil.copytree(local.folder, queued.folder)
    weights = queued.folder / "weights"
    (weights / VGG).rename(weights / "elsewhere")
    file = script(queued, "--solver-mode", "cpu")
    array = slurm.sbatch(file, "--gres=gpu:1")
    at_once = _watch(slurm, array)
    first, logs = slurm.tasks(array), [log(queued, task) for task in range(len(VARIANTS))]
    made = {path.stem: path.stat().st_mtime_ns for path in queued.folder.glob("results/*.json")}
    (weights / "elsewhere").rename(weights / VGG)
    again = slurm.sbatch(file)
    _watch(slurm, again)
    _without_a_queue(local)
    yield Table2(
        _by_name(first), _by_name(slurm.tasks(again)), dict(zip(VARIANTS, logs, strict=True)),
        made, at_once, slurm.given(array), queued, local,
    )  # fmt: skip
    for place in (local, queued):
        shutil.rmtree(place.folder / "weights")  # a hundred megabytes


def _without_a_queue(place: Place) -> None:
    """Run `netgen table` for all rows, half of them in each of two processes."""
    halves = [
        place.start("table", "--solver-mode", "cpu", *(f"--only={name}" for name in names))
        for names in (VARIANTS[::2], VARIANTS[1::2])
    ]
    try:
        for half in halves:
            said, _ = half.communicate(timeout=1800)
            assert half.returncode == 0, said
    finally:
        for half in halves:
            half.terminate()  # what has ended does not mind
            half.wait()


def _by_name(tasks: dict[int, Task]) -> dict[str, Task]:
    return {VARIANTS[index]: task for index, task in tasks.items()}


def _watch(slurm: Slurm, array: str) -> list[int]:
    """Wait until an array has ended; return how many of its tasks ran, each time it changed."""
    seen: list[int] = []

    def ended() -> bool:
        states = [task.state for task in slurm.tasks(array).values()]
        count = states.count("RUNNING")
        if seen[-1:] != [count]:
            seen.append(count)
        return not {"PENDING", "RUNNING", "COMPLETING"} & set(states)

    slurm.wait(ended, 1800)
    return seen


def test_a_row_that_cannot_be_trained_ends_alone_and_its_log_says_why(table2: Table2) -> None:
    failed = {name for name, task in table2.first.items() if task.state == "FAILED"}
    assert failed == {"vgg16-noun", "vgg16-adj", "vgg16-anp"}
    assert {table2.first[name].state for name in {*VARIANTS} - failed} == {"COMPLETED"}
    for name in failed:
        assert table2.first[name].reason == "NonZeroExitCode"
        assert f"not there: weights/{VGG}: nothing was run" in table2.logs[name]


def test_submitted_again_the_array_does_what_is_left_and_nothing_twice(table2: Table2) -> None:
    assert {task.state for task in table2.second.values()} == {"COMPLETED"}
    found = {path.stem: path.stat().st_mtime_ns for path in _results(table2.queued)}
    assert set(found) == set(VARIANTS)
    assert {name: found[name] for name in table2.made} == table2.made


def test_every_row_is_to_the_bit_what_netgen_table_makes_without_a_queue(table2: Table2) -> None:
    """A result has the SHA-256 of the weights that were trained, beside all accuracies."""
    for path in _results(table2.queued):
        alone = table2.local.folder / "results" / path.name
        assert json.loads(path.read_text()) == json.loads(alone.read_text()), path.name


def test_two_jobs_run_at_a_time_and_each_has_a_gpu_to_itself(table2: Table2) -> None:
    assert max(table2.at_once) == 2
    assert set(table2.gpus) == set(range(len(VARIANTS)))
    assert set(table2.gpus.values()) == {"0", "1"}


def _results(place: Place) -> list[Path]:
    return sorted((place.folder / "results").glob("*.json"))


@pytest.mark.skipif(find_engine().cuda, reason="this Caffe can train on GPUs")
def test_the_script_for_gpus_gives_each_job_its_own_and_a_third_job_waits(
    slurm: Slurm, tmp_path: Path
) -> None:
    place = long_training(tmp_path, "x0", "x1", "xs")
    words = ("--only", "x0", "--only", "x1", "--only", "xs")
    hold = slurm.folder / "hold"
    hold.touch()
    array = slurm.sbatch(script(place, *words))
    slurm.wait(lambda: len(slurm.given(array)) == 2)
    assert slurm.given(array) == {0: "0", 1: "1"}
    tasks = slurm.tasks(array)
    assert [tasks[index].state for index in range(3)] == ["RUNNING", "RUNNING", "PENDING"]
    assert tasks[2].reason == "Resources"
    hold.unlink()
    slurm.wait_for_state(array, "FAILED")
    assert slurm.given(array)[2] in {"0", "1"}
    for task in range(3):
        assert "was built for the CPU only: put a Caffe built with CUDA on the" in log(place, task)


# ---- a study whose cells depend on each other ---------------------------------------------------


def test_a_study_comes_to_the_same_in_the_queue_as_without_one(
    slurm: Slurm, tmp_path: Path
) -> None:
    """And what depends on a cell that fails is taken from the queue."""
    local = Place(tmp_path / "local", 600)
    two_classes_each(local.folder / "two", ("noun", "adj"), each=5)
    broken = 'networks.broken = { variant = "x0", start = "fillers", base-lr = 1e6 }\n'
    after = 'networks.after = { variant = "x0", start = "broken", seeds = 1 }\n'
    text = study(PAIRED, 'start = "trunk"', broken + after)
    (local.folder / "study.toml").write_text(text)
    queued = Place(Path(shutil.copytree(local.folder, tmp_path / "queued")), 600)
    words = ("--on", "slurm", "--folder", str(queued.folder), "--memory", "1")
    printed = queued.netgen("study", "plan", "study.toml", *words)
    (queued.folder / "two.sh").write_text(printed.stdout)
    slurm.ask("bash", "two.sh", cwd=queued.folder)
    slurm.wait(lambda: not slurm.ask("squeue", "--noheader"))
    states = dict(
        line.split("|")
        for line in slurm.ask("squeue", "--noheader", "--states=all", "--format=%j|%T").splitlines()
        if line.startswith("netgen-")
    )
    assert states.pop("netgen-after-1") == "CANCELLED"
    assert {states.pop(f"netgen-broken-{seed}") for seed in (1, 2)} == {"FAILED"}
    assert set(states.values()) == {"COMPLETED"}
    assert local.netgen("study", "run", "study.toml").returncode == 1
    found = [_reported(place) for place in (local, queued)]
    assert found[0] == found[1]
    assert set(found[0]) == {"trunk-7", "x0-1", "x0-2", "xs-1", "xs-2"}


def _reported(place: Place) -> dict[str, object]:
    """The counts of every cell in a study's report."""
    done = place.netgen("study", "report", "study.toml")
    assert done.returncode == 0, done.stdout
    cells = json.loads((place.folder / "results.json").read_text())["cells"]
    return {cell["name"]: (cell["tasks"], cell["curves"]) for cell in cells}


# ---- jobs that are stopped ----------------------------------------------------------------------


def begin(slurm: Slurm, place: Place, file: Path, *options: str) -> str:
    """Submit an array; return its number when each of its trainings has written a snapshot."""
    array = slurm.sbatch(file, *options)
    names = file.read_text().split("cells=(")[1].split(")")[0].split()
    slurm.wait(lambda: all(_snapshots(place, name) for name in names))
    return array


def _snapshots(place: Place, variant: str) -> set[int]:
    found = (place.folder / "runs" / variant / "snapshots").glob("*.json")
    return {int(path.stem.rpartition("_")[2]) for path in found}


def goes_on(slurm: Slurm, place: Place, variant: str, last: int) -> None:
    """Wait until a training is past an iteration."""
    slurm.wait(lambda: max(_snapshots(place, variant), default=0) > last)


def test_at_the_time_limit_a_job_leaves_a_snapshot_and_the_next_sbatch_goes_on(
    slurm: Slurm, tmp_path: Path
) -> None:
    place = long_training(tmp_path, "xs")
    file = script(place, "--solver-mode", "cpu", "--only", "xs")
    array = begin(slurm, place, file, "--time=3")  # minutes; the signal is two before that
    slurm.wait_for_state(array, "FAILED")
    assert slurm.details(array, 0)["ExitCode"] == "143:0"
    stopped = end_of(place, "xs")
    assert stopped["why"] == "stopped"
    last = max(_snapshots(place, "xs"))
    assert last == stopped["iteration"]
    again = slurm.sbatch(file)
    goes_on(slurm, place, "xs", last)
    assert f"runs/xs: resuming from iteration {last:,}" in log(place, 0)
    slurm.ask("scancel", again)
    slurm.wait_for_state(again, "CANCELLED")


@pytest.mark.parametrize(
    ("words", "state"), [((), "CANCELLED"), (("--batch", "--signal=TERM"), "FAILED")]
)
def test_scancel_leaves_a_snapshot(
    slurm: Slurm, tmp_path: Path, words: tuple[str, ...], state: str
) -> None:
    """Within KillWait; where it only sends a signal, in as much time as the job needs."""
    place = long_training(tmp_path, "xs")
    array = begin(slurm, place, script(place, "--solver-mode", "cpu", "--only", "xs"))
    slurm.ask("scancel", *words, array)
    slurm.wait_for_state(array, state)
    stopped = end_of(place, "xs")
    assert stopped["why"] == "stopped"
    assert max(_snapshots(place, "xs")) == stopped["iteration"]


def test_after_scancel_a_job_has_half_a_minute_not_the_two_of_the_time_limit(
    slurm: Slurm, tmp_path: Path
) -> None:
    stubborn = tmp_path / "stubborn.sh"
    stubborn.write_text(
        "#!/bin/bash\n#SBATCH --array=0\n#SBATCH --mem=1G\n"
        "trap '' TERM\nwhile true; do date +%s.%N >now && mv now alive; sleep 0.2; done\n"
    )
    array, alive = slurm.sbatch(stubborn), tmp_path / "alive"
    slurm.wait(alive.exists)
    cancelled = time.time()
    slurm.ask("scancel", array)
    slurm.wait_for_state(array, "CANCELLED")
    assert KILL_WAIT - 2 < float(alive.read_text()) - cancelled < KILL_WAIT + SHORT


def test_a_requeued_task_resumes_and_the_others_do_not_notice(slurm: Slurm, tmp_path: Path) -> None:
    """The last task of an array has the array's own number, which alone means all of its tasks."""
    place = long_training(tmp_path, "x0", "xs")
    file = script(place, "--solver-mode", "cpu", "--only", "x0", "--only", "xs")
    array = begin(slurm, place, file)
    assert slurm.tasks(array)[1].job == array
    slurm.ask("scontrol", "requeue", f"{array}_1")
    slurm.wait(lambda: slurm.tasks(array)[1].reason == "BeginTime")  # in two minutes
    last = max(_snapshots(place, "xs"))
    assert last == end_of(place, "xs")["iteration"]
    slurm.ask("scontrol", "update", f"JobId={array}_1", "StartTime=now")
    goes_on(slurm, place, "xs", last)
    assert f"runs/xs: resuming from iteration {last:,}" in log(place, 1)
    restarts = [slurm.details(array, index)["Restarts"] for index in (0, 1)]
    assert restarts == ["0", "1"]
    assert "resuming" not in log(place, 0)
    slurm.ask("scontrol", "requeue", array)
    slurm.wait(lambda: {task.state for task in slurm.tasks(array).values()} == {"PENDING"})
    slurm.ask("scancel", array)
    slurm.wait_for_state(array, "CANCELLED")


# ---- nodes that disappear -----------------------------------------------------------------------


def test_a_job_whose_node_dies_is_queued_again_and_a_second_one_for_its_row_is_refused(
    slurm: Slurm, tmp_path: Path
) -> None:
    place = long_training(tmp_path, "xs")
    file = script(place, "--solver-mode", "cpu", "--only", "xs")
    array = begin(slurm, place, file)
    slurm.kill_node(jobs=True)
    last = max(_snapshots(place, "xs"))
    slurm.wait(lambda: slurm.node() == "down*")
    slurm.wait(lambda: slurm.tasks(array)[0].reason == "BeginTime")
    assert slurm.tasks(array)[0].state == "PENDING"
    hasty = slurm.sbatch(file)
    assert slurm.tasks(hasty)[0].state == "PENDING"
    slurm.start_node()
    slurm.wait_for_state(hasty, "RUNNING")
    goes_on(slurm, place, "xs", last)
    assert f"runs/xs: resuming from iteration {last:,}" in log(place, 0)
    slurm.ask("scontrol", "update", f"JobId={array}_0", "StartTime=now")
    slurm.wait_for_state(array, "FAILED")
    assert "another netgen is making xs: wait until it ends" in log(place, 0)
    assert slurm.tasks(hasty)[0].state == "RUNNING"
    slurm.ask("scancel", hasty)
    slurm.wait_for_state(hasty, "CANCELLED")


def test_a_node_that_was_only_cut_off_ends_its_job_when_it_is_back_and_that_resumes(
    slurm: Slurm, tmp_path: Path
) -> None:
    place = long_training(tmp_path, "xs")
    array = begin(slurm, place, script(place, "--solver-mode", "cpu", "--only", "xs"))
    slurm.kill_node(jobs=False)
    slurm.wait(lambda: slurm.node() == "down*")
    slurm.wait(lambda: slurm.tasks(array)[0].state == "PENDING")
    goes_on(slurm, place, "xs", max(_snapshots(place, "xs")))  # although the queue has it waiting
    slurm.start_node()
    slurm.wait(lambda: not any("netgen" in line for line in slurm.processes().values()))
    last = max(_snapshots(place, "xs"))
    slurm.wait(lambda: slurm.tasks(array)[0].reason == "BeginTime")
    slurm.ask("scontrol", "update", f"JobId={array}_0", "StartTime=now")
    goes_on(slurm, place, "xs", last)
    assert f"runs/xs: resuming from iteration {last:,}" in log(place, 0)
    slurm.ask("scancel", array)
    slurm.wait_for_state(array, "CANCELLED")
