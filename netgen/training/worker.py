"""One round of a run, in a child process that has Caffe.

After every iteration comes, in this order: the check of the loss, the test, the plateau rule, the
drop, the snapshot. A snapshot is of the run after all of that, so that a resume goes on with the
next iteration; only where a test was broken off is it of the run before it. (Caffe's own last test
is of other numbers than its last snapshot: it displays a loss in between, and the training net's
forward pass moves BatchNorm's averages.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netgen.caffe.child import send, stop_requested
from netgen.system.files import write_all
from netgen.training import fingerprint, health, snapshots
from netgen.training.caffe_solver import CaffeSolver
from netgen.training.journal import Journal
from netgen.training.messages import ENDED, Beat, Outcome, ending
from netgen.training.plan import Plan, round_solver, run_solver
from netgen.training.plateau import Decision
from netgen.training.run_folder import RunFolder, held
from netgen.training.state import State

BEAT = 0.2  # seconds between two words about progress


def work(plan: Plan, path: Path, start: snapshots.Snapshot | None, weights: Path | None) -> Outcome:
    """Work on a run until its round ends, or it does.

    Parameters
    ----------
    plan
        The run's.
    path
        Its folder.
    start
        The snapshot to go on from; without one, the run begins.
    weights
        A caffemodel to begin with.

    Raises
    ------
    OSError
        A file could not be written; the newest snapshot is whole.
    """
    folder = RunFolder(path)
    # A parent that was killed takes its child along, but not at once.
    with held(folder.snapshots / ".lock"):
        return _Round(plan, folder, start).run(start, weights)


class _Round:
    """A round at work."""

    def __init__(self, plan: Plan, folder: RunFolder, start: snapshots.Snapshot | None) -> None:
        self.plan, self.folder, self.parameters = plan, folder, plan.parameters
        self.state = start.manifest.state if start else State(due=_tests_first(plan))
        self.number, self.into = divmod(self.state.iteration, plan.round_iterations)
        if self.state.due and self.number and not self.into:  # its last test was broken off
            self.number, self.into = self.number - 1, plan.round_iterations
        if not self.into:
            self.state.tests = 0
        self.end = min((self.number + 1) * plan.round_iterations, self.parameters.max_iter)
        self.journal = Journal(folder.journal)
        self.told = self.since = time.perf_counter()

    def run(self, start: snapshots.Snapshot | None, weights: Path | None) -> Outcome:
        """Work to the end of the round, or of the run."""
        self._set_up(start, weights)
        if not self._replay():
            return self._end("stopped", "before it went on")
        if not self.into:
            self._note("round", round=self.number, seed=self.plan.seed(self.number))
        while True:
            outcome = self._settle() if self.state.due else None
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
            self.solver.begin_from(weights)

    def _replay(self) -> bool:
        """Bring the data to where the round had them; say whether nobody wanted it to stop."""
        over = self.state.iteration == self.end
        return self.solver.replay(0 if over else self.into, self._goes_on("replay")) and (
            self.solver.replay_tests(self.state.tests, self._goes_on("replay"))
        )

    def _iterate(self) -> Outcome | None:
        """Do one iteration; say how the run ended, if it did."""
        iteration = self.state.iteration
        losses = self.solver.step()
        total = sum(weight * losses[name] for name, weight in self.plan.losses.items())
        self._count(losses)
        if self.parameters.display and iteration % self.parameters.display == 0:
            self._display(iteration)
        self.state.iteration, self.state.loss, self.state.due = iteration + 1, total, True
        complaint = self.state.health.complaint(total, self.plan.explosion)
        if complaint:
            return self._lost(complaint)
        self._beat("training", iteration + 1, self.parameters.max_iter, total)
        return None

    def _settle(self) -> Outcome | None:
        """Do what comes after an iteration; say how the round or the run ended, if it did."""
        state, results = self.state, None
        if self._is_due(self.parameters.test_interval) and self.parameters.test_iter:
            results = self._test()
            if results is None:
                return self._stop()
        decision = self._observe(results)
        best = self._is_best(results)
        state.due = False
        why = self._why(decision)
        state.ended = why if why in ENDED else None
        if decision is Decision.DROP:
            self._note("drop", lr=self.plan.rate(len(state.plateau.drops)), why=self._reason())
        if decision or best or why or self._is_due(self.parameters.snapshot):
            if complaint := health.lost_parameters(self.solver.net):
                return self._lost(complaint)
            self._snapshot(best)
        return self._ended(why)

    def _why(self, decision: Decision | None) -> str | None:
        """Say why the round or the run ends at this iteration; None where it goes on."""
        if decision is Decision.CONVERGED:
            return "converged"
        if self.state.iteration == self.parameters.max_iter:
            return "max_iter"
        if stop_requested():
            return "stopped"
        return "round" if self.state.iteration == self.end else None

    def _ended(self, why: str | None) -> Outcome | None:
        if why is None:
            return None
        if why == "round":
            return Outcome(why, "", self.state.iteration)
        return self._end(why, ending(self.state, self.plan.rule) or "with a snapshot")

    def _stop(self) -> Outcome:
        """End in the middle of a test, which will be begun again."""
        self._snapshot(best=False)
        return self._end("stopped", "with a snapshot")

    def _lost(self, complaint: str) -> Outcome:
        """End without a snapshot: the weights are worth nothing."""
        return self._end("failed", f"{complaint}; {health.culprit(self.solver.net)}")

    def _end(self, why: str, what: str) -> Outcome:
        self._note("end", why=why, what=what)
        return Outcome(why, what, self.state.iteration, stop_requested())

    def _is_due(self, interval: int) -> bool:
        iteration = self.state.iteration
        if not iteration:
            return bool(self.state.due and interval == self.parameters.test_interval)
        return bool(interval and iteration % interval == 0)

    def _test(self) -> dict[str, float] | None:
        """Test, and note the results; None if it was broken off."""
        results = self.solver.test(self._goes_on("test"))
        if results is not None:
            self.state.tests += 1
            self._note("test", outputs=results)
        return results

    def _observe(self, results: dict[str, float] | None) -> Decision | None:
        """Tell the plateau rule of the loss that it looks at, if there is a new one."""
        rule, observed = self.plan.rule, self.plan.observed
        loss = (results or {}).get(observed) if observed else self.state.loss
        if rule is None or loss is None:
            return None
        return self.state.plateau.observe(rule, self.state.iteration, loss)

    def _reason(self) -> str:
        return self.state.plateau.reason(self.plan.rule) if self.plan.rule else ""

    def _is_best(self, results: dict[str, float] | None) -> bool:
        """Tell whether a test's results are the best so far, and remember them."""
        if not results or not self.plan.best:
            return False
        accuracy = sum(results[name] for name in self.plan.best) / len(self.plan.best)
        if self.state.best is not None and accuracy <= self.state.best:
            return False
        self.state.best, self.state.best_iteration = accuracy, self.state.iteration
        return True

    def _snapshot(self, best: bool) -> None:
        """Write a snapshot, and only when it is whole take older ones away."""
        folder, drops = self.folder.snapshots, self.state.plateau.drops
        path = snapshots.stem(folder, self.plan.name, self.state.iteration)
        try:
            snapshots.remove(path)
            self.solver.write(path, len(drops))
            solver = run_solver(self.plan, self.folder.net.as_posix(), drops)
            write_all({self.folder.solver: solver})
            model = path.with_name(path.name + snapshots.KINDS[0])
            self._note("snapshot", model=f"{folder.name}/{model.name}", best=best)
            snapshots.seal(path, self._manifest)
        except OSError:
            snapshots.remove(path)
            raise
        snapshots.prune(folder, self.plan.keep, self.state.best_iteration)

    def _manifest(self, files: dict[str, snapshots.File]) -> snapshots.Manifest:
        seed = self.plan.seed(self.number)
        return snapshots.Manifest(
            snapshots.VERSION, files, self.plan.net, seed, self.engine, self.state
        )

    def _count(self, losses: dict[str, float]) -> None:
        sums = self.state.sums
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss
        self.state.shown += 1

    def _display(self, iteration: int) -> None:
        """Note the mean losses since the last display."""
        means = {name: total / self.state.shown for name, total in self.state.sums.items()}
        loss = sum(weight * means[name] for name, weight in self.plan.losses.items())
        rate = self.plan.rate(len(self.state.plateau.drops))
        epoch = round(self.plan.epoch(iteration), 4)
        self._note("train", iteration, epoch=epoch, loss=loss, outputs=means, lr=rate)
        self.state.sums, self.state.shown = {}, 0

    def _note(self, event: str, iteration: int | None = None, **values: Any) -> None:
        """Write a line of the journal, and tell the parent of it."""
        now = time.perf_counter()
        self.state.seconds, self.since = self.state.seconds + now - self.since, now
        at = self.state.iteration if iteration is None else iteration
        send(self.journal.write(event, at, seconds=round(self.state.seconds, 3), **values))

    def _beat(self, what: str, done: int, of: int, loss: float | None = None) -> None:
        now = time.perf_counter()
        if now - self.told >= BEAT:
            self.told = now
            send(Beat(what, done, of, loss))

    def _goes_on(self, what: str) -> Callable[[int, int], bool]:
        """Return what tells of progress, and says whether nobody wants it to stop."""

        def heard(done: int, of: int) -> bool:
            self._beat(what, done, of)
            return stop_requested() is None

        return heard


def _tests_first(plan: Plan) -> bool:
    solver = plan.parameters
    return bool(solver.test_initialization and solver.test_iter and solver.test_interval)
