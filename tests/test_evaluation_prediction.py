"""`netgen predict`: the likeliest classes of photographs, as JSON and as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from support.evaluation import random_network
from support.networks import dataset
from support.trained_network import Trained

from data_prep.fashion_mnist import CLASSES
from data_prep.photographs import Photographs
from netgen.commands.cli import main
from netgen.evaluation.prediction import Prediction, RankedClass
from netgen.figures.predictions import predictions_figure
from netgen.network.dataset import Images

SHOWN = Photographs(Images(3, 240, 240, (0, 0, 0)))


def netgen_predict(*words: object) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, words)])


@pytest.fixture
def photographs(trained: Trained, tmp_path: Path) -> list[Path]:
    """The first test images, as PNG files."""
    files = [tmp_path / f"photograph {index}.png" for index in range(3)]
    for file, pixels in zip(files, trained.images, strict=False):
        cv2.imwrite(str(file), pixels)
    return files


@pytest.mark.parametrize("engine", ["caffe", "opencv", "onnx"])
def test_the_classes_are_those_of_the_same_images_in_the_test_set(
    trained: Trained, photographs: list[Path], engine: str
) -> None:
    from support.evaluation import scores_of

    told = netgen_predict(*photographs, *trained.words("--engine", engine, "--json"))
    assert told.exit_code == 0, told.output
    predictions = json.loads(told.stdout)
    assert [one["image"] for one in predictions] == [str(file) for file in photographs]
    scores = scores_of(trained, "opencv")
    for index, prediction in enumerate(predictions):
        for task, guesses in prediction["tasks"].items():
            order = np.argsort(-scores[task][index], kind="stable")[:5]
            assert [guess["label"] for guess in guesses] == order.tolist()
            assert [guess["name"] for guess in guesses] == [CLASSES[task][at] for at in order]
            p = np.exp(scores[task][index]) / np.exp(scores[task][index]).sum()
            found = [guess["probability"] for guess in guesses]
            assert found == pytest.approx(p[order].tolist(), abs=1e-4)
    assert len(predictions[0]["tasks"]["item"]) == 5
    assert len(predictions[0]["tasks"]["season"]) == 3  # it has no more


def test_the_picture_has_a_row_an_image_and_a_column_a_task(
    trained: Trained, photographs: list[Path], tmp_path: Path
) -> None:
    heights = []
    for count in (1, 3):
        out = tmp_path / f"{count}.png"
        told = netgen_predict(
            *photographs[:count], *trained.words("--engine", "opencv", "--out", out)
        )
        assert told.exit_code == 0, told.output
        with Image.open(out) as picture:
            heights.append(picture.height)
            shades = np.asarray(picture.convert("L"))
        for row in range(count):  # the photographs are there, whole
            top = int(200 * (0.32 + 1.25 * row))
            assert (shades[top + 30 : top + 220, 30:220] < 60).mean() > 0.2
    assert heights[1] - heights[0] == 2 * 250


def test_the_papers_tasks_stand_as_in_figure_6(photographs: list[Path]) -> None:
    guesses: tuple[RankedClass, ...] = (RankedClass(0, "tiny", 0.5), RankedClass(1, "dead", 0.25))
    tasks = dict.fromkeys(("noun", "adj", "anp"), guesses)
    figure = predictions_figure([Prediction(str(photographs[0]), tasks)], SHOWN)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[:3] == ["Adjectives", "Adj-Noun Pairs", "Nouns"]
    assert texts.count("tiny") == 3


def test_no_photograph_is_cut_off(photographs: list[Path]) -> None:
    figure = predictions_figure(
        [Prediction(str(file), {"item": (RankedClass(0, None, 1.0),)}) for file in photographs],
        SHOWN,
    )
    (axes,) = figure.axes
    width, height = figure.get_size_inches()
    assert (*axes.get_xlim(), *axes.get_ylim()) == pytest.approx((0, width, height, 0))
    assert max(image.get_extent()[2] for image in axes.images) < height


def test_a_large_colour_photograph_serves_a_small_grey_network(
    trained: Trained, tmp_path: Path
) -> None:
    file = tmp_path / "large.jpg"
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8))
    told = netgen_predict(file, *trained.words("--engine", "opencv"))
    assert told.exit_code == 0, told.output
    assert "item: " in told.output


def test_a_grey_photograph_serves_a_colour_network(tmp_path: Path, trained: Trained) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), trained.images[0])
    pixels = Photographs(Images(3, 40, 30, (0, 0, 0)))(str(tmp_path / "grey.png"))
    assert pixels.shape == (40, 30, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_classes_without_names_are_numbers(photographs: list[Path], tmp_path: Path) -> None:
    from support.networks import make_databases

    from netgen.network.dataset import write_dataset

    data = dataset({"noun": 7, "adj": 3}, (1, 28, 28), folder=str(tmp_path / "data"))
    make_databases(data, Path())
    write_dataset(data, tmp_path / "data/dataset.toml")
    network, weights = random_network("x0", data, tmp_path)
    told = netgen_predict(
        photographs[0], "--variant", "x0", "--weights", weights, "--net", network,
        "--dataset", tmp_path / "data/dataset.toml", "--engine", "opencv", "--json",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    guesses = json.loads(told.stdout)[0]["tasks"]["noun"]
    assert [guess["name"] for guess in guesses] == [None] * 5


@pytest.mark.parametrize("engine", ["caffe", "opencv", "onnx"])
@pytest.mark.parametrize("content", [b"", b"no image\n", b"\x89PNG\r\n\x1a\n", None])
def test_what_is_no_image_is_told_and_takes_nothing_from_the_others(
    trained: Trained, photographs: list[Path], tmp_path: Path, content: bytes | None, engine: str
) -> None:
    wrong, out = tmp_path / "wrong.jpg", tmp_path / "picture.png"
    if content is not None:
        wrong.write_bytes(content)
    words = trained.words("--engine", engine, "--out", out, "--csv")
    told = netgen_predict(photographs[0], wrong, *photographs[1:], *words)
    assert told.exit_code == 1
    (line,) = (line for line in told.stderr.splitlines() if str(wrong) in line)
    assert line.startswith(f"Error: {wrong}: ")
    found = netgen_predict(*photographs, *words)
    assert found.exit_code == 0
    assert told.stdout == found.stdout
    assert out.exists()
    assert netgen_predict(wrong, *trained.words("--out", tmp_path / "none.png")).exit_code == 1
    assert not (tmp_path / "none.png").exists()


def test_a_picture_that_cannot_be_written_is_said_first(
    trained: Trained, photographs: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    words = trained.words("--engine", "opencv", "--out", tmp_path / "file/picture.png")
    told = netgen_predict(*photographs, *words)
    assert told.exit_code == 1
    assert "file/picture.png" in told.output
    assert "item:" not in told.output
