"""CIFAR-100 from archives of the published form, made here; and from some that mean harm."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cifar100 import TEST, TRAIN, archive, files, pickled, published

from data_prep import cifar100
from data_prep.cifar100 import FOLDER, Cifar100
from data_prep.image_source import DataError, Item
from data_prep.listings import read_list
from data_prep.python2_pickle import PickleError, read_pickle
from netgen.caffe.database_cursor import open_database


def netgen(*arguments: object) -> tuple[int, str]:
    from netgen.commands.cli import main

    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.output


# ---- what it gives ------------------------------------------------------------------------------


def test_both_tasks_and_the_published_split_come_out_of_the_archive(tmp_path: Path) -> None:
    source = Cifar100(published(tmp_path)).source
    assert {task: len(names) for task, names in source.tasks.items()} == {"fine": 100, "coarse": 20}
    assert source.tasks["coarse"][:2] == ("coarse 00", "coarse 01")
    items = [item for item in source.items() if isinstance(item, Item)]
    assert [item.split for item in items] == ["train"] * TRAIN + ["test"] * TEST
    expected = files()["train"]
    assert [i.labels["fine"] for i in items[:TRAIN]] == expected[b"fine_labels"]
    assert [i.labels["coarse"] for i in items[:TRAIN]] == expected[b"coarse_labels"]
    assert items[3].name == "train/00003/photograph_s_000003.png"


def test_pixels_are_blue_green_red_row_by_row(tmp_path: Path) -> None:
    source = Cifar100(published(tmp_path)).source
    row = files()["test"][b"data"][4]
    red, green, blue = row[:1024], row[1024:2048], row[2048:]
    image = source.load("test/00004/photograph_s_000004.png")
    assert isinstance(image, np.ndarray)
    assert image.shape == (32, 32, 3)
    np.testing.assert_array_equal(image[1, 2], [blue[34], green[34], red[34]])
    np.testing.assert_array_equal(image[..., 2].ravel(), red)


def test_its_databases_hold_the_published_pixels_labels_and_split(tmp_path: Path) -> None:
    code, output = netgen("data", "cifar100", published(tmp_path), "--out", tmp_path / "out")
    assert code == 0, output
    assert "cifar-100-python.tar.gz: not the published archive" in output
    assert f"{TRAIN} training and {TEST} test images of 3 x 32 x 32" in output
    code, output = netgen("data", "verify", tmp_path / "out")
    assert code == 0, output
    record = next(read_list(tmp_path / "out/records.csv"))
    split, row, _ = record["name"].split("/")
    table = files()[split]
    assert record["label:fine"] == str(table[b"fine_labels"][int(row)])
    assert record["class:coarse"] == f"coarse {table[b'coarse_labels'][int(row)]:02}"
    with open_database(tmp_path / "out" / split / "images.lmdb") as cursor:
        stored = dict(cursor.datums())[record["key"].encode()]
    planes = np.frombuffer(stored.data, np.uint8).reshape(3, 1024)
    np.testing.assert_array_equal(planes[::-1].ravel(), table[b"data"][int(row)])


def test_the_unpacked_folder_gives_the_same_and_so_does_the_one_above_it(tmp_path: Path) -> None:
    packed = Cifar100(published(tmp_path)).source
    (tmp_path / FOLDER).mkdir()
    for name, table in files().items():
        (tmp_path / FOLDER / name).write_bytes(pickled(table))
    for folder in (tmp_path / FOLDER, tmp_path):
        source = Cifar100(folder).source
        assert list(source.items()) == list(packed.items())
        name = next(source.items()).name
        np.testing.assert_array_equal(source.load(name), packed.load(name))


def test_a_table_stored_column_by_column_is_the_same_table(tmp_path: Path) -> None:
    plain = Cifar100(published(tmp_path)).source
    name = "train/00001/photograph_s_000001.png"
    before = plain.load(name)

    def by_columns(tables: dict[str, Any]) -> None:
        tables["train"][b"data"] = np.asfortranarray(tables["train"][b"data"])

    np.testing.assert_array_equal(
        Cifar100(published(tmp_path, by_columns)).source.load(name), before
    )


def test_only_its_path_travels_to_another_machine(tmp_path: Path) -> None:
    source = Cifar100(published(tmp_path)).source
    name = next(source.items()).name
    load = pickle.dumps(source.load)
    assert len(load) < 500
    np.testing.assert_array_equal(pickle.loads(load)(name), source.load(name))


def test_what_is_not_the_published_archive_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published(tmp_path)
    assert not Cifar100(path).content.published
    sums = {name: hashlib.md5(pickled(table)).hexdigest() for name, table in files().items()}
    monkeypatch.setattr(cifar100, "FILES", sums)
    assert Cifar100(path).content.published


# ---- pickles that mean harm ---------------------------------------------------------------------


class Payload:
    """Unpickled, it would make a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.system, (f"touch {self.file}",)


