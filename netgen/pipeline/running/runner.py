"""Runs cells of a plan, several at a time, each after those that it depends on."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from netgen.pipeline.running.launch import start
from netgen.pipeline.study.cells import Cell, Step, as_typed
from netgen.pipeline.study.study_settings import StudyError
from netgen.system.files import write_all, written_to

# One thread per process: on networks this small, two threads of OpenBLAS are slower than one, and
# two processes side by side use two cores better. Who sets these variables decides otherwise.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
INTERVAL = 0.5  # seconds between two reports of progress
LAST_LINES = 6  # of a failed command's output, shown in the message


@dataclass
class Progress:
    """How far a run is: which cells are made, which failed and why, and which are being made."""

    done: list[Cell] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    making: list[Cell] = field(default_factory=list)


@dataclass
class Runner:
    """Makes cells by running their commands.

    Attributes
    ----------
    logs
        The folder of the commands' output, a file per cell; a cell that failed leaves its message
        there, too.
    begin, finish
        Called with a cell before its first command, and when it is made.
    shown
        Whether commands write to the terminal instead: for one cell at a time.
    """

    logs: Path
    begin: Callable[[Cell], None] = lambda _: None
    finish: Callable[[Cell], None] = lambda _: None
    shown: bool = False
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, cell: Cell) -> None:
        """Run what is left of a cell.

        Raises
        ------
        ValueError
            A command failed, or a file cannot be written.
        """
        failure = failure_file(self.logs, cell)
        failure.unlink(missing_ok=True)
        try:
            self.begin(cell)
            while left := cell.left:  # decided again: by the files that the last one has left
                if self.stopped.is_set():
                    raise StudyError("stopped")
                self._call(cell, left[0])
                if cell.left[:1] == left[:1]:
                    raise StudyError(f"`{as_typed(left[0].words)}` ended, but left nothing")
            self.finish(cell)
        except OSError as error:
            log = self.logs / f"{cell.name}.log"
            why = f"{error.filename or log}: {error.strerror or error}"
            self._keep(failure, why)
            raise StudyError(why) from error
        except ValueError as error:
            self._keep(failure, str(error))
            raise

    def _keep(self, file: Path, why: str) -> None:
        if not self.stopped.is_set():
            with suppress(OSError):  # a full disk: the message is told in any case
                write_all({file: f"{why}\n"})

    def _call(self, cell: Cell, step: Step) -> None:
        words, log = step.words, self.logs / f"{cell.name}.log"
        with self._output(log, f"$ {as_typed(words)}\n") as (output, begin):
            process = start(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=ONE_THREAD | os.environ,
            )  # fmt: skip
        with self.lock:
            self.running.add(process)
            if self.stopped.is_set():  # since it was started
                process.terminate()
        code = process.wait()
        with self.lock:
            self.running.discard(process)
        if code and not cell.is_done:  # as one that diverged may be
            last: list[str] = []
            if not self.shown:
                last = log.read_bytes()[begin:].decode(errors="replace").splitlines()[-LAST_LINES:]
            where = "" if self.shown else f"; {log}"
            raise StudyError("\n".join((f"`{as_typed(words)}` failed (exit {code}{where})", *last)))

    @contextmanager
    def _output(self, log: Path, first: str) -> Iterator[tuple[int | None, int]]:
        """Give where a command writes to, None for the terminal, and where in it that begins."""
        if self.shown:
            print(f"\n{first}", end="", flush=True)
            yield None, 0
            return
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab", buffering=0) as output:
            with written_to(log):
                output.write(first.encode())
            yield output.fileno(), output.tell()

    def stop(self) -> None:
        """Terminate all running commands; trainings write a snapshot first."""
        with self.lock:
            self.stopped.set()
            for process in self.running:
                with suppress(ProcessLookupError):
                    process.terminate()


def failure_file(logs: Path, cell: Cell) -> Path:
    """Return the file that has the message of a cell that failed."""
    return logs / f"{cell.name}.failed"


def run(
    cells: Sequence[Cell], runner: Runner, jobs: int, report: Callable[[Progress], None]
) -> Progress:
    """Make cells, `jobs` at a time; return which are made and which failed.

    A cell that depends on one that failed is not begun. `report` is called twice a second, and
    with every change.

    Raises
    ------
    KeyboardInterrupt
        Raised by a signal's handler: all commands were stopped. What is made stays.
    """
    by_name = {cell.name: cell for cell in cells}
    graph = _graph(by_name)
    graph.prepare()
    progress = Progress()
    futures: dict[Future[None], Cell] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while True:
                for name in graph.get_ready():
                    futures[pool.submit(runner.make, by_name[name])] = by_name[name]
                if not futures:  # what is left depends on what failed
                    break
                ended, _ = wait(futures, timeout=INTERVAL, return_when=FIRST_COMPLETED)
                for future in ended:
                    cell = futures.pop(future)
                    if error := future.exception():
                        _check_expected(error)
                        progress.failed[cell.name] = str(error)
                    else:
                        progress.done.append(cell)
                        graph.done(cell.name)
                progress.making = [cell for f, cell in futures.items() if f.running()]
                report(progress)
        except BaseException:
            runner.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return progress


def _check_expected(error: BaseException) -> None:
    """Raise what is no failure of a command or a disk: a defect of netgen's own."""
    if not isinstance(error, ValueError):
        raise error


def _graph(cells: Mapping[str, Cell]) -> TopologicalSorter[str]:
    """Return which cell depends on which, of those that are to be made."""
    return TopologicalSorter(
        {name: [need for need in cell.needs if need in cells] for name, cell in cells.items()}
    )
