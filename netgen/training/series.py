"""A run's journal as series of numbers: what its page draws, and what TensorBoard does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netgen.training.journal import Entry

LOSS = "loss"  # the sum of all losses by their weights, where there are several


class Reading(NamedTuple):
    """A value of one series.

    Attributes
    ----------
    kind
        "train" (mean losses since the last display), "test" (over the test set), "rate" (of
        learning) or "speed" (iterations per second).
    output
        Of "train" and "test", the network's output, or `LOSS`; else empty.
    iteration, value
        Where it was read, and what; None for what is no finite number.
    seconds
        Of training until then; 0 where the journal does not tell.
    """

    kind: str
    output: str
    iteration: int
    value: float | None
    seconds: float = 0.0


class SeriesReader:
    """Reads entries of a journal, oldest first, as they come."""

    def __init__(self) -> None:
        self._before: Entry | None = None  # the display before, if nothing came between

    def read(self, entry: Entry) -> Iterator[Reading]:
        """Yield the values that an entry tells."""
        kind, iteration = entry["event"], entry["iteration"]
        seconds = entry.get("seconds", 0.0)
        before, self._before = self._before, None
        if kind not in ("train", "test"):
            return
        outputs = entry["outputs"]
        if kind == "train" and "loss" in entry and len(outputs) > 1:
            yield Reading(kind, LOSS, iteration, entry["loss"], seconds)
        for output, value in outputs.items():
            yield Reading(kind, output, iteration, value, seconds)
        if kind == "test":
            return
        if entry.get("lr") is not None:
            yield Reading("rate", "", iteration, entry["lr"], seconds)
        if "seconds" in entry:
            if before and before["seconds"] < seconds:
                speed = (iteration - before["iteration"]) / (seconds - before["seconds"])
                yield Reading("speed", "", iteration, round(speed, 6), seconds)
            self._before = entry


def series(entries: Iterable[Entry]) -> Iterator[Reading]:
    """Yield the values of a whole journal, oldest first."""
    reader = SeriesReader()
    for entry in entries:
        yield from reader.read(entry)