def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(tmp_path: Path) -> None:
    victim = tmp_path / "made by a pickle"
    harmful = pickle.dumps(Payload(Path(f"'{victim}'")), protocol=2)
    pickle.loads(harmful)  # it does what it says
    assert victim.exists()
    victim.unlink()

    tables = {name: pickled(table) for name, table in files().items()} | {"test": harmful}
    path = archive(tmp_path / "cifar-100-python.tar.gz", tables)
    code, output = netgen("data", "cifar100", path, "--out", tmp_path / "out")
    assert code == 1
    assert "test: refused: it names posix.system" in output
    assert len(output.splitlines()) == 1
    assert not victim.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "harm",
    [
        b"\x80\x02cnumpy\nsave\nU\x04fileK\x01\x86R.",  # NumPy's other names are no better
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"(S'touch x'\nios\nsystem\n.",
        b"\x80\x02\x82\x01.",  # an extension's code
        b"\x80\x02U\x01xQ.",  # a persistent id
        b"cnumpy\ndtype\n(U\x01Otb.",  # state for a name instead of a thing
        b"}cnumpy\nndarray\n)R.",
    ],
)
def test_no_way_of_naming_a_function_is_followed(harm: bytes) -> None:
    with pytest.raises(PickleError):
        read_pickle(harm)


def test_an_array_of_objects_is_refused() -> None:
    numbers = np.arange(6, dtype=np.int64).reshape(2, 3)
    with pytest.raises(PickleError, match="no table of unsigned bytes"):
        read_pickle(pickled({b"data": numbers}))


@pytest.mark.parametrize("columns", [2, 4])
def test_an_array_of_another_size_than_its_content_is_refused(columns: int) -> None:
    table = pickled({b"data": np.zeros((2, 3), np.uint8)})
    other = table.replace(b"J\x03\x00", b"J%c\x00" % columns)
    with pytest.raises(PickleError, match=f"an array of 2 x {columns} that holds 6 bytes"):
        read_pickle(other)


def test_an_array_may_be_empty() -> None:
    found = read_pickle(pickled({b"data": np.zeros((0, 3), np.uint8)}))
    assert found[b"data"].shape == (0, 3)


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_pickle_is_refused_or_holds_a_dict(data: st.DataObject) -> None:
    content = bytearray(pickled({b"labels": [1, 2, 3], b"data": np.ones((2, 3), np.uint8)}))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(PickleError):
        assert isinstance(read_pickle(bytes(content)), dict)


# ---- archives that are something else -----------------------------------------------------------


def with_a_label(task: str, label: int) -> Callable[[dict[str, Any]], None]:
    def change(tables: dict[str, Any]) -> None:
        tables["train"][f"{task}_labels".encode()][2] = label

    return change


def without(file: str, key: bytes) -> Callable[[dict[str, Any]], object]:
    return lambda tables: tables[file].pop(key)


def replaced(file: str, key: bytes, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda tables: tables[file].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_a_label("fine", 100), "train: 'fine_labels' has the label 100, expected 0 to 99"),
        (with_a_label("coarse", -1), "train: 'coarse_labels' has the label -1, expected 0 to 19"),
        (without("test", b"data"), "test: no 'data' in it"),
        (without("meta", b"coarse_label_names"), "meta: no 'coarse_label_names' in it"),
        (replaced("test", b"fine_labels", [1]), "test: 'fine_labels' is not 6 whole numbers"),
        (replaced("test", b"filenames", [b"x"]), "test: 'filenames' is not 6 strings"),
        (replaced("test", b"data", np.zeros((6, 12), np.uint8)), "is not a table of 3,072 numbers"),
        (replaced("test", b"data", [1, 2]), "is not a table of 3,072 numbers"),
        (lambda tables: tables.pop("meta"), "no meta in it: name cifar-100-python.tar.gz"),
        (lambda tables: tables.update(test=[1]), "test: refused: it holds a list, not a dict"),
    ],
)
def test_what_does_not_hold_together_is_refused_in_words(
    change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        _ = Cifar100(published(tmp_path, change)).source
    assert message in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_an_archive_cut_short_is_damaged(share: float, tmp_path: Path) -> None:
    path = published(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="damaged, or no cifar-100-python"):
        _ = Cifar100(path).source


def test_a_changed_byte_is_found_by_the_archives_own_checksum(tmp_path: Path) -> None:
    path = published(tmp_path)
    content = gzip.compress(gzip.decompress(path.read_bytes()), 0)  # stored: bytes as they are
    place = content.index(files()["train"][b"data"][7].tobytes()) + 100
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(DataError, match="damaged"):
        _ = Cifar100(path).source


def test_a_link_in_the_archive_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(pickled(files()["meta"]))
    path = published(tmp_path, lambda tables: tables.pop("meta"))
    content = io.BytesIO(gzip.decompress(path.read_bytes()))
    with tarfile.open(fileobj=content, mode="a") as tar:
        for name in (f"{FOLDER}/meta", "../outside"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
            tar.addfile(link)
    path.write_bytes(gzip.compress(content.getvalue()))
    with pytest.raises(DataError, match="no meta in it"):
        _ = Cifar100(path).source
    assert {file.name for file in tmp_path.iterdir()} == {"secret", path.name}


def test_a_file_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar100, "LARGEST", 1000)
    with pytest.raises(DataError, match=r"train: .* bytes, over 1,000"):
        _ = Cifar100(published(tmp_path)).source


def test_an_archive_that_unpacks_to_more_than_the_published_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header of 4 GB would be read into memory, and fit into a file of 4 MB."""
    monkeypatch.setattr(cifar100, "UNPACKED", 2**20)
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, 2**32
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(2**22)))
    with pytest.raises(DataError, match="over 1,048,576 bytes unpacked: not cifar-100-python"):
        _ = Cifar100(bomb).source


def test_another_file_or_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.tar.gz").write_text("no archive\n")
    for name, message in (("text.tar.gz", "damaged, or no cifar-100"), ("none", "does not exist")):
        code, output = netgen("data", "cifar100", tmp_path / name, "--out", tmp_path / "out")
        assert code != 0
        assert message in output
