"""Trains one round of a run, in a child process that has Caffe.

After each iteration: check the loss, test, apply the plateau rule, drop the rate, take a snapshot.
A snapshot has the state after all of that, so that a resume starts with the next iteration. Only if
a signal interrupted the test, it has the state before the test. (Caffe's own last test gives other
numbers than its last snapshot: it displays a loss in between, and the training net's forward pass
changes BatchNorm's averages.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from netgen.caffe.child import send, stop_requested
from netgen.system.files import write_all
from netgen.training import fingerprint, health, snapshots
from netgen.training.caffe_solver import CaffeSolver
from netgen.training.plan import TrainingPlan, round_solver
from netgen.training.plateau import Decision
from netgen.training.recorder import Recorder
from netgen.training.run_folder import RunFolder, locked
from netgen.training.state import COMPLETED, FAILED, Outcome, Progress, TrainingState, completion

PROGRESS_INTERVAL = 0.2  # seconds between two progress messages


def train_round(
    plan: TrainingPlan, path: Path, start: snapshots.Snapshot | None, weights: Path | None
) -> Outcome:
    """Train until the round or the run ends.

    Parameters
    ----------
    plan
        The run's plan.
    path
        The path of the run's folder.
    start
        The snapshot to resume from; None at the run's beginning.
    weights
        A caffemodel with initial weights.

    Raises
    ------
    OSError
        A file could not be written; the newest snapshot is valid.
    """
    folder = RunFolder(path)
    # A worker whose parent was killed ends a moment later: wait for it.
    with locked(folder.snapshots / ".lock"):
        return _Round(plan, folder, start).run(start, weights)


class _Round:
    """The round in progress; `offset` is its iterations before this process."""

    def __init__(
        self, plan: TrainingPlan, folder: RunFolder, start: snapshots.Snapshot | None
    ) -> None:
        self.plan, self.folder, self.parameters = plan, folder, plan.parameters
        self.state = (
            start.manifest.state if start else TrainingState(test_pending=_tests_first(plan))
        )
        self.number, self.offset = divmod(self.state.iteration, plan.round_iterations)
        if self.state.test_pending and self.number and not self.offset:
            # The last test of the round before was interrupted.
            self.number, self.offset = self.number - 1, plan.round_iterations
        if not self.offset:
            self.state.tests = 0
        self.end = min((self.number + 1) * plan.round_iterations, self.parameters.max_iter)
        self.recorder = Recorder(folder, plan, self.state, send)
        self.last_progress = time.monotonic()

    def run(self, start: snapshots.Snapshot | None, weights: Path | None) -> Outcome:
        """Train to the end of the round, or of the run."""
        self._set_up(start, weights)
        if not self._replay():
            return self._end("stopped", "before any new iteration")
        if not self.offset:
            self.recorder.round(self.number)
        while True:
            outcome = self._after_iteration() if self.state.test_pending else None
            if outcome or (outcome := self._iterate()):
                return outcome

    def _set_up(self, start: snapshots.Snapshot | None, weights: Path | None) -> None:
        prefix = (self.folder.snapshots / self.plan.name).as_posix()
        text = round_solver(self.plan, self.folder.net.as_posix(), prefix, self.number)
        write_all({self.folder.round_solver: text})
        self.solver = CaffeSolver(self.plan, self.folder.round_solver)
        self.engine = fingerprint.engine(self.plan.gpu)
        if start:
            self.solver.restore(start)
        elif weights:
            self.solver.load_weights(weights)

    def _replay(self) -> bool:
        """Bring the data layers to their position in the round; return False if a signal came."""
        batches = 0 if self.state.iteration == self.end else self.offset
        return self.solver.replay(batches, self._reports("replay")) and (
            self.solver.replay_tests(self.state.tests, self._reports("replay"))
        )

    def _iterate(self) -> Outcome | None:
        """Do one iteration; return how the run ended, if it did."""
        iteration = self.state.iteration
        losses = self.solver.step()
        total = sum(weight * losses[name] for name, weight in self.plan.losses.items())
        self._count(losses)
        if self.parameters.display and iteration % self.parameters.display == 0:
            self._display(iteration)
        self.state.iteration, self.state.loss, self.state.test_pending = iteration + 1, total, True
        if problem := self.state.health.check(total, self.plan.explosion):
            return self._fail(problem)
        self._report("training", iteration + 1, self.parameters.max_iter, total)
        return None

    def _after_iteration(self) -> Outcome | None:
        """Test, drop the rate, take a snapshot; return how the round or the run ended, if so."""
        state, results, best = self.state, None, False
        if self._is_due(self.parameters.test_interval) and self.parameters.test_iter:
            results = self.solver.test(self._reports("test"))
            if results is None:
                return self._interrupt_test()
            state.tests += 1
            best = self.recorder.test(state.iteration, results)
        decision = self._observe(results)
        state.test_pending = False
        reason = self._reason_to_end(decision)
        state.ended = reason if reason in COMPLETED else None
        if decision is Decision.DROP and self.plan.rule:
            self.recorder.drop(state.plateau.reason(self.plan.rule))
        if decision or best or reason or self._is_due(self.parameters.snapshot):
            if problem := health.check_parameters(self.solver.net):
                return self._fail(problem)
            self._snapshot(best)
        return self._outcome(reason)

    def _reason_to_end(self, decision: Decision | None) -> str | None:
        """Return why the round or the run ends at this iteration; None if it continues."""
        if decision is Decision.CONVERGED:
            return "converged"
        if self.state.iteration == self.parameters.max_iter:
            return "max_iter"
        if stop_requested():
            return "stopped"
        return "round" if self.state.iteration == self.end else None

    def _outcome(self, reason: str | None) -> Outcome | None:
        if reason is None:
            return None
        if reason == "round":
            return Outcome(reason, "", self.state.iteration)
        return self._end(reason, completion(self.state, self.plan.rule) or "with a snapshot")

    def _interrupt_test(self) -> Outcome:
        """End during a test, which a resume will run again."""
        self._snapshot(best=False)
        return self._end("stopped", "with a snapshot")

    def _fail(self, problem: str) -> Outcome:
        """End without a snapshot: the weights are useless."""
        return self._end(FAILED, f"{problem}; {health.first_bad_blob(self.solver.net)}")

    def _end(self, reason: str, detail: str) -> Outcome:
        return self.recorder.end(reason, detail, stop_requested())

    def _is_due(self, interval: int) -> bool:
        iteration = self.state.iteration
        if not iteration:
            return bool(self.state.test_pending and interval == self.parameters.test_interval)
        return bool(interval and iteration % interval == 0)

    def _observe(self, results: dict[str, float] | None) -> Decision | None:
        """Apply the plateau rule to the loss that it observes, if there is a new one."""
        rule, observed = self.plan.rule, self.plan.observed
        loss = (results or {}).get(observed) if observed else self.state.loss
        if rule is None or loss is None:
            return None
        return self.state.plateau.observe(rule, self.state.iteration, loss)

    def _snapshot(self, best: bool) -> None:
        path = snapshots.stem(self.folder.snapshots, self.plan.name, self.state.iteration)
        with snapshots.removed_on_error(path):
            snapshots.remove(path)
            self.solver.write(path, len(self.state.plateau.drops))
        seed = self.plan.seed(self.number)
        self.recorder.snapshot(path, best=best, seed=seed, engine=self.engine)

    def _count(self, losses: dict[str, float]) -> None:
        sums = self.state.sums
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss
        self.state.shown += 1

    def _display(self, iteration: int) -> None:
        """Record the mean losses since the last display."""
        means = {name: total / self.state.shown for name, total in self.state.sums.items()}
        loss = sum(weight * means[name] for name, weight in self.plan.losses.items())
        self.recorder.display(iteration, loss, means)
        self.state.sums, self.state.shown = {}, 0

    def _report(self, task: str, done: int, total: int, loss: float | None = None) -> None:
        """Send progress to the parent process, not too often."""
        now = time.monotonic()
        if now - self.last_progress >= PROGRESS_INTERVAL:
            self.last_progress = now
            send(Progress(task, done, total, loss))

    def _reports(self, task: str) -> Callable[[int, int], bool]:
        """Return a function that reports progress, and returns False once a signal came."""

        def on_progress(done: int, total: int) -> bool:
            self._report(task, done, total)
            return stop_requested() is None

        return on_progress


def _tests_first(plan: TrainingPlan) -> bool:
    solver = plan.parameters
    return bool(solver.test_initialization and solver.test_iter and solver.test_interval)
