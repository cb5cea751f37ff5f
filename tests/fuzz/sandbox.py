"""Run a command of netgen's in a forked process that may die, hang or take too much, and say which.

A fork has everything imported already: a case takes some hundredths of a second.
"""

from __future__ import annotations

import gc
import os
import pkgutil
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType

import data_prep
import netgen
from fuzz.readers import READERS
from netgen.commands.cli import main
from netgen.weights.incoming.torch_numbers import load_torch

# Seconds of computing, and of waiting: who waits so long on a busy machine waits for ever.
COMPUTING, WAITING = 10.0, 90.0
MEMORY = 2**30
NOT_FORESEEN = 99  # the exit status of a traceback


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, or minus a signal's number; what it said and took."""

    status: int
    said: str
    seconds: float
    memory: int

    @property
    def complaint(self) -> str | None:
        """What is wrong with that; None if nothing is."""
        wrong = None
        errors = [line for line in self.said.splitlines() if line.startswith("Error: ")]
        if self.status < 0:
            wrong = f"ended by {signal.Signals(-self.status).name}"
        elif self.status not in (0, 1, 2) or "Traceback" in self.said:
            wrong = f"exit status {self.status}, not foreseen"
        elif self.seconds > COMPUTING:
            wrong = f"computed for {self.seconds:.0f} s"
        elif self.memory > MEMORY:
            wrong = f"took {self.memory / 2**20:.0f} MiB"
        elif self.status and len(errors) > 1:
            wrong = f"{len(errors)} messages"
        elif not self.said.isprintable() and any(
            not sign.isprintable() and sign not in "\n\r" for sign in self.said
        ):
            wrong = "sends a terminal what it obeys"
        return wrong and f"{wrong}:\n{self.said[-3000:]}"


def run(words: Sequence[str | Path], folder: Path, *, with_torch: bool = False) -> Ended:
    """Run ``netgen WORDS`` in `folder`, with torch in memory if its command is going to load it."""
    _load()
    if with_torch:
        _load_torch()
    with TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            _be(words, folder, said.fileno())
        status, usage = _wait(child)
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    grown = max(0, 1024 * usage.ru_maxrss - _resident())
    return Ended(status, text, usage.ru_utime + usage.ru_stime, grown)


def remember_the_paper(files: Path) -> None:
    """Audit the real `files`, so that what netgen measures of the paper's networks is known.

    It is the same for every file, and takes longer than most of them. (`files` are not those that
    are changed: nothing that they hold may be remembered of those.)
    """
    _load()
    for reader in READERS:
        if reader.words[0] == "audit":
            words = [
                str(files / word) if (files / word).exists() else word for word in reader.words
            ]
            with (
                open(os.devnull, "w") as nowhere,
                redirect_stdout(nowhere),
                redirect_stderr(nowhere),
                suppress(SystemExit),
            ):
                main.main(words, prog_name="netgen")
    gc.freeze()


@cache
def _load() -> None:
    """Import all of netgen, which never imports Caffe into its own process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for package in (netgen, data_prep):
            _load_all(package)


@cache
def _load_torch() -> None:
    """Import torch: a fork with it takes twice as long, so only who needs it does."""
    load_torch("a fuzzer")
    gc.freeze()


def _load_all(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def _be(words: Sequence[str | Path], folder: Path, said: int) -> None:
    """In the child: become the command."""
    status = NOT_FORESEEN
    try:
        os.setsid()
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        # A debugger's file of a process that dies would be as large as the process.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        warnings.resetwarnings()
        main.main([str(word) for word in words], prog_name="netgen")
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(child: int) -> tuple[int, resource.struct_rusage]:
    """Wait until a child has ended; kill it, and all that it began, when it takes too long."""
    deadline = time.monotonic() + WAITING
    pause = 0.001
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), usage
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            return -signal.SIGALRM, usage
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def _resident() -> int:
    """Bytes of this process that a fork begins with."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
