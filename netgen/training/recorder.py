"""Records a run as it trains, on one GPU or on several: journal, best accuracy, snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netgen.system.files import write_all
from netgen.training import snapshots
from netgen.training.journal import Entry, Journal
from netgen.training.messages import Outcome
from netgen.training.plan import Plan, run_solver
from netgen.training.run_folder import RunFolder
from netgen.training.state import Engine, State


class Recorder:
    """Writes what happens in a run to its folder, and keeps the best accuracy in its state.

    Parameters
    ----------
    folder, plan
        The run's.
    state
        The run's memory, which whoever trains updates, too.
    on_entry
        Called with each of the journal's entries, once it is written.
    """

    def __init__(
        self, folder: RunFolder, plan: Plan, state: State, on_entry: Callable[[Entry], None]
    ) -> None:
        self.folder, self.plan, self.state, self.on_entry = folder, plan, state, on_entry
        self._journal = Journal(folder.journal)
        self._since = time.monotonic()

    def write(self, event: str, iteration: int, **values: Any) -> None:
        """Write one line of the journal, with the seconds of training so far."""
        now = time.monotonic()
        self.state.seconds, self._since = self.state.seconds + now - self._since, now
        seconds = round(self.state.seconds, 3)
        self.on_entry(self._journal.write(event, iteration, seconds=seconds, **values))

    def display(self, iteration: int, loss: float, outputs: dict[str, float]) -> None:
        """Record the mean losses since the last display."""
        epoch = round(self.plan.epoch(iteration), 4)
        self.write("train", iteration, epoch=epoch, loss=loss, outputs=outputs, lr=self._rate)

    def test(self, iteration: int, outputs: dict[str, float]) -> bool:
        """Record a test's results; return whether its accuracy is the best so far."""
        self.write("test", iteration, outputs=outputs)
        if not self.plan.best:
            return False
        accuracy = sum(outputs[name] for name in self.plan.best) / len(self.plan.best)
        if self.state.best is not None and accuracy <= self.state.best:
            return False
        self.state.best, self.state.best_iteration = accuracy, iteration
        return True

    def drop(self, why: str) -> None:
        """Record that the rate drops before the next iteration."""
        self.write("drop", self.state.iteration, lr=self._rate, why=why)

    def snapshot(self, path: Path, *, best: bool, seed: int, engine: Engine) -> None:
        """Vouch for a snapshot that Caffe has written; only then remove older ones.

        Parameters
        ----------
        path
            Of its two files, without their endings.
        best
            Whether a test of this iteration was the best so far.
        seed
            Random seed of its round.
        engine
            What computed it.

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
            self.write("snapshot", state.iteration, model=model, best=best)
            snapshots.seal(path, manifest)
        snapshots.prune(folder, plan.keep, state.best_iteration)

    def end(self, why: str, what: str, signal: int | None = None) -> Outcome:
        """Record how the run ended, and return it; `signal` is the one that stopped it."""
        self.write("end", self.state.iteration, why=why, what=what)
        return Outcome(why, what, self.state.iteration, signal)

    @property
    def _rate(self) -> float | None:
        """The learning rate after the drops so far."""
        return self.plan.rate(len(self.state.plateau.drops))
