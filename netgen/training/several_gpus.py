"""A run on several GPUs, which is `caffe train -gpu 0,1`: pycaffe drives only one.

Each GPU computes a whole batch, so an iteration reads as many images as GPUs times the batch. The
journal is read off Caffe's log. The rate drops by having Caffe stop with a snapshot and start again
with one more stepvalue; each start, a resume's too, reads the data from the first record. So
nothing here is exact to the bit, nor would GPUs add up in the same order twice. The plateau rule
sees the displayed losses, each averaged by Caffe since the last display.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from google.protobuf import text_format
from msgspec.structs import replace

from netgen.caffe.child import handling
from netgen.caffe.engine import EngineError, fatal_reason
from netgen.caffe.schema import parse_solver
from netgen.caffe.training_log import LogEvent, LogReader
from netgen.system.files import write_all
from netgen.training import snapshots
from netgen.training.driver import SIGNALS, Watcher, how_to_resume
from netgen.training.journal import Journal
from netgen.training.messages import ENDED, Outcome, ending
from netgen.training.plan import Plan, run_solver
from netgen.training.plateau import Decision
from netgen.training.run_folder import Record, RunFolder
from netgen.training.state import State


def train(folder: RunFolder, record: Record, watcher: Watcher, program: Path) -> Outcome:
    """Work on a run until it ends or is stopped; `program` is Caffe's.

    Raises
    ------
    EngineError
        Caffe ended its process.
    """
    while True:
        start = snapshots.newest_whole(folder.snapshots, watcher.said)
        run = _Caffe(folder, record, watcher, start)
        outcome = run.work(command(program, folder, record, start))
        if outcome:
            return outcome


def command(
    program: Path, folder: RunFolder, record: Record, start: snapshots.Snapshot | None
) -> list[str]:
    """Return how Caffe is started: on which GPUs, and from what."""
    words = [str(program), "train", "-solver", str(folder.round_solver)]
    words += ["-gpu", ",".join(map(str, record.plan.gpus))]
    if start:
        return [*words, "-snapshot", str(start.solverstate)]
    return [*words, "-weights", record.weights.path] if record.weights else words


def solver(plan: Plan, folder: RunFolder, drops: list[int]) -> str:
    """Return the solver for Caffe: snapshots go to the run's folder, losses are averaged."""
    found = parse_solver(run_solver(plan, folder.net.as_posix(), drops))
    found.snapshot_prefix = (folder.snapshots / plan.name).as_posix()
    found.average_loss = max(found.display, 1)
    found.ClearField("device_id")  # -gpu says it
    return text_format.MessageToString(found)


