"""Runs a training, begun or resumed, round by round; Caffe runs in child processes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from netgen.caffe.child import call
from netgen.caffe.database_cursor import check_readable
from netgen.caffe.engine import EngineError, find_engine, require_gpu
from netgen.caffe.schema import layers_in, read_net
from netgen.network.description import description_in, text_of, trained_on
from netgen.system.files import PARTIAL, digest, read_file, write_all
from netgen.system.interrupts import STOPPING
from netgen.system.machine import versions
from netgen.training import fingerprint, snapshots
from netgen.training.feeds import databases_of
from netgen.training.fingerprint import EngineReport, describe
from netgen.training.journal import Journal, read_journal
from netgen.training.plan import TrainingPlan, run_solver
from netgen.training.prepare import check_data, check_weights
from netgen.training.recorder import Recorder
from netgen.training.run_folder import RunError, RunFolder, RunRecord, WeightsFile, locked
from netgen.training.state import Outcome, completion
from netgen.training.worker import train_round

LOCK = "lock"
# What Caffe says, in small letters, when reading a database ended it.
READING_ENDED_IT = ("sigbus", "sigsegv", "mdb")
START_UP = 300  # seconds that importing Caffe and initialising a GPU may take


@dataclass(frozen=True)
class RunListener:
    """Functions that are called while a run trains.

    Attributes
    ----------
    on_event
        Called with each entry of the journal, and with each `Progress`.
    on_message
        Called with sentences for the user.
    """

    on_event: Callable[[Any], None]
    on_message: Callable[[str], None]


def begin(
    folder: RunFolder,
    plan: TrainingPlan,
    variant: str,
    weights: Path | None,
    command: Sequence[str],
) -> RunRecord:
    """Write a new run's files, after checking its weights and engine.

    The caller has locked the folder (`locked_folder`).

    Raises
    ------
    ValueError
        The weights are another network's, the engine lacks something, or the folder has a run.
    """
    if folder.record.exists():
        raise RunError(
            f"{folder.path}: there is a run already: resume it (--resume), or name another folder"
            " (--run)"
        )
    net = Path(plan.parameters.net)
    if weights:
        check_weights(weights, net)
    engine = _describe(plan).engine
    record = RunRecord(
        versions=versions("caffe", engine.version),
        begun=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        folder=str(Path.cwd()),
        command=list(command),
        variant=variant,
        engine=engine,
        weights=WeightsFile(str(weights), digest(weights)) if weights else None,
        plan=plan,
    )
    folder.snapshots.mkdir(exist_ok=True)
    write_all(
        {
            folder.net: read_file(net),
            **_for_predictions(folder, net),
            folder.solver: run_solver(plan, folder.net.as_posix(), []),
            folder.journal: "",
            folder.record: msgspec.json.format(msgspec.json.encode(record)),
        },
        durable=True,
    )
    Journal(folder.journal).write(
        "start", 0, epoch=round(plan.records / plan.batch, 4), plan=plan.digest
    )
    return record


def _for_predictions(folder: RunFolder, net: Path) -> dict[Path, str | bytes]:
    """Return what predictions with the trained weights need, as far as it is beside the network."""
    found, deploy = description_in(net.parent), net.with_name("deploy.prototxt")
    if found is None or not deploy.is_file():
        return {}
    layers = layers_in(read_net(net), "TRAIN")
    images = next(layer.data_param.source for layer in layers if not layer.bottom)
    described = trained_on(found[1], Path(images))
    return {folder.deploy: read_file(deploy), folder.description: text_of(described)}


def resume(
    folder: RunFolder, record: RunRecord, inexact: bool, on_message: Callable[[str], None]
) -> snapshots.Snapshot | None:
    """Prepare a run's folder for a resume; return the snapshot to resume from, if there is one.

    Raises
    ------
    ValueError
        The plan, the network or the data have changed, no snapshot is usable, or the engine would
        give other bits.
    """
    _check_plan(folder, record)
    if not folder.net.is_file() or digest(folder.net) != record.plan.net:
        raise RunError(
            f"{folder.net}: not the network that the run began with: restore that file, or begin"
            " another run (--run)"
        )
    differences = fingerprint.differences(record.engine, _describe(record.plan).engine)
    if differences and not inexact:
        raise RunError(
            f"{folder.path}: a resume would not give the same bits: {'; '.join(differences)}."
            " Resume it on the engine it began with, or add --inexact to resume all the same"
        )
    found = snapshots.find_all(folder.snapshots)
    start = snapshots.newest_whole(folder.snapshots, on_message)
    _check_start(folder, record, start, bool(found))
    if start is None or start.manifest.state.ended is None:
        check_data(record.plan, folder.net)
    snapshots.remove_unfinished(folder.snapshots)
    iteration = start.iteration if start else 0
    journal = Journal(folder.journal)
    if start and not _is_told(folder, start):
        on_message(
            f"{folder.journal}: does not tell of iteration {iteration:,}, from which the run goes"
            " on: lines are missing, and stay so"
        )
    journal.rewind_to(iteration, start is not None and start.manifest.state.test_pending)
    journal.write("resume", iteration)
    drops = start.manifest.state.plateau.drops if start else []
    write_all({folder.solver: run_solver(record.plan, folder.net.as_posix(), drops)})
    return start


def _check_plan(folder: RunFolder, record: RunRecord) -> None:
    """Refuse a plan that is another than the run's journal began with; older ones do not tell."""
    first = next(iter(read_journal(folder.journal)), {})
    if first.get("plan", record.plan.digest) != record.plan.digest:
        raise RunError(
            f"{folder.record}: its plan is not the one that the run began with (the first line of"
            f" {folder.journal} has its SHA-256): restore that file, or begin another run (--run)"
        )


