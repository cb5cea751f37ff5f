"""Records a run: journal, best accuracy and snapshots, in the same way for one or more GPUs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netgen.system.files import sync, write_all
from netgen.training import snapshots
from netgen.training.fingerprint import EngineFingerprint
from netgen.training.journal import Entry, Journal
from netgen.training.plan import TrainingPlan, run_solver
from netgen.training.run_folder import RunFolder
from netgen.training.state import Outcome, TrainingState


class Recorder:
    """Writes what happens in a run to its folder, and keeps the best accuracy in its state.

    Parameters
    ----------
    folder, plan
        The run's folder and plan.
    state
        The run's state, shared with the code that trains.
    on_entry
        Called with each entry of the journal after it was written.
    """

    def __init__(
        self,
        folder: RunFolder,
        plan: TrainingPlan,
        state: TrainingState,
        on_entry: Callable[[Entry], None],
    ) -> None:
        self.folder, self.plan, self.state, self.on_entry = folder, plan, state, on_entry
        self._journal = Journal(folder.journal)
        self._since = time.monotonic()

    def round(self, number: int) -> None:
        """Record that a round starts."""
        self._write("round", self.state.iteration, round=number, seed=self.plan.seed(number))

    def display(self, iteration: int, loss: float, outputs: dict[str, float]) -> None:
        """Record the mean losses since the last display."""
        epoch = round(self.plan.epoch(iteration), 4)
        self._write("train", iteration, epoch=epoch, loss=loss, outputs=outputs, lr=self._rate)

    def test(self, iteration: int, outputs: dict[str, float]) -> bool:
        """Record a test's results; return whether its accuracy is the best so far."""
        self._write("test", iteration, outputs=outputs)
        if not self.plan.best:
            return False
        accuracy = sum(outputs[name] for name in self.plan.best) / len(self.plan.best)
        if self.state.best is not None and accuracy <= self.state.best:
            return False
        self.state.best, self.state.best_iteration = accuracy, iteration
        return True

    def drop(self, why: str) -> None:
        """Record that the rate drops before the next iteration."""
        self._write("drop", self.state.iteration, lr=self._rate, why=why)

    def snapshot(self, path: Path, *, best: bool, seed: int, engine: EngineFingerprint) -> None:
        """Record a snapshot that Caffe has written, with a manifest; then remove older ones.

        Parameters
        ----------
        path
            Path of its two files, without their endings.
        best
            Whether this iteration's test was the best so far.
        seed
            Its round's random seed.
        engine
            The Caffe that computed it.

        Raises
        ------
        OSError
            A file could not be written: the snapshot is removed.
        """
        plan, state, folder = self.plan, self.state, self.folder.snapshots

        def manifest(files: dict[str, snapshots.File]) -> snapshots.Manifest:
            return snapshots.Manifest(snapshots.VERSION, files, plan.net, seed, engine, state)

        with snapshots.removed_on_error(path):
            solver = run_solver(plan, self.folder.net.as_posix(), state.plateau.drops)
            write_all({self.folder.solver: solver})
            model = f"{folder.name}/{path.name}{snapshots.KINDS[0]}"
            self._write("snapshot", state.iteration, model=model, best=best)
            sync(self.folder.journal)  # a resume reads what it tells up to a whole snapshot
            snapshots.seal(path, manifest)
        snapshots.prune(folder, plan.keep, state.best_iteration)

    def end(self, reason: str, detail: str, signal: int | None = None) -> Outcome:
        """Record how the run ended, and return it; `signal` is what stopped it, if one did."""
        self._write("end", self.state.iteration, why=reason, what=detail)
        return Outcome(reason, detail, self.state.iteration, signal)

    def _write(self, event: str, iteration: int, **values: Any) -> None:
        """Write one line of the journal, with the seconds of training so far."""
        now = time.monotonic()
        self.state.seconds, self._since = self.state.seconds + now - self._since, now
        seconds = round(self.state.seconds, 3)
        self.on_entry(self._journal.write(event, iteration, seconds=seconds, **values))

    @property
    def _rate(self) -> float | None:
        """The learning rate after the drops so far."""
        return self.plan.rate(len(self.state.plateau.drops))
