"""TensorBoard's events of a training: the journal's numbers, each once, also after a resume."""

from __future__ import annotations

import errno
import math
import os
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.once import Once
from support.training import Place, copy_of, make_place, wait_for

from netgen.training.events import events_of
from netgen.training.journal import Journal, read_journal
from netgen.training.run_folder import RunFolder

pytest.importorskip("tensorboardX", reason="pip install 'netgen[tensorboard]'")

ROUNDS = ("--plateau", "off", "--round", "2")
FIRST_RESUME = 10  # the iteration of the first snapshot
TASKS = ("item", "family", "season")


@pytest.fixture(scope="session")
def shared(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with a finished run and its events; tests that write into it use a copy."""

    def make() -> Place:
        place = make_place(tmp_path_factory.mktemp("events"))
        place.train("runs/xs", *ROUNDS, "--tensorboard", "board/xs")
        return place

    return once("events", make)


@pytest.fixture
def place(shared: Place, tmp_path: Path) -> Place:
    """A copy of the place, to be changed."""
    return copy_of(shared, tmp_path)


def records(file: Path) -> Iterator[bytes]:
    """The records of a file of events, their checksums checked."""
    from tensorboardX.record_writer import masked_crc32c

    content = file.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        record = content[12 : 12 + length]
        sums = struct.unpack("<I", content[8:12]), struct.unpack_from("<I", content, 12 + length)
        assert sums == ((masked_crc32c(content[:8]),), (masked_crc32c(record),))
        yield record
        content = content[16 + length :]


def events(folder: Path) -> list[Any]:
    """All events of a folder, in the order in which TensorBoard reads them."""
    from tensorboardX.proto.event_pb2 import Event

    return [Event.FromString(one) for file in sorted(folder.iterdir()) for one in records(file)]


def told(folder: Path) -> list[tuple[str, int, float]]:
    """Each number in a folder's events: its tag, its step, and the number."""
    return [
        (value.tag, event.step, value.simple_value)
        for event in events(folder)
        for value in event.summary.value
    ]


def in_journal(place: Place, run: str) -> list[tuple[str, int, Any]]:
    """The same of a run's journal, but for the speed."""
    found: list[tuple[str, int, Any]] = []
    for entry in read_journal(place.path(run, "log.jsonl")):
        kind, at = entry["event"], entry["iteration"]
        if kind not in ("train", "test"):
            continue
        numbers = {f"{kind}/{output}": value for output, value in entry["outputs"].items()}
        if kind == "train":
            numbers |= {"train/loss": entry["loss"], "rate": entry["lr"]}
        found += [(tag, at, pytest.approx(value, rel=1e-6)) for tag, value in numbers.items()]
    return sorted(found, key=lambda one: one[:2])


def without_speed(folder: Path) -> list[tuple[str, int, float]]:
    return sorted(one for one in told(folder) if one[0] != "speed")


def test_the_events_are_the_journals_numbers(shared: Place) -> None:
    found = without_speed(shared.folder / "board/xs")
    assert found == in_journal(shared, "runs/xs")
    tags = {tag for tag, _, _ in found}
    for task in TASKS:
        assert {f"train/loss_{task}", f"test/top1_{task}"} <= tags
    assert {"train/loss", "test/top5_item", "rate"} <= tags


def test_the_speed_is_iterations_a_second_of_the_journals_times(shared: Place) -> None:
    at = {
        entry["iteration"]: entry["seconds"]
        for entry in read_journal(shared.path("runs/xs", "log.jsonl"))
        if entry["event"] == "train"
    }
    speeds = {
        step: value for tag, step, value in told(shared.folder / "board/xs") if tag == "speed"
    }
    assert speeds
    for step, value in speeds.items():
        assert value == pytest.approx(5 / (at[step] - at[step - 5]), rel=1e-4)


def test_the_time_of_an_event_is_that_of_the_training(shared: Place) -> None:
    seconds = [e["seconds"] for e in read_journal(shared.path("runs/xs", "log.jsonl"))[1:]]
    times = [event.wall_time for event in events(shared.folder / "board/xs") if event.step]
    assert times[-1] - times[0] <= seconds[-1] - seconds[0] + 1e-3


def test_a_run_that_was_killed_and_resumed_has_each_number_once(place: Place) -> None:
    words = ("--run", "runs/killed", "--tensorboard", "board/killed")
    with place.start("train", "--variant", "xs", *ROUNDS, *words) as process:
        manifest = place.path("runs/killed", f"snapshots/xs_iter_{FIRST_RESUME}.json")
        wait_for(manifest.exists, process)
        process.kill()
        process.communicate(timeout=120)
    before = told(place.folder / "board/killed")
    place.resume("runs/killed", "--tensorboard", "board/killed")
    found = told(place.folder / "board/killed")
    assert set(Counter((tag, step) for tag, step, _ in found).values()) == {1}
    assert without_speed(place.folder / "board/killed") == in_journal(place, "runs/killed")
    # The numbers are those of the run that nothing stopped: a resume repeats it.
    assert without_speed(place.folder / "board/killed") == without_speed(place.folder / "board/xs")
    assert {one[:2] for one in before} <= {one[:2] for one in found}
    # TensorBoard, which may have read the events of before, forgets them at this one.
    (start,) = [
        event for event in events(place.folder / "board/killed") if event.session_log.status
    ]
    assert (start.step, start.session_log.status) == (0, start.session_log.START)


def test_a_run_that_has_ended_gets_its_events_later(place: Place) -> None:
    assert "done at" in place.resume("runs/xs", "--tensorboard", "board/later")
    assert told(place.folder / "board/later") == told(place.folder / "board/xs")


def test_a_number_that_is_not_finite_is_told_as_such(place: Place) -> None:
    run = RunFolder(place.folder / "runs/xs")
    (place.folder / "board/nan").mkdir()
    Journal(run.journal).write("resume", 60)
    with events_of(run, place.folder / "board/nan", print) as add:
        add(Journal(run.journal).write("test", 60, outputs={"loss_item": math.inf}))
    tag, step, number = told(place.folder / "board/nan")[-1]
    assert (tag, step) == ("test/loss_item", 60)
    assert math.isnan(number)


def test_a_folder_with_the_events_of_another_run_is_refused_before_training(place: Place) -> None:
    before = told(place.folder / "board/xs")
    said = place.refused("--variant", "xs", "--run", "runs/x", "--tensorboard", "board/xs")
    assert "board/xs: has events of something else" in said
    assert said.count("Error: ") == 1
    assert not place.path("runs/x", "run.json").exists()
    assert told(place.folder / "board/xs") == before


def test_a_missing_package_is_one_line_before_training(place: Place) -> None:
    """A module of that name that is found first, and is none."""
    hidden = place.folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys; sys.modules['tensorboardX'] = None\n")
    path = os.pathsep.join((str(hidden), os.environ.get("PYTHONPATH", "")))
    words = ("--variant", "xs", "--run", "runs/x", "--tensorboard", "board/x")
    said = place.refused(*words, PYTHONPATH=path)
    assert said.splitlines()[-1].startswith("Error: ")
    assert "pip install 'netgen[tensorboard]'" in said.splitlines()[-1]
    assert not place.path("runs/x", "run.json").exists()
    assert not (place.folder / "board/x").exists()


def test_a_disk_that_is_full_ends_the_events_and_not_the_training(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    said: list[str] = []
    run, entry = RunFolder(place.folder / "runs/xs"), {"event": "resume", "iteration": 60}
    (place.folder / "board/full").mkdir()
    with events_of(run, place.folder / "board/full", said.append) as add:
        monkeypatch.setattr("tensorboardX.RecordWriter.flush", fail)
        add(entry)
        add(entry)
    (told_once,) = said
    assert "board/full: no more events are written (No space left on device)" in told_once
