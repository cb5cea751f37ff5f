"""Trains on several GPUs by `caffe train -gpu 0,1`, since pycaffe uses only one.

Each GPU computes a whole batch, so an iteration reads the batch size times the number of GPUs. The
journal is taken from Caffe's log. To drop the rate, Caffe is stopped with a snapshot and started
again with one more stepvalue; each start, also for a resume, reads the data from the first record.
So nothing here repeats to the bit; GPUs do not even add up in the same order twice. The plateau
rule uses the displayed losses, each averaged by Caffe since the last display.

Of Caffe 1.0's GPUs only the first heeds a signal: it makes the snapshot and leaves, and the others
wait for it in NCCL for ever. So Caffe is killed when it has said that it stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from google.protobuf import text_format
from msgspec.structs import replace

from netgen.caffe.blas_kernel import kernel_setting
from netgen.caffe.engine import FLOAT32, EngineError, fatal_reason
from netgen.caffe.schema import parse_solver
from netgen.caffe.training_log import STOPPED, LogEvent, LogReader
from netgen.system.files import write_all
from netgen.system.interrupts import STOPPING, handling
from netgen.training import snapshots
from netgen.training.driver import RunListener, how_to_resume
from netgen.training.plan import TrainingPlan, run_solver
from netgen.training.plateau import Decision
from netgen.training.recorder import Recorder
from netgen.training.run_folder import RunFolder, RunRecord
from netgen.training.state import COMPLETED, FAILED, Outcome, TrainingState, completion


def train(folder: RunFolder, record: RunRecord, listener: RunListener, program: Path) -> Outcome:
    """Train a run until it ends or a signal stops it; `program` is Caffe's.

    Raises
    ------
    EngineError
        Caffe ended its process.
    """
    while True:
        start = snapshots.newest_whole(folder.snapshots, listener.on_message)
        run = _CaffeProcess(folder, record, listener, start)
        outcome = run.train(command(program, folder, record, start))
        if outcome:
            return outcome


def command(
    program: Path, folder: RunFolder, record: RunRecord, start: snapshots.Snapshot | None
) -> list[str]:
    """Return Caffe's command line: solver, GPUs, and the snapshot or weights to start from."""
    words = [str(program), "train", "-solver", str(folder.round_solver)]
    words += ["-gpu", ",".join(map(str, record.plan.gpus))]
    if start:
        return [*words, "-snapshot", str(start.solverstate)]
    return [*words, "-weights", record.weights.path] if record.weights else words


def solver(plan: TrainingPlan, folder: RunFolder, drops: list[int]) -> str:
    """Return Caffe's solver: with snapshots in the run's folder and averaged losses."""
    found = parse_solver(run_solver(plan, folder.net.as_posix(), drops))
    found.snapshot_prefix = (folder.snapshots / plan.name).as_posix()
    found.average_loss = max(found.display, 1)
    found.ClearField("device_id")  # the command line has it
    return text_format.MessageToString(found)


