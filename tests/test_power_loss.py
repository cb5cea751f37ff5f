"""The power fails at a change of the disk: what was there is whole, or what was to be there is.

Some of the moments at each `./run test`; `./run faults` tries more.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from signal import SIGKILL

import pytest
from faults.changes import Change, run
from faults.power import LOSSES, lose, not_flushed
from faults.writers import MOMENTS, NEVER_BEGUN, TRAIN, fresh, tree

RESUME = ("train", "--resume", "--run", "out/run")
DATA = ("data", "folder", "images", "--out", "out/made", "--size", "32", "--force")
WEIGHTS = "out/run/snapshots/short_iter_6.caffemodel"


def moments(count: int, name: str, times: int) -> list[tuple[int, str]]:
    """Choose changes out of `count` at which the power fails, and what is lost then."""
    chance = random.Random(name)
    return [(chance.randint(1, count), chance.choice(sorted(LOSSES))) for _ in range(times)]


def test_a_dataset_is_the_old_one_or_the_new_one(inputs: Path) -> None:
    work = fresh(inputs)
    run(DATA, work)
    (work / "images/a/0.jpeg").unlink()
    old, before = tree(work / "out/made"), shutil.copytree(work, inputs.with_name("with-old"))
    ended = run(DATA, work)
    new = tree(work / "out/made")
    assert old != new
    for at, loss in moments(len(ended.changes), "data", 8 * MOMENTS):
        work = fresh(before)
        stopped = run(DATA, work, at, SIGKILL)
        lost = lose(stopped.changes[: at - 1], LOSSES[loss])
        where = f"at change {at}, {loss} of {len(lost)} files"
        assert tree(work / "out/made") in (old, new), where
        again = run([*DATA, "--resume"], work)
        assert again.status == 0, f"{where}: {again.said}"
        assert tree(work / "out/made") == new, where
        assert [path.name for path in (work / "out").iterdir()] == ["made"], where


def test_a_training_goes_on_to_the_same_bits_from_a_snapshot_that_is_whole(inputs: Path) -> None:
    work = fresh(inputs)
    ended = run(TRAIN, work)
    weights = (work / WEIGHTS).read_bytes()
    for at, loss in moments(len(ended.changes), "train", 3 * MOMENTS):
        work = fresh(inputs)
        stopped = run(TRAIN, work, at, SIGKILL)
        lost = lose(stopped.changes[: at - 1], LOSSES[loss])
        where = f"at change {at}, {loss} of {[path.name for path in lost]}"
        again = run(RESUME, work)
        if NEVER_BEGUN in again.said:
            again = run(TRAIN, work)
        assert again.status == 0, f"{where}: {again.said}"
        assert (work / WEIGHTS).read_bytes() == weights, where


@pytest.mark.parametrize("flushed", [True, False])
def test_what_was_not_flushed_is_found_under_its_new_name(flushed: bool) -> None:
    """Else the tests above would lose nothing."""
    changes = [
        Change("write", Path("/a/x/1")),
        Change("sync", Path("/a/x/1"), size=5),
        *([] if flushed else [Change("write", Path("/a/x/1"))]),
        Change("write", Path("/a/gone")),
        Change("exchange", Path("/a/x"), Path("/b/y")),
        Change("remove", Path("/a/gone")),
    ]
    assert not_flushed(changes) == ({} if flushed else {Path("/b/y/1"): 5})
