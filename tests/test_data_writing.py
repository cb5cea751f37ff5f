"""The databases that are made of photographs: pixels, means, lists, sizes, and Caffe's own view."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.caffe_child import in_caffe
from support.data import (
    fail,
    fingerprints,
    labels,
    photographs,
    pixels,
    read,
    records,
    succeed,
    table,
    walk,
)
from support.photographs import by_opencv, photograph, saved

from data_prep import datums, planning, storage
from data_prep.datums import decoded_pixels, image_datum, key, label_datum
from data_prep.image_source import DataError, ImageSource
from data_prep.listings import read_list
from data_prep.storage import Appender, TwoSlots
from netgen.caffe.caffe_pb2 import BlobProto, Datum
from netgen.network.dataset import read_dataset

CLASSES = {"bright lamp": 6, "dark street": 9, "old car": 11}
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of 500 x 375 in three classes, and a broken one."""
    root = photographs(tmp_path_factory.mktemp("writing") / "root", CLASSES, 500, 375)
    (root / "old car" / "broken.jpg").write_bytes(saved(photograph(0))[:1000])
    return root


@pytest.fixture(scope="module")
def converted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `netgen data folder` makes of them."""
    out = tmp_path_factory.mktemp("writing") / "out"
    succeed("folder", root, "--out", out)
    return out


def caffe(program: str, *arguments: object) -> None:
    run = subprocess.run(
        [BIN / program, *map(str, arguments)], capture_output=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr.decode()


@pytest.mark.parametrize("split", ["train", "test"])
def test_pixels_are_byte_for_byte_those_of_convert_imageset(
    root: Path, converted: Path, tmp_path: Path, split: str
) -> None:
    rows = records(converted, split)
    # It reads lines, so neither spaces nor the order can be left to it.
    for i, row in enumerate(rows):
        (tmp_path / f"{i}.jpg").symlink_to(root / row["name"])
    listed = "".join(f"{i}.jpg {row['label:class']}\n" for i, row in enumerate(rows))
    (tmp_path / "list").write_text(listed)
    caffe(
        "convert_imageset", "--resize_width=224", "--resize_height=224",
        f"{tmp_path}/", tmp_path / "list", tmp_path / "theirs",
    )  # fmt: skip
    theirs = list(read(tmp_path / "theirs").values())
    ours = list(read(converted / split / "images.lmdb").values())
    assert [datum.data for datum in ours] == [datum.data for datum in theirs]
    assert {(d.channels, d.height, d.width) for d in ours} == {(3, 224, 224)}
    assert labels(converted, split, "class") == [datum.label for datum in theirs]


def read_mean(file: Path) -> np.ndarray:
    blob = BlobProto.FromString(file.read_bytes())
    assert blob.num == 1
    return np.array(blob.data, np.float32).reshape(blob.channels, blob.height, blob.width)


@pytest.mark.parametrize("how", [(), ("--encoded", "png"), ("--encoded", "jpeg")])
def test_the_mean_is_that_of_compute_image_mean(
    root: Path, tmp_path: Path, how: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    succeed("folder", root, "--out", out, "--size", "48x64", *how)
    caffe("compute_image_mean", out / "train" / "images.lmdb", tmp_path / "theirs")
    ours, theirs = read_mean(out / "mean.binaryproto"), read_mean(tmp_path / "theirs")
    assert ours.shape == theirs.shape == (3, 48, 64)
    assert np.allclose(ours, theirs, rtol=1e-6)
    dataset = read_dataset(out / "dataset.toml")
    assert dataset.images.mean == pytest.approx(ours.mean(axis=(1, 2)).tolist(), rel=1e-5)


@pytest.mark.parametrize("how", [(), ("--encoded", "png"), ("--encoded", "jpeg")])
def test_caffe_reads_an_epoch_with_every_image_at_its_own_labels(
    root: Path, tmp_path: Path, how: tuple[str, ...]
) -> None:
    """Held against the source's own files, and once around."""
    out = tmp_path / "out"
    succeed("folder", root, "--out", out, "--size", 32, *how)
    for split in ("train", "test"):
        rows = records(out, split)
        blobs = in_caffe(walk, out, split, ["class"], len(rows), 2, folder=tmp_path).value
        for place, row in enumerate(rows * 2):
            assert row["name"].startswith(f"{row['class:class']}/")
            name = sorted(CLASSES)[int(blobs["class"][place].item())]
            assert name == row["class:class"]
            image = cv2.resize(by_opencv((root / row["name"]).read_bytes()), (32, 32))
            if "jpeg" in how:
                image = by_opencv(cv2.imencode(".jpg", image)[1].tobytes())
            assert np.array_equal(blobs["data"][place], image.transpose(2, 0, 1))


