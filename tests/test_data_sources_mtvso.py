"""`netgen data mtvso`: the layout of the paper's images, with the authors' lists and without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from support.paths import SHARED
from support.photographs import by_opencv, photograph, saved
from support.sources import found, rejects, write

from data_prep.image_source import DataError, ImageSource, Item
from data_prep.listings import read_list
from data_prep.mtvso import mtvso
from netgen import paper
from netgen.caffe.caffe_pb2 import Datum
from netgen.network.dataset import class_names, read_dataset

LISTS = {
    "anp": ["misty_trees", "happy_dog", "misty_street_art"],
    "noun": ["dog", "trees", "street_art"],
    "adj": ["misty", "happy"],
}
CLASSES = {
    "misty_trees/1.jpg": {"noun": "trees", "adj": "misty", "anp": "misty_trees"},
    "happy_dog/1.jpg": {"noun": "dog", "adj": "happy", "anp": "happy_dog"},
    "misty_street_art/1.jpg": {
        "noun": "street_art",
        "adj": "misty",
        "anp": "misty_street_art",
    },
}
NETGEN = Path(sys.executable).parent / "netgen"
# The authors' own lists, where the reference data is at hand.
AUTHORS = SHARED / "data" / "mtvso"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three pairs' folders, an image in each."""
    for name in CLASSES:
        write(tmp_path / "images" / name)
    return tmp_path / "images"


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """The three lists, like the authors' without a line break at the end."""
    for task, names in LISTS.items():
        write(tmp_path / "lists" / f"mtvso_{task}labels.txt", "\n".join(names).encode())
    return tmp_path / "lists"


def with_splits(images: Path, lists: Path | None, train: str, test: str) -> ImageSource:
    files = (
        write(images.parent / "train.txt", train.encode()),
        write(images.parent / "test.txt", test.encode()),
    )
    return mtvso(images, lists, files)


def test_a_folder_is_a_pair_and_gives_the_noun_and_the_adjective(images: Path, lists: Path) -> None:
    source = mtvso(images, lists)
    assert found(source) == CLASSES
    assert rejects(source) == {}


def test_tasks_are_in_the_papers_order_and_classes_in_the_lists(images: Path, lists: Path) -> None:
    source = mtvso(images, lists)
    assert list(source.tasks) == list(paper.TASKS)
    assert source.tasks == {task: tuple(names) for task, names in LISTS.items()}


def test_without_lists_a_folder_is_divided_at_its_first_underscore(images: Path) -> None:
    source = mtvso(images)
    assert source.tasks == {
        "noun": ("dog", "street_art", "trees"),
        "adj": ("happy", "misty"),
        "anp": ("happy_dog", "misty_street_art", "misty_trees"),
    }
    assert found(source) == CLASSES


def test_with_lists_a_pair_is_divided_where_both_words_are_listed(tmp_path: Path) -> None:
    write(tmp_path / "mtvso_anplabels.txt", b"old_school_bus\nice-cold_sea")
    write(tmp_path / "mtvso_nounlabels.txt", b"bus\nsea\nschool")
    write(tmp_path / "mtvso_adjlabels.txt", b"old\nold_school\nice-cold")
    for pair in ("old_school_bus", "ice-cold_sea"):
        write(tmp_path / "images" / pair / "1.jpg")
    assert found(mtvso(tmp_path / "images", tmp_path)) == {
        "old_school_bus/1.jpg": {"noun": "bus", "adj": "old_school", "anp": "old_school_bus"},
        "ice-cold_sea/1.jpg": {"noun": "sea", "adj": "ice-cold", "anp": "ice-cold_sea"},
    }


def test_folders_that_are_no_pair_are_left_out_and_their_files_counted(
    images: Path, lists: Path
) -> None:
    for name in ("sad_cat/1.jpg", "sad_cat/more/2.jpg", "misc/1.jpg", "1.jpg"):
        write(images / name)
    expected = {
        "sad_cat/ (files: 2)": "not the folder of a pair",
        "misc/ (files: 1)": "not the folder of a pair",
        "1.jpg": "in no class's folder",
    }
    assert rejects(mtvso(images, lists)) == expected
    assert "sad_cat" in mtvso(images).tasks["anp"]
    assert "misc/ (files: 1)" in rejects(mtvso(images))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("anp", "misty_trees\nhappy_cat", "pair 'happy_cat' is no adjective_noun with both words"),
        ("anp", "misty_trees\ndog", "pair 'dog' is no adjective_noun"),
        ("anp", "misty_trees\nmisty_trees", "class 'misty_trees' is listed twice"),
        ("noun", "dog", "1 class of task 'noun': at least 2 are needed"),
        ("adj", "", r"mtvso_adjlabels\.txt: empty"),
    ],
)
def test_lists_that_do_not_fit_are_refused(
    images: Path, lists: Path, file: str, content: str, message: str
) -> None:
    write(lists / f"mtvso_{file}labels.txt", content.encode())
    with pytest.raises(DataError, match=message):
        mtvso(images, lists)


