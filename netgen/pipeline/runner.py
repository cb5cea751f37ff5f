"""Runs the parts of an experiment, several at a time, each after those that it depends on."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from netgen.pipeline.launch import Words, as_typed, start
from netgen.pipeline.miniature import Cell, ExperimentError, ExperimentSettings
from netgen.pipeline.parts import ExperimentFolders, cell_commands, data_commands, trunk_commands
from netgen.pipeline.records import CellRecord, record_cell, recorded_cell
from netgen.system.files import write_all

# One thread per process: on networks this small, two threads of OpenBLAS are slower than one, and
# two processes side by side use two cores better.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
INTERVAL = 0.5  # seconds between two reports of progress
LAST_LINES = 6  # of a failed command's output, shown in the message
TRUNK = "trunk"
Part = str | Cell | tuple[str, int]  # the trunk, a cell, or a split and a seed: databases


@dataclass
class Runner:
    """Makes parts by running their commands; `stop` ends those that are running."""

    folders: ExperimentFolders
    settings: ExperimentSettings
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, part: Part) -> CellRecord | None:
        """Make one part: the trunk, a seed's databases, or a cell, whose record is returned."""
        if isinstance(part, Cell):
            folder = self.folders.cell(part)
            if done := recorded_cell(folder):
                return done
            self._run(cell_commands(part, self.folders, self.settings), folder / "commands.log")
            return record_cell(part, folder)
        if isinstance(part, tuple):
            folder = self.folders.dataset(*part)
            log = folder.with_name(f"{folder.name}.log")
            self._run(data_commands(self.folders, *part), log)
        elif not (done_file := self.folders.trunk / "done").exists():
            log = self.folders.trunk / "commands.log"
            self._run(trunk_commands(self.folders, self.settings), log)
            write_all({done_file: ""})
        return None

    def _run(self, commands: Iterator[Words], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        for words in commands:
            if self.stopped.is_set():
                raise ExperimentError("stopped")
            self._call(words, log)

    def _call(self, words: Words, log: Path) -> None:
        with log.open("ab") as output:
            output.write(f"$ {as_typed(words)}\n".encode())
            output.flush()
            begin = output.tell()
            process = start(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=os.environ | ONE_THREAD,
            )  # fmt: skip
        with self.lock:
            self.running.add(process)
            if self.stopped.is_set():  # since it was started
                process.terminate()
        code = process.wait()
        with self.lock:
            self.running.discard(process)
        if code:
            last = log.read_bytes()[begin:].decode(errors="replace").splitlines()[-LAST_LINES:]
            raise ExperimentError(
                "\n".join((f"`{as_typed(words)}` failed (exit {code}; {log}):", *last))
            )

    def stop(self) -> None:
        """Terminate all running commands; trainings write a snapshot first."""
        with self.lock:
            self.stopped.set()
            for process in self.running:
                with suppress(ProcessLookupError):
                    process.terminate()


def run(
    cells: Iterable[Cell],
    runner: Runner,
    jobs: int,
    progress: Callable[[Mapping[Cell, CellRecord], list[Cell]], None],
) -> dict[Cell, CellRecord]:
    """Make the cells and the parts that they depend on, `jobs` at a time.

    Parameters
    ----------
    cells
        The cells in the order in which they are to be made.
    runner
        Makes a part.
    jobs
        How many processes run side by side.
    progress
        Called twice a second with the records of the cells that are done and the cells that are
        being made.

    Raises
    ------
    ExperimentError
        A command failed; the others were stopped. Finished parts stay.
    KeyboardInterrupt
        Raised by a signal's handler; the same holds.
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
                ended, _ = wait(futures, timeout=INTERVAL, return_when=FIRST_COMPLETED)
                for future in ended:
                    part = futures.pop(future)
                    record = future.result()
                    if isinstance(part, Cell) and record:
                        done[part] = record
                    graph.done(part)
                making = [p for f, p in futures.items() if isinstance(p, Cell) and f.running()]
                progress(done, making)
        except BaseException:
            runner.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _graph(cells: Iterable[Cell]) -> TopologicalSorter[Part]:
    """Return which part depends on which: a cell on its databases and on what it starts from."""
    needed: dict[Part, set[Part]] = {}
    for cell in cells:
        for one in (cell.start, cell):
            if one:
                needed[one] = {(one.split, one.seed), one.start or TRUNK}
    return TopologicalSorter(needed)
