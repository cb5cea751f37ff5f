"""The data: aligned databases, every image with its own labels, and nothing lost when it fails."""

from __future__ import annotations

import errno
import fcntl
import functools
import gzip
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import click.testing
import lmdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data_prep import fashion_mnist, lmdb_writer, staging
from data_prep.convert import CONTENTS, convert
from data_prep.fashion_mnist import CLASSES, ITEMS, PACKAGE_FOLDER, TASKS
from data_prep.lmdb_writer import key, write_split
from data_prep.records import ArrayRecords, DataError, Record, Source
from data_prep.staging import staged
from netgen.caffe_pb2 import Datum
from netgen.cli import main
from netgen.dataset import Dataset, Images, Task, class_names, read_dataset, split_in

Floats = NDArray[np.float32]

SEED = 7
COUNTS = {"train": 60_000, "test": 10_000}
COMMAND = ("data", "fashion-mnist")
PROGRAM = (sys.executable, "-m", "netgen.cli", *COMMAND)
PREFIXES = {"train": "train", "test": "t10k"}


def netgen(*arguments: object, **environment: str) -> click.testing.Result:
    """Run `netgen data fashion-mnist` in this process."""
    runner = click.testing.CliRunner(env={"COLUMNS": "100", **environment})
    return runner.invoke(main, [*COMMAND, *map(str, arguments)])


def succeed(*arguments: object, **environment: str) -> str:
    result = netgen(*arguments, **environment)
    assert result.exit_code == 0, result.output
    return result.output


