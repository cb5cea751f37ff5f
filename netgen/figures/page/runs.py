"""Trainings as a page shows them: of a folder of `netgen train`, or of a log of `caffe train`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netgen.caffe.schema import SchemaError, read_net
from netgen.caffe.training_log import LogError, NetOutputs, read_log
from netgen.cost.complexity import count
from netgen.cost.memory import PROGRAM_BYTES
from netgen.figures.page.thinning import Points
from netgen.network.description import description_in
from netgen.system.files import LOGS, check_regular, read_file
from netgen.training.journal import Entry, read_journal
from netgen.training.run_folder import RunFolder

LAST_LINES = 80  # of Caffe's log


class NoRunError(ValueError):
    """A folder or file without a training in it; the message says what to do."""


@dataclass(frozen=True)
class PagedRun:
    """A training.

    Attributes
    ----------
    name, path
        Its folder's name, or its log's; and where it is.
    train, test
        Output -> its points. Of a journal, ``loss`` is the sum by the losses' weights.
    rate, speed
        The learning rate, and iterations per second, as far as they are known.
    drops, snapshots
        Entries of the journal.
    end
        Its last entry where it ended: `why` and `what`; None while it goes on, or was cut off.
    seconds
        Of training; None where the log does not tell.
    memory
        Bytes of the process as `netgen count` estimates them; None where its network is not known.
    omitted
        How many values are no finite numbers.
    lines
        The last ones of Caffe's log.
    """

    name: str
    path: str
    train: Mapping[str, Points]
    test: Mapping[str, Points]
    rate: Points = field(default_factory=list)
    speed: Points = field(default_factory=list)
    drops: Sequence[Entry] = ()
    snapshots: Sequence[Entry] = ()
    end: Entry | None = None
    seconds: float | None = None
    memory: int | None = None
    omitted: int = 0
    lines: Sequence[str] = ()

    @property
    def iteration(self) -> int:
        """The last iteration that it tells of."""
        last = [points[-1][0] for points in (*self.train.values(), *self.test.values()) if points]
        return max(last, default=0)

    @property
    def has_begun(self) -> bool:
        """Whether there is a loss or a test in it."""
        return any(self.train.values()) or any(self.test.values())


def read_paged_run(path: Path) -> PagedRun:
    """Read a training: a run's folder, or its journal or log; or any log of `caffe train`.

    One that has no iteration yet has no points.

    Raises
    ------
    NoRunError
        The folder is none of `netgen train`.
    ValueError, OSError
        A file is damaged, or cannot be read.
    """
    folder = RunFolder(path if path.is_dir() else path.parent)
    if path.is_dir() and not folder.journal.exists():
        raise NoRunError(
            f"{path}: a folder without log.jsonl, so no run of `netgen train`: name its folder, or"
            " a log that `caffe train` wrote"
        )
    if path.is_dir() or (folder.journal.exists() and path in (folder.journal, folder.caffe_log)):
        return _of_journal(folder)
    check_regular(path)
    return _of_log(path)


def _of_journal(folder: RunFolder) -> PagedRun:
    entries = read_journal(folder.journal)
    of = {
        event: [entry for entry in entries if entry["event"] == event]
        for event in ("train", "test", "drop", "snapshot")
    }
    train = [NetOutputs(e["iteration"], {**_sum_of_losses(e), **e["outputs"]}) for e in of["train"]]
    test = [NetOutputs(e["iteration"], e["outputs"]) for e in of["test"]]
    last = entries[-1] if entries else {}
    return PagedRun(
        name=folder.path.absolute().name,
        path=folder.path.as_posix(),
        train=_points(train),
        test=_points(test),
        rate=[(e["iteration"], e["lr"]) for e in of["train"] if e.get("lr") is not None],
        speed=_speed(entries),
        drops=of["drop"],
        snapshots=of["snapshot"],
        end=last if last.get("event") == "end" else None,
        seconds=max((e["seconds"] for e in entries if "seconds" in e), default=None),
        memory=_memory(folder),
        omitted=_not_finite((*train, *test)),
        lines=_last_lines(folder.caffe_log),
    )


def _sum_of_losses(entry: Entry) -> dict[str, Any]:
    return {"loss": entry["loss"]} if "loss" in entry and len(entry["outputs"]) > 1 else {}


def _of_log(file: Path) -> PagedRun:
    try:
        log = read_log(file)
    except LogError:
        return PagedRun(file.stem, file.as_posix(), {}, {}, lines=_last_lines(file))
    return PagedRun(
        name=file.stem,
        path=file.as_posix(),
        train=_points(log.train),
        test=_points(log.test),
        end={"why": "done", "what": "Caffe finished"} if log.finished else None,
        omitted=_not_finite((*log.train, *log.test)),
        lines=_last_lines(file),
    )


def _points(readings: Iterable[NetOutputs]) -> dict[str, Points]:
    points: dict[str, Points] = {}
    for reading in readings:
        for output, value in reading.values.items():
            if _is_finite(value):
                points.setdefault(output, []).append((reading.iteration, value))
    return points


def _not_finite(readings: Iterable[NetOutputs]) -> int:
    return sum(not _is_finite(value) for reading in readings for value in reading.values.values())


def _is_finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _speed(entries: Sequence[Entry]) -> Points:
    """Return iterations per second from display to display, without what came between them."""
    found: Points = []
    before: Entry | None = None
    for entry in entries:
        if entry["event"] == "train" and "seconds" in entry:
            if before is not None and before["seconds"] < entry["seconds"]:
                done = entry["iteration"] - before["iteration"]
                rate = done / (entry["seconds"] - before["seconds"])
                found.append((entry["iteration"], round(rate, 6)))
            before = entry
        elif entry["event"] != "train":
            before = None
    return found


def _memory(folder: RunFolder) -> int | None:
    found = description_in(folder.path)
    if not folder.net.is_file() or found is None:
        return None
    images = found[1].images
    try:
        cost = count(
            read_net(folder.net), inputs={"data": (images.channels, images.height, images.width)}
        )
    except SchemaError:
        return None
    return cost.memory.total + PROGRAM_BYTES


def _last_lines(file: Path) -> list[str]:
    if not file.is_file():
        return []
    return read_file(file, LOGS).decode(errors="replace").splitlines()[-LAST_LINES:]
