"""What counts as the same image: its pixels as stored. A dataset just made passes `data verify`."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from support.data import fail, fingerprints, first_published, netgen, records, succeed, table
from support.photographs import by_opencv, photograph, saved

from data_prep import resuming
from data_prep.ledger import Ledger
from data_prep.verify import CheckOutcome, verify
from netgen.network.dataset import read_dataset

SIZE = ("--size", 32)
PAIRS = ("happy_dog", "sad_dog", "happy_cat")
EACH = 20  # photographs of a pair
TWICE = 8  # of these, so many are there in four files


def as_png(content: bytes) -> bytes:
    """Another file of the same pixels."""
    return bytes(cv2.imencode(".png", by_opencv(content))[1])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of pairs; of some, a copy, a PNG, and in another pair a longer JPEG."""
    folder = tmp_path_factory.mktemp("same") / "root"
    for number, (pair, i) in enumerate(itertools.product(PAIRS, range(EACH))):
        content = saved(photograph(number))
        files = {f"{pair}/{i}.jpg": content}
        if i < TWICE:
            other = PAIRS[(PAIRS.index(pair) + 1) % len(PAIRS)]
            files[f"{pair}/copy of {i}.jpg"] = content
            files[f"{pair}/{i} as.png"] = as_png(content)
            files[f"{other}/longer {pair} {i}.jpg"] = content + b"a preview"
        for name, written in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(written)
    return folder


def listed(root: Path, given: bool = False) -> Path:
    """A list of the images in a CSV file, with two tasks."""
    file = root.parent / ("given.csv" if given else "list.csv")
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*"))
    lines = ["path,mood,animal" + ",split" * given]
    for i, name in enumerate(names):
        mood, animal = name.split("/")[0].split("_")
        lines.append(f"{name},{mood},{animal}" + (",test" if i % 5 == 0 else ",train") * given)
    file.write_text("\n".join(lines) + "\n")
    return file


def sources(root: Path) -> dict[str, tuple[object, ...]]:
    return {
        "folder": ("folder", root),
        "mtvso": ("mtvso", root),
        "csv": ("csv", listed(root), "--root", root),
    }


def families(out: Path) -> list[set[str]]:
    rows = table(out / "duplicates.csv")
    return [
        {row["name"] for row in rows}
        for _, rows in itertools.groupby(rows, key=lambda row: row["family"])
    ]


def both_splits(out: Path) -> tuple[CheckOutcome, str]:
    """What `verify` says of images in both splits."""
    (check,) = [check for check in verify(out) if check.what == "images in both splits"]
    return check.outcome, check.found


@pytest.mark.parametrize("how", [(), ("--encoded", "jpeg"), ("--encoded", "png"), ("--lenient",)])
@pytest.mark.parametrize("source", ["folder", "mtvso", "csv"])
def test_a_dataset_just_made_passes_its_own_verify(
    source: str, how: tuple[str, ...], root: Path, tmp_path: Path
) -> None:
    for seed in range(2):
        out = tmp_path / str(seed)
        succeed(*sources(root)[source], "--out", out, *SIZE, *how, "--seed", seed)
        assert {check.outcome for check in verify(out)} == {CheckOutcome.PASSED}
        assert read_dataset(out / "dataset.toml").duplicates == "together"
    succeed("verify", tmp_path / "0")


def test_identical_pixels_are_one_family_whatever_their_files_are(
    root: Path, tmp_path: Path
) -> None:
    output = succeed("mtvso", root, "--out", tmp_path / "out", *SIZE)
    found = families(tmp_path / "out")
    assert len(found) == TWICE * len(PAIRS)
    assert all(len(family) == 4 for family in found)
    line = (
        f"Duplicates: {4 * TWICE * len(PAIRS)} images in {TWICE * len(PAIRS)} families of the same"
        f" pixels, each kept on one side of the split; {TWICE * len(PAIRS)} families with different"
        " labels"
    )
    assert line in output


