"""One run of an experiment's command: the checks before it, the cells, and the total time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from netgen.pipeline.miniature import (
    ITERATIONS,
    LETTERS,
    Cell,
    ExperimentError,
    ExperimentSettings,
)
from netgen.pipeline.parts import ExperimentFolders, iterations_done
from netgen.pipeline.records import VERSION, CellRecord, Experiment
from netgen.pipeline.runner import Runner, run
from netgen.system.files import digest, read_json, write_all
from netgen.system.machine import machine
from netgen.training.run_folder import locked

Progress = Callable[[Mapping[Cell, CellRecord], Sequence[tuple[Cell, int]]], None]
SAVE_INTERVAL = 10  # seconds between two writes of the time so far


@dataclass(frozen=True)
class ExperimentRequest:
    """The cells to make, with which settings, in which folders, and how many at a time."""

    cells: tuple[Cell, ...]
    folders: ExperimentFolders
    settings: ExperimentSettings
    jobs: int


def prepare(
    cells: Sequence[Cell],
    folders: ExperimentFolders,
    iterations: int | None,
    jobs: int,
    resume: bool,
) -> ExperimentRequest:
    """Check that all inputs are there, and write the settings.

    Raises
    ------
    ExperimentError
        The data are missing; or there is an experiment already, and it is not to be resumed or has
        other settings.
    """
    splits = {cell.split for cell in cells}
    lists = [*map(folders.records, sorted(splits | {LETTERS})), folders.records("pretraining")]
    for file in (*lists, folders.data / "images", folders.data / "ontology"):
        if not file.exists():
            raise ExperimentError(
                f"{file} is not there: make the images and lists with"
                f" `python examples/typefaces/make.py --out {folders.data}`"
            )
    if not find_spec("scipy"):  # else the intervals would fail for lack of it an hour later
        raise ExperimentError("scipy is not installed: pip install 'netgen[experiment]'")
    data = {file.parent.name: digest(file) for file in lists}
    started = _started_with(folders)
    if started is None and resume:
        raise ExperimentError(
            f"{folders.work}: no experiment to resume: start one with the same command without"
            " --resume"
        )
    if started is not None and not resume:
        raise ExperimentError(
            f"{folders.work}: an experiment is there already: resume it (--resume), or name another"
            " folder (--work)"
        )
    settings = _settings(started, iterations, data, folders)
    folders.work.mkdir(parents=True, exist_ok=True)
    write_all({folders.settings: msgspec.json.format(msgspec.json.encode(settings))})
    return ExperimentRequest(tuple(cells), folders, settings, jobs)


def _started_with(folders: ExperimentFolders) -> ExperimentSettings | None:
    try:
        return msgspec.json.decode(read_json(folders.settings), type=ExperimentSettings)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExperimentError(
            f"{folders.settings}: damaged ({error}): name another folder (--work)"
        ) from None


def _settings(
    started: ExperimentSettings | None,
    iterations: int | None,
    data: dict[str, str],
    folders: ExperimentFolders,
) -> ExperimentSettings:
    """Return the settings; those that an experiment was started with must not change."""
    if started is None:
        return ExperimentSettings(iterations or ITERATIONS, data)
    changed = [
        f"{name}/records.csv"
        for name, digested in data.items()
        if started.data.get(name, digested) != digested
    ]
    changed += ["--iterations"] if iterations not in (None, started.iterations) else []
    if changed:
        raise ExperimentError(
            f"{folders.settings}: started with other settings ({', '.join(changed)}): name another"
            " folder (--work)"
        )
    return ExperimentSettings(started.iterations, started.data | data)


def make_cells(
    request: ExperimentRequest, progress: Progress
) -> tuple[dict[Cell, CellRecord], float]:
    """Make the cells that are not made yet; return all, and the seconds over all resumes.

    `progress` is called with the records of the cells that are done, and the cells that are being
    made with the iterations they have done.

    Raises
    ------
    ExperimentError, KeyboardInterrupt
        As `runner.run`; or another process is using the folder.
    """
    folders = request.folders
    clock = _Clock(folders.work / "seconds")

    def report(done: Mapping[Cell, CellRecord], making: Sequence[Cell]) -> None:
        clock.save()
        progress(done, [(cell, iterations_done(folders.cell(cell))) for cell in making])

    refusal = f"{folders.work}: another `netgen experiment` is using it"
    with locked(folders.work / "lock", refusal):
        try:
            done = run(request.cells, Runner(folders, request.settings), request.jobs, report)
        finally:
            clock.save(now=True)
    return done, clock.seconds()


def whole_experiment(
    request: ExperimentRequest, done: Sequence[CellRecord], seconds: float
) -> Experiment:
    """Return the whole experiment: its cells, settings, machine and time."""
    return Experiment(
        version=VERSION,
        machine=machine(),
        seconds=round(seconds, 1),
        jobs=request.jobs,
        settings=request.settings,
        cells=tuple(sorted(done, key=lambda cell: (cell.network, cell.seed))),
    )


class _Clock:
    """The time that an experiment takes, over all resumes, kept in a file."""

    def __init__(self, file: Path) -> None:
        self.file, self.start, self.saved = file, time.monotonic(), 0.0
        self.before = 0.0
        with suppress(OSError, ValueError):  # not there yet, or cut off: count this run only
            self.before = float(file.read_text())

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.start

    def save(self, now: bool = False) -> None:
        if now or time.monotonic() - self.saved > SAVE_INTERVAL:
            self.saved = time.monotonic()
            write_all({self.file: f"{self.seconds():.1f}\n"})
