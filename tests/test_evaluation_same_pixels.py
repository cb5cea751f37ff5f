"""Training and prediction see the same pixels: what turns a file into pixels is kept and used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from support.data import pixels, records, succeed
from support.evaluation import random_network, random_weights
from support.networks import dataset, make_databases
from support.photographs import photograph, saved

from data_prep.datums import decoded_pixels
from data_prep.photographs import Photographs
from netgen.commands.cli import main
from netgen.network.dataset import Images, read_dataset, write_dataset

ORIENTATION = 0x0112
SIZE = (32, 40)  # height and width: a picture that lies is seen to lie
NARROW = ("--width", 4, "--blocks", "1,1,1,3", "--stem", "small", "--batch-size", 4)


def turned(number: int, orientation: int) -> bytes:
    """A photograph as a phone keeps it: pixels as the sensor had them, and how to hold it."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(photograph(number, 120, 80), exif=exif.tobytes())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phone photographs of two classes in every orientation, and one that is cut off."""
    folder = tmp_path_factory.mktemp("phone") / "root"
    for number in range(32):
        file = folder / ("cat", "dog")[number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(turned(number, 1 + number // 2 % 8))
    (folder / "cat" / "cut.jpg").write_bytes(saved(photograph(50, 120, 80))[:2_000])
    return folder


def made(root: Path, out: Path, *how: str) -> Path:
    succeed("folder", root, "--out", out, "--size", f"{SIZE[0]}x{SIZE[1]}", *how)
    return out


def built(data: Path, out: Path) -> Path:
    """Build a network for a dataset, with random weights; return the weights."""
    words = ["build", "--variant", "resnet50-class", "--dataset", data / "dataset.toml"]
    told = CliRunner().invoke(main, list(map(str, [*words, "--out", out, *NARROW])))
    assert told.exit_code == 0, told.output
    return random_weights(out / "models/resnet50-class/deploy.prototxt")


def probabilities(*words: object) -> list[list[float]]:
    """What `netgen predict` says of each image, by class."""
    told = CliRunner().invoke(
        main, list(map(str, ["predict", *words, "--engine", "opencv", "--json"]))
    )
    assert told.exit_code == 0, told.output
    return [
        [guess["probability"] for guess in sorted(one["tasks"]["class"], key=lambda g: g["label"])]
        for one in json.loads(told.stdout)
    ]


HOW = [
    (), ("--rotate",), ("--encoded", "jpeg"), ("--encoded", "png", "--rotate"), ("--lenient",),
    ("--rotate", "--encoded", "jpeg", "--lenient"),
]  # fmt: skip


@pytest.mark.parametrize("how", HOW, ids=" ".join)
def test_a_file_of_the_dataset_is_read_to_the_pixels_in_its_database(
    root: Path, tmp_path: Path, how: tuple[str, ...]
) -> None:
    out = made(root, tmp_path / "out", *how)
    images = read_dataset(out / "dataset.toml").images
    assert images.rotate == ("--rotate" in how)
    assert images.lenient == ("--lenient" in how)
    assert images.encoded == (how[how.index("--encoded") + 1] if "--encoded" in how else "raw")
    for split in ("train", "test"):
        names = [row["name"] for row in records(out, split)]
        for name, stored in zip(names, stored_pixels(out, split, images), strict=True):
            assert np.array_equal(Photographs(images)(str(root / name)), stored)


def stored_pixels(out: Path, split: str, images: Images) -> list[np.ndarray]:
    if images.encoded == "raw":
        return list(pixels(out, split).transpose(0, 2, 3, 1))
    from support.data import read

    return [decoded_pixels(datum) for datum in read(out / split / "images.lmdb").values()]


@pytest.mark.parametrize("how", HOW, ids=" ".join)
def test_a_photograph_is_predicted_as_training_saw_it(
    root: Path, tmp_path: Path, how: tuple[str, ...]
) -> None:
    """Photographs of the dataset, and the stored pixels themselves as a picture without EXIF."""
    data = made(root, tmp_path / "data", *how)
    weights = built(data, tmp_path / "net")
    images = read_dataset(data / "dataset.toml").images
    names = [row["name"] for row in records(data, "test")]
    plain = []
    for index, stored in enumerate(stored_pixels(data, "test", images)):
        plain.append(tmp_path / f"{index}.png")
        cv2.imwrite(str(plain[-1]), stored)
    found = probabilities(*(root / name for name in names), "--weights", weights)
    # Without encoding: a second JPEG of the stored pixels would be another.
    shutil.copytree(weights.parent, tmp_path / "raw")
    description = tmp_path / "raw/deploy.json"
    text = description.read_text()
    description.write_text(text.replace(f'"encoded": "{images.encoded}"', '"encoded": "raw"'))
    assert found == probabilities(*plain, "--weights", tmp_path / "raw" / weights.name)


def test_phone_photographs_stand_upright_only_where_training_turned_them(
    root: Path, tmp_path: Path
) -> None:
    lying, upright = tmp_path / "lying.jpg", tmp_path / "upright.png"
    lying.write_bytes(turned(3, 6))
    with Image.open(lying) as picture:
        picture.transpose(Image.Transpose.ROTATE_270).save(upright)
    for how, same in (("--rotate", True), ("--lenient", False)):
        data = made(root, tmp_path / how, how)
        weights = built(data, tmp_path / f"net {how}")
        one, other = probabilities(lying, upright, "--weights", weights)
        assert (one == other) == same


def test_a_dataset_toml_of_before_reads_as_it_was_made(tmp_path: Path) -> None:
    data = dataset({"noun": 7}, (3, 16, 16), folder=str(tmp_path / "data"))
    make_databases(data, tmp_path)
    file = tmp_path / "data/dataset.toml"
    write_dataset(data, file)
    new = ("rotate = ", "lenient = ", "encoded = ", "duplicates = ")
    lines = file.read_text().splitlines(keepends=True)
    older = [line for line in lines if not line.startswith(new)]
    assert len(older) == len(lines) - 3
    file.write_text("".join(older))
    read = read_dataset(file)
    assert (read.images.rotate, read.images.lenient, read.images.encoded) == (False, False, "raw")
    assert read.duplicates is None


def test_eval_takes_the_mean_that_the_network_was_built_with_and_says_what_differs(
    root: Path, tmp_path: Path
) -> None:
    data = made(root, tmp_path / "data")
    weights = built(data, tmp_path / "net")
    command = ["eval", "--weights", str(weights), "--engine", "opencv", "--batch-size", "5"]
    first = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "one.json")])
    assert first.exit_code == 0, first.output
    assert "note: " not in first.stderr
    toml = data / "dataset.toml"
    mean = read_dataset(toml).images.mean[0]
    toml.write_text(
        toml.read_text().replace(str(mean), "0.0").replace("rotate = false", "rotate = true")
    )
    again = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "two.json")])
    assert again.exit_code == 0, again.output
    told = "note: EXIF orientations applied: False in training, True in the test images"
    assert told in again.stderr
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_a_network_is_not_reported_as_another(tmp_path: Path) -> None:
    """With what describes it beside it, and by its title alone."""
    data = dataset({"noun": 7, "adj": 3}, (1, 28, 28), folder=str(tmp_path / "data"))
    make_databases(data, Path())
    write_dataset(data, tmp_path / "data/dataset.toml")
    network, weights = random_network("xs", data, tmp_path)
    for _ in range(2):
        told = CliRunner().invoke(
            main,
            ["eval", "--variant", "x0", "--net", str(network), "--weights", str(weights),
             "--dataset", str(tmp_path / "data/dataset.toml"), "--engine", "opencv"],
        )  # fmt: skip
        assert told.exit_code == 2
        assert "--variant x0, but the network is xs: omit --variant" in told.output
        (network.parent / "deploy.json").unlink(missing_ok=True)
