"""One call of the experiment's command: what is checked before it, and what it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from netgen.pipeline.cell_record import VERSION, CellRecord, Experiment
from netgen.pipeline.cells import LETTERS, Cell, ExperimentError, Places
from netgen.pipeline.miniature import ITERATIONS, Settings
from netgen.pipeline.runner import Runner, run
from netgen.system.files import digest, write_all
from netgen.system.machine import machine
from netgen.training.journal import read_journal
from netgen.training.run_folder import RunFolder, locked

Heard = Callable[[Mapping[Cell, CellRecord], Sequence[tuple[Cell, int]]], None]
SAVED = 10  # seconds between two notes of the time that it took


@dataclass(frozen=True)
class Request:
    """What is to be made: cells, with what, where, and how many at a time."""

    cells: tuple[Cell, ...]
    places: Places
    settings: Settings
    jobs: int


def begin(
    cells: Sequence[Cell], places: Places, iterations: int | None, jobs: int, resume: bool
) -> Request:
    """Make ready, once everything that is needed is there.

    Raises
    ------
    ExperimentError
        The data are missing, or an experiment is there already, or is another one.
    """
    splits = {cell.split for cell in cells}
    lists = [*map(places.lists, sorted(splits | {LETTERS})), places.lists("pretraining")]
    for file in (*lists, places.data / "images", places.data / "ontology"):
        if not file.exists():
            raise ExperimentError(
                f"{file} is not there: make the images and lists with"
                f" `python examples/typefaces/make.py --out {places.data}`"
            )
    if not find_spec("scipy"):  # else an hour passes before its intervals are missed
        raise ExperimentError("scipy is not installed: pip install 'netgen[experiment]'")
    data = {file.parent.name: digest(file) for file in lists}
    begun = _begun(places)
    if begun is None and resume:
        raise ExperimentError(
            f"{places.work}: no experiment to resume: begin one by the same command without"
            " --resume"
        )
    if begun is not None and not resume:
        raise ExperimentError(
            f"{places.work}: an experiment is there already: go on with it (--resume), or name"
            " another folder (--work)"
        )
    settings = _settings(begun, iterations, data, places)
    places.work.mkdir(parents=True, exist_ok=True)
    write_all({places.settings: msgspec.json.format(msgspec.json.encode(settings))})
    return Request(tuple(cells), places, settings, jobs)


def _settings(
    begun: Settings | None, iterations: int | None, data: dict[str, str], places: Places
) -> Settings:
    """Return the settings; those of an experiment that was begun have to stay."""
    if begun is None:
        return Settings(iterations or ITERATIONS, data)
    changed = [f"{name}/records.csv" for name, of in data.items() if begun.data.get(name, of) != of]
    changed += ["--iterations"] if iterations not in (None, begun.iterations) else []
    if changed:
        raise ExperimentError(
            f"{places.settings}: begun with other settings ({', '.join(changed)}): name another"
            " folder (--work)"
        )
    return Settings(begun.iterations, begun.data | data)


def session(request: Request, heard: Heard) -> tuple[dict[Cell, CellRecord], float]:
    """Make the cells that are not made yet; return all, and the seconds over all sessions.

    Raises
    ------
    ExperimentError, KeyboardInterrupt
        As `running.run`; or another process is at work in the folder.
    """
    places = request.places
    clock = _Clock(places.work / "seconds")

    def told(done: Mapping[Cell, CellRecord], at_work: Sequence[Cell]) -> None:
        clock.save()
        heard(done, [(cell, _iteration(places.cell(cell))) for cell in at_work])

    refusal = f"{places.work}: another `netgen experiment` is at work in it"
    with locked(places.work / "lock", refusal):
        try:
            done = run(request.cells, Runner(places, request.settings), request.jobs, told)
        finally:
            clock.save(now=True)
    return done, clock.seconds()


def experiment(request: Request, done: Sequence[CellRecord], seconds: float) -> Experiment:
    """Return the whole experiment, with what it was made with."""
    return Experiment(
        version=VERSION,
        machine=machine(),
        seconds=round(seconds, 1),
        jobs=request.jobs,
        settings=request.settings,
        cells=tuple(sorted(done, key=lambda cell: (cell.network, cell.seed))),
    )


class _Clock:
    """The time that an experiment takes, over all its sessions, kept in a file."""

    def __init__(self, file: Path) -> None:
        self.file, self.begun, self.saved = file, time.monotonic(), 0.0
        self.before = 0.0
        with suppress(OSError, ValueError):  # not there yet, or cut off: then only ours counts
            self.before = float(file.read_text())

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.begun

    def save(self, now: bool = False) -> None:
        if now or time.monotonic() - self.saved > SAVED:
            self.saved = time.monotonic()
            write_all({self.file: f"{self.seconds():.1f}\n"})


def _begun(places: Places) -> Settings | None:
    try:
        return msgspec.json.decode(places.settings.read_bytes(), type=Settings)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ExperimentError(
            f"{places.settings}: damaged ({error}): name another folder (--work)"
        ) from None


def _iteration(folder: Path) -> int:
    entries = read_journal(RunFolder(folder / "run").journal)
    return int(entries[-1]["iteration"]) if entries else 0
