"""The example's typefaces, drawn from the fonts that matplotlib brings, into databases."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import matplotlib
import pytest
from helpers import ROOT
from PIL import Image

from netgen.dataset import class_names, read_dataset

FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    sys.path.insert(0, str(ROOT / "examples/typefaces"))
    return import_module("make")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package as Debian's would be unpacked."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "fonts-dejavu_1.0_all").mkdir()
    for file in FONTS.glob("DejaVuSans*.ttf"):
        if "Display" not in file.name:  # a few characters only
            (folder / "fonts-dejavu_1.0_all" / file.name).write_bytes(file.read_bytes())
    return folder


def test_a_faces_style_is_what_its_file_says(make: ModuleType, packages: Path) -> None:
    found = make.faces(packages, ["fonts-dejavu"], make.LETTERS)
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


def test_faces_become_databases_of_adjectives_and_nouns(
    make: ModuleType, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "IMAGES_A_PAIR", 1)
    chosen = make.chosen_of(make.faces(packages, ["fonts-dejavu"], make.LETTERS + make.CAPITALS))
    drawn = [face for face in chosen if make.draw_all(face, tmp_path)]
    assert drawn
    for file in (tmp_path / "images").rglob("*.png"):
        with Image.open(file) as image:
            assert image.size == (32, 32)
            assert image.getextrema() != (255, 255)
    # Each style has one face here, and a split needs two images a pair: draw each face twice.
    for file in list(tmp_path.rglob("*.png")):
        file.with_name("again-" + file.name).write_bytes(file.read_bytes() + b"again")
    make.write_lists(drawn, tmp_path)
    make.make_databases(tmp_path)
    data = read_dataset(tmp_path / "letters/dataset.toml")
    assert class_names(data.task("noun")) == list(make.LETTERS)
    assert class_names(data.task("adj")) == sorted(face.style for face in drawn)
    assert data.train.records == data.test.records == 26 * len(drawn)
    assert read_dataset(tmp_path / "pretraining/dataset.toml").task("character").classes == 36
