"""`netgen data resample`: the same pixels and names, in another order, split or number."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest
from numpy.typing import NDArray
from support.data import fail, netgen, photographs, pixels, succeed

CLASSES = {"happy_dog": 11, "happy_cat": 6, "old_dog": 7}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper's three tasks, of a few photographs."""
    folder = tmp_path_factory.mktemp("resample")
    photographs(folder / "images", CLASSES)
    succeed("mtvso", folder / "images", "--out", folder / "made", "--size", "16", "--seed", "1")
    return folder


def rows(dataset: Path) -> list[dict[str, str]]:
    with (dataset / "records.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def by_name(dataset: Path) -> dict[str, NDArray[np.uint8]]:
    """The pixels of every image, by its name."""
    stored = {split: pixels(dataset, split) for split in ("train", "test")}
    return {row["name"]: stored[row["split"]][int(row["key"])] for row in rows(dataset)}


def names(dataset: Path, split: str) -> list[str]:
    return [row["name"] for row in rows(dataset) if row["split"] == split]


def resample(made: Path, out: Path, *words: str) -> Path:
    succeed("resample", made / "made/dataset.toml", "--out", out, *words)
    return out


def test_a_seed_changes_the_order_and_neither_pixels_labels_nor_split(
    made: Path, tmp_path: Path
) -> None:
    again = resample(made, tmp_path / "again", "--seed", "2")
    before = made / "made"
    assert names(again, "train") != names(before, "train")
    assert sorted(names(again, "train")) == sorted(names(before, "train"))
    images = by_name(before)
    assert all(np.array_equal(image, images[name]) for name, image in by_name(again).items())
    labels = {row["name"]: row["label:anp"] for row in rows(before)}
    assert {row["name"]: row["label:anp"] for row in rows(again)} == labels
    assert "0 failed" in succeed("verify", again)


def test_the_order_of_a_seed_is_that_of_the_files_themselves(made: Path, tmp_path: Path) -> None:
    """So databases that were made of the images' files are made again without them."""
    lists = {}
    for split in ("train", "test"):
        of = [row for row in rows(made / "made") if row["split"] == split]
        lists[split] = tmp_path / f"{split}.txt"
        text = (f"{r['name']} {r['class:anp']} {r['class:noun']} {r['class:adj']}\n" for r in of)
        lists[split].write_text("".join(text))
    succeed("mtvso", made / "images", "--train", lists["train"], "--test", lists["test"],
            "--size", "16", "--seed", "5", "--out", tmp_path / "files")  # fmt: skip
    again = resample(made, tmp_path / "again", "--seed", "5")
    for split in ("train", "test"):
        assert np.array_equal(pixels(again, split), pixels(tmp_path / "files", split))


def test_a_split_drawn_anew_has_as_many_images_a_class_and_depends_on_the_seed(
    made: Path, tmp_path: Path
) -> None:
    one, two = (resample(made, tmp_path / s, "--split", "anew", "--seed", s) for s in ("1", "2"))
    assert set(names(one, "test")) != set(names(two, "test"))
    for made_anew in (one, two):
        trained = Counter(r["class:anp"] for r in rows(made_anew) if r["split"] == "train")
        assert trained == {"happy_dog": 8, "happy_cat": 4, "old_dog": 5}


def test_a_choice_is_made_among_training_images_alone(made: Path, tmp_path: Path) -> None:
    choosing = resample(made, tmp_path / "choosing", "--split", "training")
    trained = set(names(made / "made", "train"))
    assert {*names(choosing, "train"), *names(choosing, "test")} == trained
    assert names(choosing, "test")


def test_a_share_keeps_some_of_every_class_and_the_whole_test_set(
    made: Path, tmp_path: Path
) -> None:
    less = resample(made, tmp_path / "less", "--share", "0.25", "--seed", "3")
    trained = Counter(row["class:anp"] for row in rows(less) if row["split"] == "train")
    assert trained == {"happy_dog": 2, "happy_cat": 1, "old_dog": 2}  # of 8, 4 and 5
    assert sorted(names(less, "test")) == sorted(names(made / "made", "test"))


def test_pixels_of_encoded_images_are_those_that_caffe_decodes(made: Path, tmp_path: Path) -> None:
    succeed("mtvso", made / "images", "--out", tmp_path / "png", "--size", "16", "--encoded", "png")
    again = tmp_path / "again"
    succeed("resample", tmp_path / "png/dataset.toml", "--out", again)
    images = by_name(made / "made")
    assert all(np.array_equal(image, images[name]) for name, image in by_name(again).items())


@pytest.mark.parametrize("option", ["--rotate", "--lenient"])
def test_how_images_were_read_is_not_decided_again(made: Path, tmp_path: Path, option: str) -> None:
    toml = made / "made/dataset.toml"
    told = netgen("resample", toml, "--out", tmp_path / "out", option)
    assert told.exit_code == 2, told.output
    assert f"{option} was decided when {toml} was made" in told.output
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_resampled_is_refused(made: Path, tmp_path: Path) -> None:
    toml, out = made / "made/dataset.toml", tmp_path / "out"
    said = fail("resample", toml, "--out", out, "--split", "anew", "--share", "0.5")
    assert "draw the split first" in said
    copy = tmp_path / "copy"
    resample(made, copy)
    (copy / "records.csv").unlink()
    assert "records.csv is not there" in fail("resample", copy / "dataset.toml", "--out", out)
    data = copy / "train/images.lmdb/data.mdb"
    data.write_bytes(data.read_bytes()[:10_000])
    (copy / "records.csv").write_bytes((made / "made/records.csv").read_bytes())
    assert "cut off" in fail("resample", copy / "dataset.toml", "--out", out)
    assert not out.exists()


def swapped(lines: list[str]) -> list[str]:
    """The names of two images that are of different classes, exchanged with all but their keys."""
    found = [line.split(",") for line in lines]
    other = next(i for i, fields in enumerate(found) if i and fields[4:] != found[1][4:])
    one, two = found[1], found[other]
    found[1], found[other] = [*two[:1], *one[1:2], *two[2:]], [*one[:1], *two[1:2], *one[2:]]
    return [",".join(fields) for fields in found]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (swapped, "record 1: "),
        (lambda lines: [*lines[:2], *lines[3:]], "record 2: key is '00000002'"),
        (lambda lines: [line.replace('"dog"', '"cat"') for line in lines], "class:noun is 'cat'"),
        (lambda lines: lines[1:], "0 columns 'split' in its first line"),
        (lambda lines: [line.replace("label:adj", "x") for line in lines], "0 columns 'label:adj'"),
        (lambda lines: [*lines, '"train"'], "line 26: 1 fields"),
        (lambda lines: [*lines, '"unended'], "unexpected end of data"),
        (lambda lines: [line.replace("00000001", "") for line in lines], "record 2: key is ''"),
        (lambda lines: ["\0" * 2**21], "a line of over 1 MB"),
    ],
)
def test_a_list_that_the_databases_contradict_is_refused(
    edit: Callable[[list[str]], list[str]], said: str, made: Path, tmp_path: Path
) -> None:
    copy, out = tmp_path / "copy", tmp_path / "out"
    shutil.copytree(made / "made", copy)
    file = copy / "records.csv"
    file.write_text("\n".join(edit(file.read_text().splitlines())) + "\n")
    assert said in fail("resample", copy / "dataset.toml", "--out", out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("line", "other", "said"),
    [
        ("height = 16", "height = 17", "it says 3 x 16 x 16"),
        ('encoded = "raw"', 'encoded = "png"', "it is kept as raw, not as png"),
        ("records = 17", "records = 19", "dataset.toml says 19"),
        ("test/images.lmdb", "train/images.lmdb", "is for training and for test"),
        ("classes/noun.txt", "classes/adj.txt", "class:noun is 'cat'"),
    ],
)
def test_a_dataset_toml_that_the_databases_contradict_is_refused(
    line: str, other: str, said: str, made: Path, tmp_path: Path
) -> None:
    copy, out = tmp_path / "copy", tmp_path / "out"
    shutil.copytree(made / "made", copy)
    text = (copy / "dataset.toml").read_text(encoding="utf-8")
    assert line in text
    (copy / "dataset.toml").write_text(text.replace(line, other), encoding="utf-8")
    assert said in fail("resample", copy / "dataset.toml", "--out", out)
    assert not out.exists()


def test_an_image_that_does_not_decode_is_told_with_its_record(made: Path, tmp_path: Path) -> None:
    copy, out = tmp_path / "copy", tmp_path / "out"
    shutil.copytree(made / "made", copy)
    with lmdb.open(str(copy / "train/images.lmdb")) as opened, opened.begin(write=True) as change:
        change.put(b"00000003", b"\xff no Datum")
    said = fail("resample", copy / "dataset.toml", "--out", out)
    assert "record '00000003' is no Datum" in said
    assert not out.exists()
