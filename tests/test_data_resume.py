"""`--resume`: a run that was killed goes on, and ends with the bytes of one that was not."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from faults.writers import MOMENTS
from support.data import PROGRAM, fail, fingerprints, photographs, succeed
from support.photographs import many, photograph, saved

from data_prep.reading import ImageReader

COMMAND = "folder"
SIZE = ("--size", 64)
KILLS = 8 * MOMENTS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 images in four classes, and one that is broken."""
    folder = tmp_path_factory.mktemp("resume") / "root"
    for i, content in enumerate(many(2_000)):
        file = folder / f"class {i % 4}" / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (folder / "class 0" / "broken.jpg").write_bytes(saved(photograph(0))[:900])
    return folder


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an uninterrupted run makes of them."""
    out = tmp_path_factory.mktemp("resume") / "out"
    succeed(COMMAND, root, "--out", out, *SIZE)
    return fingerprints(out)


def start(root: Path, out: Path, *options: object) -> subprocess.Popen[bytes]:
    command = [*PROGRAM, COMMAND, root, "--out", out, *SIZE, *options]
    return subprocess.Popen(list(map(str, command)), stdout=-1, stderr=-1)


def wait_for(what: Callable[[], bool], run: subprocess.Popen[bytes]) -> None:
    while run.poll() is None and not what():
        time.sleep(0.001)


def in_databases(out: Path) -> int:
    """Return the bytes of the databases of images in the making; their folders come and go."""
    new = out.with_name(f".{out.name}.partial") / "new"
    return sum(_size(new / split / "images.lmdb" / "data.mdb") for split in ("train", "test"))


def holds_more_than(size: int, out: Path) -> bool:
    return in_databases(out) > size


def _size(file: Path) -> int:
    """Return a file's bytes; 0 when it does not exist yet, or has been moved to its place."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def test_kills_at_random_moments_each_resumed_change_no_byte(
    root: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    """In the scan and in the writing; a run that was whole before it was killed begins again."""
    chance = random.Random(5)
    out, killed, resumed = tmp_path / "out", 0, 0
    tenth = 2_000 * 64 * 64 * 3 // 10
    while killed < KILLS:
        run = start(root, out, "--resume")
        more = in_databases(out) + chance.randrange(tenth)
        if killed % 4:
            wait_for(partial(holds_more_than, more, out), run)
        else:
            time.sleep(chance.uniform(0.3, 1.5))
        time.sleep(chance.uniform(0, 0.02))
        run.kill()
        _, said = run.communicate()
        resumed += b"resuming where the last run ended" in said
        if out.exists():
            assert fingerprints(out) == whole
            shutil.rmtree(out)
        else:
            killed += (tmp_path / ".out.partial" / "ledger.sqlite").exists()
    assert resumed >= KILLS / 2
    succeed(COMMAND, root, "--out", out, *SIZE, "--resume")
    assert fingerprints(out) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def killed_while_writing(root: Path, out: Path, *options: str, how: int = signal.SIGKILL) -> str:
    """Run until some of the databases are written, then kill; return what it said."""
    run = start(root, out, *options)
    wait_for(lambda: in_databases(out) > 5_000_000, run)
    run.send_signal(how)
    _, said = run.communicate()
    assert run.returncode != 0
    return said.decode()


