"""Where a dataset goes: whole or not at all, and never over what netgen did not make."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.data import PROGRAM, fail, fingerprints, first_published, in_own_mounts, succeed

from data_prep import staging
from data_prep.convert import CONTENTS
from data_prep.staging import NEW, staged
from netgen.network.dataset import read_dataset

COMMAND = "fashion-mnist"


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """The first 300 and 100 published images."""
    return first_published(tmp_path / "few")


@pytest.fixture
def old(few: Path, tmp_path: Path) -> Path:
    """A small dataset that stands where a new one is to go."""
    succeed(COMMAND, "--source-folder", few, "--out", tmp_path / "out", "--seed", 1)
    return tmp_path / "out"


def test_existing_output_is_refused_and_stays(few: Path, old: Path) -> None:
    before = fingerprints(old.parent)
    assert "replace it with --force" in fail(COMMAND, "--source-folder", few, "--out", old)
    assert fingerprints(old.parent) == before


def test_force_replaces_and_leaves_nothing_else_behind(few: Path, old: Path) -> None:
    before = fingerprints(old)
    succeed(COMMAND, "--source-folder", few, "--out", old, "--seed", 3, "--force")
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
    message = fail(COMMAND, "--source-folder", few, "--out", old, "--seed", 3, "--force")
    assert message == f"Error: {old}: Input/output error"
    assert fingerprints(old.parent) == before


@pytest.mark.parametrize("when", ["fdatasync", "fsync"])  # while it is written, and at the end
def test_the_old_dataset_stays_when_the_new_one_does_not_reach_the_disk(
    few: Path, old: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = fingerprints(old.parent)
    monkeypatch.setattr(os, when, failing)
    message = fail(COMMAND, "--source-folder", few, "--out", old, "--seed", 3, "--force")
    assert message.startswith(f"Error: {old}: No space left on device")
    assert fingerprints(old.parent) == before


def test_where_they_cannot_what_a_killed_run_set_aside_is_put_back(few: Path, old: Path) -> None:
    before = fingerprints(old)
    work = old.with_name(".out.partial")
    work.mkdir()
    old.rename(work / "old")
    assert "replace it with --force" in fail(COMMAND, "--source-folder", few, "--out", old)
    assert fingerprints(old) == before
    assert not work.exists()


@pytest.mark.parametrize("holding", ["dataset.toml missing", "a file of the user's"])
def test_force_does_not_delete_what_netgen_did_not_make(few: Path, old: Path, holding: str) -> None:
    if holding == "dataset.toml missing":
        (old / "dataset.toml").unlink()
    else:
        (old / "thesis.tex").write_text("all of it")
    before = fingerprints(old)
    assert "not only a dataset" in fail(COMMAND, "--source-folder", few, "--out", old, "--force")
    assert fingerprints(old) == before


def test_an_empty_folder_and_a_symbolic_link_are_places_too(few: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    succeed(COMMAND, "--source-folder", few, "--out", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert read_dataset(tmp_path / "empty" / "dataset.toml").train.records == 300


def test_the_current_folder_cannot_be_replaced(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for out in (".", "..", "/"):
        assert "is the current folder or holds it" in fail(
            COMMAND, "--source-folder", few, "--out", out
        )


def test_a_place_under_a_file_or_a_link_to_nowhere_is_refused(few: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    assert "Not a directory" in fail(
        COMMAND, "--source-folder", few, "--out", tmp_path / "file" / "out"
    )
    assert "is not a folder" in fail(COMMAND, "--source-folder", few, "--out", tmp_path / "loop")
    assert (tmp_path / "file").read_text() == "mine"
    long = fail(COMMAND, "--source-folder", few, "--out", tmp_path / ("a" * 300))
    assert long.endswith("File name too long: give it a shorter name")


def test_a_second_run_for_the_same_place_is_refused(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with staged(out, CONTENTS, force=False) as work:
        (work / NEW / "dataset.toml").touch()
        assert "another run is writing" in fail(COMMAND, "--source-folder", few, "--out", out)
    assert (out / "dataset.toml").exists()


MANY = ("--source-folder", "many")


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """10,000 images: more than there is room for."""
    return first_published(tmp_path / "many", 9_000, 1_000)


@pytest.mark.usefixtures("many")
def test_what_cannot_fit_is_refused_before_it_is_written(tmp_path: Path) -> None:
    script = """
    mount -t tmpfs -o size=9m none disk
    "$@" --out disk/out || echo "exit code $?"
    ls -A disk
    """
    lines = in_own_mounts(script, tmp_path, *PROGRAM, COMMAND, *MANY).splitlines()
    assert "writing" not in lines[-2]
    assert re.match(r"Error: this takes up to \d+\.\d MB, and \d\.\d MB are free: ", lines[-2])
    assert lines[-1] == "exit code 1"


# Somebody else fills the disk once the estimate is made.
UNCHECKED = """
from data_prep import planning
from netgen.commands.cli import main
planning.check_disk_space = lambda *_: None
main()
"""


@pytest.mark.usefixtures("few", "many")
@pytest.mark.parametrize("megabytes", [2, 5, 10, 13])
def test_a_full_disk_leaves_the_old_data_alone(tmp_path: Path, megabytes: int) -> None:
    script = """
    mount -t tmpfs -o size=$1m none disk
    "${@:2}" --out disk/out --source-folder few >/dev/null 2>&1
    find disk -type f -exec sha256sum {} + | sort >before
    "${@:2}" --out disk/out --force --source-folder many && exit 9 || echo "exit code $?"
    find disk -type f -exec sha256sum {} + | sort >after
    """
    program = (sys.executable, "-c", UNCHECKED, "data", COMMAND)
    output = in_own_mounts(script, tmp_path, megabytes, *program)
    assert "Error: " + str(tmp_path / "disk/out: No space left on device: free some") in output
    assert "exit code 1" in output
    assert "Traceback" not in output
    assert len((tmp_path / "before").read_text().splitlines()) == 16
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()


@pytest.mark.usefixtures("many")
def test_a_full_disk_under_resume_keeps_what_is_done(tmp_path: Path) -> None:
    script = """
    mount -t tmpfs -o size=13m none disk
    "$@" --out disk/out --resume && exit 9 || echo "exit code $?"
    mount -o remount,size=60m disk
    "$@" --out disk/out --resume
    cp -r disk/out out
    """
    program = (sys.executable, "-c", UNCHECKED, "data", COMMAND, *MANY)
    output = in_own_mounts(script, tmp_path, *program)
    assert "No space left on device" in output
    assert "Finished work is kept: the same command with --resume continues." in output
    assert "resuming where the last run ended" in output
    succeed(COMMAND, "--out", tmp_path / "whole", "--source-folder", tmp_path / "many")
    assert fingerprints(tmp_path / "out") == fingerprints(tmp_path / "whole")


def test_a_read_only_disk_and_a_mounted_one_are_refused(few: Path, tmp_path: Path) -> None:
    script = """
    mount -t tmpfs -o size=9m none disk
    "$@" --source-folder few --out disk || echo "exit code $?"
    mount -o remount,ro disk
    "$@" --source-folder few --out disk/out || echo "exit code $?"
    ls -A disk
    """
    lines = in_own_mounts(script, tmp_path, *PROGRAM, COMMAND).splitlines()
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
    command = [*prefix, *PROGRAM, COMMAND, "--source-folder", str(few), "--out", f"{locked}/out"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(f"Error: {locked}/out: Permission denied: check its permissions")
    assert run.stderr.count("\n") == 1
    assert list(locked.iterdir()) == []


@pytest.mark.parametrize("moment", ["lock", "new/train/images.lmdb/data.mdb", "new/test"])
@pytest.mark.parametrize("replacing", [False, True])
def test_kill_9_leaves_the_old_data_whole_and_the_next_run_clears_up(
    few: Path, many: Path, old: Path, moment: str, replacing: bool
) -> None:
    out = old if replacing else old.with_name("other")
    before = fingerprints(old)
    waited_for = out.with_name(f".{out.name}.partial") / moment
    with subprocess.Popen(
        [*PROGRAM, COMMAND, "--source-folder", many, "--out", out, "--force"],
        stderr=subprocess.DEVNULL,
    ) as run:
        while not waited_for.exists() and run.poll() is None:
            time.sleep(0.001)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert fingerprints(old) == before
    assert out.exists() == replacing
    succeed(COMMAND, "--source-folder", few, "--out", out, "--seed", 1, "--force")
    assert fingerprints(out) == before
    assert not list(out.parent.glob(".*"))
