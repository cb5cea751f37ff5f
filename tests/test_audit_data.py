"""Databases inspected: small ones whose labels go together, and what single changes tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np
import pytest
from support.audit import differing, shown

from data_prep.datums import image_datum, key, label_datum
from netgen import paper
from netgen.audit.inspection import InspectionError, InspectionFinding, InspectionVerdict, inspect
from netgen.caffe.caffe_pb2 import Datum
from netgen.caffe.database_cursor import DatabaseError, open_database
from netgen.network.dataset import Dataset, Images, Task, split_in, write_dataset

PAIRS = paper.TASKS["anp"]
IMAGES_PER_PAIR = {"train": 8, "test": 2}


@dataclass
class Content:
    """What the databases of a small dataset hold, to be changed."""

    labels: dict[str, dict[str, np.ndarray]]
    images: dict[str, np.ndarray]


EARLY = ("test", -2, "2 record(s) too early")
Change = Callable[[Content], object]


def content() -> Content:
    rng = np.random.default_rng(7)
    parts = {
        part: rng.permutation(np.arange(PAIRS) % paper.TASKS[part]) for part in ("noun", "adj")
    }
    labels, images = {}, {}
    for split, count in IMAGES_PER_PAIR.items():
        anp = rng.permutation(np.repeat(np.arange(PAIRS), count))
        labels[split] = {"noun": parts["noun"][anp], "adj": parts["adj"][anp], "anp": anp}
        images[split] = rng.integers(0, 256, (anp.size, 4, 4, 3), dtype=np.uint8)
    return Content(labels, images)


def write(folder: Path, made: Content) -> None:
    for split, images in made.images.items():
        put(folder / split / "images.lmdb", [bytes(image_datum(image)) for image in images])
        for task, values in made.labels[split].items():
            put(folder / split / f"label_{task}.lmdb", [label_datum(int(v)) for v in values])


def put(path: Path, values: list[bytes], first: int = 0) -> None:
    path.mkdir(parents=True, exist_ok=True)
    with (
        lmdb.open(str(path), map_size=2**26, sync=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        for index, value in enumerate(values, start=first):
            transaction.put(key(index), value)


def inspected(
    folder: Path, change: Change | None = None, deep: bool = False
) -> list[InspectionFinding]:
    made = content()
    if change:
        change(made)
    write(folder, made)
    return inspect(data=folder, deep=deep)


def told(folder: Path, found: list[InspectionFinding]) -> list[tuple[str, str]]:
    """What differs, but for what does in every dataset as small as this: places and sentences."""
    usual = ("records, the paper's has", "images per pair", "the first is 3 x 4 x 4")
    named = [
        (finding.where.removeprefix(f"{folder}: "), finding.what) for finding in differing(found)
    ]
    return [(where, what) for where, what in named if not any(u in where + what for u in usual)]


def test_databases_whose_labels_go_together_are_found_so(tmp_path: Path) -> None:
    found = inspected(tmp_path, deep=True)
    assert told(tmp_path, found) == [], shown(found)
    same = [finding.what for finding in found if finding.verdict is InspectionVerdict.SAME]
    assert "553 classes have images, the paper's are 553 (section 5.1)" in same
    assert "the same keys in all databases" in same
    assert "no image is in both (section 5.2)" in same
    assert any("floor(0.8 n)" in what for what in same)
    counts = [f.what for f in differing(found) if "records" in f.what]
    assert "4,424 records, the paper's has 307,185 (section 5.2)" in counts


def shifted(split: str, task: str, by: int) -> Change:
    def change(made: Content) -> None:
        made.labels[split][task] = np.roll(made.labels[split][task], by)

    return change


@pytest.mark.parametrize("task", paper.TASKS)
@pytest.mark.parametrize(("split", "by", "words"), [("train", 1, "1 record(s) too late"), EARLY])
def test_a_shifted_label_database_is_the_odd_one_out(
    split: str, task: str, by: int, words: str, tmp_path: Path
) -> None:
    found = told(tmp_path, inspected(tmp_path, shifted(split, task, by)))
    (where, what) = found[0]
    assert where == f"{split.upper()} {task}", found
    assert f"the label of {task} does not fit the other two" in what
    assert words in what


def sorted_and_shifted(made: Content) -> None:
    """Sorted by pair, a database that slipped is right but where a pair ends."""
    order = np.argsort(made.labels["train"]["anp"], kind="stable")
    for task, values in made.labels["train"].items():
        made.labels["train"][task] = values[order]
    made.labels["train"]["adj"] = np.roll(made.labels["train"]["adj"], 1)


def test_a_shift_is_found_where_records_are_sorted(tmp_path: Path) -> None:
    found = told(tmp_path, inspected(tmp_path, sorted_and_shifted))
    assert found[0][0] == "TRAIN adj"


def one_wrong_label(made: Content) -> None:
    made.labels["train"]["noun"][100] = (made.labels["train"]["noun"][100] + 1) % 167


def label_out_of_range(made: Content) -> None:
    made.labels["test"]["adj"][3] = 117


def negative_label(made: Content) -> None:
    made.labels["test"]["anp"][3] = -1


def class_missing(made: Content) -> None:
    for split in made.labels.values():
        split["noun"][split["noun"] == 12] = 13


def other_numbers_in_the_test_set(made: Content) -> None:
    made.labels["test"]["noun"] = (made.labels["test"]["noun"] + 1) % 167


def swapped_labels(made: Content) -> None:
    """Two records' adjectives exchanged: every count stays."""
    anp = made.labels["train"]["anp"]
    other = int(np.flatnonzero(made.labels["train"]["adj"] != made.labels["train"]["adj"][0])[0])
    assert anp[0] != anp[other]
    values = made.labels["train"]["adj"]
    values[[0, other]] = values[[other, 0]]