def test_encoded_images_are_smaller_and_png_loses_nothing(
    root: Path, converted: Path, tmp_path: Path
) -> None:
    for encoding in ("png", "jpeg"):
        out = tmp_path / encoding
        succeed("folder", root, "--out", out, "--encoded", encoding)
        found = list(read(out / "train" / "images.lmdb").values())
        assert all(datum.encoded for datum in found)
        assert sum(len(d.data) for d in found) < 0.9 * 224 * 224 * 3 * len(found)
        if encoding == "png":
            images = [decoded_pixels(d).transpose(2, 0, 1) for d in found]
            assert np.array_equal(images, pixels(converted, "train"))


def test_a_reject_leaves_all_databases_and_is_listed_with_its_reason(converted: Path) -> None:
    rejects = table(converted / "rejects.csv")
    assert [row["name"] for row in rejects] == ["old car/broken.jpg"]
    assert "JPEG" in rejects[0]["reason"]
    listed = table(converted / "records.csv")
    assert len(listed) == sum(CLASSES.values())
    assert "old car/broken.jpg" not in {row["name"] for row in listed}
    counts = {split: Counter(labels(converted, split, "class")) for split in ("train", "test")}
    for label, n in enumerate(CLASSES.values()):
        assert counts["train"][label] == 8 * n // 10
        assert counts["test"][label] == n - 8 * n // 10


NAMES = [
    '"quoted", twice".jpg',
    "line\nbreak.jpg",
    "return\r.jpg",
    "写真 📷.jpg",
    " a, b ;.jpg",
    "\udcff.jpg",
]


def test_names_in_any_script_with_quotes_and_line_breaks_survive(tmp_path: Path) -> None:
    root = photographs(tmp_path / "root", {"a": 5, "б": 5})
    for i, name in enumerate(NAMES):
        (root / "a" / name).write_bytes(saved(photograph(i)))
        (root / "a" / f"bad {name}").write_bytes(b"no image")
    succeed("folder", root, "--out", tmp_path / "out", "--size", 16)
    good = {f"a/{name}" for name in NAMES} | {f"{c}/{i}.jpg" for c in "aб" for i in range(5)}
    bad = {f"a/bad {name}" for name in NAMES}
    for reader in (table, read_list):
        assert {row["name"] for row in reader(tmp_path / "out" / "records.csv")} == good
        assert {row["name"] for row in reader(tmp_path / "out" / "rejects.csv")} == bad


def test_a_dry_run_tells_the_same_and_writes_nothing(root: Path, tmp_path: Path) -> None:
    said = succeed("folder", root, "--out", tmp_path / "out", "--dry-run")
    assert list(tmp_path.iterdir()) == []
    assert "a dry run, nothing written: 19 training and 7 test images of 3 x 224 x 224" in said
    assert "Left out: 1\n  1: " in said
    assert "Next:" not in said


def test_a_dry_run_also_refuses_a_place_that_is_taken(root: Path, converted: Path) -> None:
    before = fingerprints(converted)
    assert "exists" in fail("folder", root, "--out", converted, "--dry-run")
    assert fingerprints(converted) == before