class _CaffeProcess:
    """One process of `caffe train`."""

    def __init__(
        self,
        folder: RunFolder,
        record: RunRecord,
        listener: RunListener,
        start: snapshots.Snapshot | None,
    ) -> None:
        self.folder, self.record, self.plan = folder, record, record.plan
        self.state = start.manifest.state if start else TrainingState()
        self.recorder = Recorder(folder, record.plan, self.state, listener.on_event)
        self.signal: int | None = None
        self.reason: str | None = None
        self.detail = ""
        self.has_stopped = False

    def train(self, words: list[str]) -> Outcome | None:
        """Run Caffe; None when it is to start again, with a lower rate."""
        text = solver(self.plan, self.folder, self.state.plateau.drops)
        write_all({self.folder.round_solver: text})
        with (
            self.folder.caffe_log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                words,
                env=FLOAT32 | kernel_setting() | dict(os.environ),
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            ) as caffe,  # in its own session, so that Ctrl-C reaches only netgen
            handling(STOPPING, self._stopper(caffe)),
        ):
            fatal = self._read_log(caffe, log.write)
        if caffe.returncode != 0 and self.reason != FAILED and not self.has_stopped:
            raise EngineError(
                f"Caffe ended with status {caffe.returncode}: {fatal_reason(fatal)}. Caffe's log:"
                f" {self.folder.caffe_log}. {how_to_resume(self.folder)}"
            )
        return self._outcome()

    def _read_log(self, caffe: subprocess.Popen[str], keep: Callable[[str], object]) -> str:
        """Read Caffe's log to its end; return its fatal lines."""
        reader, fatal = LogReader(), ""
        for line in caffe.stderr or ():
            keep(line)
            fatal += line if line.startswith("F") else ""
            if event := reader.read(line):
                self._on_event(event, caffe)
            if STOPPED in line:
                self.has_stopped = True
                caffe.kill()  # all its files are written
        if event := reader.end():
            self._on_event(event, caffe)
        return fatal

    def _on_event(self, event: LogEvent, caffe: subprocess.Popen[str]) -> None:
        self.state.iteration = max(self.state.iteration, event.iteration)
        if event.what == "train":
            self._on_display(event, caffe)
        elif event.what == "test":
            self.recorder.test(event.iteration, event.outputs)
            if self.plan.observed in event.outputs:
                self._observe(event.outputs[str(self.plan.observed)], caffe)
        elif event.what == "snapshot":
            self._seal(Path(event.file))
        elif event.what == "done" and self.reason is None:
            self.reason = "max_iter"

    def _on_display(self, event: LogEvent, caffe: subprocess.Popen[str]) -> None:
        if event.outputs:  # none after the last iteration, whose display tells the mean loss again
            self.recorder.display(event.iteration, event.loss, event.outputs)
        if problem := self.state.health.check(event.loss, self.plan.explosion):
            self.reason, self.detail = FAILED, problem
            caffe.kill()  # its weights are useless: no snapshot
        elif not self.plan.observed:
            self._observe(event.loss, caffe)

    def _observe(self, loss: float, caffe: subprocess.Popen[str]) -> None:
        """Apply the plateau rule, here to displayed losses; stop Caffe if the rate is to drop."""
        rule = self.plan.rule
        if rule is None or self.reason or self.signal:
            return
        if not self.plan.observed:
            shown = max(rule.window // max(self.plan.parameters.display, 1), 1)
            rule = replace(rule, window=shown)
        decision = self.state.plateau.observe(rule, self.state.iteration, loss)
        if decision is None:
            return
        self.reason, self.detail = decision.value, self.state.plateau.reason(rule)
        caffe.send_signal(signal.SIGINT)  # which makes a snapshot

    def _seal(self, file: Path) -> None:
        """Record a snapshot that Caffe has written; a drop is before its next iteration."""
        path = file.with_suffix("")
        iteration = int(path.name.rpartition("_")[2])
        self.state.iteration = iteration
        if self.reason == Decision.DROP.value:
            self.state.plateau.drops[-1] = iteration
            self.recorder.drop(self.detail)
        self.state.ended = self.reason if self.reason in COMPLETED else None
        if iteration >= self.plan.parameters.max_iter:
            self.state.ended = "max_iter"
        best = self.state.best_iteration == iteration
        engine = self.record.engine
        self.recorder.snapshot(path, best=best, seed=self.plan.seed(0), engine=engine)

    def _outcome(self) -> Outcome | None:
        if self.reason == Decision.DROP.value:
            return None
        if self.signal:
            self.reason, self.detail = "stopped", "with a snapshot"
        elif self.reason in (None, "max_iter"):
            self.reason = self.state.ended = "max_iter"
            self.detail = completion(self.state, self.plan.rule) or ""
        return self.recorder.end(self.reason, self.detail, self.signal)

    def _stopper(self, caffe: subprocess.Popen[str]) -> Callable[[int, object], None]:
        """Return a signal handler: the first signal stops Caffe with a snapshot, the next kills."""

        def stop(number: int, _frame: object) -> None:
            if self.signal:
                caffe.kill()
                raise KeyboardInterrupt
            self.signal = number
            caffe.send_signal(signal.SIGINT)

        return stop