def moved_between_splits(made: Content) -> None:
    """One image of pair 0 changes places with one of pair 1."""
    train, test = made.labels["train"], made.labels["test"]
    a, b = int(np.flatnonzero(train["anp"] == 0)[0]), int(np.flatnonzero(test["anp"] == 1)[0])
    for task in train:
        train[task][a], test[task][b] = test[task][b], train[task][a]


def one_record_short(made: Content) -> None:
    made.labels["train"]["adj"] = made.labels["train"]["adj"][:-1]


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (
            one_wrong_label,
            "TRAIN noun",
            "in 1 records the label of noun does not fit the other two",
        ),
        (swapped_labels, "TRAIN adj", "in 2 records the label of adj does not fit the other two"),
        (label_out_of_range, "TEST adj", "record 3 has label 117, and 0 more are not in 0 to 116"),
        (negative_label, "TEST anp", "record 3 has label -1"),
        (class_missing, "noun", "166 classes have images, the paper's are 167"),
        (other_numbers_in_the_test_set, "noun", "differ in meaning between TRAIN and TEST"),
        (
            moved_between_splits,
            "anp, split",
            "2 pairs are not split 80/20: of pair 0's 10 images 7",
        ),
        (one_record_short, "TRAIN", "databases of different lengths"),
    ],
)
def test_a_change_of_labels_is_named(change: Change, where: str, what: str, tmp_path: Path) -> None:
    found = told(tmp_path, inspected(tmp_path, change))
    assert any(place == where and what in words for place, words in found), found


def test_rounding_to_nearest_is_told_from_floor(tmp_path: Path) -> None:
    def rounded(made: Content) -> None:
        """Six images per pair: 4 by floor(4.8), 5 to nearest."""
        for split, count in (("train", 5), ("test", 1)):
            anp = np.repeat(np.arange(PAIRS), count)
            made.labels[split] = {"noun": anp % 167, "adj": anp % 117, "anp": anp}
            made.images[split] = np.zeros((anp.size, 1, 1, 3), np.uint8)

    found = told(tmp_path, inspected(tmp_path, rounded))
    assert any("rounded to nearest; the paper's totals imply floor" in what for _, what in found)


def test_one_image_in_both_splits_is_seen_by_a_deep_inspection_only(tmp_path: Path) -> None:
    def leak(made: Content) -> None:
        made.images["test"][17] = made.images["train"][1234]

    assert told(tmp_path, inspected(tmp_path, leak)) == []
    found = told(tmp_path, inspect(data=tmp_path, deep=True))
    assert found == [("images, both splits", found[0][1])]
    assert "1 images are in TRAIN and in TEST: record 1,234 of the one is record 17" in found[0][1]


