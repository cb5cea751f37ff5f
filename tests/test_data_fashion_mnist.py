"""`netgen data fashion-mnist`: every image with its own labels, and damaged files named."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.caffe_child import in_caffe
from support.data import (
    fail,
    fingerprints,
    first_published,
    labels,
    netgen,
    pixels,
    published,
    read,
    records,
    succeed,
    walk,
)
from support.once import Once

from data_prep import fashion_mnist
from data_prep.fashion_mnist import CLASSES, ITEMS, TASKS
from netgen.network.dataset import Dataset, Images, Task, class_names, read_dataset, split_in

SEED = 7
COUNTS = {"train": 60_000, "test": 10_000}
COMMAND = "fashion-mnist"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory, once: Once) -> Path:
    """The real dataset, converted once for all of pytest's workers."""

    def convert() -> Path:
        out = tmp_path_factory.mktemp("whole") / "fashion-mnist"
        succeed(COMMAND, "--out", out, "--seed", SEED)
        return out

    whole: Path = once("fashion-mnist", convert)
    return whole


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """The first 300 and 100 published images."""
    return first_published(tmp_path / "few")


def order(out: Path, split: str) -> np.ndarray:
    """Return the published place of every image of a split, in the order of the databases."""
    names = [row["name"] for row in records(out, split)]
    assert all(name.startswith(f"{split}/") for name in names)
    return np.array([int(name.rpartition("/")[2]) for name in names])


@pytest.mark.parametrize("split", COUNTS)
def test_all_databases_of_a_split_hold_the_same_keys_in_the_same_order(
    converted: Path, split: str
) -> None:
    expected = [b"%08d" % i for i in range(COUNTS[split])]
    databases = list((converted / split).iterdir())
    assert len(databases) == 1 + len(TASKS)
    for database in databases:
        assert list(read(database)) == expected


def test_an_image_is_raw_bytes_and_a_label_one_float(converted: Path) -> None:
    image = read(converted / "test" / "images.lmdb")[b"00000000"]
    label = read(converted / "test" / "label_item.lmdb")[b"00000000"]
    assert (image.channels, image.height, image.width, len(image.data)) == (1, 28, 28, 784)
    assert (label.channels, label.height, label.width, label.data) == (1, 1, 1, b"")
    assert len(label.float_data) == 1
    assert not image.float_data
    assert not image.encoded
    assert not label.encoded


@pytest.mark.parametrize("split", COUNTS)
def test_every_record_is_the_published_image_with_its_own_label(
    converted: Path, split: str
) -> None:
    images, items = published(split)
    places = order(converted, split)
    assert sorted(places) == list(range(COUNTS[split]))
    assert np.array_equal(pixels(converted, split)[:, 0], images[places])
    assert labels(converted, split, "item") == items[places].tolist()


@pytest.mark.parametrize("split", COUNTS)
def test_family_and_season_are_functions_of_the_item(converted: Path, split: str) -> None:
    dataset = read_dataset(converted / "dataset.toml")
    columns = []
    for task in TASKS:
        names = class_names(dataset.task(task))
        assert names is not None
        columns.append([names[label] for label in labels(converted, split, task)])
    assert set(zip(*columns, strict=True)) == set(ITEMS)


def test_a_family_and_a_season_give_the_item_as_a_noun_and_an_adjective_give_the_pair() -> None:
    assert len({(family, season) for _, family, season in ITEMS}) == len(ITEMS) == 10


def test_the_items_are_in_the_published_order() -> None:
    assert CLASSES["item"] == (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )


def test_dataset_toml_says_what_is_there(converted: Path) -> None:
    dataset = read_dataset(converted / "dataset.toml")
    assert dataset.images.mean == pytest.approx([published("train")[0].mean()], rel=1e-12)
    assert dataset == Dataset(
        name="fashion-mnist",
        images=Images(1, 28, 28, dataset.images.mean),
        tasks=tuple(
            Task(task, classes, f"{converted}/classes/{task}.txt")
            for task, classes in (("item", 10), ("family", 6), ("season", 3))
        ),
        train=split_in(f"{converted}/train", TASKS, 60_000),
        test=split_in(f"{converted}/test", TASKS, 10_000),
        duplicates="as split",
    )
    assert [class_names(task) for task in dataset.tasks] == [list(CLASSES[t]) for t in TASKS]


@pytest.mark.parametrize(("split", "batches"), [("train", 20), ("test", 101)])
def test_caffe_reads_every_image_with_its_own_labels(
    converted: Path, tmp_path: Path, split: str, batches: int
) -> None:
    """The first batches of training; all of test, and the first of them again."""
    blobs = in_caffe(walk, converted, split, list(TASKS), 100, batches, folder=tmp_path).value
    images, items = published(split)
    places = np.resize(order(converted, split), 100 * batches)
    expected = [ITEMS[item] for item in items[places]]
    assert np.array_equal(blobs["data"], images[places, np.newaxis])
    for column, task in enumerate(TASKS):
        names = (converted / "classes" / f"{task}.txt").read_text().splitlines()
        found = blobs[task]
        assert found.shape == (100 * batches, 1, 1, 1)
        assert [names[int(label)] for label in found.ravel()] == [row[column] for row in expected]


