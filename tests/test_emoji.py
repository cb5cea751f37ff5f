"""The example's emoji: what is one concept, the databases, and packages that are not as pinned."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from support.emoji import codes, emoji_json, example, integrity, write_packages
from support.typefaces import names

from netgen.network.dataset import class_names, read_dataset

TONES = ["dark", "light", "medium", "medium-dark", "medium-light", "yellow"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    write_packages(folder)
    return folder


@pytest.fixture
def copied(packages: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the packages to change, which the example takes for those that it pins."""
    for file in packages.iterdir():
        (tmp_path / "packages").mkdir(exist_ok=True)
        (tmp_path / "packages" / file.name).write_bytes(file.read_bytes())
    with mock.patch.object(example(), "HERE", tmp_path / "packages"):
        yield tmp_path / "packages"


def make(folder: Path) -> Result:
    words = ["--out", str(folder.parent / "out"), "--packages", str(folder)]
    return CliRunner().invoke(example().main, words)


def test_whoever_does_it_and_wherever_they_face_it_is_one_concept_in_six_tones() -> None:
    found = list(example("concepts").emoji_of(emoji_json()))
    assert [each.code for each in found] == codes()
    nouns = {each.code: each.noun for each in found if each.adjective == "yellow"}
    assert nouns == {
        "1f3c3": "runner",
        "1f3c3-200d-2640-fe0f": "runner",
        "1f3c3-200d-2642-fe0f": "runner",
        "1f3c3-200d-2640-fe0f-200d-27a1-fe0f": "runner",
        "1f9d1-200d-1f692": "firefighter",
        "1f468-200d-1f692": "firefighter",
        "1f469-200d-1f692": "firefighter",
        "270b": "hand",
    }
    assert {each.adjective for each in found if each.noun == "hand"} == set(TONES)


def test_every_tone_of_a_concept_with_images_enough_becomes_a_pair(copied: Path) -> None:
    done = make(copied)
    assert done.exit_code == 0, done.output
    out = copied.parent / "out"
    data = read_dataset(out / "emoji/dataset.toml")
    assert class_names(data.task("noun")) == ["firefighter", "runner"]  # a hand has three images
    assert class_names(data.task("adj")) == TONES
    assert data.task("anp").classes == 12
    assert data.train.records + data.test.records == 4 * 6 * 3 * (4 + 3)
    with Image.open(out / "images/dark_runner/fluent-1f3c3-1f3ff-0.png") as image:
        assert (image.size, image.mode) == ((32, 32), "RGB")


def test_a_vendors_drawings_are_kept_for_the_test_of_the_second_dataset(copied: Path) -> None:
    assert make(copied).exit_code == 0
    found = names(copied.parent / "out/unseen-vendor")
    vendors = {split: {Path(n).name.partition("-")[0] for n in of} for split, of in found.items()}
    assert vendors == {"train": {"google", "twitter"}, "test": {"fluent"}}


def test_pictures_of_one_drawing_are_on_one_side_of_the_split(copied: Path) -> None:
    assert make(copied).exit_code == 0
    found = names(copied.parent / "out/emoji")
    drawings = {part: {name.rpartition("-")[0] for name in of} for part, of in found.items()}
    assert len(drawings["train"]) * 4 == len(found["train"])
    assert not drawings["train"] & drawings["test"]
    pairs = {part: Counter(name.partition("/")[0] for name in of) for part, of in drawings.items()}
    assert pairs["train"]["dark_runner"] == 9  # of twelve drawings
    assert pairs["test"]["dark_runner"] == 3


def test_a_drawing_of_two_emoji_is_that_of_the_first() -> None:
    make, concepts = example(), example("concepts")
    one = Image.new("RGBA", (8, 8), "red")
    other = Image.new("RGBA", (8, 8), "blue")
    emoji = [concepts.Emoji(code, noun, "dark") for code, noun in (("1", "a"), ("2", "b"))]
    with mock.patch.object(make, "IMAGES_PER_PAIR", 1):
        alike = make.chosen_of(emoji, {"google": {"1": one, "2": one.copy()}})
        different = make.chosen_of(emoji, {"google": {"1": one, "2": other}})
    assert [drawing.pair for drawing in alike] == ["dark_a"]
    assert [drawing.pair for drawing in different] == ["dark_a", "dark_b"]


def test_the_same_drawing_is_the_same_picture_and_another_is_not() -> None:
    rng = np.random.default_rng(3)
    placed = example("placing").placed
    one, other = (
        Image.fromarray(rng.integers(0, 256, (64, 64, 4), np.uint8), "RGBA") for _ in range(2)
    )
    assert placed(one, 0).tobytes() == placed(one.copy(), 0).tobytes()
    assert placed(one, 0).tobytes() != placed(other, 0).tobytes()
    assert placed(one, 0).tobytes() != placed(one, 1).tobytes()


# ---- bad input ----------------------------------------------------------------------------------


def refused(folder: Path) -> str:
    """What is said of packages that cannot be used: one message, and nothing is made."""
    done = make(folder)
    assert done.exit_code == 1
    assert not (folder.parent / "out").exists()
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    return done.output


def test_a_changed_package_is_refused(copied: Path) -> None:
    file = copied / "emoji-datasource-google-1.0.0.tgz"
    file.write_bytes(file.read_bytes() + b"more")
    assert f"{file}: {integrity(file)} instead of sha512-" in refused(copied)


def test_a_package_that_is_pinned_but_damaged_is_refused(copied: Path) -> None:
    file = copied / "emoji-datasource-twitter-1.0.0.tgz"
    was = integrity(file)
    file.write_bytes(file.read_bytes()[:3000])
    pins = copied / "packages.txt"
    pins.write_text(pins.read_text().replace(was, integrity(file)))
    assert f"{file}: " in (said := refused(copied))
    assert "remove the file, and run this again" in said


def test_without_npm_it_says_how_to_get_it(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / "emoji-datasource-google-1.0.0.tgz").unlink()
    monkeypatch.setenv("PATH", str(copied))
    assert "npm is not there, which fetches the drawings: apt-get install npm" in refused(copied)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("echo 'npm error network' >&2; exit 1", "could not be fetched: npm error network"),
        ("exit 0", "could not be fetched: npm pack failed"),
        ("echo other > emoji-datasource-google-1.0.0.tgz", "instead of sha512-"),
    ],
)
def test_what_npm_does_not_fetch_is_told(
    copied: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
) -> None:
    (copied / "emoji-datasource-google-1.0.0.tgz").unlink()
    npm = copied / "npm"
    npm.write_text(f"#!/bin/sh\n{does}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{copied}{os.pathsep}{os.environ['PATH']}")
    assert said in refused(copied)
    assert not (copied / "emoji-datasource-google-1.0.0.tgz").exists()