def test_an_image_twice_in_a_split_is_told(tmp_path: Path) -> None:
    def twice(made: Content) -> None:
        made.images["train"][5] = made.images["train"][6]

    found = inspected(tmp_path, twice, deep=True)
    assert any("1 records repeat an image of TRAIN" in finding.what for finding in found)


def test_other_keys_are_named_with_the_first_record(tmp_path: Path) -> None:
    made = content()
    write(tmp_path, made)
    (tmp_path / "train/label_adj.lmdb/data.mdb").unlink()
    values = [label_datum(int(value)) for value in made.labels["train"]["adj"]]
    put(tmp_path / "train/label_adj.lmdb", values, first=1)
    found = told(tmp_path, inspect(data=tmp_path))
    assert any("record 0 has the keys" in what and "'00000001' (adj)" in what for _, what in found)


def test_labels_in_caffes_own_field_are_read_too(tmp_path: Path) -> None:
    made = content()
    write(tmp_path, made)
    (tmp_path / "test/label_anp.lmdb/data.mdb").unlink()
    values = made.labels["test"]["anp"]
    put(tmp_path / "test/label_anp.lmdb", [Datum(label=int(v)).SerializeToString() for v in values])
    assert told(tmp_path, inspect(data=tmp_path)) == []


def test_a_dataset_toml_says_where_the_databases_are(tmp_path: Path) -> None:
    made = content()
    write(tmp_path, made)
    dataset = Dataset(
        name="small",
        images=Images(3, 4, 4, (0.0, 0.0, 0.0)),
        tasks=tuple(Task(task, classes) for task, classes in paper.TASKS.items()),
        train=split_in(f"{tmp_path}/train", paper.TASKS, 8 * PAIRS),
        test=split_in(f"{tmp_path}/test", paper.TASKS, 2 * PAIRS),
    )
    write_dataset(dataset, tmp_path / "dataset.toml")
    assert told(tmp_path, inspect(data=tmp_path)) == []


def test_labels_of_one_split_without_images_are_inspected_as_far_as_they_go(tmp_path: Path) -> None:
    values = content().labels["train"]["noun"]
    put(tmp_path / "train_noun_lmdb", [label_datum(int(value)) for value in values])
    found = inspect(data=tmp_path)
    assert any("no databases of TEST" in finding.what for finding in found)
    assert any("labels of noun, the paper's tasks are noun, adj, anp" in f.what for f in found)


def test_a_folder_of_something_else_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InspectionError, match="and no LMDBs"):
        inspect(data=tmp_path)
    with pytest.raises(InspectionError, match="no such folder"):
        inspect(data=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"not a Datum at all \xff\xff", "is no Datum: is it a database of Caffe's"),
        (Datum(channels=3, height=2, width=2, data=bytes(12)).SerializeToString(), "is no label"),
        (Datum(channels=1, height=1, width=1, float_data=[0.5]).SerializeToString(), "is no label"),
    ],
)
def test_a_database_of_another_schema_is_one_clear_error(
    value: bytes, message: str, tmp_path: Path
) -> None:
    put(tmp_path / "train/label_adj.lmdb", [value])
    with pytest.raises(DatabaseError, match=message):
        inspect(data=tmp_path)


def test_what_is_no_lmdb_is_one_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "train/label_adj.lmdb"
    folder.mkdir(parents=True)
    (folder / "data.mdb").write_bytes(b"\xff\xd8\xff" + bytes(10000))
    with pytest.raises(DatabaseError, match="not a readable LMDB"):
        inspect(data=tmp_path)


def test_an_lmdb_that_is_not_there_is_one_error_with_a_next_step(tmp_path: Path) -> None:
    with (
        pytest.raises(DatabaseError, match=r"no such folder\): make it with `netgen data`"),
        open_database(tmp_path / "train/label_adj.lmdb"),
    ):
        pass


def test_a_truncated_lmdb_is_one_clear_error(tmp_path: Path) -> None:
    put(tmp_path / "train/label_adj.lmdb", [label_datum(1)] * 2000)
    file = tmp_path / "train/label_adj.lmdb/data.mdb"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DatabaseError, match="not a readable LMDB"):
        inspect(data=tmp_path)
