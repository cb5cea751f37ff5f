"""The example's typefaces, drawn from the fonts that matplotlib brings, into databases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.typefaces import DRAWN, draw, example, names, packages, wearing

from netgen.network.dataset import class_names, read_dataset


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("typefaces")
    return folder, draw(folder)


def test_a_faces_style_is_what_its_file_says(tmp_path: Path) -> None:
    make = example()
    found = make.faces(packages(tmp_path / "packages"), ["fonts-dejavu"], make.LETTERS)
    assert {face.name: face.style for face in found} == {
        "dejavu-DejaVuSans": "regular",
        "dejavu-DejaVuSans-Bold": "bold",
        "dejavu-DejaVuSans-Oblique": "italic",
        "dejavu-DejaVuSans-BoldOblique": "bold-italic",
        "dejavu-DejaVuSansMono": "monospaced",
        "dejavu-DejaVuSansMono-Bold": "bold-monospaced",
        "dejavu-DejaVuSansMono-Oblique": "italic-monospaced",
        "dejavu-DejaVuSansMono-BoldOblique": "bold-italic-monospaced",
    }


def test_every_letter_is_drawn_and_none_is_blank(made: tuple[Path, list[str]]) -> None:
    folder, styles = made
    files = list((folder / "images").rglob("*.png"))
    assert len(files) == len(styles) * 26 * DRAWN
    for file in files:
        with Image.open(file) as image:
            assert image.size == (32, 32)
            assert image.getextrema() != (255, 255)


def test_faces_become_databases_of_adjectives_and_nouns(made: tuple[Path, list[str]]) -> None:
    folder, styles = made
    data, pairs = read_dataset(folder / "letters/dataset.toml"), 26 * len(styles)
    assert class_names(data.task("noun")) == list(example().LETTERS)
    assert class_names(data.task("adj")) == styles
    assert (data.train.records, data.test.records) == (4 * pairs, pairs)
    assert read_dataset(folder / "pretraining/dataset.toml").task("character").classes == 36


def test_what_is_chosen_is_chosen_on_training_images_alone(made: tuple[Path, list[str]]) -> None:
    letters, choosing = names(made[0] / "letters"), names(made[0] / "choosing")
    assert choosing["train"] | choosing["test"] == letters["train"]
    assert not choosing["train"] & choosing["test"]
    assert choosing["test"]


def test_a_worn_letter_is_another_picture_of_it_always_worn_in_the_same_way(
    made: tuple[Path, list[str]],
) -> None:
    worn = wearing().worn
    files = sorted((made[0] / "images").rglob("dejavu-*.png"))[:100]
    changes = []
    for file in files:
        with Image.open(file) as image:
            copy = worn(image)
            assert copy.size == image.size
            assert copy.tobytes() == worn(image.copy()).tobytes()
            clean, dirty = (np.asarray(each, np.float32) for each in (image, copy))
        assert dirty.std() > 10  # something is left to be seen
        changes.append(float(np.abs(clean - dirty).mean()))
    assert min(changes) > 5
    assert max(changes) > 3 * min(changes)  # some more, some less


def test_worn_letters_become_databases(made: tuple[Path, list[str]], tmp_path: Path) -> None:
    draw(tmp_path, "lox", "LOX", worn=True)
    assert read_dataset(tmp_path / "letters/dataset.toml").task("noun").classes == 3
    for name in ("regular_o/dejavu-DejaVuSans.png", "bold_l/dejavu-DejaVuSans-Bold.png"):
        with (
            Image.open(tmp_path / "images" / name) as copy,
            Image.open(made[0] / "images" / name) as clean,
        ):
            assert copy.tobytes() == wearing().worn(clean).tobytes()