def test_no_class_trains_on_more_than_four_fifths_of_its_images(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeed("mtvso", root, "--out", out, *SIZE)
    for pair in PAIRS:
        images = [row for row in table(out / "records.csv") if row["class:anp"] == pair]
        train = sum(row["split"] == "train" for row in images)
        assert 0.7 * len(images) <= train <= 0.8 * len(images)


def test_left_where_the_split_puts_them_verify_passes_and_says_how_many(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    output = succeed("folder", root, "--out", out, *SIZE, "--split-duplicates")
    assert "on both sides of the split, where it puts them" in output
    assert read_dataset(out / "dataset.toml").duplicates == "as split"
    outcome, found = both_splits(out)
    assert outcome is CheckOutcome.PASSED
    sides = [{row["split"] for row in table(out / "duplicates.csv") if row["name"] in family}
             for family in families(out)]  # fmt: skip
    across = sum(len(side) == 2 for side in sides)
    assert across > 0
    assert found.startswith(f"{across}: train record ")
    assert "left where the split puts them, as dataset.toml says" in found
    # The rule of the paper's totals, to the image.
    count = len(table(out / "records.csv"))
    assert len(records(out, "train")) == sum(
        8 * len(list((root / pair).iterdir())) // 10 for pair in PAIRS
    )
    assert count == sum(1 for _ in root.rglob("*.*"))


def test_a_split_that_the_source_gives_is_kept(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeed("csv", listed(root, given=True), "--root", root, "--out", out, *SIZE)
    assert read_dataset(out / "dataset.toml").duplicates == "as split"
    outcome, found = both_splits(out)
    assert (outcome, "left where" in found) == (CheckOutcome.PASSED, True)
    published = first_published(tmp_path / "published")
    succeed("fashion-mnist", "--source-folder", published, "--out", tmp_path / "fashion")
    succeed("verify", tmp_path / "fashion")


def test_the_verdict_follows_from_what_was_asked_for(root: Path, tmp_path: Path) -> None:
    """A dataset that says nothing, as those of earlier versions, is not excused."""
    out = tmp_path / "out"
    succeed("folder", root, "--out", out, *SIZE, "--split-duplicates")
    file = out / "dataset.toml"
    text = file.read_text()
    for other in ('duplicates = "together"\n', ""):
        file.write_text(text.replace('duplicates = "as split"\n', other))
        outcome, found = both_splits(out)
        assert outcome is CheckOutcome.FAILED
        assert "make the dataset again" in found
    file.write_text(text.replace('"as split"', '"anyhow"'))
    assert "duplicates" in fail("verify", out)


def test_a_dry_run_reports_what_the_run_then_does(root: Path, tmp_path: Path) -> None:
    """It writes no database, so it decodes every image to know their pixels."""
    out = tmp_path / "out"
    asked = ("folder", root, "--out", out, *SIZE)
    dry, made = succeed(*asked, "--dry-run"), succeed(*asked)
    for start in ("Duplicates: ", f"{out}: ", "a dry run"):
        lines = [
            line.split(": see")[0].split(" of 3 x")[0].partition(": ")[2]
            for output in (dry, made) for line in output.splitlines() if line.startswith(start)
        ]  # fmt: skip
        if start == "Duplicates: ":
            assert len(lines) == 2
            assert lines[0] == lines[1]
    train = len(records(out, "train"))
    assert f"{train} training and" in dry


def test_images_that_differ_in_a_pixel_are_not_the_same(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for i in range(20):
        picture = photograph(0, 32, 32)
        picture.putpixel((i, 5), (0, 255, 0))
        for pair in ("a", "b"):
            (root / pair).mkdir(parents=True, exist_ok=True)
        (root / "ab"[i % 2] / f"{i}.png").write_bytes(saved(picture, "PNG"))
    output = succeed("folder", root, "--out", tmp_path / "out", *SIZE)
    assert "Duplicates" not in output
    assert len(records(tmp_path / "out", "train")) == 16


class _Stop:
    """Interrupts a run at the n-th of the moments at which it notes how far it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
        self.left = 0
        for owner, name in ((Ledger, "wrote"), (Ledger, "note"), (resuming, "clear")):
            monkeypatch.setattr(owner, name, self.interrupting(getattr(owner, name), after))

    def interrupting(self, of: Callable[..., None], after: bool) -> Callable[..., None]:
        def interrupted(*arguments: object) -> None:
            self.left -= 1
            if after:
                of(*arguments)
            if self.left == 0:
                raise KeyboardInterrupt
            if not after:
                of(*arguments)

        return interrupted


@pytest.mark.parametrize("after", [False, True])
def test_interrupted_at_any_moment_a_resumed_run_makes_the_same_bytes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    said = succeed("folder", root, "--out", whole, *SIZE)
    assert "writing all databases again, with these on one side" in said
    stop, moment = _Stop(monkeypatch, after), 0
    while True:
        moment += 1
        stop.left = moment
        run = netgen("folder", root, "--out", out, *SIZE)
        if run.exit_code == 0:
            break
        assert (tmp_path / ".out.partial/ledger.sqlite").exists()
        said = succeed("folder", root, "--out", out, *SIZE, "--resume")
        assert "resuming where the last run ended" in said
        assert fingerprints(out) == fingerprints(whole)
        shutil.rmtree(out)
    assert moment > 10
