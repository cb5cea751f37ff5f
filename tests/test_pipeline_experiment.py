"""The experiment in miniature, small: letters of eight faces, a few iterations, real Caffe."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from support.experiment import synthetic
from support.once import Once
from support.training import Place
from support.typefaces import draw

from netgen.caffe.caffemodel import read_weights
from netgen.evaluation.results import read_result
from netgen.pipeline.miniature import COMPARED, TABLE, Cell, named_cells, report_cells
from netgen.pipeline.records import Experiment, read_experiment
from netgen.pipeline.sentences import SentenceVerdict, findings
from netgen.pipeline.statistics import mean

SMALL = ("experiment", "miniature", "--data", "letters", "--iterations", "20")
TIMEOUT = 1200  # seconds for 17 trainings, on a machine that does other things too


@pytest.fixture(scope="module")
def place(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with letters, and a whole experiment of one seed on them."""
    folder = once("experiment", lambda: _whole(tmp_path_factory.mktemp("experiment")))
    return Place(folder, TIMEOUT)


def _whole(folder: Path) -> Path:
    draw(folder / "letters", "abcd", "ABC1")
    words = (*SMALL, "--seeds", "1", "--work", "work", "--out", "report")
    done = Place(folder, TIMEOUT).netgen(*words)
    assert done.returncode == 0, done.stdout
    (folder / "said.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def results(place: Place) -> Experiment:
    return read_experiment(place.folder / "report/results.json")


def weights(cell: Path) -> dict[str, NDArray[np.floating]]:
    """Return the first blob of each layer that was trained in a cell's folder."""
    (last,) = (cell / "run/snapshots").glob("*_iter_20.caffemodel")
    return {layer.name: layer.blobs[0] for layer in read_weights(last)}


def test_every_network_is_trained_with_every_seed_it_should_have(results: Experiment) -> None:
    assert {cell.network for cell in results.cells} == set(COMPARED)
    seeds = {name: [c.seed for c in report_cells(5) if c.network == name] for name in COMPARED}
    assert all(seeds[network.name] == [1, 2, 3, 4, 5] for network in TABLE)
    assert all(of[:3] == [1, 2, 3] for of in seeds.values())


def test_a_cells_counts_are_those_of_netgen_eval(place: Place, results: Experiment) -> None:
    for cell in results.cells:
        found = read_result(place.folder / f"work/cells/{cell.name}/result.json")
        for task in found.tasks:
            assert cell.tasks[task.name].top1 == task.accuracy.top1.correct
            assert cell.tasks[task.name].total == found.records == 4 * 8


def test_all_networks_of_a_seed_start_from_the_same_trunk(place: Place) -> None:
    said = {
        cell: (place.folder / f"work/cells/{cell}/commands.log").read_text()
        for cell in ("resnet50-noun-1", "x0-1", "x1-1", "xs-1", "xs-convolution-1")
    }
    sources = {re.findall(r"netgen init .*--from (\S+)", text)[0] for text in said.values()}
    assert sources == {"work/trunk/run/snapshots/resnet50-character_iter_27.caffemodel"}
    build = r"netgen build .*(--width.*--display 20)"
    recipes = {re.findall(build, text)[0] for text in said.values()}
    assert len(recipes) == 1


def test_frozen_towers_start_from_x0_and_stay_as_they_were(place: Place) -> None:
    cells = place.folder / "work/cells"
    before, after = weights(cells / "x0-1"), weights(cells / "xs-frozen-1")
    moved = {name for name, blob in before.items() if not np.array_equal(blob, after[name])}
    assert moved == {"fc_noun", "fc_adj", "fc_anp"}
    assert any(name.startswith("cross") for name in after)


def test_the_report_has_every_sentence_every_cell_and_its_pictures(
    place: Place, results: Experiment
) -> None:
    page = (place.folder / "report/README.md").read_text()
    for finding in findings(results):
        assert finding.claim.quote in page
    for cell in results.cells:
        assert f"--only {cell.name} --work runs/{cell.name}`" in page
    for picture in re.findall(r"\((\w+\.png)\)", page):
        assert (place.folder / "report" / picture).stat().st_size > 5_000
    assert "With one seed there are no intervals" in page
    assert results.commits[0] in page
    assert len(results.commits) == 1


def test_a_doubted_cell_is_repeated_to_the_same_counts_even_when_killed(
    place: Place, tmp_path: Path
) -> None:
    """Killed with nothing said, all at once, while it trains; weights agree to the bit."""
    words = (*SMALL, "--only", "xs-1", "--work", str(tmp_path / "work"), "--out", "report")
    process = place.start(*words)
    journal = tmp_path / "work/cells/xs-1/run/log.jsonl"
    while not journal.exists() and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    _wait_for_lock(journal.with_name("lock"))
    done = place.netgen(*words, "--resume")
    assert done.returncode == 0, done.stdout
    assert "xs-1: the same counts as in report/results.json" in done.stdout
    again, first = (weights(of / "cells/xs-1") for of in (tmp_path / "work", place.folder / "work"))
    assert all(np.array_equal(blob, first[name]) for name, blob in again.items())
    assert len(again) == len(first) == 131


def _wait_for_lock(lock: Path) -> None:
    """Wait until a training has heard that its parent is gone, and has stopped."""
    import fcntl

    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def test_an_interrupted_experiment_says_how_to_go_on(place: Place, tmp_path: Path) -> None:
    words = (*SMALL, "--only", "x0-2", "--work", str(tmp_path / "work"))
    process = place.start(*words)
    while not (tmp_path / "work/trunk/run/log.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "resume with the same command and --resume" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--work", "work"), "an experiment is there already: resume it (--resume)"),
        (("--work", "new", "--resume"), "no experiment to resume"),
        (
            ("--work", "work", "--resume", "--iterations", "30"),
            "started with other settings (--iterations)",
        ),
        (("--work", "new", "--data", "nowhere"), "examples/typefaces/make.py --out nowhere"),
        (("--work", "new", "--only", "x2-1"), "'x2-1' is not a cell: write NETWORK-SEED"),
        (("--work", "new", "--only", "xs-0"), "'xs-0' is not a cell"),
        (("--work", "new", "--only", "xs-1", "--choose"), "--only and --choose exclude"),
        (("--work", "new", "--seeds", "0"), "Invalid value for '--seeds'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_next_step(
    place: Place, words: tuple[str, ...], message: str
) -> None:
    done = place.netgen("experiment", "miniature", "--data", "letters", *words)
    assert done.returncode != 0
    assert message in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout
    assert not (place.folder / "new").exists()


