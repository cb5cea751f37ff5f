"""Damage that shows only when an image is decoded: the dataset is as if it had been known."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.data import fail, fingerprints, records, succeed, table
from support.photographs import many, photograph, saved

from data_prep import images, writing
from data_prep.image_headers import read_header
from data_prep.ledger import rank
from data_prep.reading import ImageReader

SIZE = ("--size", 64)
STARTED_OVER = "decoding all images before the split, and writing again without it"
HOLES = ("class 0/hole.jpg", "class 1/hole.jpg")
HOLLOW = "class 2/hollow.png"
CUT = "class 3/cut.jpg"


def with_a_hole(number: int) -> bytes:
    """A JPEG that has all its markers, but not all that should be between them."""
    content = saved(photograph(number))
    middle = len(content) // 2
    return content[:middle] + b"\xff\xd9" + content[middle:]


def hollow(number: int) -> bytes:
    """A PNG that has the header of a larger one; all checksums are right."""
    large, small = (saved(photograph(number, *size), "PNG") for size in ((120, 90), (12, 9)))
    return large[: large.index(b"IDAT") - 4] + small[small.index(b"IDAT") - 4 :]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 images in four classes."""
    root = tmp_path_factory.mktemp("sound") / "root"
    for i, content in enumerate(many(1_000)):
        file = root / f"class {i % 4}" / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