def _is_told(folder: RunFolder, start: snapshots.Snapshot) -> bool:
    return any(
        entry["event"] == "snapshot" and entry["iteration"] == start.iteration
        for entry in read_journal(folder.journal)
    )


def completed(
    folder: RunFolder, record: RunRecord, start: snapshots.Snapshot | None
) -> Outcome | None:
    """Return and record how a run ended, if its newest snapshot completes it."""
    state = start.manifest.state if start else None
    if state is None or state.ended is None:
        return None
    detail = completion(state, record.plan.rule) or ""
    return Recorder(folder, record.plan, state, lambda _: None).end(state.ended, detail)


def _check_start(
    folder: RunFolder, record: RunRecord, start: snapshots.Snapshot | None, any_there: bool
) -> None:
    """Refuse another network's snapshot, and to start over where snapshots are damaged or gone."""
    if start and start.manifest.net != record.plan.net:
        raise RunError(
            f"{start.path}: a snapshot of another network than {folder.net}: move it away to resume"
            " from an older one"
        )
    last = record.plan.parameters.max_iter
    ended = start.manifest.state.ended if start else None
    if start and (start.iteration > last or (ended == "max_iter" and start.iteration < last)):
        said = ", at which the run had ended" if ended else ""
        raise RunError(
            f"{start.path}: of iteration {start.iteration:,}{said}, but"
            f" {folder.record} has {last:,} iterations: restore the one that was changed, or begin"
            " another run (--run)"
        )
    if start is None and any_there:
        raise RunError(
            f"{folder.snapshots}: no snapshot is usable (see above): restore the missing files, or"
            " begin another run (--run)"
        )
    if start is None and (reached := _last_snapshot(folder)):
        raise RunError(
            f"{folder.path}: its journal tells of a snapshot at iteration {reached:,}, but"
            f" {folder.snapshots} has none: restore the snapshots to resume, or begin another run"
            " (--run)"
        )
    if start is None and record.weights:
        path = Path(record.weights.path)
        if not path.is_file() or digest(path) != record.weights.sha256:
            raise RunError(
                f"{path}: not found, or not the weights that the run began with, and there is no"
                " snapshot yet: restore it, or begin another run (--run)"
            )


