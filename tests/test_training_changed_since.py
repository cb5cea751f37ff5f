"""What changed since a run began is told by --resume, before anything of the run is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest
from support.once import Once
from support.training import Place, copy_of, make_place

RUN = "runs/whole"
RESUME = ("--resume", "--run", RUN)
NEWEST = "snapshots/xs_iter_60.json"
DATABASES = ("image", "label_item", "label_family", "label_season")


@pytest.fixture(scope="session")
def shared(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with a finished run of one round."""

    def make() -> Place:
        place = make_place(tmp_path_factory.mktemp("faults"))
        place.train(RUN, "--plateau", "off")
        return place

    return once("training-faults", make)


@pytest.fixture
def place(shared: Place, tmp_path: Path) -> Place:
    """A copy of it, whose newest snapshot is that of iteration 50."""
    copied = copy_of(shared, tmp_path)
    _without_its_last_snapshot(copied)
    return copied


def _without_its_last_snapshot(place: Place) -> None:
    for file in place.path(RUN, "snapshots").glob("xs_iter_60.*"):
        file.unlink()


def edited(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def refused(place: Place) -> str:
    """Resume the run, which has to be refused in one message, with nothing of it changed."""
    before = _files(place)
    said = place.refused(*RESUME)
    assert said.count("Error: ") == 1
    assert _files(place) == before
    return said


def _files(place: Place) -> dict[Path, bytes]:
    found = [file for file in (place.folder / RUN).rglob("*") if file.is_file()]
    return {file: file.read_bytes() for file in found if file.name != "lock"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("solver", ""),
        ("solver", 'base_lr: 0.5 max_iter: 60 lr_policy: "fixed" type: "SGD"'),
        ("round_iterations", 7),
        ("name", "other"),
        ("losses", {}),
    ],
)
def test_a_plan_that_was_edited(place: Place, field: str, value: object) -> None:
    """Else the weights would be another training's, and be told as this one's."""
    edited(place.path(RUN, "run.json"), lambda record: record["plan"].update({field: value}))
    said = refused(place)
    assert f"{RUN}/run.json: its plan is not the one that the run began with" in said


def test_a_plan_with_fewer_iterations_than_were_done_and_a_journal_that_does_not_tell(
    place: Place,
) -> None:
    """As of a run that was begun before journals told of the plan: it went on without an end."""
    journal = place.path(RUN, "log.jsonl")
    journal.write_text(journal.read_text().partition("\n")[2])

    def shorten(record: dict[str, Any]) -> None:
        record["plan"]["solver"] = record["plan"]["solver"].replace("max_iter: 60", "max_iter: 40")

    edited(place.path(RUN, "run.json"), shorten)
    said = refused(place)
    assert f"xs_iter_50.json: of iteration 50, but {RUN}/run.json has 40 iterations" in said


def test_a_snapshot_that_says_that_the_run_has_ended_before_its_end(place: Place) -> None:
    manifest = place.path(RUN, "snapshots/xs_iter_50.json")
    edited(manifest, lambda told: told["state"].update(ended="max_iter"))
    assert "of iteration 50, at which the run had ended, but" in refused(place)
    edited(manifest, lambda told: told["state"].update(ended="party"))
    assert "xs_iter_50.json: not a snapshot's manifest" in refused(place)


def test_databases_with_fewer_images(place: Place) -> None:
    for name in DATABASES:
        path = next(place.path("data", "train").glob(f"{name}*.lmdb"))
        with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
            last = max(key for key, _ in transaction.cursor())
            transaction.delete(last)
    assert "databases of phase TRAIN have 49 images, and had 50 when the run began" in refused(
        place
    )


def test_a_journal_that_lacks_what_came_before_the_snapshot_is_told(place: Place) -> None:
    place.path(RUN, "log.jsonl").unlink()
    said = place.resume(RUN)
    assert f"{RUN}/log.jsonl: does not tell of iteration 50, from which the run goes on" in said
    assert place.path(RUN, NEWEST).exists()


def test_a_time_that_is_none_is_told_with_its_file(place: Place) -> None:
    edited(place.path(RUN, "run.json"), lambda record: record.update(begun="yesterday"))
    said = place.refused(*RESUME, "--tensorboard", "board")
    assert f"{RUN}/run.json: begun: 'yesterday' is no time" in said
