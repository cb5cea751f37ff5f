"""A run's folder: what is where, whose it is at the moment, and what it was begun with.

    train_val.prototxt  the network, byte for byte as it was given
    solver.prototxt     the solver as it came to be, with the stepvalues of the drops so far
    run.json            the plan, versions, engine, command and weights that it was begun with
    log.jsonl           every display, test, drop and snapshot (netgen.training.journal)
    curves.png          drawn from that
    caffe.log           what Caffe said
    snapshots/          the best, the newest, and nothing half-written that counts
    round.prototxt      what pycaffe was given for the round at work

Caffe's own `caffe train -solver RUN/solver.prototxt` works too, in the folder where netgen ran.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from netgen.training.plan import Plan
from netgen.training.state import Engine


class RunError(ValueError):
    """A run's folder that cannot be used as asked; the message says why and what next."""


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """The weights that a run began with."""

    path: str
    sha256: str


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """What ``run.json`` holds."""

    versions: dict[str, str]
    begun: str
    folder: str
    command: list[str]
    variant: str
    engine: Engine
    weights: Weights | None
    plan: Plan


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run."""

    path: Path

    @property
    def net(self) -> Path:
        """The network's prototxt."""
        return self.path / "train_val.prototxt"

    @property
    def solver(self) -> Path:
        """The solver as it came to be."""
        return self.path / "solver.prototxt"

    @property
    def round_solver(self) -> Path:
        """The solver of the round at work."""
        return self.path / "round.prototxt"

    @property
    def record(self) -> Path:
        """What the run was begun with."""
        return self.path / "run.json"

    @property
    def journal(self) -> Path:
        """Every display and test."""
        return self.path / "log.jsonl"

    @property
    def curves(self) -> Path:
        """The journal, drawn."""
        return self.path / "curves.png"

    @property
    def caffe_log(self) -> Path:
        """What Caffe said."""
        return self.path / "caffe.log"

    @property
    def snapshots(self) -> Path:
        """The folder of the snapshots."""
        return self.path / "snapshots"

    def read(self) -> Record:
        """Return what the run was begun with.

        Raises
        ------
        RunError
            Nothing was begun here, or its record is damaged or another netgen's.
        """
        try:
            return msgspec.json.decode(self.record.read_bytes(), type=Record)
        except FileNotFoundError:
            raise RunError(
                f"{self.path}: no run to resume: begin one by the same command without --resume"
            ) from None
        except msgspec.DecodeError as error:
            raise RunError(
                f"{self.record}: not a run's record ({error}): is it another netgen's, or damaged?"
            ) from None


@contextmanager
def held(file: Path, refusal: str | None = None) -> Iterator[None]:
    """Hold a lock file as long as the process lives, or to the end of a with block.

    Parameters
    ----------
    file
        Is made where it is not there, and stays.
    refusal
        What to say when another process holds it; by default, wait until that is gone.

    Raises
    ------
    RunError
        Another process holds it.
    """
    with file.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            raise RunError(f"{refusal} (process {holder})" if holder else str(refusal)) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
