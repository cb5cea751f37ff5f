"""`netgen eval --images`: what a network says of each test image, in a file beside its result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.build_command import refused
from support.evaluation import scores_of
from support.trained_network import TEST, Trained

from netgen.commands.cli import main
from netgen.evaluation.image_guesses import guesses_file, read_guesses
from netgen.evaluation.results import Result, ResultError, read_result

Lines = list[dict[str, object]]


@pytest.fixture(scope="module")
def tested(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a test of a real network with Caffe, beside which its images stand."""
    out = tmp_path_factory.mktemp("images") / "results/xs.json"
    words = trained.words("--engine", "caffe", "--images", "--out", out)
    done = CliRunner().invoke(main, ["eval", *words])
    assert done.exit_code == 0, done.output
    assert f"Written: {out}, {out.parent / 'xs.images.jsonl'}" in done.output
    return out


@pytest.fixture
def copied(tested: Path, tmp_path: Path) -> Path:
    """A copy of the results to damage."""
    return shutil.copytree(tested.parent, tmp_path / "results") / tested.name


def lines_of(result: Path) -> list[str]:
    return guesses_file(result).read_text().splitlines()


def test_every_image_has_its_classes_and_the_best_of_the_scores(
    tested: Path, trained: Trained
) -> None:
    """OpenCV computes the scores anew: the labels in their order, and the probabilities."""
    scores = scores_of(trained, "opencv")
    first, *images = map(json.loads, lines_of(tested))
    assert first["records"] == len(images) == TEST
    assert first["database"] == trained.dataset.test.images
    for task, of in scores.items():
        shifted = np.exp(of - of.max(axis=1, keepdims=True), dtype=np.float64)
        likely = shifted / shifted.sum(axis=1, keepdims=True)
        for number, image in enumerate(images):
            labels, told = zip(*image["guesses"][task], strict=True)
            assert len(labels) == min(5, of.shape[1])
            assert told == pytest.approx(likely[number][list(labels)], abs=2e-4)
            assert list(told) == sorted(told, reverse=True)
            assert told[0] == pytest.approx(likely[number].max(), abs=2e-4)


def test_as_many_are_right_as_the_result_says_and_the_labels_are_the_databases(
    tested: Path, trained: Trained
) -> None:
    result = read_result(tested)
    _, images = read_guesses(guesses_file(tested), result)
    for task in result.tasks:
        among = [[guess.label for guess in image.guesses[task.name]] for image in images]
        truth = [image.truth[task.name] for image in images]
        right = [label in best for label, best in zip(truth, among, strict=True)]
        assert sum(right) == task.accuracy.top5.correct
        counts = np.bincount(truth, minlength=task.classes).tolist()
        assert counts == [of.total for of in task.of_class]


def test_images_need_a_result_to_stand_beside(trained: Trained) -> None:
    message = refused(2, "eval", *trained.words("--images"))
    assert "--images writes beside a result: add --out NAME.json" in message


def test_what_cannot_be_written_is_told_before_the_test(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "xs.images.jsonl").mkdir()
    message = refused(1, "eval", *trained.words("--images", "--out", tmp_path / "xs.json"))
    assert "xs.images.jsonl" in message
    assert not (tmp_path / "xs.json").exists()


def refusal(result: Path, of: Result | None = None) -> str:
    with pytest.raises(ResultError) as raised:
        read_guesses(guesses_file(result), of or read_result(result))
    message = str(raised.value)
    assert message.startswith(f"{guesses_file(result)}: ")
    assert "netgen eval --images" in message
    return message


def test_images_of_another_result_are_refused(copied: Path) -> None:
    text = copied.read_text()
    digest = read_result(copied).weights.sha256
    copied.write_text(text.replace(digest, "0" * 64))
    assert "not of the weights that the result is of (" in refusal(copied)


def damage(lines: list[str], number: int, **change: object) -> list[str]:
    content = json.loads(lines[number])
    return [*lines[:number], json.dumps(content | change), *lines[number + 1 :]]


def test_damaged_images_are_told_with_what_is_wrong(copied: Path) -> None:
    whole = lines_of(copied)
    task = read_result(copied).tasks[0].name
    images = [json.loads(line) for line in whole[1:]]
    number = next(
        n for n, of in enumerate(images) if of["guesses"][task][0][0] == of["truth"][task]
    )
    truth, guesses = images[number]["truth"], images[number]["guesses"]
    other = [[(truth[task] + 1) % 2, 0.5], *guesses[task][1:]]

    def changed(**change: object) -> list[str]:
        return damage(whole, number + 1, **change)

    cases = {
        "100 of the 101 images": whole[:-1],
        "in format 9, but this netgen reads 1": damage(whole, 0, version=9),
        f"image {number} does not have the result's tasks": changed(guesses={}),
        f"image {number} has 1 guesses of {task}": changed(
            guesses=guesses | {task: guesses[task][:1]}
        ),
        f"image {number} has a class that {task} does not have": changed(
            truth=truth | {task: 10_000}
        ),
        f"images are right at {task}, but": changed(guesses=guesses | {task: other}),
        "Expected `float` <= 1.0": changed(guesses=guesses | {task: [[1, 2.0]]}),
        "Expected `str` matching regex": changed(fingerprint="g" * 16),
        "missing required field": ["{}"],
        "malformed": [*whole[:-1], "{]"],
    }
    for words, lines in cases.items():
        guesses_file(copied).write_text("\n".join(lines) + "\n")
        assert words in refusal(copied), words
    guesses_file(copied).write_text("")
    refusal(copied)


@given(st.data())
def test_a_changed_file_of_images_is_read_or_refused(tested: Path, data: st.DataObject) -> None:
    content = bytearray(guesses_file(tested).read_bytes()[:2_000])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    changed = tested.parent / "changed.images.jsonl"
    changed.write_bytes(content)
    with pytest.raises(ResultError, match=r"changed\.images\.jsonl"):
        read_guesses(changed, read_result(tested))
