"""Runs the parts of an experiment, several at a time, each after those that it builds on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from signal import SIGTERM

from netgen.pipeline.cell_record import CellRecord, cell_record, gather
from netgen.pipeline.cells import Cell, ExperimentError, Places
from netgen.pipeline.miniature import Settings
from netgen.pipeline.steps import Words, cell_steps, data_steps, shown, trunk_steps
from netgen.system.files import write_all

# One thread a process: on networks this small, two of OpenBLAS's are slower than one, and two
# processes side by side use two cores better.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
BEAT = 0.5  # seconds between two looks at how far things are
SAID = 6  # lines of a failed command that are shown
TRUNK = "trunk"
Part = str | Cell | tuple[str, int]  # the trunk, a cell, or a split and a seed: databases


@dataclass
class Runner:
    """Commands at work; all of them stop when one fails, or when asked to."""

    places: Places
    settings: Settings
    at_work: set[subprocess.Popen[bytes]] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, part: Part) -> CellRecord | None:
        """Make one part: the trunk, a seed's databases, or a cell, whose record is returned."""
        if isinstance(part, Cell):
            folder = self.places.cell(part)
            if done := cell_record(folder):
                return done
            self._run(folder, cell_steps(part, self.places, self.settings))
            return gather(part, folder)
        if part == TRUNK:
            if not (self.places.trunk / "done").exists():
                self._run(self.places.trunk, trunk_steps(self.places, self.settings))
                write_all({self.places.trunk / "done": ""})
        elif isinstance(part, tuple):
            folder = self.places.dataset(*part)
            self._run(folder.with_name(f"{folder.name}.log"), data_steps(self.places, *part))
        return None

    def _run(self, folder: Path, steps: Iterator[Words]) -> None:
        log = folder if folder.suffix == ".log" else folder / "commands.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        for words in steps:
            if self.stopped.is_set():
                raise ExperimentError("stopped")
            self._call(words, log)

    def _call(self, words: Words, log: Path) -> None:
        with log.open("ab") as said:
            said.write(f"$ {shown(words)}\n".encode())
            said.flush()
            start = said.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "netgen.commands", *words],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=os.environ | ONE_THREAD,
                start_new_session=True,  # Ctrl-C is for the experiment, which asks all to stop
            )  # fmt: skip
        with self.lock:
            self.at_work.add(process)
            if self.stopped.is_set():  # in between
                process.terminate()
        code = process.wait()
        with self.lock:
            self.at_work.discard(process)
        if code:
            last = log.read_bytes()[start:].decode(errors="replace").splitlines()[-SAID:]
            raise ExperimentError(
                "\n".join((f"`{shown(words)}` failed (exit {code}; {log}):", *last))
            )

    def stop(self) -> None:
        """Have everything at work stop; trainings make a snapshot first."""
        with self.lock:
            self.stopped.set()
            for process in self.at_work:
                with suppress(ProcessLookupError):
                    process.send_signal(SIGTERM)


def run(
    cells: Iterable[Cell],
    runner: Runner,
    jobs: int,
    heard: Callable[[Mapping[Cell, CellRecord], list[Cell]], None],
) -> dict[Cell, CellRecord]:
    """Make the cells and what they build on, `jobs` at a time.

    Parameters
    ----------
    cells
        In the order in which they should come.
    runner
        Makes a part.
    jobs
        How many processes work side by side.
    heard
        Is told, twice a second, what is done and which cells are at work.

    Raises
    ------
    ExperimentError
        A command failed; the others were stopped. What is done stays done.
    KeyboardInterrupt
        As a signal said; likewise.
    """
    graph = _graph(cells)
    graph.prepare()
    done: dict[Cell, CellRecord] = {}
    futures: dict[Future[CellRecord | None], Part] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while graph.is_active():
                for part in graph.get_ready():
                    futures[pool.submit(runner.make, part)] = part
                ended, _ = wait(futures, timeout=BEAT, return_when=FIRST_COMPLETED)
                for future in ended:
                    part = futures.pop(future)
                    record = future.result()
                    if isinstance(part, Cell) and record:
                        done[part] = record
                    graph.done(part)
                heard(done, [p for f, p in futures.items() if isinstance(p, Cell) and f.running()])
        except BaseException:
            runner.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _graph(cells: Iterable[Cell]) -> TopologicalSorter[Part]:
    """Return what has to come before what: a cell needs its databases and its start."""
    needed: dict[Part, set[Part]] = {}
    for cell in cells:
        for one in (cell.start, cell):
            if one:
                needed[one] = {(one.split, one.seed), one.start or TRUNK}
    return TopologicalSorter(needed)
