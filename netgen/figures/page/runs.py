"""Trainings as a page shows them: of a folder of `netgen train`, or of a log of `caffe train`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from netgen.caffe.log_course import LogCourse, read_course
from netgen.caffe.schema import SchemaError, read_net
from netgen.caffe.training_log import LogError, NetOutputs
from netgen.cost.complexity import count
from netgen.cost.memory import PROGRAM_BYTES
from netgen.figures.page.thinning import Points
from netgen.network.description import description_in
from netgen.system.files import LOGS, check_regular, read_file
from netgen.training.journal import Entry, read_journal
from netgen.training.run_folder import RunFolder
from netgen.training.series import Reading, series

LAST_LINES = 80  # of Caffe's log
MOST_DROPS = 20  # of a rate that falls in steps


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
        Entries of the journal, or of the same form; None where the log does not tell.
    end
        Its last entry where it ended: `why` and `what`; None while it goes on, or was cut off.
    seconds
        Of training; None where the log does not tell.
    memory
        Bytes of the process as `netgen count` estimates them; None where its network is not known.
    reached, omitted
        The last iteration of a value that is no finite number, and how many of these there are.
    notes
        What else there is to know of how it was read.
    lines
        The last ones of Caffe's log.
    """

    name: str
    path: str
    train: Mapping[str, Points]
    test: Mapping[str, Points]
    rate: Points = field(default_factory=list)
    speed: Points = field(default_factory=list)
    drops: Sequence[Entry] | None = None
    snapshots: Sequence[Entry] | None = None
    end: Entry | None = None
    seconds: float | None = None
    memory: int | None = None
    reached: int = 0
    omitted: int = 0
    notes: Sequence[str] = ()
    lines: Sequence[str] = ()

    @property
    def iteration(self) -> int:
        """The last iteration that it tells of."""
        last = [points[-1][0] for points in (*self.train.values(), *self.test.values()) if points]
        return max([self.reached, *last])

    @property
    def has_begun(self) -> bool:
        """Whether there is a loss or a test in it, a finite one or not."""
        return bool(self.omitted) or self.has_values

    @property
    def has_values(self) -> bool:
        """Whether there is a loss or a test in it that is a finite number."""
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


def read_paged_runs(paths: Sequence[Path]) -> list[PagedRun]:
    """Read trainings, each with a name that no other has: where two share it, with its path.

    Raises
    ------
    NoRunError
        As `read_paged_run`; or one is given twice.
    ValueError, OSError
        A file is damaged, or cannot be read.
    """
    runs = [read_paged_run(path) for path in paths]
    places = Counter(Path(run.path).resolve() for run in runs)
    for run in runs:
        if places[Path(run.path).resolve()] > 1:
            raise NoRunError(f"{run.path}: the same training more than once: name it once")
    names = Counter(run.name for run in runs)
    return [
        replace(run, name=f"{run.name} ({run.path})") if names[run.name] > 1 else run
        for run in runs
    ]


def _of_journal(folder: RunFolder) -> PagedRun:
    entries = read_journal(folder.journal)
    of = {
        event: [entry for entry in entries if entry["event"] == event]
        for event in ("drop", "snapshot")
    }
    readings = list(series(entries))
    rates, speeds = _points(readings, "rate"), _points(readings, "speed")
    last = entries[-1] if entries else {}
    return PagedRun(
        name=folder.path.absolute().name,
        path=folder.path.as_posix(),
        train=_points(readings, "train"),
        test=_points(readings, "test"),
        rate=rates.get("", []),
        speed=speeds.get("", []),
        drops=of["drop"],
        snapshots=of["snapshot"],
        end=last if last.get("event") == "end" else None,
        seconds=max((e["seconds"] for e in entries if "seconds" in e), default=None),
        memory=_memory(folder),
        reached=max(_not_finite(readings), default=0),
        omitted=len(_not_finite(readings)),
        lines=_last_lines(folder.caffe_log),
    )


def _of_log(file: Path) -> PagedRun:
    try:
        log = read_course(file)
    except LogError:
        return PagedRun(file.stem, file.as_posix(), {}, {}, lines=_last_lines(file))
    readings = [*_readings("train", log.train), *_readings("test", log.test)]
    snapshots = [{"iteration": at, "model": model} for at, model in log.snapshots.items()]
    return PagedRun(
        name=file.stem,
        path=file.as_posix(),
        train=_points(readings, "train"),
        test=_points(readings, "test"),
        rate=list(log.rates.items()),
        drops=_drops(log),
        snapshots=snapshots,
        end={"why": "done", "what": "Caffe finished"} if log.finished else None,
        notes=_went_back(log.resumed),
        reached=max(_not_finite(readings), default=0),
        omitted=len(_not_finite(readings)),
        lines=_last_lines(file),
    )


def _drops(log: LogCourse) -> list[Entry] | None:
    """Return the displays with a lower rate than that before; None without rates.

    A rate that falls all the time has no drops.
    """
    rates = [*log.rates.items()]
    lower = [after for before, after in pairwise(rates) if after[1] < before[1]]
    if not rates or len(lower) > MOST_DROPS:
        return None
    return [{"iteration": at, "lr": rate, "why": "since the display before"} for at, rate in lower]


def _went_back(resumed: Sequence[int]) -> list[str]:
    return [
        f"the log goes back to iteration {at:,}, as where a training is resumed: what it had told"
        " of that one and later ones is left out"
        for at in resumed
    ]


def _readings(kind: str, told: Iterable[NetOutputs]) -> Iterator[Reading]:
    for each in told:
        for output, value in each.values.items():
            yield Reading(kind, output, each.iteration, value)


def _points(readings: Iterable[Reading], kind: str) -> dict[str, Points]:
    """Return the points of each output, of one kind of series."""
    points: dict[str, Points] = {}
    for reading in readings:
        if reading.kind == kind and reading.value is not None and math.isfinite(reading.value):
            points.setdefault(reading.output, []).append((reading.iteration, reading.value))
    return points


def _not_finite(readings: Iterable[Reading]) -> list[int]:
    """Return the iterations of values that are no finite numbers."""
    return [one.iteration for one in readings if one.value is None or not math.isfinite(one.value)]


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