def test_a_failed_command_is_told_with_its_own_words(place: Place, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "cells/xs-1").mkdir(parents=True)
    (work / "cells/xs-1/models").write_text("in the way")
    done = place.netgen(*SMALL, "--only", "xs-1", "--work", str(work))
    assert done.returncode == 1
    assert "netgen build --variant xs" in done.stdout
    assert "a part of the path is a file" in done.stdout


# ---- what follows from numbers -----------------------------------------------------------------

PAPER: dict[str, tuple[float, ...]] = {
    "resnet50": (60, 50, 40),
    "x0": (58, 48, 36),
    "x1": (40, 30, 20),
    "xs": (61, 51, 41),
}


def _verdicts(
    accuracies: dict[str, tuple[float, ...]], spread: float = 0.1
) -> dict[str, SentenceVerdict]:
    return {f.claim.id: f.verdict for f in findings(synthetic(accuracies, spread))}


def test_the_papers_own_order_is_seen_in_full() -> None:
    assert set(_verdicts(PAPER).values()) == {SentenceVerdict.SEEN}


@pytest.mark.parametrize(
    ("changed", "claims"),
    [
        ({"x1": (57, 47, 35)}, {"x1-drops"}),
        ({"x0": (60.5, 50.5, 40.5)}, {"x0-below-single"}),
        (
            {"xs": (57, 47, 35)},
            {"xs-above-x0", "xs-above-single", "three-networks", "gain-largest"},
        ),
        ({"xs": (59.5, 49.5, 39.5)}, {"xs-above-single"}),
    ],
)
def test_what_is_the_other_way_round_is_not_seen(
    changed: dict[str, tuple[float, ...]], claims: set[str]
) -> None:
    verdicts = _verdicts(PAPER | changed)
    assert {name for name, of in verdicts.items() if of is SentenceVerdict.NOT_SEEN} == claims


def test_what_the_seeds_disagree_on_is_undecided() -> None:
    assert _verdicts(PAPER, spread=30)["xs-above-x0"] is SentenceVerdict.UNDECIDED


def test_one_seed_decides_nothing(results: Experiment) -> None:
    assert {finding.verdict for finding in findings(results)} == {SentenceVerdict.UNDECIDED}


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=9), st.floats(-50, 50))
def test_an_interval_moves_with_its_values_and_holds_their_mean(
    values: list[float], shift: float
) -> None:
    here, there = mean(values), mean([value + shift for value in values])
    assert here.low is not None
    assert here.high is not None
    assert here.low <= here.value <= here.high
    assert there.low == pytest.approx(here.low + shift, abs=1e-6)
    assert there.value == pytest.approx(here.value + shift, abs=1e-6)


def test_an_interval_is_students() -> None:
    """Gosset's own example: ten patients' hours of sleep gained by one drug over another."""
    hours = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = mean(hours)
    assert found.value == pytest.approx(1.58)
    assert found.p == pytest.approx(0.00283, abs=1e-5)
    assert found.low == pytest.approx(0.70, abs=0.005)
    assert found.high == pytest.approx(2.46, abs=0.005)
    assert found.p == pytest.approx(stats.ttest_rel(hours, [0.0] * 10).pvalue)


def test_cells_have_names_that_the_command_line_takes() -> None:
    every = report_cells(5)
    assert named_cells([cell.name for cell in every]) == every
    assert named_cells(["xs-convolution-2"]) == [Cell("xs-convolution", 2)]
