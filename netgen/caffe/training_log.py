"""Read Caffe's log of a training, whole or while it grows: losses, test results and snapshots.

Logs of Caffe from 2015 to 1.0 are read. A log that is still being written, or was cut off, is read
up to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from netgen.caffe.schema import SchemaError, layers_in, parse_net, read_net
from netgen.system.files import LOGS, read_text_file

if TYPE_CHECKING:
    from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter

PREFIX = re.compile(r"^[IWEF]\d{4,8} (?P<time>[\d:.]+) +\d+ [\w.]+:\d+\] ?(?P<text>.*)$")
# What the threads that read data say, at any time: between a display and its outputs, too.
BESIDE = re.compile(r"^[IW]\S* +[\d:.]+ +\d+ (\w*data_\w+|blocking_queue)\.cpp:")
# An iteration is an int of 32 bits: a number with more digits is another program's, or damaged.
TESTING = re.compile(r"Iteration (?P<iteration>\d{1,10}), Testing net \(#0\)")
# 1.0 adds "(5.2 iter/s, 19 s/100 iters)" between the number and the loss.
TRAINING = re.compile(r"Iteration (?P<iteration>\d{1,10})(?!\d).*, loss = (?P<loss>\S+)")
OUTPUT = re.compile(r" *(?P<phase>Train|Test) net output #\d+: (?P<name>\S+) = (?P<value>\S+)")
RATE = re.compile(r"Iteration (?P<iteration>\d{1,10}), lr = (?P<rate>\S+)")
STATE = re.compile(
    r"Snapshotting solver state to (?:binary proto ?file |HDF5 file )?"
    r"(?P<file>\S+_iter_(?P<iteration>\d{1,10})\.solverstate\S*)"
)
DONE = "Optimization Done."
STOPPED = "Optimization stopped early."
TIES_OF_1_0 = "against the image (Caffe 1.0)"
TIES_OF_2016 = "in favour of the last class (Caffe of 2016)"
NET = "Initializing net from parameters:"
NET_FILE = re.compile(r"Creating (training|test) net.* net file: (?P<file>.+)")


class LogError(ValueError):
    """A file that is not the log of a Caffe training; the message says what to do next."""


# ---- line by line, while Caffe trains -----------------------------------------------------------


@dataclass
class LogEvent:
    """A "train" or "test" with its outputs, a "rate", a "snapshot" with its state, or "done"."""

    what: str
    iteration: int = 0
    loss: float = 0.0
    outputs: dict[str, float] = field(default_factory=dict)
    file: str = ""
    rate: float = 0.0


class LogReader:
    """Reads a log as it grows, of Caffe from 2015 to 1.0."""

    def __init__(self) -> None:
        self._open: LogEvent | None = None

    def read(self, line: str) -> LogEvent | None:
        """Read one line; return the event that it completes, if any.

        An event is complete when another line begins: only then has Caffe written a snapshot's
        file. Other lines (about data, about layers) may come between a test and its outputs.
        """
        prefix = PREFIX.match(line)
        if not prefix or BESIDE.match(line):
            return None
        text, event = prefix["text"], self._open
        if output := OUTPUT.match(text):
            if event and event.what == output["phase"].lower():
                event.outputs[output["name"]] = _number(output["value"])
            return None
        begun = _begun(text)
        if begun is None and event and event.what == "test" and not event.outputs:
            return None
        self._open = begun
        return event

    def end(self) -> LogEvent | None:
        """Return the event that the log's end completes, if any."""
        event, self._open = self._open, None
        return event


def _begun(text: str) -> LogEvent | None:
    """Return the event that a line begins."""
    if match := TRAINING.match(text):
        return LogEvent("train", int(match["iteration"]), _number(match["loss"]))
    if match := TESTING.match(text):
        return LogEvent("test", int(match["iteration"]))
    if match := RATE.match(text):
        return LogEvent("rate", int(match["iteration"]), rate=_number(match["rate"]))
    if match := STATE.search(text):
        return LogEvent("snapshot", int(match["iteration"]), file=match["file"])
    return LogEvent("done") if text.startswith(DONE) else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # cut off in the middle of it
        return float("nan")