# Databases ----------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3, 4])),
    st.integers(0, 2**32 - 1),
)
def test_an_image_datum_is_what_protobuf_would_make_of_it(
    shape: tuple[int, int, int], seed: int
) -> None:
    image = np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)
    height, width, channels = shape
    data = b"".join(image[:, :, c].tobytes() for c in range(channels))
    whole = Datum(channels=channels, height=height, width=width, data=data)
    assert image_datum(image) == whole.SerializeToString()


@pytest.mark.parametrize("label", [0, 1, 552, 65_537])
def test_a_label_datum_is_one_whole_float(label: int) -> None:
    datum = Datum.FromString(label_datum(label))
    assert list(datum.float_data) == [label]
    assert (datum.channels, datum.height, datum.width) == (1, 1, 1)


def test_keys_stay_in_order_up_to_the_last() -> None:
    assert [key(0), key(datums.MOST_RECORDS - 1)] == [b"00000000", b"99999999"]


def append(folder: Path, batches: int, size: int) -> Appender:
    made = Appender(str(folder))
    for start in range(made.entries(), 256 * batches, 256):
        keys = [key(i) for i in range(start, start + 256)]
        made.append(keys, [k * (size // 8) for k in keys])
    return made


def test_the_last_sums_stay_whole_while_the_next_ones_are_written(tmp_path: Path) -> None:
    slots = TwoSlots(tmp_path / "sums")
    slot = slots.put(b"first")
    assert TwoSlots(slots.file).get(slot) == b"first"
    for value in (b"other", b"third"):
        before, slot = slot, slots.put(value)
        assert slot != before
        assert TwoSlots(slots.file).get(slot) == value
    again = TwoSlots(slots.file)
    assert again.get(before) == b"other"
    assert again.put(b"never") != before  # a run that resumes spares the one that was recorded


def test_the_map_grows_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "FIRST_MAP_SIZE", 2**15)
    append(tmp_path, 5, 4000)
    with lmdb.open(str(tmp_path), readonly=True, lock=False) as environment:
        assert environment.info()["map_size"] > 5_000_000
        with environment.begin() as transaction:
            found = dict(transaction.cursor())
    assert found == {key(i): key(i) * 500 for i in range(1_280)}


@pytest.mark.parametrize("size", [16, 3000, 12_000])
def test_a_database_has_the_same_bytes_whoever_wrote_which_batch(tmp_path: Path, size: int) -> None:
    append(tmp_path / "one", 6, size)
    for batches in (1, 2, 4, 6):
        append(tmp_path / "many", batches, size)
    assert fingerprints(tmp_path / "one") == fingerprints(tmp_path / "many")


@pytest.mark.parametrize("size", [8, 16, 784, 2016, 2024, 4080, 4088, 30_000])
def test_the_estimate_is_never_below_and_hardly_above_what_a_database_takes(
    tmp_path: Path, size: int
) -> None:
    append(tmp_path, 12, size)
    taken = (tmp_path / "data.mdb").stat().st_size
    assert taken <= planning.database_size(12 * 256, size) <= 1.05 * taken + planning.OVERHEAD


@pytest.mark.parametrize(
    ("task", "classes", "message"),
    [
        ("a_b", ("x", "y"), "task 'a_b': .*regex"),
        ("a", ("x",), "task 'a': .*>= 2"),
        ("a", ("x", "x"), "task 'a': class 'x' is listed twice"),
        ("a", ("x", "X"), "task 'a': class 'X' and class 'x' differ only in case"),
        ("a", ("x", "y\nz"), r"task 'a': the name 'y\\nz' has characters that are not shown"),
        ("a", ("x", ""), "task 'a': a class has an empty name"),
        ("a", ("x", " "), "task 'a': a class has an empty name, or one of spaces"),
        ("a" * 101, ("x", "y"), "task 'a{101}': .*regex"),
    ],
)
def test_a_task_that_dataset_toml_cannot_hold_is_refused(
    task: str, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        ImageSource("name", {task: classes}, lambda: iter(()), lambda _: b"")
