"""What Caffe writes while it trains: read as it grows, or whole, with losses and test results.

Understood are the logs of Caffe from 2015 to 1.0. A log that is still being written, or was cut
off, is read as far as it goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from netgen.caffe.schema import SchemaError, layers_in, parse_net, read_net

if TYPE_CHECKING:
    from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter


PREFIX = re.compile(r"^[IWEF]\d{4,8} (?P<time>[\d:.]+) +\d+ [\w.]+:\d+\] ?(?P<text>.*)$")
TESTING = re.compile(r"Iteration (?P<iteration>\d+), Testing net \(#0\)")
# 1.0 adds "(5.2 iter/s, 19 s/100 iters)" between the number and the loss.
TRAINING = re.compile(r"Iteration (?P<iteration>\d+).*, loss = (?P<loss>\S+)")
OUTPUT = re.compile(r" *(?P<phase>Train|Test) net output #\d+: (?P<name>\S+) = (?P<value>\S+)")
NET = "Initializing net from parameters:"
NET_FILE = re.compile(r"Creating (training|test) net.* net file: (?P<file>.+)")
DONE = "Optimization Done."


class LogError(ValueError):
    """A file that is not the log of a Caffe training; the message says what next."""


@dataclass(frozen=True)
class Reading:
    """What a phase's net put out at an iteration: blob name -> value."""

    iteration: int
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingLog:
    """A training's losses and tests, in order, and its test net's layers, as far as known."""

    train: list[Reading]
    test: list[Reading]
    test_layers: list[LayerParameter]
    finished: bool


def read_log(path: Path) -> TrainingLog:
    """Read the log that ``caffe train`` wrote to `path`.

    Raises
    ------
    LogError
        The file has not one line of a training in it.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    train: list[Reading] = []
    test: list[Reading] = []
    finished = False
    for text in _messages(lines):
        if match := TESTING.match(text):
            test.append(Reading(int(match["iteration"])))
        elif match := TRAINING.match(text):
            train.append(Reading(int(match["iteration"])))
        elif match := OUTPUT.match(text):
            readings = train if match["phase"] == "Train" else test
            if readings:
                readings[-1].values[match["name"]] = _number(match["value"])
        finished = finished or text.startswith(DONE)
    if not train and not test:
        raise LogError(
            f"{path}: no iteration in it: is it what `caffe train` wrote"
            " (`caffe train -solver FILE 2>&1 | tee LOG`), and did the training start?"
        )
    # The last reading may have been cut off before its outputs were written.
    return TrainingLog(
        train=[reading for reading in train if reading.values],
        test=[reading for reading in test if reading.values],
        test_layers=_test_layers(lines),
        finished=finished,
    )


def _messages(lines: list[str]) -> Iterator[str]:
    """Yield the messages of glog's lines, less what is not of this log's own form."""
    for line in lines:
        if match := PREFIX.match(line):
            yield match["text"]


def _test_layers(lines: list[str]) -> list[LayerParameter]:
    """Return the layers of the test net: of the last that is printed, else of the file named.

    Caffe prints its nets in some builds only; where it does, the file may have changed since.
    """
    nets = list(_printed_nets(lines)) or list(_named_nets(lines))
    return layers_in(nets[-1], "TEST") if nets else []


def _printed_nets(lines: list[str]) -> Iterator[NetParameter]:
    for start, line in enumerate(lines):
        if NET not in line:
            continue
        text = takewhile(lambda following: not PREFIX.match(following), lines[start + 1 :])
        with suppress(SchemaError):  # cut off in the middle of it
            yield parse_net("\n".join(text), "the net in the log")


def _named_nets(lines: list[str]) -> Iterator[NetParameter]:
    for text in _messages(lines):
        match = NET_FILE.match(text)
        if match and Path(match["file"]).exists():
            yield read_net(match["file"])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # cut off in the middle of it
        return float("nan")


# ---- what `caffe train` says while it trains, line by line, as events ---------------------------

SNAPSHOT = re.compile(r"Snapshotting solver state to binary proto ?file (?P<file>\S+)")
OPTIMIZED = re.compile(r"Optimization Done\.")


@dataclass
class Event:
    """Something whole: "train" or "test" with its outputs, "snapshot" with its file, or "done"."""

    what: str
    iteration: int = 0
    loss: float = 0.0
    outputs: dict[str, float] = field(default_factory=dict)
    file: str = ""


class Reader:
    """Understands a log as it grows, of Caffe from 2016 to 1.0."""

    def __init__(self) -> None:
        self._open: Event | None = None

    def read(self, line: str) -> Event | None:
        """Take in one line; return the event that it completes, if any.

        An event is whole when another line begins: only then has Caffe written a snapshot's file.
        """
        prefix = PREFIX.match(line)
        if not prefix:
            return None
        if self._open and (match := OUTPUT.match(prefix["text"])):
            self._open.outputs[match["name"]] = float(match["value"])
            return None
        whole, self._open = self._open, _begun(prefix["text"])
        return whole

    def end(self) -> Event | None:
        """Return the event that the log's end completes, if any."""
        whole, self._open = self._open, None
        return whole


def _begun(text: str) -> Event | None:
    """Return the event that a line begins."""
    if match := TRAINING.match(text):
        return Event("train", int(match["iteration"]), float(match["loss"]))
    if match := TESTING.match(text):
        return Event("test", int(match["iteration"]))
    if match := SNAPSHOT.search(text):
        return Event("snapshot", file=match["file"])
    return Event("done") if OPTIMIZED.match(text) else None