def events_of(lines: Iterable[str]) -> Iterator[LogEvent]:
    """Yield the events of a log's lines, in order."""
    reader = LogReader()
    for line in lines:
        if event := reader.read(line):
            yield event
    if event := reader.end():
        yield event


# ---- a whole log --------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetOutputs:
    """The outputs of a net at an iteration: blob name -> value."""

    iteration: int
    values: dict[str, float]


@dataclass(frozen=True)
class TrainingLog:
    """A training's losses and tests, in order, and the layers of its nets, as far as known.

    `ties` is how its Caffe counts an image whose class has the same score as others, or None where
    the log does not tell its age. `model` is the last caffemodel that it says was written.
    """

    train: list[NetOutputs]
    test: list[NetOutputs]
    train_layers: list[LayerParameter]
    test_layers: list[LayerParameter]
    finished: bool
    ties: str | None
    model: Path | None


def lines_of(path: Path) -> list[str]:
    """Return the whole lines of a log: its last one may be cut off in a number."""
    text = read_text_file(path, LOGS, errors="replace")
    return text[: text.rfind("\n") + 1].splitlines()


def read_log(path: Path) -> TrainingLog:
    """Read the log that ``caffe train`` wrote to `path`.

    Raises
    ------
    LogError
        The file has no line of a training.
    """
    lines = lines_of(path)
    events = list(events_of(lines))
    if not any(event.what in ("train", "test") for event in events):
        raise LogError(
            f"{path}: no iteration in it: is it what `caffe train` wrote"
            " (`caffe train -solver FILE 2>&1 | tee LOG`), and did the training start?"
        )
    nets = list(printed_nets(lines)) or list(_named_nets(lines))
    states = [Path(event.file) for event in events if event.what == "snapshot"]
    return TrainingLog(
        train=_outputs(events, "train"),
        test=_outputs(events, "test"),
        train_layers=layers_in(nets[0], "TRAIN") if nets else [],
        # Of the last that is printed, which is the test net's.
        test_layers=layers_in(nets[-1], "TEST") if nets else [],
        finished=events[-1].what == "done",
        ties=_ties(lines),
        model=states[-1].with_suffix(".caffemodel") if states else None,
    )


def _ties(lines: list[str]) -> str | None:
    """Return the rule for equal scores: 1.0 also has another line for each iteration."""
    displays = [line for line in lines if TRAINING.search(line)]
    if not displays:
        return None
    return TIES_OF_1_0 if any(" iter/s, " in line for line in displays) else TIES_OF_2016


def _outputs(events: list[LogEvent], what: str) -> list[NetOutputs]:
    """Return the outputs of one kind; the log may have been cut off before the last ones."""
    found = (event for event in events if event.what == what and event.outputs)
    return [NetOutputs(event.iteration, event.outputs) for event in found]


def printed_prototxts(lines: Sequence[str], title: str) -> Iterator[str]:
    """Yield the prototxt that follows each line with that title, up to the log's next message."""
    for start, line in enumerate(lines):
        if title in line:
            block = takewhile(lambda following: not PREFIX.match(following), lines[start + 1 :])
            yield "\n".join(block)


def printed_nets(lines: Sequence[str]) -> Iterator[NetParameter]:
    """Yield the nets that Caffe printed completely, in order: one per phase, or none."""
    for prototxt in printed_prototxts(lines, NET):
        with suppress(SchemaError):  # cut off in the middle of it
            yield parse_net(prototxt, "the net in the log")


def _named_nets(lines: list[str]) -> Iterator[NetParameter]:
    """Yield the nets in the files that are named.

    Caffe prints its nets in some builds only; where it does, the file may have changed since.
    """
    for line in lines:
        prefix = PREFIX.match(line)
        match = NET_FILE.match(prefix["text"]) if prefix else None
        if match and Path(match["file"]).exists():
            yield read_net(match["file"])
