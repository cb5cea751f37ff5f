"""A log of `caffe train` as one training: what a resumed part tells again, it tells once."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from netgen.caffe.training_log import LogError, LogEvent, NetOutputs, events_of, lines_of

STATE = ".solverstate"  # how the file of a snapshot's state ends, but for HDF5's own ending
OUTPUTS = ("train", "test")
SERIES = (*OUTPUTS, "rate")


@dataclass(frozen=True)
class LogCourse:
    """What a log tells of a training, each in the order of the iterations.

    Attributes
    ----------
    train, test
        The outputs of both nets.
    rates
        Iteration -> learning rate, of each display that has one; what is no number is left out.
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


def read_course(path: Path) -> LogCourse:
    """Read the log that ``caffe train`` wrote to `path`, by one start or, appended, by several.

    A part that begins at an iteration that the log has told of replaces all from there on.

    Raises
    ------
    LogError
        The file has no line of a training.
    """
    course: list[LogEvent] = []
    resumed: list[int] = []
    reached: dict[str, int] = {}  # kind -> its last iteration
    last = ""
    for told in events_of(lines_of(path)):
        if told.what in OUTPUTS and not told.outputs:
            continue
        at, last = told.iteration, told.what
        if last in SERIES:
            # Within one start of Caffe, iterations rise.
            if at < max(reached.values(), default=0) or at <= reached.get(last, -1):
                resumed.append(at)
                course = [one for one in course if _stays(one, at)]
                reached = {}
            reached[last] = at
        course.append(told)
    if not any(told.what in OUTPUTS for told in course):
        raise LogError(f"{path}: no iteration in it: is it what `caffe train` wrote?")
    return LogCourse(
        train=[NetOutputs(one.iteration, one.outputs) for one in course if one.what == "train"],
        test=[NetOutputs(one.iteration, one.outputs) for one in course if one.what == "test"],
        rates={
            one.iteration: one.rate for one in course if one.what == "rate" and isfinite(one.rate)
        },
        snapshots={one.iteration: _model(one) for one in course if one.what == "snapshot"},
        resumed=resumed,
        finished=last == "done",
    )


def _model(snapshot: LogEvent) -> str:
    """Return the caffemodel that is written with a snapshot's state."""
    return f"{snapshot.file.rpartition(STATE)[0]}.caffemodel"


def _stays(one: LogEvent, resumed: int) -> bool:
    """Return whether what was told stays when a training is resumed: its snapshot does."""
    if one.what == "snapshot":
        return one.iteration <= resumed
    return one.iteration < resumed