def test_what_a_scan_found_out_is_used_again_unless_the_file_changed(
    root: Path, whole: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    killed_while_writing(root, out)
    looked_at = []
    scan = ImageReader._facts

    def noting(self: ImageReader, stamp: str | None, name: str, content: bytes) -> object:
        looked_at.append(name)
        return scan(self, stamp, name, content)

    monkeypatch.setattr(ImageReader, "_facts", noting)
    os.utime(root / "class 1" / "1.jpg", ns=(1, 1))
    succeed(COMMAND, root, "--out", out, *SIZE, "--resume")
    assert looked_at == ["class 1/1.jpg"]
    assert fingerprints(out) == whole


def test_what_is_written_is_not_written_again(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed_while_writing(root, out)
    written = tmp_path / ".out.partial" / "new" / "train" / "images.lmdb" / "data.mdb"
    before = written.stat().st_ino
    run = start(root, out, "--resume")
    run.communicate()
    assert (out / "train" / "images.lmdb" / "data.mdb").stat().st_ino == before


def test_a_run_that_was_killed_after_the_training_set_goes_on_with_the_test_set(
    root: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = start(root, out)
    wait_for((tmp_path / ".out.partial/new/test/images.lmdb/data.mdb").exists, run)
    run.kill()
    run.communicate()
    assert "resuming where the last run ended" in succeed(
        COMMAND, root, "--out", out, *SIZE, "--resume"
    )
    assert fingerprints(out) == whole


def test_a_database_that_was_damaged_meanwhile_is_told_and_not_appended_to(
    root: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    """LMDB would end the process by a signal: the pages that it maps are not there."""
    out = tmp_path / "out"
    killed_while_writing(root, out)
    database = tmp_path / ".out.partial" / "new" / "train" / "images.lmdb"
    with (database / "data.mdb").open("r+b") as file:
        file.truncate(2**14)
    said = fail(COMMAND, root, "--out", out, *SIZE, "--resume")
    assert f"{database}: damaged since its run was killed: begin anew, without --resume" in said
    succeed(COMMAND, root, "--out", out, *SIZE)
    assert fingerprints(out) == whole


def test_images_that_changed_meanwhile_are_all_written_anew(root: Path, tmp_path: Path) -> None:
    copy, out = tmp_path / "root", tmp_path / "out"
    subprocess.run(["cp", "-r", root, copy], check=True)
    killed_while_writing(copy, out)
    (copy / "class 2" / "new.jpg").write_bytes(saved(photograph(99)))
    assert "images changed since: writing all databases again" in succeed(
        COMMAND, copy, "--out", out, *SIZE, "--resume"
    )
    succeed(COMMAND, copy, "--out", tmp_path / "fresh", *SIZE)
    assert fingerprints(out) == fingerprints(tmp_path / "fresh")


def test_other_options_than_those_of_the_killed_run_are_refused(
    root: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    killed_while_writing(root, out)
    message = fail(COMMAND, root, "--out", out, *SIZE, "--resume", "--seed", 1, "--rotate")
    assert "another seed (0, now 1), rotate (False, now True): give the same" in message
    assert "resuming where the last run ended" in succeed(
        COMMAND, root, "--out", out, *SIZE, "--resume"
    )
    assert fingerprints(out) == whole


def test_a_forgotten_force_does_not_cost_what_was_left(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeed(COMMAND, photographs(tmp_path / "few", {"a": 5, "b": 5}), "--out", out, *SIZE)
    killed_while_writing(root, out, "--force")
    for again in ((), ("--resume",)):
        assert "replace it with --force" in fail(COMMAND, root, "--out", out, *SIZE, *again)
    assert "resuming where the last run ended" in succeed(
        COMMAND, root, "--out", out, *SIZE, "--resume", "--force"
    )


def test_without_resume_a_left_over_is_cleared_away_and_said_so(
    root: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    killed_while_writing(root, tmp_path / "out")
    output = succeed(COMMAND, root, "--out", tmp_path / "out", *SIZE)
    assert "deleting what a killed run left (--resume would have continued" in output
    assert fingerprints(tmp_path / "out") == whole


def test_with_nothing_to_resume_it_starts_at_the_beginning(
    root: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    output = succeed(COMMAND, root, "--out", tmp_path / "out", *SIZE, "--resume")
    assert "starting at the beginning: there is nothing to resume" in output
    assert fingerprints(tmp_path / "out") == whole


def test_what_was_left_before_the_machine_started_anew_is_not_trusted(
    root: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    killed_while_writing(root, tmp_path / "out")
    (tmp_path / ".out.partial" / "lock").write_text("an earlier start")
    output = succeed(COMMAND, root, "--out", tmp_path / "out", *SIZE, "--resume")
    assert "starting at the beginning: the machine was restarted since" in output
    assert fingerprints(tmp_path / "out") == whole


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_can_be_resumed_and_says_so(
    root: Path, whole: dict[str, str], tmp_path: Path, how: int
) -> None:
    said = killed_while_writing(root, tmp_path / "out", how=how)
    assert "Finished work is kept: the same command with --resume continues." in said
    assert "Traceback" not in said
    output = succeed(COMMAND, root, "--out", tmp_path / "out", *SIZE, "--resume")
    assert "resuming where the last run ended" in output
    assert fingerprints(tmp_path / "out") == whole


def test_an_image_that_changes_after_the_scan_is_an_error_that_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photographs(tmp_path / "root", {"a": 5, "b": 5})
    prepare = ImageReader.prepare

    def changing(self: ImageReader, rows: list[object]) -> object:
        (root / "a" / "0.jpg").write_bytes(saved(photograph(99)))
        return prepare(self, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageReader, "prepare", changing)
    message = fail(COMMAND, root, "--out", tmp_path / "out", *SIZE, "--resume")
    assert message == "Error: a/0.jpg: changed while it was being used: run again"
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
