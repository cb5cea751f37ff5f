"""What `caffe train` says while it trains, line by line, as events."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from netgen.caffe_log import OUTPUT, PREFIX, TESTING, TRAINING

SNAPSHOT = re.compile(r"Snapshotting solver state to binary proto ?file (?P<file>\S+)")
DONE = re.compile(r"Optimization Done\.")


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
    return Event("done") if DONE.match(text) else None
