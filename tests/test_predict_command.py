"""`netgen predict` from what a training leaves: files, folders and standard input; as text, CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from click.testing import CliRunner, Result
from support.evaluation import random_network
from support.networks import dataset
from support.trained_network import Trained

from data_prep.fashion_mnist import CLASSES
from data_prep.photographs import Photographs
from netgen.commands.cli import main
from netgen.evaluation.prediction import Prediction, RankedClass
from netgen.figures.predictions import predictions_figure
from netgen.network.dataset import Images


def netgen_predict(*words: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(
        main, ["predict", *map(str, words), "--engine", "opencv"], input=stdin
    )


def predicted(*words: object, stdin: bytes | None = None) -> list[dict[str, object]]:
    told = netgen_predict(*words, "--json", stdin=stdin)
    assert told.exit_code == 0, told.output
    found: list[dict[str, object]] = json.loads(told.stdout)
    return found


@pytest.fixture
def photographs(trained: Trained, tmp_path: Path) -> Path:
    """A folder, with another in it, of the first test images."""
    folder = tmp_path / "photographs"
    (folder / "more").mkdir(parents=True)
    for name, pixels in zip(("b.png", "a.png", "more/c.png"), trained.images, strict=False):
        cv2.imwrite(str(folder / name), pixels)
    return folder


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """What a training left, copied to where nothing else of it is."""
    return Path(shutil.copytree(trained.folder / "models/xs", tmp_path / "elsewhere/mine"))


def test_the_weights_alone_say_which_network_they_are_of(
    trained: Trained, photographs: Path, model: Path
) -> None:
    image = photographs / "a.png"
    expected = predicted(image, *trained.words())
    snapshot = model / "snapshots/xs_iter_60.caffemodel"
    assert predicted(image, "--weights", snapshot) == expected
    assert predicted(image, "--weights", model) == expected
    tasks = expected[0]["tasks"]
    assert isinstance(tasks, dict)
    assert list(tasks) == list(CLASSES)
    assert {guess["name"] for guess in tasks["season"]} == set(CLASSES["season"])


def test_of_several_snapshots_the_folder_means_the_last(model: Path, photographs: Path) -> None:
    snapshots = model / "snapshots"
    (snapshots / "xs_iter_9.caffemodel").write_bytes(b"cut off")
    predicted(photographs / "a.png", "--weights", model)
    (snapshots / "xs_iter_100.caffemodel").write_bytes(b"cut off")
    told = netgen_predict(photographs / "a.png", "--weights", model)
    assert told.exit_code == 1
    assert "xs_iter_100.caffemodel" in told.output


def test_a_folder_means_all_files_below_it_sorted(model: Path, photographs: Path) -> None:
    (photographs / ".hidden").write_text("no image")
    found = predicted(photographs, "--weights", model)
    names = ("a.png", "b.png", "more/c.png")
    assert [one["image"] for one in found] == [str(photographs / name) for name in names]
    assert found == predicted(*(photographs / name for name in names), "--weights", model)


def test_one_bad_picture_takes_nothing_from_the_others(model: Path, photographs: Path) -> None:
    whole = netgen_predict(photographs, "--weights", model)
    (photographs / "aa.jpg").write_bytes(b"\xff\xd8\xff")
    (photographs / "notes.txt").write_text("no image")
    told = netgen_predict(photographs, photographs / "missing.png", "--weights", model)
    assert told.exit_code == 1
    assert told.stdout == whole.stdout
    errors = told.stderr.splitlines()
    assert [line.partition(": ")[0] for line in errors] == ["Error"] * 3
    for name in ("aa.jpg", "notes.txt", "missing.png"):
        assert any(str(photographs / name) in line for line in errors)


def test_an_image_comes_on_standard_input(model: Path, photographs: Path) -> None:
    content = (photographs / "a.png").read_bytes()
    (found,) = predicted("-", "--weights", model, stdin=content)
    (named,) = predicted(photographs / "a.png", "--weights", model)
    assert found == named | {"image": "-"}
    told = netgen_predict("-", "--weights", model, stdin=b"photo.jpg\nother.jpg\n")
    assert told.exit_code == 1
    assert told.stderr.startswith("Error: standard input: starts with ")
    assert netgen_predict("-", "-", "--weights", model, stdin=content).exit_code == 2


def test_a_file_name_that_is_no_utf_8_has_its_bytes_escaped(model: Path, photographs: Path) -> None:
    name = os.fsdecode(b"photo \xff.png")
    (photographs / "a.png").rename(photographs / name)
    (found,) = predicted(photographs / name, "--weights", model)
    assert found["image"] == f"{photographs}/photo \\xff.png"
    for words in ((), ("--csv",)):
        told = netgen_predict(photographs / name, "--weights", model, *words)
        assert told.exit_code == 0, told.output


def test_csv_has_a_line_an_image_task_and_class(model: Path, photographs: Path) -> None:
    told = netgen_predict(photographs, "--weights", model, "--csv", "--top", 2)
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert len(rows) == 3 * 3 * 2
    found = predicted(photographs, "--weights", model, "--top", 2)
    told_by_json = [
        (one["image"], task, str(place), str(guess["label"]), guess["name"])
        for one in found
        for task, guesses in one["tasks"].items()  # type: ignore[attr-defined]
        for place, guess in enumerate(guesses, 1)
    ]
    columns = ("image", "task", "rank", "label", "class")
    assert [tuple(row[column] for column in columns) for row in rows] == told_by_json
    assert all(0 <= float(row["probability"]) <= 1 for row in rows)


@pytest.mark.parametrize(("top", "shown"), [(1, 1), (7, 7), (100, 10)])
def test_as_many_classes_are_told_as_are_asked_for(
    model: Path, photographs: Path, top: int, shown: int
) -> None:
    (found,) = predicted(photographs / "a.png", "--weights", model, "--top", top)
    tasks = found["tasks"]
    assert isinstance(tasks, dict)
    assert len(tasks["item"]) == shown
    chances = [guess["probability"] for guess in tasks["item"]]
    assert chances == sorted(chances, reverse=True)
    assert shown < 10 or sum(chances) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--json", "--csv"), 2, "--json and --csv: give one of them"),
        (("--top", "0"), 2, "--top"),
        (("--variant", "x0"), 2, "--variant x0, but the network is xs: omit --variant"),
    ],
)
def test_what_contradicts_itself_is_refused(
    model: Path, photographs: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    told = netgen_predict(photographs, "--weights", model, *words)
    assert told.exit_code == code
    assert message in told.output


def test_weights_of_another_network_than_the_one_that_is_named_are_refused(
    model: Path, photographs: Path
) -> None:
    """X_0 has all layers of X_S but the cross weights, and would run with its weights."""
    text = (model / "deploy.prototxt").read_text()
    other = model.parent / "x0/deploy.prototxt"
    other.parent.mkdir()
    other.write_text(text)
    described = json.loads((model / "deploy.json").read_text())
    (other.parent / "deploy.json").write_text(json.dumps(described | {"variant": "x0"}))
    told = netgen_predict(photographs, "--weights", model, "--net", other)
    assert told.exit_code == 2
    assert "is of xs, but" in told.output


def test_weights_without_a_description_say_what_is_missing(
    trained: Trained, photographs: Path, tmp_path: Path
) -> None:
    alone = shutil.copy2(trained.weights, tmp_path)
    told = netgen_predict(photographs, "--weights", alone)
    assert told.exit_code == 2
    assert "no deploy.json beside" in told.output
    for option in ("--variant", "--dataset", "--net"):
        assert option in told.output
    (tmp_path / "deploy.json").write_text("{}")
    told = netgen_predict(photographs, "--weights", alone)
    assert told.exit_code == 1
    assert "deploy.json: not what `netgen build` writes" in told.output


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d["outputs"][0]["names"].pop(), "9 names for the 10 classes of 'item'"),
        (lambda d: d["outputs"][1]["names"].__setitem__(1, "top"), "a class of 'family' is named"),
        (lambda d: d["outputs"].append(d["outputs"][0]), "a task is in outputs twice"),
        (lambda d: d["outputs"].clear(), "length >= 1"),
        (lambda d: d["images"]["mean"].append(1), "images.mean has 2 values for 1 channels"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(
    model: Path, photographs: Path, change: Callable[[Any], object], why: str
) -> None:
    """Names of other classes would be told as the network's."""
    file = model / "deploy.json"
    described = json.loads(file.read_text())
    change(described)
    file.write_text(json.dumps(described))
    told = netgen_predict(photographs / "a.png", "--weights", model)
    assert told.exit_code == 1, told.output
    assert "deploy.json: not what `netgen build` writes" in told.output
    assert why in told.output


