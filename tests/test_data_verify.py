"""`netgen data verify` on a real dataset, whole and then damaged in one place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lmdb
import numpy as np
import pytest
from click.testing import CliRunner
from support.networks import dataset, make_databases
from support.once import Once

from data_prep.convert import convert
from data_prep.datums import image_datum, key, label_datum
from data_prep.image_source import ImageSource, Item, Pixels
from data_prep.request import DataOptions
from data_prep.verify import CheckOutcome, verify
from netgen.caffe.caffe_pb2 import Datum
from netgen.commands.cli import main
from netgen.network.dataset import write_dataset

IMAGES = 60  # 48 to train, 12 to test
TASKS = {"thing": ("cat", "dog", "car", "bus"), "kind": ("animal", "machine")}


def pixels(name: str) -> Pixels:
    return np.random.default_rng(int(name)).integers(0, 256, (7, 9, 3), dtype=np.uint8)


def items() -> list[Item]:
    labels = (i % len(TASKS["thing"]) for i in range(IMAGES))
    return [Item(str(i), {"thing": of, "kind": of // 2}) for i, of in enumerate(labels)]


def made(folder: Path, encoding: str | None) -> Path:
    source = ImageSource("some", TASKS, lambda: iter(items()), pixels, size=(7, 9))
    convert(source, DataOptions(folder, encoded=encoding))  # type: ignore[arg-type]
    return folder


@pytest.fixture
def data(tmp_path: Path, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole dataset of raw images, to be damaged."""
    return copied(tmp_path, once, tmp_path_factory, None)