def _last_snapshot(folder: RunFolder) -> int | None:
    """Return the iteration of the last snapshot that was whole, as the journal tells; or None.

    A snapshot is told before its manifest is written: it was whole if anything is told after it.
    """
    entries = read_journal(folder.journal)
    whole = [entry for entry, _ in pairwise(entries) if entry["event"] == "snapshot"]
    return int(whole[-1]["iteration"]) if whole else None


def train(folder: RunFolder, record: RunRecord, listener: RunListener, timeout: float) -> Outcome:
    """Train a run, one round after another, until it ends or a signal stops it.

    Raises
    ------
    EngineError
        Caffe ended its process, or made no progress for `timeout` seconds.
    OSError
        A file could not be written. In both cases the newest snapshot is valid.
    """
    weights = Path(record.weights.path) if record.weights else None
    while True:
        start = snapshots.newest_whole(folder.snapshots, listener.on_message)
        try:
            outcome: Outcome = call(
                train_round, record.plan, folder.path, start, weights,
                silence=timeout, on_message=listener.on_event, log=folder.caffe_log,
                signals=STOPPING,
            )  # fmt: skip
        except EngineError as error:
            if any(word in str(error).lower() for word in READING_ENDED_IT):
                check_readable(databases_of(folder.net))
            raise EngineError(
                f"{error}. Caffe's log: {folder.caffe_log}. {_how_to_go_on(folder)}"
            ) from None
        if outcome.reason != "round":
            return outcome


def _how_to_go_on(folder: RunFolder) -> str:
    """Return how to go on after Caffe has ended its process.

    Before the first iteration is done, a resume meets the same again.
    """
    if any(entry["event"] in ("train", "snapshot") for entry in read_journal(folder.journal)):
        return how_to_resume(folder)
    where = shlex.quote(str(folder.path))
    return (
        f"Nothing was trained yet: mend what Caffe names, remove {where}, and begin again; or go on"
        f" with: netgen train --resume --run {where}"
    )


def how_to_resume(folder: RunFolder) -> str:
    """Return a sentence with the iteration from which a resume starts, and its command."""
    found = snapshots.find_all(folder.snapshots)
    at = f"iteration {found[-1].iteration:,}" if found else "its beginning"
    command = f"netgen train --resume --run {shlex.quote(str(folder.path))}"
    return f"Resume from {at} with: {command}"


@contextmanager
def locked_folder(folder: RunFolder, new: bool) -> Iterator[None]:
    """Lock a run's folder in a with block; create it first if the run is `new`.

    If the run could not begin, the folder is removed again.

    Raises
    ------
    RunError
        Another process trains in it, or a new run's folder has other files.
    """
    if not new and not folder.record.exists():
        folder.read()  # raises the message; what a killed beginning left stays a run's, by its lock
    if new and folder.path.is_dir() and not folder.record.exists() and _others(folder):
        raise RunError(
            f"{folder.path}: holds other files ({_others(folder)[0].name}, …): name a new folder"
            " for the run (--run)"
        )
    folder.path.mkdir(parents=True, exist_ok=True)
    lock = folder.path / LOCK
    try:
        with locked(lock, f"{folder.path}: another `netgen train` is running in it"):
            yield
    finally:
        if not folder.record.exists():
            made = (folder.snapshots.rmdir, folder.path.rmdir) if new else ()
            for remove in (lock.unlink, *made):
                with suppress(OSError):  # it does not exist, or has other files
                    remove()


def _others(folder: RunFolder) -> list[Path]:
    """Return the files of a folder that is not a run's folder, which has a lock.

    What a killed run was writing when it began is not among them.
    """
    if (folder.path / LOCK).exists():
        return []
    return [path for path in folder.path.iterdir() if path.suffix != PARTIAL]


def _describe(plan: TrainingPlan) -> EngineReport:
    """Describe the engine, after checking that it can train this plan."""
    if plan.gpu is not None:
        require_gpu(find_engine())
    report: EngineReport = call(describe, plan.gpu, silence=START_UP)
    if plan.reseed and not report.can_reseed:
        raise EngineError(
            "the network has Dropout, whose random numbers this pycaffe cannot repeat (it lacks"
            " set_random_seed): train without Dropout, or with BVLC's Caffe 1.0"
        )
    return report