def test_a_dataset_whose_classes_are_other_outputs_is_refused(
    trained: Trained, model: Path, photographs: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained.folder / "data", tmp_path / "data")
    file = tmp_path / "data/classes/season.txt"
    file.write_text("\n".join(reversed(file.read_text().split())) + "\n")
    words = ("--weights", model, "--dataset", tmp_path / "data/dataset.toml")
    for told in (
        netgen_predict(photographs / "a.png", *words),
        CliRunner().invoke(main, ["eval", *map(str, words)]),
    ):
        assert told.exit_code == 1, told.output
        assert "class 'winter' of task 'season' has the number 0 in" in told.output
        assert "but is output 2 of the network" in told.output
    file.write_text("a summer\nall year\nwinter\n")  # others' words for the same classes
    assert netgen_predict(photographs / "a.png", *words).exit_code == 0


def test_a_folder_without_snapshots_or_images_is_one_message(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = netgen_predict("a.png", "--weights", tmp_path / "empty")
    assert told.exit_code == 2
    assert "a folder without a snapshot of a training" in told.output
    told = netgen_predict(tmp_path / "empty", "--weights", model)
    assert told.exit_code == 1
    assert told.output == f"Error: {tmp_path / 'empty'}: a folder without files\n"


def test_weights_that_are_not_there_or_a_solverstate_say_what_to_name(model: Path) -> None:
    told = netgen_predict("a.png", "--weights", model / "nope")
    assert told.exit_code == 2
    assert "nope does not exist: name a caffemodel, or the folder that `netgen" in told.output
    state = model / "snapshots/xs_iter_60.solverstate"
    told = netgen_predict("a.png", "--weights", state)
    assert told.exit_code == 2
    assert f"not its weights: name {state.with_suffix('.caffemodel')}, beside it" in told.output


def test_a_folder_whose_name_is_no_text_is_named(model: Path, photographs: Path) -> None:
    odd = model.rename(model.with_name(os.fsdecode(b"\xff\xfe")))
    told = CliRunner().invoke(main, ["predict", str(photographs / "a.png"), "--weights", str(odd)])
    assert told.exit_code == 1
    (line,) = [line for line in told.output.splitlines() if line.startswith("Error: ")]
    assert f"{model.parent}/\\udcff\\udcfe/" in line
    assert line.endswith(": has bytes that are not UTF-8: rename it, or the folder that has them")


def test_the_picture_shows_percentages(photographs: Path) -> None:
    guesses = tuple(RankedClass(i, f"class {i}", p) for i, p in enumerate((0.874, 0.1, 0.001)))
    read = Photographs(Images(3, 240, 240, (0, 0, 0)))
    figure = predictions_figure([Prediction(str(photographs / "a.png"), {"item": guesses})], read)
    texts = [text.get_text() for text in figure.axes[0].texts]
    for shown in ("class 0", "87%", "10%", "<1%"):
        assert shown in texts


def test_a_picture_does_not_replace_the_photograph_that_it_shows(
    model: Path, photographs: Path
) -> None:
    photograph = photographs / "a.png"
    before = photograph.read_bytes()
    told = netgen_predict(photographs, "--weights", model, "--out", photograph)
    assert told.exit_code == 2, told.output
    assert "a.png is a file that this command reads: give --out another file" in told.output
    assert photograph.read_bytes() == before


def test_too_many_images_for_a_picture_are_refused_first(model: Path, photographs: Path) -> None:
    names = [photographs / "a.png"] * 101
    told = netgen_predict(*names, "--weights", model, "--out", photographs / "out.png")
    assert told.exit_code == 2
    assert "--out draws at most 100 images, but there are 101" in told.output


def test_a_network_whose_classes_have_no_names_says_their_numbers(
    photographs: Path, tmp_path: Path
) -> None:
    data = dataset({"noun": 7, "adj": 3}, (1, 28, 28), folder=str(tmp_path / "data"))
    network, weights = random_network("x1", data, tmp_path)
    shutil.move(weights, network.parent)
    found = predicted(photographs / "a.png", "--weights", network.parent / weights.name)
    assert "'name': None" in str(found)
