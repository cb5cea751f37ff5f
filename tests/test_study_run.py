"""A study's cells run: two tasks and five, killed and resumed, failing, refused."""

from __future__ import annotations

import json
import os
import re
import select
import signal
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from support.once import Once
from support.studies import PAIRED, study, two_classes_each
from support.training import Place, kill, wait_for

from netgen.caffe.caffemodel import read_weights
from netgen.commands.cli import main
from netgen.evaluation.results import read_result
from netgen.pipeline.running import begun
from netgen.pipeline.running.records import read_results
from netgen.pipeline.study.study_plan import plan_study
from netgen.pipeline.study.study_reading import committed
from netgen.training.run_folder import locked

TWO, FIVE = ("noun", "adj"), ("a", "b", "c", "d", "e")
GRID = """
name = "five"
solver-mode = "cpu"
datasets.many = { file = "five/made/dataset.toml" }
networks.xs = { variant = "xs" }
networks.bad = { variant = "xs", axes = [], moving-average = 0.9, start = "broken" }
networks.broken = { variant = "x0", axes = [], base-lr = 1e6 }
axes.rate = { low = { base-lr = 0.001 }, high = { base-lr = 0.1 } }
"""


@pytest.fixture(scope="module")
def place(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with two datasets, and two studies of them that have been run."""
    return Place(once("studies", lambda: _run(tmp_path_factory.mktemp("studies"))), 600)


def _run(folder: Path) -> Path:
    two_classes_each(folder / "two", TWO, each=5)
    two_classes_each(folder / "five", FIVE, each=1)
    (folder / "two/study.toml").write_text(study(PAIRED, 'start = "trunk"'))
    (folder / "five/study.toml").write_text(study(GRID))
    place = Place(folder, 600)
    for name in ("two", "five"):
        done = place.netgen("study", "run", f"{name}/study.toml")
        (folder / f"{name}.txt").write_text(f"{done.returncode}\n{done.stdout}")
    return folder


def said(place: Place, name: str) -> str:
    return (place.folder / f"{name}.txt").read_text()


def weights(cell: Path) -> dict[str, NDArray[np.floating]]:
    """Return the first blob of each layer that was trained last in a cell's folder."""
    last = max((cell / "runs").glob("*/snapshots/*.caffemodel"), key=lambda f: f.stat().st_mtime)
    return {layer.name: layer.blobs[0] for layer in read_weights(last)}


# ---- two tasks, and five ------------------------------------------------------------------------


def test_a_study_of_two_tasks_is_run_and_reported(place: Place) -> None:
    assert said(place, "two").startswith("0\n"), said(place, "two")
    results = read_results(place.folder / "two/results.json")
    names = {cell.name for cell in results.cells}
    assert names == {"trunk-7", "x0-1", "x0-2", "xs-1", "xs-2"}
    assert all(set(c.tasks) == set(TWO) for c in results.cells if c.network != "trunk")
    page = (place.folder / "two/README.md").read_text()
    assert "cross weights help" in page
    assert "xs - without" in page
    assert "1 comparisons" not in page
    for picture in re.findall(r"\((\w+\.png)\)", page):
        assert (place.folder / "two" / picture).stat().st_size > 5_000
    assert "netgen study run two/study.toml --only CELL --work runs/CELL\n" in page
    for cell in results.cells:
        assert f"\n| {cell.name} | " in page


def test_what_goes_on_inside_is_kept_of_every_snapshot_and_reported(place: Place) -> None:
    results = read_results(place.folder / "two/results.json")
    for cell in results.cells:
        crossed = cell.network == "xs"
        reported = cell.network != "trunk"
        assert bool(cell.sums) == reported
        assert all(bool(each.cross) == crossed for each in cell.sums)
        assert bool(cell.history) == crossed
        for points in cell.history.values():
            assert [point.iteration for point in points] == [0, 2, 4]
            assert points[0].magnitude != points[-1].magnitude
    page = (place.folder / "two/README.md").read_text()
    assert page.index("## The answer") < page.index("| command |") < page.index("cross-weights.png")
    assert "| without | res5b |" in page


def test_a_cells_counts_are_those_of_netgen_eval(place: Place) -> None:
    for cell in read_results(place.folder / "two/results.json").cells:
        [file] = (place.folder / f"runs/two/cells/{cell.name}/results").glob("*.json")
        for task in read_result(file).tasks:
            assert cell.tasks[task.name].top1 == task.accuracy.top1.correct
            assert cell.tasks[task.name].total == task.accuracy.top1.total


def test_seeds_differ_in_what_the_study_says_and_networks_of_a_seed_do_not(place: Place) -> None:
    data = place.folder / "runs/two/data"
    one, two = ((data / f"things-{seed}/records.csv").read_text() for seed in (1, 2))
    tested = [
        {line for line in text.splitlines() if line.startswith('"test"')} for text in (one, two)
    ]
    assert tested[0] != tested[1]
    logs = place.folder / "runs/two/logs"
    for network in ("x0", "xs"):
        built = (logs / f"{network}-1.log").read_text()
        assert "--random-seed 1" in built
        assert "--from runs/two/cells/trunk-7/runs/resnet50-noun --seed 1" in built
        assert "runs/two/data/things-1" in built
    printed = place.netgen("study", "plan", "two/study.toml", "--only", "xs-1").stdout
    assert "# xs-1, after data-things-1-share0.75, trunk-7\n# done: netgen build" in printed


def test_a_study_of_five_tasks_has_a_cell_for_each_label_of_its_axis(place: Place) -> None:
    assert not (place.folder / "five/results.json").exists()  # a cell failed: only if one asks
    done = place.netgen("study", "report", "five/study.toml", "--out", "report")
    assert done.returncode == 0, done.stdout
    cells = {cell.name: cell for cell in read_results(place.folder / "report/results.json").cells}
    assert {"xs-low-1", "xs-high-1"} <= set(cells)
    assert set(cells["xs-low-1"].tasks) == set(FIVE)
    page = (place.folder / "report/README.md").read_text()
    assert "## Rate low" in page
    assert "## Rate high" in page


def test_a_cell_that_fails_is_told_and_stops_only_what_depends_on_it(place: Place) -> None:
    """At a rate of a million the loss is no number, and the training stops."""
    text = said(place, "five")
    assert text.startswith("1\n"), text
    assert "`netgen train" in text
    assert "broken-1 failed" in text
    assert "not begun, since they depend on it: bad-1" in " ".join(text.split())
    assert (place.folder / "runs/five/cells/xs-high-1/results/xs.json").exists()
    status = place.netgen("study", "status", "five/study.toml").stdout
    assert re.search(r"xs-low-1 +done", status)
    assert re.search(r"broken-1 +failed: ", status)
    assert re.search(r"bad-1 +after broken-1", status)


def test_where_the_study_says_so_a_training_that_diverged_counts_as_classifying_nothing(
    place: Place, tmp_path: Path
) -> None:
    """In a map over rates, what breaks down is an answer: without it the map is never finished."""
    file, work = tmp_path / "study.toml", ("--work", str(tmp_path / "work"))
    grid = GRID.replace('start = "broken"', 'start = "fillers"')
    text = f'diverged = "counts"{grid}'
    file.write_text(study(text))
    done = place.netgen("study", "run", str(file), *work, "--only", "b*")
    assert done.returncode == 0, done.stdout
    assert re.search(r"broken-1: diverged at iteration \d: the loss is ", done.stdout)
    assert place.netgen("study", "report", str(file), *work).returncode == 0
    [bad, broken] = read_results(tmp_path / "results.json").cells
    assert broken.name == "broken-1"
    assert set(broken.tasks) == set(bad.tasks)
    assert {count.top5 for count in broken.tasks.values()} == {0}
    assert {task: c.total for task, c in broken.tasks.items()} == {
        task: c.total for task, c in bad.tasks.items()
    }
    page = (tmp_path / "README.md").read_text()
    assert re.search(r"\| diverged \| broken-1 \(at iteration \d: .* count as classifying no", page)
    status = place.netgen("study", "status", str(file), *work, "--only", "b*")
    assert re.search(r"broken-1 +done: diverged at iteration", status.stdout)
    log = tmp_path / "work/logs/broken-1.log"
    before = log.read_bytes()
    again = place.netgen("study", "run", str(file), *work, "--resume", "--only", "b*")
    assert again.returncode == 0, again.stdout
    assert log.read_bytes() == before


def test_a_training_that_others_start_from_fails_where_it_diverges() -> None:
    cells = plan_study(committed("map")).cells.values()
    failing = {c.trained.network for c in cells if c.trained and not c.trained.may_diverge}
    assert failing == {"trunk-letters", "trunk-conditions"}


def test_resuming_repeats_nothing_that_is_done(place: Place) -> None:
    logs = {file: file.stat().st_mtime_ns for file in (place.folder / "runs/two").rglob("*.log")}
    done = place.netgen("study", "run", "two/study.toml", "--resume", "--out", "again")
    assert done.returncode == 0, done.stdout
    assert {file: file.stat().st_mtime_ns for file in logs} == logs
    before = read_results(place.folder / "two/results.json")
    assert read_results(place.folder / "again/results.json").cells == before.cells


def test_a_study_made_in_parts_has_the_same_report(place: Place, tmp_path: Path) -> None:
    """As by two machines: each makes what matches its words, and its trunk and databases."""
    parts: list[Path] = []
    for part in ("x0-*", "xs-?"):
        work, out = str(tmp_path / part[:2]), tmp_path / f"{part[:2]}-report"
        done = place.netgen("study", "run", "two/study.toml", "--only", part, "--work", work)
        assert done.returncode == 0, done.stdout
        also = [word for other in parts for word in ("--also", str(other / "results.json"))]
        report = ("study", "report", "two/study.toml", "--work", work, "--out", str(out), *also)
        done = place.netgen(*report)
        assert done.returncode == 0, done.stdout
        parts.append(out)
    whole, together = (read_results(f / "results.json") for f in (place.folder / "two", parts[-1]))
    assert [(c.name, c.tasks) for c in together.cells] == [(c.name, c.tasks) for c in whole.cells]
    assert together.seconds > read_results(parts[0] / "results.json").seconds
    assert together.jobs == whole.jobs
    assert "cross weights help" in (parts[-1] / "README.md").read_text()


# ---- killed -------------------------------------------------------------------------------------


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started, and theirs, oldest first."""
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            yield child
            yield from descendants(child)


def commands(pid: int) -> dict[str, int]:
    """The training's process and Caffe's, among the descendants of a runner."""
    found = {}
    for child in descendants(pid):
        line = Path(f"/proc/{child}/cmdline").read_bytes()
        if b"as_child" in line and b"\0train\0" in line:
            found["command"] = child
        elif b"spawn_main" in line:
            found["caffe"] = child
    return found


def test_a_killed_study_leaves_no_process_and_goes_on_to_the_same_bits(
    place: Place, tmp_path: Path
) -> None:
    """The runner, the command and Caffe's process are killed, in turn, while a network trains."""
    words = ("study", "run", "long.toml", "--only", "x0-1")
    paired = PAIRED.replace('"order", "split", ', "")
    text = study(paired, 'start = "fillers"').replace(
        "iterations = 4\ntests = 2\nsnapshots = 2", LONG
    )
    (place.folder / "long.toml").write_text(text)
    whole = place.netgen(*words, "--work", str(tmp_path / "whole"))
    assert whole.returncode == 0, whole.stdout
    work = tmp_path / "work"
    snapshots = work / "cells/x0-1/runs/x0/snapshots"
    for victim in ("runner", "command", "caffe"):
        resumed = ("--resume",) if victim != "runner" else ()
        before = set(snapshots.glob("*.json"))
        process = place.start(*words, "--work", str(work), *resumed)
        wait_for(partial(_new, snapshots, before), process)
        tree = {"runner": process.pid, **commands(process.pid)}
        pids = [os.pidfd_open(pid) for pid in (process.pid, *descendants(process.pid))]
        assert {"command", "caffe"} <= set(tree)
        kill(tree[victim])
        text, _ = process.communicate(timeout=120)  # ends when all have closed the pipe
        wait_for_ends(pids)
        assert process.returncode == (-signal.SIGKILL if victim == "runner" else 1), text
        assert not (work / "cells/x0-1/results/x0.json").exists()
    done = place.netgen(*words, "--work", str(work), "--resume")
    assert done.returncode == 0, done.stdout
    first, again = (weights(of / "cells/x0-1") for of in (tmp_path / "whole", work))
    assert first.keys() == again.keys()
    assert all(np.array_equal(blob, again[name]) for name, blob in first.items())


def _new(snapshots: Path, before: set[Path]) -> set[Path]:
    return set(snapshots.glob("*.json")) - before


LONG = "iterations = 120\ntests = 2\nsnapshots = 20"


def wait_for_ends(processes: Iterable[int]) -> None:
    """Wait until processes have ended, given by descriptors that they had while they ran."""
    for process in processes:
        assert select.select([process], [], [], 120)[0]
        os.close(process)


def test_an_interrupted_study_says_how_to_go_on(place: Place, tmp_path: Path) -> None:
    work = tmp_path / "work"
    process = place.start("study", "run", "two/study.toml", "--work", str(work))
    wait_for((work / "logs/trunk-7.log").exists, process)
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped. Next: the same command with --resume goes on" in text
    assert "Traceback" not in text
    assert not list((work / "logs").glob("*.failed"))


# ---- refused ------------------------------------------------------------------------------------


def refused(*words: str, word: str = "run") -> str:
    """Run a study in this process, which has to be refused with one message; return that.

    `word` is another command of studies.
    """
    begun.checksums.cache_clear()  # one process runs one study
    done = CliRunner().invoke(main, ["study", word, *words])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert done.output.count("Error:") == 1, done.output
    return " ".join(done.output.split())


def test_what_was_begun_otherwise_is_refused_and_nothing_is_lost(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    before = (place.folder / "runs/two/records/xs-1.json").read_bytes()
    assert "a study is there already: resume it" in refused("two/study.toml")
    assert "no study to resume" in refused("two/study.toml", "--resume", "--work", "new")
    changed = refused("two/study.toml", "--resume", "--iterations", "6")
    assert "was begun in runs/two with other settings (iterations 4, now 6)" in changed
    other = place.folder / "other.toml"
    other.write_text(study(PAIRED, 'start = "fillers"', 'work = "runs/two"'))
    assert "(start trunk, now fillers)" in refused("other.toml", "--resume")
    data = place.folder / "two/made/records.csv"
    whole = data.read_bytes()
    data.write_bytes(whole + b"\n")
    try:
        assert "has changed since" in refused("two/study.toml", "--resume")
    finally:
        data.write_bytes(whole)
    stray = tmp_path / "work/cells/x0-1/results/x0.json"
    stray.parent.mkdir(parents=True)
    stray.write_bytes((place.folder / "runs/two/cells/x0-1/results/x0.json").read_bytes())
    assert "a result of another study" in refused(
        "two/study.toml", "--work", str(tmp_path / "work")
    )
    assert (place.folder / "runs/two/records/xs-1.json").read_bytes() == before
    assert not (place.folder / "new").exists()


def test_what_was_made_of_another_study_is_not_reported_planned_or_shown_as_this_ones(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    out = tmp_path / "out"
    again = "give those again, or name another folder (--work)"
    for word in ("plan", "status", "report"):
        where = ("--out", str(out)) if word == "report" else ()
        said = refused("two/study.toml", "--iterations", "6", *where, word=word)
        assert f"was begun in runs/two with other settings (iterations 4, now 6): {again}" in said
    edited = place.folder / "edited.toml"
    edited.write_text(study(PAIRED, 'start = "trunk"\nbase-lr = 0.5'))
    said = refused("edited.toml", "--out", str(out), word="report")
    assert "(base-lr not given, now 0.5)" in said
    assert not out.exists()


def test_a_report_is_written_again_where_the_images_are_no_longer(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    begun.checksums.cache_clear()
    made, away = place.folder / "two/made", place.folder / "two/away"
    made.rename(away)
    try:
        words = ["study", "report", "two/study.toml", "--out", str(tmp_path)]
        done = CliRunner().invoke(main, words)
    finally:
        away.rename(made)
        begun.checksums.cache_clear()
    assert done.exit_code == 0, done.output
    before = read_results(place.folder / "two/results.json")
    assert read_results(tmp_path / "results.json").cells == before.cells


def test_results_that_cannot_be_of_the_same_study_are_not_added(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    results = json.loads((place.folder / "two/results.json").read_text())
    file = tmp_path / "results.json"

    def refusal(**changed: object) -> str:
        file.write_text(json.dumps(results | changed))
        words = ("study", "report", "two/study.toml", "--out", str(tmp_path / "out"))
        done = place.netgen(*words, "--also", str(file))
        assert done.returncode == 1, done.stdout
        assert not (tmp_path / "out").exists()
        return " ".join(done.stdout.split())

    assert "results of the study 'other', not 'two'" in refusal(study="other")
    first, *others = results["cells"]
    strange = [first | {"name": "xt-1", "network": "xt"}, *others]
    assert "has a cell 'xt-1', which the study lacks" in refusal(cells=strange)
    longer = [first | {"settings": first["settings"] | {"iterations": 5}}, *others]
    assert "was made with other settings than the study's (iterations)" in refusal(cells=longer)
    things = results["datasets"]["things"]
    others_images = {"things": things | {"data": {"dataset.toml": "0" * 64}}}
    assert "made of another dataset 'things'" in refusal(datasets=others_images)
    assert refusal(cells=1).count("Error:") == 1
    file.write_bytes((place.folder / "runs/two/cells/xs-1/results/xs.json").read_bytes())
    of_eval = f"{file}: one network's result, of `netgen eval`: name a results.json, which"
    assert of_eval in refused("two/study.toml", "--also", str(file), word="report")


def test_a_readme_of_ones_own_is_not_replaced_by_the_report(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    mine = tmp_path / "README.md"
    mine.write_text("mine")
    words = ("two/study.toml", "--work", str(tmp_path / "new"), "--out", str(tmp_path))
    assert "not a report of a study" in refused(*words)
    assert not (tmp_path / "new").exists()
    done = place.netgen("study", "report", "two/study.toml", "--out", str(tmp_path))
    assert done.returncode == 1, done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]
    assert mine.read_text() == "mine"


def test_a_second_runner_of_the_same_cells_is_refused(place: Place, tmp_path: Path) -> None:
    words = ("study", "run", "two/study.toml", "--only", "trunk-7", "--work", str(tmp_path))
    (tmp_path / "locks").mkdir()
    with locked(tmp_path / "locks/trunk-7"):  # as a runner holds it
        done = place.netgen(*words)
    assert done.returncode == 1
    said = f"another netgen is making trunk-7: wait until it ends (process {os.getpid()})"
    assert said in done.stdout
    assert not (tmp_path / "data").exists()


def test_networks_that_cannot_be_built_are_told_before_anything_runs(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)

    def wrong(text: str) -> str:
        Path("wrong.toml").write_text(text)
        said = refused("wrong.toml", "--work", "wrong")
        assert not Path("wrong").exists()
        return said

    ordinary = study(PAIRED, 'start = "fillers"')
    assert "networks.x0: unknown variant 'xz'" in wrong(ordinary.replace('"x0", t', '"xz", t'))
    noun = ordinary.replace('"resnet50-noun"', '"resnet50-verb"')
    assert "unknown variant 'resnet50-verb': choose from" in wrong(noun)
    assert "networks.xs: unknown reading" in wrong(ordinary.replace("normalization=", "norm="))
    assert "not there: two/made/nowhere.toml" in wrong(ordinary.replace("dataset.t", "nowhere.t"))
    one = place.folder / "two/made/one.toml"
    toml = (place.folder / "two/made/dataset.toml").read_text()
    one.write_text(toml.replace("classes = 2", "classes = 1"))
    assert "one.toml:2: tasks[0].classes: Expected `int` >= 2" in wrong(
        ordinary.replace("dataset.t", "one.t")
    )


def test_a_full_disk_fails_a_cell_and_with_space_again_it_goes_on(
    place: Place, tmp_path: Path
) -> None:
    """/dev/full has no space, ever."""
    log = tmp_path / "logs/data-things-7.log"
    log.parent.mkdir()
    log.symlink_to("/dev/full")
    words = ("study", "run", "two/study.toml", "--only", "data-things-7", "--work", str(tmp_path))
    done = place.netgen(*words)
    assert done.returncode == 1
    assert f"data-things-7 failed: {log}: No space left on device" in done.stdout
    log.unlink()
    assert place.netgen(*words).returncode == 0
    assert (tmp_path / "data/things-7/dataset.toml").exists()
