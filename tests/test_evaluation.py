"""`netgen eval`: every test image once, as Caffe's own test counts, with either engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Told
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest
from support.evaluation import scores_of
from support.once import Once
from support.trained_network import TEST, Trained, caffes_own_test

from netgen.commands.cli import main
from netgen.evaluation.composition import NONE, baselines, finest
from netgen.evaluation.evaluate import EvaluationRequest, evaluate
from netgen.evaluation.labels import labels_of
from netgen.evaluation.results import Result, accuracy, proportion, read_result
from netgen.evaluation.scoring import ENGINES, EngineName
from netgen.evaluation.tally import Hits, Tally, first, near, ranks, top
from netgen.network.variants import find

SCORES = arrays(np.float32, (7, 6), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0]))


def request_of(
    trained: Trained, engine: EngineName = "opencv", batch: int = 24
) -> EvaluationRequest:
    data = trained.dataset
    variant = find("xs", [task.name for task in data.tasks])
    return EvaluationRequest(variant, data, trained.network, trained.weights, engine, batch=batch)


def netgen_eval(*words: object) -> Told:
    return CliRunner().invoke(main, ["eval", *map(str, words)])


@pytest.fixture(scope="module")
def evaluated(once: Once, trained: Trained) -> dict[EngineName, Result]:
    return once(
        "evaluated", lambda: {engine: evaluate(request_of(trained, engine)) for engine in ENGINES}
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_accuracies_are_those_of_caffes_own_test(
    once: Once, trained: Trained, evaluated: dict[EngineName, Result], engine: EngineName
) -> None:
    caffes = once("caffes own test", lambda: caffes_own_test(trained))
    result = evaluated[engine]
    assert result.records == TEST
    for task in result.tasks:
        assert task.accuracy.top1.correct == round(TEST * caffes[f"top1_{task.name}"])
        if task.classes > 5:
            assert task.accuracy.top5.correct == round(TEST * caffes[f"top5_{task.name}"])
    assert result.task("item").accuracy.top1.correct > 0.3 * TEST  # it did learn


@pytest.mark.parametrize("batch", [1, 7, 100, 101, 500])
def test_every_image_counts_once_whatever_the_batch(
    trained: Trained, evaluated: dict[EngineName, Result], batch: int
) -> None:
    seen: list[int] = []
    result = evaluate(request_of(trained, batch=batch), seen.append)
    assert sum(seen) == TEST
    assert len(seen) == -(-TEST // batch)
    assert result == evaluated["opencv"]


@pytest.mark.parametrize("engine", ["opencv", "onnx"])
def test_engines_agree_with_caffe_wherever_the_margin_exceeds_rounding(
    trained: Trained, engine: EngineName
) -> None:
    caffes, others = scores_of(trained, "caffe"), scores_of(trained, engine)
    for task, scores in caffes.items():
        assert scores.shape == (TEST, trained.dataset.task(task).classes)
        close = near(scores, 1)
        assert (first(scores) == first(others[task]))[~close].all()
        np.testing.assert_allclose(scores, others[task], rtol=1e-4, atol=1e-4)


LOAD = """
import os, sys, cv2, onnxruntime
from pathlib import Path
from netgen.evaluation.deployed import read_deployed
from netgen.evaluation.scoring import LOADERS, ScoringJob
threads = lambda: len(os.listdir("/proc/self/task"))
network, weights, *tasks = sys.argv[1:]
deployed = read_deployed(Path(network), tasks)
before = threads()
run = LOADERS["onnx"](ScoringJob(deployed, Path(weights), []))
print(1 + threads() - before)
"""


@pytest.mark.parametrize("threads", ["1", "3"])
def test_onnxruntime_computes_in_as_many_threads_as_caffe(trained: Trained, threads: str) -> None:
    tasks = [task.name for task in trained.dataset.tasks]
    told = subprocess.run(
        [sys.executable, "-c", LOAD, trained.network, trained.weights, *tasks],
        env=os.environ | {"OPENBLAS_NUM_THREADS": threads},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.split() == [threads]


def test_the_result_adds_up(trained: Trained, evaluated: dict[EngineName, Result]) -> None:
    result = evaluated["caffe"]
    labels = labels_of(trained.dataset, "TEST")
    for task in result.tasks:
        right = task.accuracy.top1.correct
        assert [of.total for of in task.of_class] == [
            int((labels[task.name] == index).sum()) for index in range(task.classes)
        ]
        assert sum(of.top1 for of in task.of_class) == right
        assert sum(of.top5 for of in task.of_class) == task.accuracy.top5.correct
        assert sum(one.count for one in task.confusions) == TEST - right
        assert all(one.truth != one.guess for one in task.confusions)
        counts = [one.count for one in task.confusions]
        assert counts == sorted(counts, reverse=True)


def test_the_prior_guesses_the_training_sets_largest_classes(
    trained: Trained, evaluated: dict[EngineName, Result]
) -> None:
    train, test = (labels_of(trained.dataset, phase)["item"] for phase in ("TRAIN", "TEST"))
    counts = np.bincount(train, minlength=10)
    largest = sorted(range(10), key=lambda index: (-counts[index], index))
    prior = evaluated["caffe"].task("item").prior
    assert prior.top1.correct == np.isin(test, largest[:1]).sum()
    assert prior.top5.correct == np.isin(test, largest[:5]).sum()


def test_an_items_score_from_its_family_and_season_is_a_baseline(
    trained: Trained, evaluated: dict[EngineName, Result]
) -> None:
    from data_prep.fashion_mnist import CLASSES, ITEMS

    scores, labels = scores_of(trained, "opencv"), labels_of(trained.dataset, "TEST")
    p = {task: np.exp(of) / np.exp(of).sum(axis=1, keepdims=True) for task, of in scores.items()}
    right = {"item": 0, "family": 0, "season": 0}
    for image in range(TEST):
        composed = [
            p["family"][image, CLASSES["family"].index(family)]
            * p["season"][image, CLASSES["season"].index(season)]
            for _, family, season in ITEMS
        ]
        right["item"] += int(np.argmax(composed) == labels["item"][image])
        for column, task in enumerate(("family", "season"), start=1):
            sums = np.zeros(len(CLASSES[task]))
            for item, row in enumerate(ITEMS):
                sums[CLASSES[task].index(row[column])] += p["item"][image, item]
            right[task] += int(sums.argmax() == labels[task][image])
    derived = {one.task: one for one in evaluated["opencv"].derived}
    assert {task: one.accuracy.top1.correct for task, one in derived.items()} == right
    assert derived["item"].sources == ("family", "season")
    assert derived["season"].sources == ("item",)


def test_tasks_that_do_not_determine_each_other_have_no_baseline() -> None:
    labels = {"noun": np.array([0, 0, 1, 1]), "adj": np.array([0, 1, 0, 1])}
    assert finest(labels, {"noun": 2, "adj": 2}) is None
    assert finest({"noun": labels["noun"]}, {"noun": 2}) is None


def test_a_pair_without_training_images_is_never_composed() -> None:
    labels = {"anp": np.array([0, 1, 3]), "noun": np.array([0, 1, 1]), "adj": np.array([0, 0, 1])}
    fine = finest(labels, {"noun": 2, "adj": 2, "anp": 4})
    assert fine is not None
    assert fine.task == "anp"
    assert fine.parts["noun"].tolist() == [0, 1, NONE, 1]
    (composed,) = baselines({"noun": np.ones((1, 2)), "adj": np.ones((1, 2))}, fine)
    assert top(composed.scores).tolist() == [[0, 1, 3, 2]]


@given(SCORES, st.lists(st.integers(0, 5), min_size=7, max_size=7))
def test_a_rank_is_the_place_in_a_stable_sort(scores: np.ndarray, classes: list[int]) -> None:
    labels = np.array(classes)
    found, order = ranks(scores, labels), top(scores, 6)
    assert [row.tolist().index(label) for row, label in zip(order, classes, strict=True)] == (
        found.place.tolist()
    )
    for k in (1, 5):
        # A tie matters when the best and the worst order of equal scores disagree.
        equal = (scores == scores[np.arange(7), labels][:, None]).sum(axis=1)
        assert (found.best + equal - 1 == found.worst).all()
        assert (found.tied(k) == ((found.best < k) & ~(found.worst < k))).all()
    assert (order[:, 0] == first(scores)).all()


def test_equal_scores_go_to_the_lowest_index_and_are_counted() -> None:
    from netgen.network.dataset import Task

    tally = Tally(Task("noun", 7), 7, None)
    tally.add(np.zeros((3, 7), np.float32), np.array([0, 4, 6]))
    result = tally.result(None, accuracy(0, 0, 3))
    assert result.accuracy.top1.correct == 1  # class 0
    assert result.accuracy.top5.correct == 2  # classes 0 and 4
    assert (result.close.ties1, result.close.ties5) == (3, 3)
    assert (result.close.near1, result.close.near5) == (3, 3)


def test_of_fewer_than_five_classes_all_are_among_the_top_five() -> None:
    hits = Hits()
    hits.add(np.array([[3.0, 2.0, 1.0]] * 3), np.array([0, 1, 2]))
    assert hits.accuracy() == accuracy(1, 3, 3)


@given(st.integers(1, 80_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    ours, theirs = proportion(*counts), binomtest(*counts).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command_prints_a_table_and_writes_the_result(
    trained: Trained, evaluated: dict[EngineName, Result], tmp_path: Path, engine: EngineName
) -> None:
    out = tmp_path / "results/xs.json"
    told = netgen_eval(*trained.words("--engine", engine, "--out", out))
    assert told.exit_code == 0, told.output
    assert read_result(out) == evaluated[engine]
    result = evaluated[engine]
    for task in result.tasks:
        assert f"{100 * task.accuracy.top1.value:.2f}" in told.output
    assert "family x season" in told.output
    assert "sum over item" in told.output
    assert "Table 2 " not in told.output.replace("as Table 2 counts it", "")
    assert json.loads(out.read_text())["versions"][engine]


def test_an_evaluation_that_cannot_be_written_does_not_begin(
    trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "file/xs.json"):
        told = netgen_eval(*trained.words("--engine", "opencv", "--out", out))
        assert told.exit_code == 1
        assert str(out) in told.output
        assert "testing" not in told.output


def test_a_single_task_network_is_evaluated_on_its_task_alone(
    trained: Trained, tmp_path: Path
) -> None:
    from support.evaluation import random_network

    network, weights = random_network("resnet50-item", trained.dataset, tmp_path)
    request = request_of(trained)
    variant = find("resnet50-item", ["item", "family", "season"])
    result = evaluate(replace(request, variant=variant, network=network, weights=weights))
    assert [task.name for task in result.tasks] == ["item"]
    assert {one.task for one in result.derived} == {"family", "season"}  # sums over the items