class _Caffe:
    """One process of Caffe's."""

    def __init__(
        self, folder: RunFolder, record: Record, watcher: Watcher, start: snapshots.Snapshot | None
    ) -> None:
        self.folder, self.record, self.watcher = folder, record, watcher
        self.plan, self.start = record.plan, start
        self.state = start.manifest.state if start else State()
        self.journal = Journal(folder.journal)
        self.since = time.monotonic()
        self.asked: int | None = None
        self.why: str | None = None
        self.what = ""

    def work(self, words: list[str]) -> Outcome | None:
        """Run Caffe; None when it is to start again, with a lower rate."""
        text = solver(self.plan, self.folder, self.state.plateau.drops)
        write_all({self.folder.round_solver: text})
        with (
            self.folder.caffe_log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                words, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
            ) as caffe,  # in a session of its own, Ctrl-C reaches it by us alone
            handling(SIGNALS, self._ask(caffe)),
        ):
            said = self._listen(caffe, log.write)
        if caffe.returncode != 0 and self.why != "failed":
            raise EngineError(
                f"Caffe ended with status {caffe.returncode}: {fatal_reason(said)}. Caffe's log:"
                f" {self.folder.caffe_log}. {how_to_resume(self.folder)}"
            )
        return self._outcome()

    def _listen(self, caffe: subprocess.Popen[str], keep: Callable[[str], object]) -> str:
        """Read what Caffe says to its end; return what could say why it ended."""
        reader, fatal = LogReader(), ""
        for line in caffe.stderr or ():
            keep(line)
            fatal += line if line.startswith("F") else ""
            if event := reader.read(line):
                self._heard(event, caffe)
        if event := reader.end():
            self._heard(event, caffe)
        return fatal

    def _heard(self, event: LogEvent, caffe: subprocess.Popen[str]) -> None:
        self.state.iteration = max(self.state.iteration, event.iteration)
        if event.what == "train":
            self._trained(event, caffe)
        elif event.what == "test":
            self._note("test", event.iteration, outputs=event.outputs)
            self._judge_test(event, caffe)
        elif event.what == "snapshot":
            self._seal(Path(event.file))
        elif self.why is None:
            self.why = "max_iter"

    def _trained(self, event: LogEvent, caffe: subprocess.Popen[str]) -> None:
        epoch = round(self.plan.epoch(event.iteration), 4)
        rate = self.plan.rate(len(self.state.plateau.drops))
        self._note(
            "train", event.iteration, epoch=epoch, loss=event.loss, outputs=event.outputs, lr=rate
        )
        complaint = self.state.health.complaint(event.loss, self.plan.explosion)
        if complaint:
            self.why, self.what = "failed", complaint
            caffe.kill()  # what it has now is not worth a snapshot
        elif not self.plan.observed:
            self._observe(event.loss, caffe)

    def _judge_test(self, event: LogEvent, caffe: subprocess.Popen[str]) -> None:
        if self.plan.observed in event.outputs:
            self._observe(event.outputs[str(self.plan.observed)], caffe)
        if self.plan.best:
            accuracy = sum(event.outputs[name] for name in self.plan.best) / len(self.plan.best)
            if self.state.best is None or accuracy > self.state.best:
                self.state.best, self.state.best_iteration = accuracy, event.iteration

    def _observe(self, loss: float, caffe: subprocess.Popen[str]) -> None:
        """Ask the plateau rule, whose windows are of displays here; have Caffe stop if it acts."""
        rule = self.plan.rule
        if rule is None or self.why or self.asked:
            return
        if not self.plan.observed:
            shown = max(rule.window // max(self.plan.parameters.display, 1), 1)
            rule = replace(rule, window=shown)
        decision = self.state.plateau.observe(rule, self.state.iteration, loss)
        if decision is None:
            return
        self.why, self.what = decision.value, self.state.plateau.reason(rule)
        caffe.send_signal(signal.SIGINT)  # which makes a snapshot

    def _seal(self, file: Path) -> None:
        """Vouch for a snapshot that Caffe has written; the drop counts from the next iteration."""
        path = file.with_suffix("")
        iteration = int(path.name.rpartition("_")[2])
        drops = self.state.plateau.drops
        if self.why == Decision.DROP.value:
            drops[-1] = iteration
            self._note("drop", iteration, lr=self.plan.rate(len(drops)), why=self.what)
        self.state.iteration = iteration
        self.state.ended = self.why if self.why in ENDED else None
        if iteration >= self.plan.parameters.max_iter:
            self.state.ended = "max_iter"
        model = f"{self.folder.snapshots.name}/{path.name}{snapshots.KINDS[0]}"
        best = self.state.best_iteration == iteration
        self._note("snapshot", iteration, model=model, best=best)
        snapshots.seal(path, self._manifest)
        snapshots.prune(self.folder.snapshots, self.plan.keep, self.state.best_iteration)
        solver_ = run_solver(self.plan, self.folder.net.as_posix(), drops)
        write_all({self.folder.solver: solver_})

    def _manifest(self, files: dict[str, snapshots.File]) -> snapshots.Manifest:
        seed, engine = self.plan.seed(0), self.record.engine
        return snapshots.Manifest(snapshots.VERSION, files, self.plan.net, seed, engine, self.state)

    def _outcome(self) -> Outcome | None:
        if self.why == Decision.DROP.value:
            return None
        if self.asked:
            self.why, self.what = "stopped", "with a snapshot"
        elif self.why in (None, "max_iter"):
            self.why = self.state.ended = "max_iter"
            self.what = ending(self.state, self.plan.rule) or ""
        self._note("end", self.state.iteration, why=self.why, what=self.what)
        return Outcome(self.why, self.what, self.state.iteration, self.asked)

    def _note(self, event: str, iteration: int, **values: object) -> None:
        now = time.monotonic()
        self.state.seconds, self.since = self.state.seconds + now - self.since, now
        seconds = round(self.state.seconds, 3)
        self.watcher.heard(self.journal.write(event, iteration, seconds=seconds, **values))

    def _ask(self, caffe: subprocess.Popen[str]) -> Callable[[int, object], None]:
        def ask(number: int, _frame: object) -> None:
            if self.asked:
                caffe.kill()
                raise KeyboardInterrupt
            self.asked = number
            caffe.send_signal(signal.SIGINT)

        return ask