def test_a_folder_without_pairs_is_refused(images: Path, lists: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the 3 pairs has a folder in it: name the folder"):
        mtvso(images.parent, lists)
    with pytest.raises(DataError, match=r"mtvso_nounlabels\.txt: No such file"):
        mtvso(images, images)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no class of task 'noun'"):
        mtvso(tmp_path / "empty")


@pytest.mark.parametrize("labels", ["1 0 1", "happy_dog dog happy", "1 dog 1"])
def test_split_lists_name_classes_by_label_or_by_name(
    images: Path, lists: Path, labels: str
) -> None:
    write(images / "elsewhere" / "a b.jpg")
    source = with_splits(
        images, lists, f"happy_dog/1.jpg {labels}\n", f"\r\nelsewhere/a b.jpg\t{labels}\r\n"
    )
    assert {item.name: item.split for item in source.items() if isinstance(item, Item)} == {
        "happy_dog/1.jpg": "train",
        "elsewhere/a b.jpg": "test",
    }
    assert found(source)["elsewhere/a b.jpg"] == CLASSES["happy_dog/1.jpg"]
    assert rejects(source) == {}


@pytest.mark.parametrize(
    ("line", "name", "reason"),
    [
        ("happy_dog/2.jpg 1 0", "test.txt, line 2", "3 fields: expected path anp noun adj"),
        ("happy_dog/2.jpg 3 0 1", "happy_dog/2.jpg", "no class '3' of task 'anp'"),
        (f"happy_dog/2.jpg {'9' * 5000} 0 1", "happy_dog/2.jpg", "no class '999"),
        ("happy_dog/2.jpg 1 0 -1", "happy_dog/2.jpg", "no class '-1' of task 'adj'"),
        ("happy_dog/2.jpg 1 cat 1", "happy_dog/2.jpg", "no class 'cat' of task 'noun'"),
        ("happy_dog/2.jpg 1 1 1", "happy_dog/2.jpg", "this pair has another noun or adjective"),
        ("../2.jpg 1 0 1", "../2.jpg", "`..` may lead out of the root: write the path without"),
        ("misty_trees/1.jpg 0 1 0", "misty_trees/1.jpg", "listed more than once, with different"),
    ],
)
def test_a_bad_line_of_a_split_list_is_rejected(
    images: Path, lists: Path, line: str, name: str, reason: str
) -> None:
    source = with_splits(
        images, lists, "misty_trees/1.jpg 0 1 0\n", f"happy_dog/1.jpg 1 0 1\n{line}\n"
    )
    assert rejects(source)[name].startswith(reason)
    assert "happy_dog/1.jpg" in found(source)


# The whole command, on photographs ----------------------------------------------------------------


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NETGEN, "data", "mtvso", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def pairs_at_hand() -> list[str]:
    """Twelve of the authors' pairs, or pairs like theirs."""
    file = AUTHORS / "mtvso_anplabels.txt"
    if file.exists():
        return file.read_text().split()[:12]
    return [f"{a}_{n}" for a in ("dry", "wild", "misty") for n in ("dog", "sea", "sky", "wood")]


def test_photographs_laid_out_as_vso_become_a_dataset(tmp_path: Path) -> None:
    images, out = tmp_path / "bi_concepts1553", tmp_path / "out"
    pairs = pairs_at_hand()
    whole = {}
    for number in range(8 * len(pairs)):
        name = f"{pairs[number % len(pairs)]}/{number}.jpg"
        whole[name] = saved(photograph(number, 250, 188), quality=90)
        write(images / name, whole[name])
    damaged = {
        f"{pairs[0]}/cut.jpg": next(iter(whole.values()))[:3000],
        f"{pairs[0]}/gone.jpg": b"<!DOCTYPE html><title>This photo is no longer available",
        f"{pairs[1]}/empty.jpg": b"",
    }
    for name, content in damaged.items():
        write(images / name, content)
    labels = ["--labels", AUTHORS] if AUTHORS.exists() else []
    done = run(images, *labels, "--out", out, "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert {row["name"] for row in read_list(out / "rejects.csv")} == set(damaged)

    dataset = read_dataset(out / "dataset.toml")
    assert (dataset.train.records, dataset.test.records) == (6 * len(pairs), 2 * len(pairs))
    seen = set()
    for row in read_list(out / "records.csv"):
        seen.add(row["name"])
        adjective, noun = row["name"].split("/")[0].split("_")
        split = dataset.train if row["split"] == "train" else dataset.test
        for task, name in {"adj": adjective, "noun": noun, "anp": f"{adjective}_{noun}"}.items():
            label = int(datum(split.labels[task], row["key"]).float_data[0])
            names = class_names(dataset.task(task))
            assert names is not None
            assert names[label] == name
        expected = by_opencv(whole[row["name"]])
        pixels = np.frombuffer(datum(split.images, row["key"]).data, np.uint8)
        assert np.array_equal(
            pixels.reshape(3, 224, 224), cv2.resize(expected, (224, 224)).transpose(2, 0, 1)
        )
    assert seen == set(whole)


def datum(database: str, key: str) -> Datum:
    with lmdb.open(database, readonly=True, lock=False) as environment, environment.begin() as view:
        value = view.get(key.encode())
        assert value is not None
        return Datum.FromString(value)


def test_one_split_list_without_the_other_is_wrong_usage(images: Path, tmp_path: Path) -> None:
    done = run(images, "--train", write(tmp_path / "train.txt"), "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "--train and --test go together: give both lists, or none." in done.stderr