def test_the_same_seed_gives_the_same_bytes_from_plain_and_gzipped_files(
    few: Path, tmp_path: Path
) -> None:
    succeed(COMMAND, "--source-folder", few, "--out", tmp_path / "plain", "--seed", 1)
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    for file in few.iterdir():
        (zipped / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    succeed(COMMAND, "--source-folder", zipped, "--out", tmp_path / "again", "--seed", 1)
    assert fingerprints(tmp_path / "again") == fingerprints(tmp_path / "plain")


def test_another_seed_gives_the_same_images_in_another_order(few: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        succeed(COMMAND, "--source-folder", few, "--out", tmp_path / str(seed), "--seed", seed)
    for split in COUNTS:
        one, two = ([i.tobytes() for i in pixels(tmp_path / out, split)] for out in "12")
        assert one != two
        assert sorted(one) == sorted(two)


def test_the_command_says_what_it_made_and_what_comes_next(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "my data"
    output = succeed(COMMAND, "--source-folder", few, "--out", out)
    assert "writing train: 300 images" in output
    assert f"{out}: 300 training and 100 test images of 1 x 28 x 28" in output
    assert "season: 3 classes: summer, all-year, winter" in output
    assert f"netgen build --variant xs --dataset '{out}/dataset.toml' --stem small" in output


def test_on_a_terminal_it_shows_a_bar_with_rate_and_time_left_instead_of_lines(
    few: Path, tmp_path: Path
) -> None:
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm"}
    output = succeed(COMMAND, "--source-folder", few, "--out", tmp_path / "out", **terminal)
    assert "━━━" in output
    assert "writing train: 300 images" not in output


def test_help_loads_none_of_the_large_libraries() -> None:
    large = "{'numpy', 'lmdb', 'rich', 'cv2'}"
    code = f"import sys, netgen.commands.data; print({large} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


# Bad input ----------------------------------------------------------------------------------------


def test_a_missing_package_names_the_package_and_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion_mnist, "PACKAGE_FOLDER", tmp_path / "not installed")
    message = fail(COMMAND, "--out", tmp_path / "out")
    assert "apt-get install dataset-fashion-mnist" in message
    assert "--source-folder" in message
    assert list(tmp_path.iterdir()) == []


Damage = Callable[[bytes], bytes]
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
DAMAGES: dict[str, tuple[str, Damage, str]] = {
    "empty": (IMAGES, lambda _: b"", "not IDX"),
    "wrong magic": (IMAGES, lambda c: b"\0\0\x08\x01" + c[4:], "starts with 00000801, not with"),
    "labels for images": (LABELS, lambda c: b"\0\0\x08\x03" + c[4:], "starts with 00000803"),
    "header cut": (IMAGES, lambda c: c[:9], "ends inside its header"),
    "other size": (IMAGES, lambda c: c[:11] + b"\x20" + c[12:], r"images of [32, 28], not of"),
    "a byte short": (IMAGES, lambda c: c[:-1], "235200 bytes; after it come 235199"),
    "a byte long": (LABELS, lambda c: c + b"\0", "300 bytes; after it come 301"),
    "no records": (LABELS, lambda c: c[:4] + b"\0\0\0\0", "promises 0 records"),
    "huge count": (IMAGES, lambda c: c[:4] + b"\xff" * 4 + c[8:], "promises 4294967295 records"),
    "fewer labels": (LABELS, lambda c: c[:7] + b"\x2b" + c[8:-1], "299 labels for the 300 images"),
    "label out of range": (LABELS, lambda c: c[:-1] + b"\x0a", "label 10: expected 0 to 9"),
    "gz cut": (f"{IMAGES}.gz", lambda c: gzip.compress(c)[:-9], "damaged: Compressed file ended"),
    "gz header cut": (f"{IMAGES}.gz", lambda c: gzip.compress(c)[:5], "damaged: "),
    "gz changed": (
        f"{IMAGES}.gz",
        lambda c: gzip.compress(c)[:5000] + bytes(9) + gzip.compress(c)[5009:],
        "damaged: ",
    ),
    "not gz": (f"{LABELS}.gz", lambda c: c, "damaged: Not a gzipped file"),
}


@pytest.mark.parametrize(("name", "damage", "expected"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_named_and_nothing_is_written(
    few: Path, name: str, damage: Damage, expected: str
) -> None:
    whole = few / name.removesuffix(".gz")
    content = whole.read_bytes()
    whole.unlink()
    (few / name).write_bytes(damage(content))
    message = fail(COMMAND, "--source-folder", few, "--out", few.parent / "out")
    assert message.startswith(f"Error: {few / name}: ")
    assert expected in message
    assert [path.name for path in few.parent.iterdir()] == ["few"]


def test_an_unknown_option_and_a_seed_out_of_range_are_usage_errors(tmp_path: Path) -> None:
    for wrong in (("--sed", 1), ("--seed", -1), ("--seed", 2**32), ("--source-folder", "/nowhere")):
        result = netgen(COMMAND, "--out", tmp_path / "out", *wrong)
        assert result.exit_code == 2
        assert "Error: " in result.output
    assert netgen(COMMAND).exit_code == 2