@pytest.fixture(scope="module")
def root(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and four that are damaged, three of them inside."""
    root = tmp_path_factory.mktemp("damaged") / "root"
    shutil.copytree(sound, root)
    for number, name in enumerate(HOLES):
        (root / name).write_bytes(with_a_hole(number))
    (root / HOLLOW).write_bytes(hollow(2))
    (root / CUT).write_bytes(saved(photograph(3))[:900])
    return root


@pytest.fixture(scope="module")
def expected(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What becomes of the sound ones alone."""
    out = tmp_path_factory.mktemp("expected") / "out"
    assert STARTED_OVER not in succeed("folder", sound, "--out", out, *SIZE)
    return without_rejects(out)


def without_rejects(out: Path) -> dict[str, str]:
    return {name: found for name, found in fingerprints(out).items() if name != "rejects.csv"}


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_damaged_images_leave_no_trace_but_in_the_list_of_rejects(
    root: Path, expected: dict[str, str], tmp_path: Path, jobs: int
) -> None:
    said = succeed("folder", root, "--out", tmp_path / "out", *SIZE, "--jobs", jobs)
    assert without_rejects(tmp_path / "out") == expected
    found = {row["name"]: row["reason"] for row in table(tmp_path / "out" / "rejects.csv")}
    assert found == {
        **dict.fromkeys(HOLES, "damaged JPEG: Corrupt JPEG data: premature end of data segment"),
        HOLLOW: "truncated or damaged PNG, or of an uncommon kind",
        CUT: "damaged JPEG: Premature end of JPEG file",
    }
    lines = [line for line in said.splitlines() if "writing again" in line]
    assert len(lines) == 1
    name, _, rest = lines[0].partition(": ")
    assert rest == f"{found[name]}: {STARTED_OVER}"


def test_a_dry_run_counts_them_out(root: Path, tmp_path: Path) -> None:
    dry = succeed("folder", root, "--out", tmp_path / "out", *SIZE, "--dry-run")
    real = succeed("folder", root, "--out", tmp_path / "out", *SIZE)
    assert STARTED_OVER not in dry
    for said in (dry, real):
        assert "800 training and 200 test images" in said
        assert "Left out: 4" in said
        assert "  2: damaged JPEG: Corrupt JPEG data: premature end of data segment" in said


def test_what_was_written_is_not_decoded_for_the_new_plan(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"class 0/hole {number}.jpg" for number in range(100)]
    last = max(names, key=lambda name: rank(0, name))  # so it is for the test set, the last written
    shutil.copytree(sound, tmp_path / "root")
    (tmp_path / "root" / last).write_bytes(with_a_hole(0))
    decoded = []
    look = ImageReader._facts

    def noting(self: ImageReader, stamp: str | None, name: str, content: bytes) -> object:
        decoded.extend([name] if self.thorough else [])
        return look(self, stamp, name, content)

    monkeypatch.setattr(ImageReader, "_facts", noting)
    monkeypatch.setattr(writing, "BATCH", 256)  # so the test set is one transaction, not written
    succeed("folder", tmp_path / "root", "--out", tmp_path / "out", *SIZE)
    assert sorted(decoded) == sorted(row["name"] for row in records(tmp_path / "out", "test"))


def test_the_scan_of_sound_images_decodes_none(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(images, "scan", refused)
    succeed("folder", sound, "--out", tmp_path / "out", *SIZE)


def test_an_image_that_only_the_scan_can_decode_is_an_error_that_leaves_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It should not happen; if it does, a run must not start over again and again."""
    monkeypatch.setattr(images, "scan", lambda content, _: read_header(content, lenient=True))
    message = fail("folder", root, "--out", tmp_path / "out", *SIZE)
    assert message.endswith(", but a scan found nothing wrong")
    assert list(tmp_path.iterdir()) == []


# Kills --------------------------------------------------------------------------------------------

# In whose call a run dies, and in which.
PLACES = [
    ("convert.start_over", 1),  # nobody knows of the damage
    ("resuming.clear", 2),  # the ledger does
    ("convert.scan_source", 2),
    ("ledger.Ledger.scanned", 6),  # of 4 a scan
    ("convert.plan_dataset", 2),
    ("convert.begin_writing", 2),
    ("resuming.clear", 3),
    ("convert.write_split", 2),
    ("writing.SplitWriter.append", 3),
]
DYING = """
import os, pkgutil, sys
owner, _, name = sys.argv.pop(1).rpartition(".")
place, calls = int(sys.argv.pop(1)), []
owner = pkgutil.resolve_name("data_prep." + owner)
whole = getattr(owner, name)
def dying(*arguments, **options):
    calls.append(name)
    if len(calls) == place:
        os.kill(os.getpid(), 9)
    return whole(*arguments, **options)
setattr(owner, name, dying)
from netgen.commands.cli import main
main()
"""


def killed(root: Path, out: Path, function: str, call: int) -> None:
    """Run until a function is called for the nth time, and die of it."""
    command = ["data", "folder", root, "--out", out, *SIZE]
    run = subprocess.run(
        [sys.executable, "-c", DYING, function, str(call), *map(str, command)],
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()


@pytest.mark.parametrize(("function", "call"), PLACES)
def test_a_kill_before_while_or_after_it_starts_over_changes_no_byte(
    root: Path, expected: dict[str, str], tmp_path: Path, function: str, call: int
) -> None:
    out = tmp_path / "out"
    killed(root, out, function, call)
    said = succeed("folder", root, "--out", out, *SIZE, "--resume")
    assert "resuming where the last run ended" in said
    assert said.count(STARTED_OVER) == (function == "convert.start_over")
    assert without_rejects(out) == expected
    assert len(table(out / "rejects.csv")) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_damaged_image_that_was_mended_before_the_run_goes_on_is_taken(
    root: Path, tmp_path: Path
) -> None:
    copy, out = tmp_path / "root", tmp_path / "out"
    shutil.copytree(root, copy)
    killed(copy, out, "convert.scan_source", 2)
    for name in HOLES:
        (copy / name).write_bytes(saved(photograph(60)))
    succeed("folder", copy, "--out", out, *SIZE, "--resume")
    succeed("folder", copy, "--out", tmp_path / "fresh", *SIZE)
    assert len(table(out / "rejects.csv")) == 2
    assert fingerprints(out) == fingerprints(tmp_path / "fresh")
