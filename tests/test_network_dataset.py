"""`dataset.toml`: what is read is what was written, and what cannot be used is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.networks import dataset
from support.paths import ROOT

from netgen import paper
from netgen.commands.cli import main
from netgen.network.dataset import (
    MTVSO,
    DatasetError,
    Task,
    check_dataset,
    class_names,
    read_dataset,
    write_dataset,
)

BAD = ROOT / "tests/bad_input/dataset"
MISTAKES = sorted(path.stem for path in BAD.glob("*.toml"))


def expected(mistake: str) -> str:
    return (BAD / f"{mistake}.txt").read_text(encoding="utf-8").rstrip("\n")


# ---- what is refused ----------------------------------------------------------------------------


def test_every_mistake_has_a_message_beside_it() -> None:
    assert len(MISTAKES) > 30
    assert sorted(path.stem for path in BAD.glob("*.txt")) == MISTAKES


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_file(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(DatasetError) as refused:
        read_dataset(Path(f"{mistake}.toml"))
    message = str(refused.value)
    assert message.startswith(f"{mistake}.toml:")
    assert expected(mistake) in message
    assert message.isprintable(), "one line, whatever the file holds"


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("command", [["build", "--variant", "xs"], ["list"]], ids=lambda c: c[0])
def test_commands_tell_it_in_one_line_and_write_nothing(
    command: list[str], mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = BAD / f"{mistake}.toml"
    result = CliRunner().invoke(main, [*command, "--dataset", str(file)])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.output.startswith(f"Error: {file}:")
    assert expected(mistake) in result.output
    assert result.output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_refused_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere.toml: No such file .*`netgen data`"):
        read_dataset(tmp_path / "nowhere.toml")


def test_a_number_of_thousands_of_digits_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "dataset.toml").write_text(f"records = {'9' * 5000}\n")
    with pytest.raises(DatasetError, match="toml: it has a number of thousands of digits"):
        read_dataset(tmp_path / "dataset.toml")


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("label_item.lmdb", "train/label_item.lmdb for item and for season"),
        ("../train/label_item.lmdb", "for item and for season"),
        ("images.lmdb", "train/images.lmdb for the images and for season"),
    ],
)
def test_a_database_that_is_named_twice_in_a_split_is_refused(
    database: str, said: str, tmp_path: Path
) -> None:
    file = on_disk(tmp_path)
    text = file.read_text(encoding="utf-8")
    assert text.count("train/label_season.lmdb") == 1
    file.write_text(text.replace("train/label_season.lmdb", f"train/{database}"), encoding="utf-8")
    with pytest.raises(DatasetError, match=rf"dataset\.toml: \[train\] names .*{re.escape(said)}"):
        read_dataset(file)


def test_a_database_that_was_taken_away_is_named(tmp_path: Path) -> None:
    file = on_disk(tmp_path)
    (tmp_path / "data/test/label_season.lmdb").rmdir()
    with pytest.raises(DatasetError, match=r"data/test/label_season\.lmdb does not exist: make it"):
        read_dataset(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": (Task("item", 7), Task("item", 7))}, "task 'item' is listed twice"),
        ({"tasks": (Task("item", 7),)}, r"\[train.labels\] names item, season, but the tasks are"),
        ({"tasks": (Task("relu", 7), Task("season", 7))}, "task 'relu' has the name of a part"),
    ],
)
def test_what_cannot_be_read_is_not_written_either(
    change: dict[str, tuple[Task, ...]], message: str, tmp_path: Path
) -> None:
    data = replace(dataset({"item": 7, "season": 3}), **change)
    with pytest.raises(DatasetError, match=message):
        write_dataset(data, tmp_path / "dataset.toml")
    assert list(tmp_path.iterdir()) == []


# ---- what is read -------------------------------------------------------------------------------


def on_disk(folder: Path, **classes: int) -> Path:
    """Make a dataset.toml in a folder, and empty folders where its databases would be."""
    data = dataset(classes or {"item": 7, "season": 3}, folder=str(folder / "data"))
    for split in (data.train, data.test):
        for path in (split.images, *split.labels.values()):
            Path(path).mkdir(parents=True)
    write_dataset(data, folder / "dataset.toml")
    return folder / "dataset.toml"


@given(
    classes=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9-]{0,6}", fullmatch=True), st.integers(2, 10**6), min_size=1
    ),
    mean=st.lists(st.floats(0, 255), min_size=1, max_size=4),
    size=st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    records=st.integers(1, 10**9),
)
def test_what_was_written_is_what_is_read(
    classes: dict[str, int],
    mean: list[float],
    size: tuple[int, int],
    records: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    on_disk(folder, **classes)
    data = dataset(classes, (len(mean), *size), records, folder=str(folder / "data"))
    data = replace(data, images=replace(data.images, mean=tuple(mean)))
    write_dataset(data, folder / "dataset.toml")
    assert read_dataset(folder / "dataset.toml") == data


def test_the_folder_of_a_dataset_may_be_moved(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    on_disk(tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    read = read_dataset(tmp_path / "there/dataset.toml")
    assert read.train.images == (tmp_path / "there/data/train/images.lmdb").as_posix()


def test_paths_are_as_caffe_opens_them_from_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert read_dataset(Path("dataset.toml")).test.labels == {
        "item": "data/test/label_item.lmdb",
        "season": "data/test/label_season.lmdb",
    }


def test_classes_have_names_in_the_order_of_labels(tmp_path: Path) -> None:
    (tmp_path / "season.txt").write_text("summer\nété\nfall\n", encoding="utf-8")
    task = Task("season", 3, str(tmp_path / "season.txt"))
    assert class_names(task) == ["summer", "été", "fall"]
    assert class_names(Task("season", 3)) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\n", "2 lines for the 3 classes of task 'season': write one class name per line"),
        (b"a\nb\nc\nd\n", "4 lines for the 3 classes"),
        (b"a\nb\na\n", "class 'a' of task 'season' is listed twice: rename one"),
        (b"a\n \nc\n", "season.txt:2: a class of task 'season' without a name"),
        (b"\xff\n\n\n", "class names of 'season': not UTF-8 text: name a text file"),
        (None, "class names of 'season': No such file or directory: name a text file"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "season.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as refused:
        class_names(Task("season", 3, str(file)))
    assert str(file) in str(refused.value)


# ---- the paper's --------------------------------------------------------------------------------


def test_the_built_in_dataset_is_the_papers() -> None:
    """Sections 5.1 and 5.2."""
    check_dataset(MTVSO)
    assert {task.name: task.classes for task in MTVSO.tasks} == {
        "noun": 167,
        "adj": 117,
        "anp": 553,
    }
    assert (MTVSO.train.records, MTVSO.test.records) == (307_185, 77_073)
    assert MTVSO.train.records + MTVSO.test.records == 384_258
    assert (MTVSO.images.channels, MTVSO.images.height, MTVSO.images.width) == (3, 224, 224)
    assert MTVSO.images.mean == paper.IMAGENET_MEAN
