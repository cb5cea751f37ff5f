"""`netgen data csv`: what may stand in a file that lists images, and what becomes of the rest."""

from __future__ import annotations

import csv
import errno
import os
import tracemalloc
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data import photographs, succeed
from support.sources import JPEG, found, rejects, write

from data_prep.csv_file import csv_file
from data_prep.image_source import DataError, Item, Reject
from netgen.commands.cli import main
from netgen.evaluation.labels import labels_of
from netgen.network.dataset import read_dataset

LISTED = {
    "img/1.jpg": {"noun": "dog", "adj": "happy"},
    "img/2.jpg": {"noun": "sky", "adj": "stormy"},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with two images."""
    for name in LISTED:
        write(tmp_path / name)
    return tmp_path


def table(root: Path, *lines: str, end: str = "\n") -> Path:
    """A CSV file of these lines after two good ones."""
    good = ["path,noun,adj", "img/1.jpg,dog,happy", "img/2.jpg,sky,stormy"]
    return write(root / "my list.csv", end.join([*good, *lines, ""]).encode())


def raw(root: Path, content: bytes) -> Path:
    """A CSV file of this content."""
    return write(root / "my list.csv", content)


def test_every_column_but_path_is_a_task(root: Path) -> None:
    source = csv_file(table(root))
    assert source.name == "my-list"
    assert source.tasks == {"noun": ("dog", "sky"), "adj": ("happy", "stormy")}
    assert found(source) == LISTED
    assert rejects(source) == {}
    assert source.load("img/2.jpg") == JPEG


@pytest.mark.parametrize(
    "content",
    [
        "path,noun,adj\r\nimg/1.jpg,dog,happy\r\nimg/2.jpg,sky,stormy\r\n",
        "\ufeffpath,noun,adj\nimg/1.jpg,dog,happy\nimg/2.jpg,sky,stormy",
        "path;noun;adj\nimg/1.jpg;dog;happy\nimg/2.jpg;sky;stormy\n",
        "path\tnoun\tadj\nimg/1.jpg\tdog\thappy\nimg/2.jpg\tsky\tstormy\n",
        '"path","noun","adj"\n"img/1.jpg","dog","happy"\n"img/2.jpg","sky","stormy"\n',
        "path, noun, adj\nimg/1.jpg, dog, happy\n\nimg/2.jpg, sky, stormy\n\n",
        "adj,path,noun\nhappy,img/1.jpg,dog\nstormy,./img//2.jpg,sky\n",
    ],
    ids=["CRLF", "BOM", "semicolons", "tabs", "quotes", "spaces and empty lines", "another order"],
)
def test_what_programs_call_csv_is_understood(root: Path, content: str) -> None:
    source = csv_file(raw(root, content.encode()))
    assert found(source) == LISTED
    assert rejects(source) == {}


def test_paths_may_start_elsewhere(root: Path, tmp_path: Path) -> None:
    source = csv_file(write(tmp_path / "lists" / "a.csv", table(root).read_bytes()), root=root)
    assert source.load("img/1.jpg") == JPEG


def test_a_split_column_is_no_task(root: Path) -> None:
    content = b"path,noun,split\nimg/1.jpg,dog,train\nimg/2.jpg,sky,test\nimg/3.jpg,sky,val\n"
    source = csv_file(raw(root, content))
    assert list(source.tasks) == ["noun"]
    splits = {item.name: item.split for item in source.items() if isinstance(item, Item)}
    assert splits == {"img/1.jpg": "train", "img/2.jpg": "test"}
    assert rejects(source) == {"img/3.jpg": "split 'val': expected train or test"}


def test_numbers_are_sorted_by_value_and_words_as_text(root: Path) -> None:
    lines = [f"img/{i}.jpg,{i},{word}" for i, word in enumerate(["10", "9", "a", "B"] * 3)]
    source = csv_file(raw(root, "\n".join(["path,number,word", *lines]).encode()))
    assert source.tasks["number"] == tuple(str(i) for i in range(12))
    assert source.tasks["word"] == ("10", "9", "B", "a")


def test_numbers_of_thousands_of_digits_are_sorted_as_text(root: Path) -> None:
    file = table(root)
    file.write_text(file.read_text().replace("dog", "9" * 5000).replace("sky", "10"))
    assert csv_file(file).tasks["noun"] == ("10", "9" * 5000)


def test_a_file_of_zeros_is_not_read_into_memory(root: Path) -> None:
    file = table(root)
    os.truncate(file, 2**40)
    with pytest.raises(DataError, match="a line of over 1 MB, too long for a list"):
        csv_file(file)


def test_given_classes_keep_their_order_and_no_other_class_is_taken(root: Path) -> None:
    write(root / "classes" / "noun.txt", b"sky\nsea\ndog")
    write(root / "classes" / "adj.txt", "\ufeffstormy\r\nhappy\r\n".encode())
    file = table(root, "img/3.jpg,cat,happy", "img/4.jpg,Dog,happy", "img/5.jpg,2,happy")
    source = csv_file(file, classes=root / "classes")
    assert source.tasks == {"noun": ("sky", "sea", "dog"), "adj": ("stormy", "happy")}
    assert found(source) == LISTED
    assert rejects(source) == {
        "img/3.jpg": "no class 'cat' of task 'noun'",
        "img/4.jpg": "no class 'Dog' of task 'noun'",
        "img/5.jpg": "no class '2' of task 'noun'",
    }


@pytest.mark.parametrize(
    ("line", "reject"),
    [
        ("img/3.jpg,dog", {"my list.csv, line 4": "2 columns, the first line has 3"}),
        ("img/3.jpg,dog,happy,", {"my list.csv, line 4": "4 columns, the first line has 3"}),
        ("img/3.jpg,,happy", {"img/3.jpg": "no class of task 'noun'"}),
        (",dog,happy", {"": "no path"}),
        ("./,dog,happy", {"./": "no path"}),
        ("a\0b,dog,happy", {"a\0b": "no path"}),
        ("img/3.jpg,dog,happy", {"img/3.jpg": os.strerror(errno.ENOENT)}),
        ("img,dog,happy", {"img": "not a file"}),
        ("/etc/hosts,dog,happy", {"/etc/hosts": "an absolute path: write it from the root on"}),
        (
            "../secret.jpg,dog,happy",
            {"../secret.jpg": "`..` may lead out of the root: write the path without"},
        ),
        (
            "img/../../secret.jpg,dog,happy",
            {"img/../../secret.jpg": "`..` may lead out of the root: write the path without"},
        ),
        ("img/1.jpg,dog,happy", {"img/1.jpg": "listed more than once: taken once"}),
        (f"{'x' * 300},dog,happy", {"x" * 300: os.strerror(errno.ENAMETOOLONG)}),
    ],
)
def test_a_bad_row_is_rejected_and_the_others_are_taken(
    root: Path, line: str, reject: dict[str, str]
) -> None:
    source = csv_file(table(root, line))
    assert rejects(source) == reject
    taken = {name: classes for name, classes in found(source).items() if name in LISTED}
    assert taken == LISTED


def test_no_link_in_a_path_leads_out_of_the_root(root: Path) -> None:
    inner = root / "img"
    write(root / "secret" / "1.jpg")
    (inner / "link.jpg").symlink_to("../secret/1.jpg")
    (inner / "folder").symlink_to("../secret")
    file = raw(root, b"path,a\n1.jpg,x\n2.jpg,y\nlink.jpg,x\nfolder/1.jpg,y\n")
    reason = "a symbolic link leads out of the root: copy the file instead"
    assert rejects(csv_file(file, inner)) == {"link.jpg": reason, "folder/1.jpg": reason}


def test_an_image_with_two_different_labels_is_not_taken_at_all(root: Path) -> None:
    source = csv_file(table(root, "./img//1.jpg,sky,happy", "img/1.jpg,dog,happy"))
    assert list(found(source)) == ["img/2.jpg"]
    reason = "listed more than once, with different labels or splits"
    assert [i for i in source.items() if isinstance(i, Reject)] == [Reject("img/1.jpg", reason)] * 3


def test_an_image_in_both_splits_is_not_taken_at_all(root: Path) -> None:
    content = b"path,noun,split\nimg/1.jpg,dog,train\nimg/2.jpg,sky,train\nimg/1.jpg,dog,test\n"
    assert list(found(csv_file(raw(root, content)))) == ["img/2.jpg"]


def test_an_image_that_is_listed_three_times_alike_is_taken_once(root: Path) -> None:
    source = csv_file(table(root, *["img/1.jpg,dog,happy"] * 2))
    listed = [type(item).__name__ for item in source.items() if item.name == "img/1.jpg"]
    assert listed == ["Item", "Reject", "Reject"]


NAMES = ["a, b.jpg", 'it is "it".jpg', "two\nlines.jpg", "шум.jpg", "写真.jpg", " x.jpg", "a;b"]


@pytest.mark.parametrize("name", NAMES)
def test_paths_in_any_script_and_with_any_characters_are_found(root: Path, name: str) -> None:
    write(root / name)
    with (root / "a.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("path", "a"), (name, "x"), ("img/1.jpg", "y")])
    source = csv_file(root / "a.csv")
    assert found(source)[name] == {"a": "x"}
    assert source.load(name) == JPEG


def test_a_path_that_is_no_unicode_keeps_its_bytes(root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9.jpg")).write_bytes(JPEG)
    source = csv_file(raw(root, b"path,a\ncaf\xe9.jpg,x\nimg/1.jpg,y\n"))
    assert [os.fsencode(name) for name in found(source)] == [b"caf\xe9.jpg", b"img/1.jpg"]
    assert rejects(source) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 columns 'path' in its first line"),
        (b"img/1.jpg,dog\nimg/2.jpg,sky\n", "0 columns 'path' in its first line"),
        (b"path,noun,noun\n", "2 columns 'noun' in its first line"),
        (b"path\nimg/1.jpg\n", "no task: add a column with a class for every image"),
        (b"path,split\nimg/1.jpg,train\n", "no task: add a column with a class"),
        (b"path,noun\n", "no class of task 'noun': at least 2 are needed"),
        (b"path,noun\na,dog\nb,dog\n", "1 class of task 'noun': at least 2 are needed"),
        (b"path,My Noun\na,dog\nb,cat\n", "column 'My Noun': not a task's name: use lower case"),
        (b"path,relu\na,dog\nb,cat\n", "column 'relu': a part of every residual block"),
        (b"path,noun,\na,dog,\nb,cat,\n", "column '': not a task's name"),
        (
            b"path,noun\na,caf\xe9\nb,dog\n",
            r"the name 'caf\\udce9' has characters that are not shown",
        ),
        ("path,noun\na,dog\nb,cat\n".encode("utf-16"), "0 columns 'path' in its first line"),
        (b'path,noun\na,dog\nb,"cat\n', "line 3: unexpected end of data: is this a CSV file"),
        (b'path,noun\na,"dog"x\nb,cat\n', "line 2: .* is this a CSV file in UTF-8"),
        (b"path,noun\na," + b"x" * 200_000 + b"\n", "line 2: field larger than field limit"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(
    root: Path, content: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        csv_file(raw(root, content))
    assert str(caught.value).startswith(f"{root / 'my list.csv'}: ")


def test_two_classes_that_differ_in_case_alone_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match="'dog' and class 'Dog' differ only in case"):
        csv_file(table(root, "img/3.jpg,Dog,happy"))


def test_missing_files_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: No such file"):
        csv_file(root / "gone.csv")
    with pytest.raises(DataError, match=r"noun\.txt: No such file or directory: it should have"):
        csv_file(table(root), classes=root)
    write(root / "noun.txt", b"\n")
    with pytest.raises(DataError, match=r"noun\.txt: empty: write one class name per line"):
        csv_file(table(root), classes=root)
    write(root / "noun.txt", b"caf\xe9")
    with pytest.raises(DataError, match=r"noun\.txt: not UTF-8 text: save it as UTF-8"):
        csv_file(table(root), classes=root)


def test_the_standard_input_is_no_list() -> None:
    told = CliRunner().invoke(main, ["data", "csv", "-", "--out", "nowhere"])
    assert told.exit_code == 2
    assert "-: the standard input is not read here: name a file" in told.output


def test_listing_many_rows_takes_little_memory(root: Path) -> None:
    def peak(count: int) -> int:
        lines = "".join(f"{number}.jpg,{number % 7}\n" for number in range(count))
        source = csv_file(raw(root, f"path,a\n{lines}".encode()))
        tracemalloc.start()
        assert sum(1 for _ in source.items()) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert (peak(20_000) - peak(1_000)) / 19_000 < 40  # bytes a row


@settings(max_examples=50)
@given(rows=st.lists(st.tuples(st.integers(0, 9), st.sampled_from("xyz")), min_size=1, max_size=25))
def test_every_image_is_taken_once_exactly_if_its_labels_agree(
    rows: list[tuple[int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = "".join(f"{number}.jpg,{label}\n" for number, label in rows)
    file = raw(tmp_path_factory.mktemp("rows"), f"path,a\n{lines}never,x\nnever,y\n".encode())
    labels: dict[str, set[str]] = {}
    for number, label in rows:
        labels.setdefault(f"{number}.jpg", set()).add(label)
    source = csv_file(file, classes=write(file.parent / "a.txt", b"x\ny\nz").parent)
    listed = [item.name for item in source.items() if isinstance(item, Item)]
    assert sorted(listed) == sorted(name for name, known in labels.items() if len(known) == 1)
    assert sum(isinstance(item, Reject) for item in source.items()) == len(rows) + 2 - len(listed)


def test_a_task_may_be_named_as_the_images_are(tmp_path: Path) -> None:
    """Its labels are told from the images wherever both are read."""
    photographs(tmp_path, {"dog": 5, "cat": 5})
    rows = [f"{file.relative_to(tmp_path)},{file.parent.name}" for file in tmp_path.rglob("*.jpg")]
    (tmp_path / "list.csv").write_text("\n".join(["path,images", *rows]) + "\n")
    succeed("csv", tmp_path / "list.csv", "--out", tmp_path / "out", "--size", "8")
    assert "0 failed, 0 not checked" in succeed("verify", tmp_path / "out")
    counted = labels_of(read_dataset(tmp_path / "out/dataset.toml"), "TRAIN")
    assert sorted(counted["images"]) == [0] * 4 + [1] * 4