def fail(*arguments: object) -> str:
    """Run it, expecting one message and exit code 1."""
    result = netgen(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception  # no traceback
    message: str = result.output[result.output.index("Error: ") :].rstrip("\n")
    assert "\n" not in message
    return message


@functools.cache
def published(split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read the images and labels of Debian's package, without the code under test."""

    def values(kind: str, offset: int) -> NDArray[np.uint8]:
        content = gzip.decompress((PACKAGE_FOLDER / f"{PREFIXES[split]}-{kind}.gz").read_bytes())
        return np.frombuffer(content, np.uint8, offset=offset)

    return values("images-idx3-ubyte", 16).reshape(-1, 28, 28), values("labels-idx1-ubyte", 8)


def read(database: Path | str) -> dict[bytes, Datum]:
    """Read a whole LMDB, in its order."""
    with (
        lmdb.open(str(database), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        return {bytes(k): Datum.FromString(bytes(v)) for k, v in transaction.cursor()}


@functools.cache
def pixels(folder: Path, split: str) -> NDArray[np.uint8]:
    data = b"".join(datum.data for datum in read(folder / split / "images.lmdb").values())
    return np.frombuffer(data, np.uint8).reshape(-1, 28, 28)


@functools.cache
def labels(folder: Path, split: str, task: str) -> list[int]:
    datums = read(folder / split / f"label_{task}.lmdb").values()
    return [int(value) for datum in datums for value in datum.float_data]


def fingerprints(folder: Path) -> dict[str, str]:
    """Return every file below `folder`, and what is in it."""
    return {
        file.relative_to(folder).as_posix(): sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Convert the real dataset, once for all of pytest's workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    out = shared / "fashion-mnist"
    with (shared / "fashion-mnist.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            succeed("--out", out, "--seed", SEED)
    return out


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Give a folder with the first 300 and 100 published images, not gzipped."""
    folder = tmp_path / "few"
    folder.mkdir()
    for split, count in (("train", 300), ("test", 100)):
        images, items = published(split)
        size = count.to_bytes(4, "big")
        header = b"\0\0\x08\x03" + size + b"\0\0\0\x1c" * 2
        prefix = folder / PREFIXES[split]
        Path(f"{prefix}-images-idx3-ubyte").write_bytes(header + images[:count].tobytes())
        Path(f"{prefix}-labels-idx1-ubyte").write_bytes(
            b"\0\0\x08\x01" + size + items[:count].tobytes()
        )
    return folder


@pytest.fixture
def old(few: Path, tmp_path: Path) -> Path:
    """Give a small dataset that stands where a new one is to go."""
    succeed("--source-folder", few, "--out", tmp_path / "out", "--seed", 1)
    return tmp_path / "out"


# What is written ----------------------------------------------------------------------------------


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
    assert list(label.float_data) == [9]
    assert not image.float_data
    assert not image.encoded
    assert not label.encoded


@pytest.mark.parametrize("split", COUNTS)
def test_every_record_is_the_published_image_with_its_own_label(
    converted: Path, split: str
) -> None:
    images, items = published(split)
    order = np.arange(COUNTS[split])
    if split == "train":
        order = np.random.RandomState(SEED).permutation(order)
    assert np.array_equal(pixels(converted, split), images[order])
    assert labels(converted, split, "item") == items[order].tolist()


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
    )
    assert [class_names(task) for task in dataset.tasks] == [list(CLASSES[t]) for t in TASKS]


def test_the_dataset_may_be_moved(old: Path, tmp_path: Path) -> None:
    moved = old.rename(tmp_path / "elsewhere")
    assert read_dataset(moved / "dataset.toml").train.images == f"{moved}/train/images.lmdb"


def test_the_same_seed_gives_the_same_bytes_from_plain_and_gzipped_files(
    few: Path, old: Path, tmp_path: Path
) -> None:
    for file in few.iterdir():
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    succeed("--source-folder", few, "--out", tmp_path / "again", "--seed", 1)
    assert fingerprints(tmp_path / "again") == fingerprints(old)


def test_another_seed_gives_the_same_training_images_in_another_order(
    few: Path, old: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    succeed("--source-folder", few, "--out", other, "--seed", 2)
    one, two = ([image.tobytes() for image in pixels(out, "train")] for out in (old, other))
    assert one != two
    assert sorted(one) == sorted(two)
    assert np.array_equal(pixels(old, "test"), pixels(other, "test"))
    changed = {k for k, v in fingerprints(other).items() if v != fingerprints(old)[k]}
    assert {file.split("/")[0] for file in changed} == {"train"}


def test_the_command_says_what_it_made_and_what_comes_next(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "my data"
    output = succeed("--source-folder", few, "--out", out)
    assert "train: writing 300 images" in output
    assert f"{out}: 300 training and 100 test images of 1 x 28 x 28" in output
    assert "season: 3 classes: summer, all-year, winter" in output
    assert f"netgen build --variant xs --dataset '{out}/dataset.toml' --stem small" in output


def test_on_a_terminal_it_shows_a_bar_instead_of_lines(few: Path, tmp_path: Path) -> None:
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm"}
    output = succeed("--source-folder", few, "--out", tmp_path / "out", **terminal)
    assert "100%" in output
    assert "writing" not in output


def test_help_loads_none_of_the_large_libraries() -> None:
    large = "{'numpy', 'lmdb', 'rich', 'msgspec'}"
    code = f"import sys, netgen.commands.data; print({large} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


# The writer ---------------------------------------------------------------------------------------

task_names = st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    classes=st.dictionaries(task_names, st.integers(2, 70_000), min_size=1, max_size=5),
    count=st.integers(1, 600),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_written_is_what_was_given(
    shape: tuple[int, int, int], classes: dict[str, int], count: int, seed: int
) -> None:
    random = np.random.RandomState(seed)
    images = random.randint(0, 256, (count, *shape), np.uint8)
    columns = {task: random.randint(0, n, count) for task, n in classes.items()}
    order = random.permutation(count)
    with tempfile.TemporaryDirectory() as folder:
        split = split_in(folder, classes, count)
        written = write_split(ArrayRecords(images, columns).read(order), split, classes)
        found = list(read(split.images).values())
        for task, column in columns.items():
            assert [d.float_data[0] for d in read(split.labels[task]).values()] == [*column[order]]
    height, width, channels = shape
    assert {(d.channels, d.height, d.width) for d in found} == {(channels, height, width)}
    for datum, image in zip(found, images[order], strict=True):
        assert datum.data == b"".join(image[:, :, c].tobytes() for c in range(channels))
    assert written.records == count
    assert written.mean == pytest.approx(images.mean(axis=(0, 1, 2)))


def test_the_map_grows_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_writer, "FIRST_MAP_SIZE", 2**15)
    images = np.random.RandomState(0).randint(0, 256, (600, 40, 40, 3), np.uint8)
    records = ArrayRecords(images, {"a": np.arange(600)})
    split = split_in(str(tmp_path), ["a"], 600)
    write_split(records.read(range(600)), split, {"a": 600})
    found = b"".join(datum.data for datum in read(split.images).values())
    assert found == images.transpose(0, 3, 1, 2).tobytes()
    assert len(read(split.labels["a"])) == 600


def test_keys_stay_in_order_up_to_the_last_and_then_are_refused() -> None:
    assert [key(0), key(99_999_999)] == [b"00000000", b"99999999"]
    with pytest.raises(DataError, match="more than 100,000,000 records"):
        key(100_000_000)


IMAGE = np.zeros((2, 3, 1), np.uint8)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "no records for .*images.lmdb"),
        ([Record(IMAGE, {"a": 2})], "record 0: a 2: expected 0 to 1"),
        ([Record(IMAGE, {"a": -1})], "record 0: a -1: expected 0 to 1"),
        ([Record(IMAGE, {})], "record 0: labels of no task, but the tasks are a"),
        ([Record(IMAGE, {"b": 0})], "record 0: labels of b, but the tasks are a"),
        ([Record(IMAGE[:, :, 0], {"a": 0})], r"record 0: uint8 pixels of shape \(2, 3\)"),
        ([Record(IMAGE[:0], {"a": 0})], r"record 0: uint8 pixels of shape \(0, 3, 1\)"),
        ([Record(IMAGE.astype(float), {"a": 0})], "record 0: float64 pixels"),
        (
            [Record(IMAGE, {"a": 0}), Record(IMAGE.transpose(1, 0, 2), {"a": 0})],
            r"record 1: \(3, 2, 1\) \(height, width, channels\), unlike \(2, 3, 1\) of the first",
        ),
    ],
)
def test_a_record_that_does_not_fit_is_refused(
    records: list[Record], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        write_split(records, split_in(str(tmp_path), ["a"], 1), {"a": 2})


@pytest.mark.parametrize(
    ("task", "classes", "message"),
    [
        ("a_b", ("x", "y"), "task 'a_b': .*regex"),
        ("a", ("x",), "task 'a': .*>= 2"),
        ("a", ("x", "x"), "task 'a': class 'x' is listed twice"),
        ("a", ("x", "y\nz"), r"task 'a': class name 'y\\nz' is not one line"),
        ("a", ("x", ""), "task 'a': class name '' is not one line"),
    ],
)
def test_a_task_that_dataset_toml_cannot_hold_is_refused(
    task: str, classes: tuple[str, ...], message: str
) -> None:
    nothing = ArrayRecords(np.zeros((0, 1, 1, 1), np.uint8), {})
    with pytest.raises(DataError, match=message):
        Source("name", {task: classes}, nothing, nothing)


# Bad input ----------------------------------------------------------------------------------------


def test_a_missing_package_names_the_package_and_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion_mnist, "PACKAGE_FOLDER", tmp_path / "not installed")
    message = fail("--out", tmp_path / "out")
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
    message = fail("--source-folder", few, "--out", few.parent / "out")
    assert message.startswith(f"Error: {few / name}: ")
    assert expected in message
    assert [path.name for path in few.parent.iterdir()] == ["few"]


def test_an_unknown_option_and_a_seed_out_of_range_are_usage_errors(tmp_path: Path) -> None:
    for wrong in (("--sed", 1), ("--seed", -1), ("--seed", 2**32), ("--source-folder", "/nowhere")):
        result = netgen("--out", tmp_path / "out", *wrong)
        assert result.exit_code == 2
        assert "Error: " in result.output
    assert netgen().exit_code == 2


# Places -------------------------------------------------------------------------------------------


def test_existing_output_is_refused_and_stays(few: Path, old: Path) -> None:
    before = fingerprints(old.parent)
    assert "replace it with --force" in fail("--source-folder", few, "--out", old)
    assert fingerprints(old.parent) == before


def test_force_replaces_and_leaves_nothing_else_behind(few: Path, old: Path) -> None:
    before = fingerprints(old)
    succeed("--source-folder", few, "--out", old, "--seed", 3, "--force")
    assert fingerprints(old) != before
    assert {path.name for path in old.parent.iterdir()} == {"few", "out"}
    assert {path.name for path in old.iterdir()} == CONTENTS


def test_force_also_works_where_folders_cannot_be_exchanged(
    few: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_exchange", lambda *_: False)
    test_force_replaces_and_leaves_nothing_else_behind(few, old)


def test_where_they_can_the_old_dataset_is_never_missing_not_even_for_a_moment(
    few: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(*_: object) -> None:
        raise AssertionError("two steps")

    monkeypatch.setattr(Path, "rename", rename)
    test_force_replaces_and_leaves_nothing_else_behind(few, old)


def test_where_they_cannot_a_failure_between_the_two_steps_puts_the_old_dataset_back(
    few: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(errno.EIO, "Input/output error", str(target))
        return rename(self, target)

    before = fingerprints(old.parent)
    monkeypatch.setattr(staging, "_exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", failing)
    message = fail("--source-folder", few, "--out", old, "--seed", 3, "--force")
    assert message == f"Error: {old}: Input/output error"
    assert fingerprints(old.parent) == before


def test_the_old_dataset_stays_when_the_new_one_does_not_reach_the_disk(
    few: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = fingerprints(old.parent)
    monkeypatch.setattr(os, "fsync", fsync)
    message = fail("--source-folder", few, "--out", old, "--seed", 3, "--force")
    assert message.startswith(f"Error: {old}: No space left on device")
    assert fingerprints(old.parent) == before


def test_where_they_cannot_what_a_killed_run_set_aside_is_put_back(few: Path, old: Path) -> None:
    before = fingerprints(old)
    work = old.with_name(".out.partial")
    work.mkdir()
    old.rename(work / "old")
    assert "replace it with --force" in fail("--source-folder", few, "--out", old)
    assert fingerprints(old) == before
    assert not work.exists()


@pytest.mark.parametrize("holding", ["dataset.toml missing", "a file of the user's"])
def test_force_does_not_delete_what_netgen_did_not_make(few: Path, old: Path, holding: str) -> None:
    if holding == "dataset.toml missing":
        (old / "dataset.toml").unlink()
    else:
        (old / "thesis.tex").write_text("all of it")
    before = fingerprints(old)
    assert "not only a dataset" in fail("--source-folder", few, "--out", old, "--force")
    assert fingerprints(old) == before


def test_an_empty_folder_and_a_symbolic_link_are_places_too(few: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    succeed("--source-folder", few, "--out", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert read_dataset(tmp_path / "empty" / "dataset.toml").train.records == 300


def test_the_current_folder_cannot_be_replaced(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for out in (".", "..", "/"):
        assert "is the current folder or holds it" in fail("--source-folder", few, "--out", out)


def test_a_place_under_a_file_or_a_link_to_nowhere_is_refused(few: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    assert "Not a directory" in fail("--source-folder", few, "--out", tmp_path / "file" / "out")
    assert "is not a folder" in fail("--source-folder", few, "--out", tmp_path / "loop")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_second_run_for_the_same_place_is_refused(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with staged(out, CONTENTS, force=False) as folder:
        (folder / "dataset.toml").touch()
        assert "another run is writing" in fail("--source-folder", few, "--out", out)
    assert (out / "dataset.toml").exists()


def test_an_error_in_the_middle_leaves_the_old_data_alone(old: Path) -> None:
    class Broken(ArrayRecords):
        def read(self, order: Iterable[int]) -> Iterator[Record]:
            yield from super().read(list(order)[:9])
            raise DataError("photo.jpg does not decode")

    good = ArrayRecords(np.zeros((20, 2, 2, 3), np.uint8), {"a": np.zeros(20, int)})
    before = fingerprints(old.parent)
    source = Source("broken", {"a": ("x", "y")}, good, Broken(good.pixels, good.labels))
    with pytest.raises(DataError, match=r"photo\.jpg"):
        convert(source, old, seed=0, force=True)
    assert fingerprints(old.parent) == before


def in_own_mounts(script: str, tmp_path: Path, *arguments: object) -> str:
    """Run a shell script that may mount disks, which nobody else sees; return its output."""
    unshare = ["unshare", "--mount", "bash", "-euc"]
    (tmp_path / "disk").mkdir()
    trial = [*unshare, f"mount -t tmpfs none '{tmp_path}/disk'"]
    if subprocess.run(trial, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    command = [*unshare, script, "bash", *map(str, arguments)]
    return subprocess.run(
        command, cwd=tmp_path, text=True, check=True, timeout=60, stdout=-1, stderr=-2
    ).stdout


@pytest.mark.parametrize("megabytes", [2, 20, 55])
def test_a_full_disk_leaves_the_old_data_alone(few: Path, tmp_path: Path, megabytes: int) -> None:
    script = """
    mount -t tmpfs -o size=$1m none disk
    "${@:2}" --out disk/out --source-folder few >/dev/null 2>&1
    find disk -type f -exec sha256sum {} + | sort >before
    "${@:2}" --out disk/out --force && exit 9 || echo "exit code $?"
    find disk -type f -exec sha256sum {} + | sort >after
    """
    output = in_own_mounts(script, tmp_path, megabytes, *PROGRAM)
    assert "Error: " + str(tmp_path / "disk/out: No space left on device: free some") in output
    assert "exit code 1" in output
    assert "Traceback" not in output
    assert len((tmp_path / "before").read_text().splitlines()) == 12
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()


def test_a_read_only_disk_and_a_mounted_one_are_refused(few: Path, tmp_path: Path) -> None:
    script = """
    mount -t tmpfs -o size=9m none disk
    "$@" --source-folder few --out disk || echo "exit code $?"
    mount -o remount,ro disk
    "$@" --source-folder few --out disk/out || echo "exit code $?"
    ls -A disk
    """
    lines = in_own_mounts(script, tmp_path, *PROGRAM).splitlines()
    disk = tmp_path / "disk"
    assert lines[0] == f"Error: {disk} is where a disk is mounted: name a folder inside it"
    assert lines[2].startswith(f"Error: {disk}/out: Read-only file system")
    assert [lines[1], *lines[3:]] == ["exit code 1", "exit code 1"]


def test_a_folder_without_write_permission_is_refused(few: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    # Root may write anywhere, unless that power is taken away.
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    prefix = drop if os.geteuid() == 0 else []
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("root's powers cannot be given up here")
    command = [*prefix, *PROGRAM, "--source-folder", str(few), "--out", f"{locked}/out"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(f"Error: {locked}/out: Permission denied: check its permissions")
    assert run.stderr.count("\n") == 1
    assert list(locked.iterdir()) == []


@pytest.mark.parametrize("moment", ["lock", "new/train/images.lmdb/data.mdb", "new/test"])
@pytest.mark.parametrize("replacing", [False, True])
def test_kill_9_leaves_the_old_data_whole_and_the_next_run_clears_up(
    few: Path, old: Path, moment: str, replacing: bool
) -> None:
    out = old if replacing else old.with_name("other")
    before = fingerprints(old)
    waited_for = out.with_name(f".{out.name}.partial") / moment
    with subprocess.Popen([*PROGRAM, "--out", out, "--force"], stderr=subprocess.DEVNULL) as run:
        while not waited_for.exists() and run.poll() is None:
            time.sleep(0.001)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert fingerprints(old) == before
    assert out.exists() == replacing
    succeed("--source-folder", few, "--out", out, "--seed", 1, "--force")
    assert fingerprints(out) == before
    assert not list(out.parent.glob(".*"))


# Caffe --------------------------------------------------------------------------------------------

WALK = """
import sys
import caffe, numpy
net = caffe.Net(sys.argv[1], caffe.TEST)
batches = []
for _ in range(int(sys.argv[3])):
    net.forward()
    batches.append({name: blob.data.copy() for name, blob in net.blobs.items()})
numpy.savez(sys.argv[2], **{k: numpy.concatenate([b[k] for b in batches]) for k in batches[0]})
"""


def walk(converted: Path, split: str, batch: int, batches: int, folder: Path) -> dict[str, Floats]:
    """Read batches with Caffe's own Data layers; in a process of its own, for Caffe aborts."""
    databases = {"data": "images"} | {task: f"label_{task}" for task in TASKS}
    net = folder / "walk.prototxt"
    net.write_text(
        "".join(
            f'layer {{ name: "{top}" type: "Data" top: "{top}" data_param {{ backend: LMDB'
            f' source: "{converted}/{split}/{database}.lmdb" batch_size: {batch} }} }}\n'
            for top, database in databases.items()
        )
    )
    command = [sys.executable, "-c", WALK, str(net), f"{folder}/walk.npz", str(batches)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, f"Caffe (./run installs it) failed:\n{run.stderr[-3000:]}"
    return dict(np.load(folder / "walk.npz"))


@pytest.mark.parametrize(("split", "batches"), [("train", 20), ("test", 101)])
def test_caffe_reads_every_image_with_its_own_labels(
    converted: Path, tmp_path: Path, split: str, batches: int
) -> None:
    """The first batches of training; all of test, and the first of them again."""
    blobs = walk(converted, split, 100, batches, tmp_path)
    images, items = published(split)
    order = np.arange(COUNTS[split])
    if split == "train":
        order = np.random.RandomState(SEED).permutation(order)
    order = np.resize(order, 100 * batches)[: 100 * batches]
    expected = [ITEMS[item] for item in items[order]]
    assert np.array_equal(blobs["data"], images[order, np.newaxis])
    for column, task in enumerate(TASKS):
        names = (converted / "classes" / f"{task}.txt").read_text().splitlines()
        found = blobs[task]
        assert found.shape == (100 * batches, 1, 1, 1)
        assert [names[int(label)] for label in found.ravel()] == [row[column] for row in expected]
