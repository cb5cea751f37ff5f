"""A log of `caffe train` as one training: what a resumed part tells again, it tells once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from netgen.caffe.training_log import PREFIX, LogError, LogEvent, LogReader, NetOutputs, lines_of

RATE = re.compile(r"Iteration (?P<iteration>\d{1,10}), lr = (?P<rate>\d\S*)$")
STATE = re.compile(
    r"Snapshotting solver state to (?:binary proto ?file |HDF5 file )?"
    r"(?P<model>\S+_iter_(?P<iteration>\d{1,10}))\.solverstate"
)
SERIES = ("train", "test", "rate")


@dataclass(frozen=True)
class LogCourse:
    """What a log tells of a training, each in the order of the iterations.

    Attributes
    ----------
    train, test
        The outputs of both nets.
    rates
        Iteration -> learning rate, of each display that has it.
    snapshots
        Iteration -> the caffemodel, of each snapshot.
    resumed
        The iterations from which a resumed part told again what had been told.
    finished
        Whether Caffe says that it is.
    """

    train: list[NetOutputs]
    test: list[NetOutputs]
    rates: dict[int, float]
    snapshots: dict[int, str]
    resumed: list[int]
    finished: bool


@dataclass(frozen=True)
class _Told:
    """Something that a log tells of an iteration: of which kind, and what."""

    kind: str
    iteration: int
    outputs: dict[str, float]
    rate: float = 0.0
    model: str = ""


def read_course(path: Path) -> LogCourse:
    """Read the log that ``caffe train`` wrote to `path`, by one start or, appended, by several.

    A part that begins at an iteration that the log has told of replaces all from there on.

    Raises
    ------
    LogError
        The file has no line of a training.
    """
    course: list[_Told] = []
    resumed: list[int] = []
    reached: dict[str, int] = {}  # kind -> its last iteration
    last = ""
    for told in _told(lines_of(path)):
        at, last = told.iteration, told.kind
        if last in SERIES:
            # Within one start of Caffe, iterations rise.
            if at < max(reached.values(), default=0) or at <= reached.get(last, -1):
                resumed.append(at)
                course = [one for one in course if _stays(one, at)]
                reached = {}
            reached[last] = at
        course.append(told)
    if not any(told.kind in ("train", "test") for told in course):
        raise LogError(f"{path}: no iteration in it: is it what `caffe train` wrote?")
    return LogCourse(
        train=[NetOutputs(one.iteration, one.outputs) for one in course if one.kind == "train"],
        test=[NetOutputs(one.iteration, one.outputs) for one in course if one.kind == "test"],
        rates={one.iteration: one.rate for one in course if one.kind == "rate"},
        snapshots={one.iteration: one.model for one in course if one.kind == "snapshot"},
        resumed=resumed,
        finished=last == "done",
    )


def _told(lines: Sequence[str]) -> Iterator[_Told]:
    """Yield what a log tells, in its order; a display or a test without outputs is left out."""
    reader = LogReader()
    for line in lines:
        event = reader.read(line)  # which this line completes
        yield from _of_event(event)
        prefix = PREFIX.match(line)
        text = prefix["text"] if prefix else ""
        if match := RATE.match(text):
            yield _Told("rate", int(match["iteration"]), {}, rate=_number(match["rate"]))
        elif match := STATE.match(text):
            model = f"{match['model']}.caffemodel"
            yield _Told("snapshot", int(match["iteration"]), {}, model=model)
    yield from _of_event(reader.end())


def _of_event(event: LogEvent | None) -> Iterator[_Told]:
    if event and (event.outputs or event.what == "done"):
        yield _Told(event.what, event.iteration, event.outputs)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _stays(one: _Told, resumed: int) -> bool:
    """Return whether what was told stays when a training is resumed: its snapshot does."""
    if one.kind == "snapshot":
        return one.iteration <= resumed
    return one.iteration < resumed
