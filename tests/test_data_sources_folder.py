"""`netgen data folder`: what is found in a real tree of files, and what is left out."""

from __future__ import annotations

import errno
import os
import pickle
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data import netgen
from support.sources import JPEG, found, rejects, write

from data_prep.class_folders import class_folders
from data_prep.image_files import FileTree
from data_prep.image_source import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with two classes of one image each."""
    for name in ("cat/1.jpg", "dog/1.jpg"):
        write(tmp_path / "root" / name)
    return tmp_path / "root"


def _users(base: Path) -> Path:
    """Return the first folder that pytest made for its user on the way to `base`."""
    made = (folder for folder in reversed(base.parents) if folder.name.startswith("pytest-of-"))
    return next(made, base)


@contextmanager
def as_nobody(root: Path, base: Path) -> Iterator[None]:
    """Be a user who may read what everybody may, should the tests run as one who may read all."""
    if os.geteuid() != 0:
        yield
        return
    for folder in root.parents:  # pytest's are its user's alone
        if folder.is_relative_to(base):
            folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_is_a_class_and_all_files_in_it_are_its_images(root: Path) -> None:
    write(root / "cat" / "2016" / "may" / "2.jpg")
    write(root / "bird" / "1.jpg")
    source = class_folders(root)
    assert source.name == "root"
    assert source.tasks == {"class": ("bird", "cat", "dog")}
    assert found(source) == {
        "bird/1.jpg": {"class": "bird"},
        "cat/1.jpg": {"class": "cat"},
        "cat/2016/may/2.jpg": {"class": "cat"},
        "dog/1.jpg": {"class": "dog"},
    }
    assert source.load("cat/2016/may/2.jpg") == JPEG
    assert rejects(source) == {}


def test_the_task_may_have_another_name(root: Path) -> None:
    assert class_folders(root, "animal").tasks == {"animal": ("cat", "dog")}


def test_a_source_can_be_sent_to_another_machine(root: Path) -> None:
    source = class_folders(root)
    load, stamp = pickle.loads(pickle.dumps((source.load, source.stamp)))
    assert load("cat/1.jpg") == JPEG
    before = stamp("cat/1.jpg")
    write(root / "cat" / "1.jpg", JPEG + b"1")
    assert stamp("cat/1.jpg") != before


def test_a_root_named_from_the_current_folder_is_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    source = class_folders(Path("root"))
    monkeypatch.chdir("/")
    assert source.load("cat/1.jpg") == JPEG


def test_a_root_may_be_a_symbolic_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    source = class_folders(tmp_path / "link")
    assert len(found(source)) == 2
    assert rejects(source) == {}


@pytest.mark.parametrize("name", [".DS_Store", "._1.jpg", "Thumbs.db", "desktop.ini"])
def test_what_systems_leave_behind_is_not_looked_at(root: Path, name: str) -> None:
    write(root / "cat" / name)
    write(root / name)
    write(root / ".git" / "1.jpg")
    write(root / "__MACOSX" / "1.jpg")
    source = class_folders(root)
    assert source.tasks["class"] == ("cat", "dog")
    assert list(found(source)) == ["cat/1.jpg", "dog/1.jpg"]
    assert rejects(source) == {}


def test_files_beside_the_classes_are_rejected(root: Path) -> None:
    write(root / "1.jpg")
    assert rejects(class_folders(root)) == {"1.jpg": "in no class's folder"}


def test_a_folder_named_like_an_image_is_a_folder(root: Path) -> None:
    write(root / "cat" / "2.jpg" / "3.jpg")
    assert "cat/2.jpg/3.jpg" in found(class_folders(root))


def test_links_are_followed_inside_the_root_and_not_out_of_it(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "root-and-more" / "1.jpg")  # begins like the root, and is not in it
    (root / "cat" / "inside.jpg").symlink_to("../dog/1.jpg")
    (root / "cat" / "outside.jpg").symlink_to(tmp_path / "root-and-more" / "1.jpg")
    (root / "cat" / "nowhere.jpg").symlink_to("nothing")
    (root / "cat" / "itself.jpg").symlink_to("itself.jpg")
    (root / "cat" / "loop").symlink_to("..")
    (root / "bird").symlink_to(tmp_path / "root-and-more")
    source = class_folders(root)
    assert source.load("cat/inside.jpg") == JPEG
    assert rejects(source) == {
        "cat/outside.jpg": "a symbolic link leads out of the root: copy the file instead",
        "cat/nowhere.jpg": os.strerror(errno.ENOENT),
        "cat/itself.jpg": os.strerror(errno.ELOOP),
        "cat/loop": "a symbolic link to a folder: copy the folder instead",
        "bird": "a symbolic link to a folder: copy the folder instead",
    }


def test_no_path_leads_out_of_the_root_when_it_is_read(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "secret.jpg")
    (root / "cat" / "up").symlink_to(tmp_path)
    for name in ("../secret.jpg", "cat/../../secret.jpg", "cat/up/secret.jpg"):
        with pytest.raises(OSError, match="out of the root"):
            FileTree(root).load(name)


def test_what_is_no_file_is_rejected_without_waiting_for_it(root: Path) -> None:
    os.mkfifo(root / "cat" / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "cat" / "s.jpg"))
    assert rejects(class_folders(root)) == {
        "cat/pipe.jpg": "not a file",
        "cat/s.jpg": "not a file",
    }


def test_what_is_too_large_for_an_image_is_not_read(root: Path) -> None:
    with (root / "cat" / "film.jpg").open("wb") as file:
        file.truncate(2**30 + 1)
    assert rejects(class_folders(root)) == {"cat/film.jpg": os.strerror(errno.EFBIG)}


@pytest.mark.parametrize("name", ["cat", "cat/1.jpg"])
def test_what_cannot_be_read_is_rejected(
    root: Path, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (root / name).chmod(0)
    with as_nobody(root, _users(tmp_path_factory.getbasetemp())):
        assert rejects(class_folders(root)) == {name: "Permission denied"}
    (root / name).chmod(0o700)


NAMES = [
    "a b.jpg",
    'it\'s "it".jpg',
    "two\nlines.jpg",
    "шум.jpg",
    "写真.jpg",
    "🐈.jpg",
    "-x",
    "a\\b",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_script_and_with_any_characters_are_found(root: Path, name: str) -> None:
    write(root / "cat" / name)
    source = class_folders(root)
    assert f"cat/{name}" in found(source)
    assert source.load(f"cat/{name}") == JPEG


def test_a_name_that_is_no_unicode_keeps_its_bytes(root: Path) -> None:
    (root / "cat" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(JPEG)
    source = class_folders(root)
    (name,) = found(source).keys() - {"cat/1.jpg", "dog/1.jpg"}
    assert os.fsencode(name) == b"cat/caf\xe9.jpg"
    assert source.load(name) == JPEG


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no folders in it: make one per class, with its images inside"),
        (["cat"], "1 class of task 'class': at least 2 are needed"),
        (["Cat", "cat"], "differ only in case"),
        (["caf\u00e9", "cafe\u0301"], "in how accents are coded"),
        (["a", "two\nlines"], r"the name 'two\\nlines' has characters that are not shown"),
        (["a", os.fsdecode(b"caf\xe9")], "bytes that are not UTF-8"),
    ],
)
def test_folders_that_make_no_classes_are_refused(
    names: list[str], message: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=message):
        class_folders(tmp_path)


@pytest.mark.parametrize("task", ["My task", "a_b", "", "relu"])
def test_a_name_that_no_task_can_have_is_refused(root: Path, task: str) -> None:
    with pytest.raises(DataError, match=f"--task {task!r}: "):
        class_folders(root, task)


def test_a_root_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: No such file or directory"):
        class_folders(tmp_path / "gone")


def test_a_dataset_is_not_written_among_its_own_classes(root: Path) -> None:
    result = netgen("folder", root, "--out", root / "made")
    assert result.exit_code == 2
    assert "where every folder is a class" in result.output
    assert not (root / "made").exists()


def test_listing_many_files_takes_no_memory(root: Path) -> None:
    def peak(files: int) -> int:
        for number in range(files):
            (root / "cat" / f"{number}.jpg").touch()
        tracemalloc.start()
        assert sum(1 for _ in class_folders(root).items()) >= files
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(4_000) < peak(200) + 20_000


@settings(max_examples=25)
@given(paths=st.sets(st.tuples(*[st.sampled_from("abc")] * 3), max_size=20))
def test_every_file_comes_once(
    paths: set[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for name in ("a", "b"):
        (root / name).mkdir()
    for path in paths:
        write(root.joinpath(*path[:2], f"{path[2]}.jpg"))
    listed = [item.name for item in class_folders(root).items()]
    assert sorted(listed) == sorted(f"{'/'.join(path)}.jpg" for path in paths)