@pytest.fixture
def encoded(tmp_path: Path, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of JPEGs."""
    return copied(tmp_path, once, tmp_path_factory, "jpeg")


def copied(folder: Path, once: Once, factory: pytest.TempPathFactory, encoding: str | None) -> Path:
    make = partial(made, encoding=encoding)
    whole = once(f"verified {encoding}", lambda: make(factory.mktemp("made") / "data"))
    shutil.copytree(whole, folder / "data")
    return folder / "data"


def failed(folder: Path, quick: bool = False) -> dict[str, str]:
    """The checks that failed, and what they found."""
    checks = verify(folder, quick)
    return {check.what: check.found for check in checks if check.outcome is CheckOutcome.FAILED}


def change(database: Path, of: Callable[[list[bytes]], list[bytes | None]]) -> None:
    """Change the records of a database: None leaves one out, keys stay."""
    with lmdb.open(str(database), map_size=2**24, sync=False) as environment:
        with environment.begin() as transaction:
            records = list(transaction.cursor().iternext())
        with environment.begin(write=True) as transaction:
            values = of([value for _, value in records])
            for (name, _), value in zip(records, values, strict=True):
                transaction.delete(name) if value is None else transaction.put(name, value)


def replaced(index: int, value: bytes | None) -> Callable[[list[bytes]], list[bytes | None]]:
    return lambda values: [*values[:index], value, *values[index + 1 :]]


def named_as(one: str, other: str) -> str:
    """The other line of ``records.csv``, with the image's name of the one."""
    fields = other.split(",")
    return ",".join([*fields[:2], one.split(",")[2], *fields[3:]])


def swapped(values: list[bytes]) -> list[bytes | None]:
    """The first two records that are not the same, exchanged."""
    other = next(i for i, value in enumerate(values) if value != values[0])
    return [values[other], *values[1:other], values[0], *values[other + 1 :]]


def flipped(value: bytes) -> bytes:
    """A pixel one brighter or darker."""
    datum = Datum.FromString(value)
    content = bytearray(datum.data)
    content[50] ^= 1
    datum.data = bytes(content)
    return datum.SerializeToString()


# ---- whole --------------------------------------------------------------------------------------


def test_a_whole_dataset_passes_every_check(data: Path) -> None:
    checks = verify(data)
    assert {check.outcome for check in checks} == {CheckOutcome.PASSED}, checks
    assert verify(data / "dataset.toml") == checks


def test_images_kept_as_jpeg_are_decoded(encoded: Path) -> None:
    assert {check.outcome for check in verify(encoded)} == {CheckOutcome.PASSED}


def test_quick_leaves_the_images_alone(data: Path) -> None:
    change(data / "train/images.lmdb", replaced(3, b"no Datum"))
    assert failed(data, quick=True) == {}
    assert "no Datum" in failed(data)["train: images"]


def test_a_dataset_of_others_is_checked_as_far_as_it_tells(tmp_path: Path) -> None:
    some = dataset({"noun": 7, "adj": 3}, (3, 16, 16), folder=str(tmp_path / "data"))
    make_databases(some, tmp_path)
    write_dataset(some, tmp_path / "data/dataset.toml")
    checks = {check.what: check for check in verify(tmp_path / "data")}
    skipped = [what for what, check in checks.items() if check.outcome is CheckOutcome.SKIPPED]
    assert skipped == ["noun: class names", "adj: class names", "records.csv", "mean.binaryproto"]
    assert checks["train: keys"].outcome is CheckOutcome.PASSED
    assert "dataset.toml says 100.0000" in checks["channel mean"].found  # it has another's mean


# ---- damaged ------------------------------------------------------------------------------------


def test_labels_of_two_records_swapped_are_found_by_records_csv(data: Path) -> None:
    change(data / "train/label_thing.lmdb", swapped)
    found = failed(data, quick=True)
    assert list(found) == ["records.csv"]
    assert "record 1: label:thing is" in found["records.csv"]


@pytest.mark.parametrize("database", ["images", "label_kind"])
@pytest.mark.parametrize("index", [5, -1])
def test_a_missing_record_is_found(database: str, index: int, data: Path) -> None:
    count = 12
    change(data / f"test/{database}.lmdb", replaced(index % count, None))
    found = failed(data, quick=True)
    name = {"images": "the images", "label_kind": "kind"}[database]
    assert f"dataset.toml says 12, but there are: {name} 11" in found["test: records"]
    assert "Caffe would give images wrong labels" in found["test: keys"]
    if index == 5:
        assert "record 5 has the keys" in found["test: keys"]


def test_a_database_cut_off_is_told_and_the_rest_is_still_checked(data: Path) -> None:
    file = data / "train/label_kind.lmdb/data.mdb"
    os.truncate(file, file.stat().st_size - 4096)
    checks = {check.what: check for check in verify(data)}
    assert "cut off at" in checks["train: databases"].found
    assert checks["records.csv"].outcome is CheckOutcome.SKIPPED
    assert checks["mean"].outcome is CheckOutcome.SKIPPED
    assert checks["test: images"].outcome is CheckOutcome.PASSED


def test_one_changed_pixel_is_found_by_the_mean_to_the_last_digit(data: Path) -> None:
    change(data / "train/images.lmdb", lambda values: [flipped(values[0]), *values[1:]])
    found = failed(data)
    assert set(found) == {"channel mean", "mean.binaryproto"}
    assert "off by 1 in all" in found["channel mean"]


def test_an_image_of_both_splits_is_found_with_its_places(data: Path) -> None:
    with lmdb.open(str(data / "train/images.lmdb")) as environment, environment.begin() as reading:
        image = reading.get(key(17))
    change(data / "test/images.lmdb", replaced(4, image))
    found = failed(data)
    assert list(found) == ["images in both splits"]
    assert found["images in both splits"].startswith("1: train record 17 is test record 4")


@pytest.mark.parametrize(
    ("line", "other", "what", "message"),
    [
        ("records = 48", "records = 49", "train: records", "dataset.toml says 49, but there are"),
        ("height = 7", "height = 9", "train: images", "it says 3 x 7 x 9; 48 are no images"),
        ("classes = 4", "classes = 3", "thing: class names", "4 lines for the 3 classes"),
    ],
)
def test_a_dataset_toml_that_says_otherwise_is_found(
    line: str, other: str, what: str, message: str, data: Path
) -> None:
    file = data / "dataset.toml"
    text = file.read_text(encoding="utf-8")
    assert line in text
    file.write_text(text.replace(line, other), encoding="utf-8")
    assert message in failed(data)[what]


def test_a_size_that_no_memory_holds_is_found_as_any_other(data: Path) -> None:
    file = data / "dataset.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("height = 7", "height = 2147483647"), encoding="utf-8")
    assert "it says 3 x 7 x 9; 48 are no images" in failed(data)["train: images"]


def test_another_format_than_photographs_will_get_is_found(data: Path) -> None:
    """`netgen predict` compresses photographs as the images are said to be kept."""
    text = (data / "dataset.toml").read_text(encoding="utf-8").replace('"raw"', '"png"')
    (data / "dataset.toml").write_text(text, encoding="utf-8")
    assert "it is kept as raw, not as png" in failed(data)["test: images"]


def test_another_compression_is_found(encoded: Path) -> None:
    text = (encoded / "dataset.toml").read_text(encoding="utf-8").replace('"jpeg"', '"png"')
    (encoded / "dataset.toml").write_text(text, encoding="utf-8")
    assert "it is kept as JPEG, not as png" in failed(encoded)["test: images"]


@pytest.mark.parametrize("label", [4, -1])
def test_a_label_out_of_range_is_found_with_its_record(label: int, data: Path) -> None:
    change(data / "test/label_thing.lmdb", replaced(7, label_datum(label)))
    found = failed(data, quick=True)
    assert f"record 7 has {label}, and 0 more are not in 0 to 3" in found["test: thing labels"]


def test_an_image_of_another_size_is_found(data: Path) -> None:
    small = image_datum(np.zeros((6, 9, 3), np.uint8))
    short = Datum(channels=3, height=7, width=9, data=bytes(188)).SerializeToString()
    for index, value, words in ((2, bytes(small), "3 x 6 x 9"), (1, short, "it has 188 bytes")):
        change(data / "test/images.lmdb", replaced(index, value))
        assert f"record '{key(index).decode()}': " in failed(data)["test: images"]
        assert words in failed(data)["test: images"]


def test_a_truncated_jpeg_does_not_pass_as_decoded(encoded: Path) -> None:
    def cut(values: list[bytes]) -> list[bytes | None]:
        datum = Datum.FromString(values[3])
        datum.data = datum.data[: len(datum.data) * 6 // 10]
        return [*values[:3], datum.SerializeToString(), *values[4:]]

    change(encoded / "train/images.lmdb", cut)
    assert "record '00000003': damaged JPEG" in failed(encoded)["train: images"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "record 3: key is '00000003'"),
        (lambda lines: lines[:-1], "it ends here, but the databases do not"),
        (lambda lines: [*lines, lines[-1]], "record 61: no database has it"),
        (
            lambda lines: [line.replace('"cat"', '"cats"') for line in lines],
            "class:thing is 'cats'",
        ),
        (lambda lines: ["no heading", *lines[1:]], "0 columns 'split' in its first line"),
        (lambda lines: [f'"name",{line}' for line in lines], "2 columns 'name' in its first line"),
        (lambda lines: [*lines[:5], '"train"', *lines[6:]], "line 6: 1 fields, but its first"),
        (
            lambda lines: [*lines[:5], '"tr"ain"', *lines[6:]],
            "line 6: ',' expected after '\"': copy",
        ),
        (lambda lines: [*lines, "\0" * 2**21], "a line of over 1 MB, too long for a list"),
        (
            lambda lines: [*lines[:2], named_as(*lines[1:3]), *lines[3:]],
            "is listed twice",
        ),
    ],
)
def test_a_records_csv_that_says_otherwise_is_found(
    edit: Callable[[list[str]], list[str]], message: str, data: Path
) -> None:
    file = data / "records.csv"
    file.write_text("\n".join(edit(file.read_text().splitlines())) + "\n")
    assert message in failed(data, quick=True)["records.csv"]


def test_a_mean_of_something_else_is_found(data: Path) -> None:
    (data / "mean.binaryproto").write_bytes(b"\xff\xff not a blob")
    assert list(failed(data)) == ["mean.binaryproto"]


# ---- the command --------------------------------------------------------------------------------


def test_the_exit_code_tells_and_the_table_says_what_where_and_next(data: Path) -> None:
    result = CliRunner().invoke(main, ["data", "verify", str(data)])
    assert result.exit_code == 0, result.output
    assert "0 failed, 0 not checked" in result.output
    change(data / "test/label_kind.lmdb", replaced(0, label_datum(9)))
    result = CliRunner().invoke(main, ["data", "verify", str(data)])
    assert result.exit_code == 1
    line = next(line for line in result.output.splitlines() if "FAILED" in line)
    assert "test: kind labels" in line
    assert "record 0 has 9" in line
    assert "make the dataset again" in line


def test_a_folder_that_is_no_dataset_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["data", "verify", str(tmp_path)])
    assert result.exit_code == 1
    assert "make one with `netgen data`" in result.output
    assert len(result.output.splitlines()) == 1
