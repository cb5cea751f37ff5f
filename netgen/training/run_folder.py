"""A run's folder: its files, its lock, and the record of how the run began.

    train_val.prototxt  the network, byte for byte as it was given
    deploy.prototxt     the same network for predictions, and deploy.json, what it takes and gives;
                        where they are beside the network that was given
    solver.prototxt     the solver, with the drops so far as stepvalues
    run.json            plan, versions, engine, command and initial weights, as it began
    log.jsonl           every display, test, drop and snapshot (netgen.training.journal)
    curves.png          the journal, drawn
    caffe.log           Caffe's log
    snapshots/          the best and the newest, each valid only with its manifest
    round.prototxt      the solver that Caffe runs at the moment

Caffe's own `caffe train -solver RUN/solver.prototxt` works too, in the folder where netgen ran.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from netgen.network.description import FILE
from netgen.system.files import written_to
from netgen.system.json_files import JsonError, read_json
from netgen.training.fingerprint import EngineFingerprint
from netgen.training.plan import TrainingPlan


class RunError(ValueError):
    """A run's folder that cannot be used as requested; the message says why and what to do next."""


class WeightsFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The weights that a run began with, if not the network's fillers."""

    path: str
    sha256: str


class RunRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """What ``run.json`` holds."""

    versions: dict[str, str]
    begun: str
    folder: str
    command: list[str]
    variant: str
    engine: EngineFingerprint
    weights: WeightsFile | None
    plan: TrainingPlan


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run."""

    path: Path

    @property
    def net(self) -> Path:
        """The network's prototxt."""
        return self.path / "train_val.prototxt"

    @property
    def deploy(self) -> Path:
        """The network's prototxt for predictions."""
        return self.path / "deploy.prototxt"

    @property
    def description(self) -> Path:
        """What the network takes and gives: `netgen.network.description`."""
        return self.path / FILE

    @property
    def solver(self) -> Path:
        """The solver, with the drops so far."""
        return self.path / "solver.prototxt"

    @property
    def round_solver(self) -> Path:
        """The solver that Caffe runs at the moment."""
        return self.path / "round.prototxt"

    @property
    def record(self) -> Path:
        """How the run began: a `RunRecord`."""
        return self.path / "run.json"

    @property
    def journal(self) -> Path:
        """The journal: `netgen.training.journal`."""
        return self.path / "log.jsonl"

    @property
    def curves(self) -> Path:
        """The journal, drawn."""
        return self.path / "curves.png"

    @property
    def caffe_log(self) -> Path:
        """Caffe's log."""
        return self.path / "caffe.log"

    @property
    def snapshots(self) -> Path:
        """The folder of the snapshots."""
        return self.path / "snapshots"

    def read(self) -> RunRecord:
        """Return the record of how the run began.

        Raises
        ------
        RunError
            There is no run here, or its record is damaged or of another version of netgen.
        """
        try:
            return read_json(self.record, RunRecord)
        except FileNotFoundError:
            raise RunError(
                f"{self.path}: no run to resume: start one with the same command without --resume"
            ) from None
        except JsonError as error:
            raise RunError(
                f"{self.record}: not a run's record ({error}): it is damaged, or another version"
                " of netgen wrote it"
            ) from None


@contextmanager
def locked(file: Path, refusal: str | None = None) -> Iterator[None]:
    """Lock a file until the end of a with block, or of the process.

    Parameters
    ----------
    file
        Created if it does not exist, and never removed.
    refusal
        Message if another process has locked it; by default, wait for that process.

    Raises
    ------
    RunError
        Another process has locked it.
    """
    with file.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            raise RunError(f"{refusal} (process {holder})" if holder else str(refusal)) from None
        with written_to(file):
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), f"{os.getpid()}\n".encode())
        yield
