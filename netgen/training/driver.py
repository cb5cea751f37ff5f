"""A run from its first round to its last, in netgen's own process, which never loads Caffe."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from netgen.caffe.child import call
from netgen.caffe.engine import EngineError, find_engine, require_gpu
from netgen.system.files import digest, write_all
from netgen.system.machine import versions
from netgen.training import fingerprint, snapshots
from netgen.training.journal import Journal
from netgen.training.messages import Described, Outcome, describe, ending
from netgen.training.plan import Plan, run_solver
from netgen.training.prepare import check_weights
from netgen.training.run_folder import Record, RunError, RunFolder, Weights, held
from netgen.training.worker import work

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOCK = "lock"
START_UP = 300  # seconds that importing Caffe and waking a GPU may take


@dataclass(frozen=True)
class Watcher:
    """Who is told of a run: `heard` of the journal's entries and of beats, `said` of sentences."""

    heard: Callable[[Any], None]
    said: Callable[[str], None]


def begin(
    folder: RunFolder, plan: Plan, variant: str, weights: Path | None, command: Sequence[str]
) -> Record:
    """Make a run's folder, once everything about the run is known to be possible.

    The caller is `holding` the folder.

    Raises
    ------
    ValueError
        The weights are another network's, the engine lacks something, or a run is there already.
    """
    if folder.record.exists():
        raise RunError(
            f"{folder.path}: a run is there already: go on with it (--resume), or name another"
            " folder (--run)"
        )
    net = Path(plan.parameters.net)
    if weights:
        check_weights(weights, net)
    described = _describe(plan)
    record = Record(
        versions=versions("caffe", described.engine.version),
        begun=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        folder=str(Path.cwd()),
        command=list(command),
        variant=variant,
        engine=described.engine,
        weights=Weights(str(weights), digest(weights)) if weights else None,
        plan=plan,
    )
    folder.snapshots.mkdir(exist_ok=True)
    write_all(
        {
            folder.net: net.read_bytes(),
            folder.solver: run_solver(plan, folder.net.as_posix(), []),
            folder.journal: "",
            folder.record: msgspec.json.format(msgspec.json.encode(record)),
        }
    )
    Journal(folder.journal).write("start", 0, epoch=round(plan.records / plan.batch, 4))
    return record


def take_up(
    folder: RunFolder, record: Record, inexact: bool, said: Callable[[str], None]
) -> snapshots.Snapshot | None:
    """Make ready to go on with a run; return the snapshot that it goes on from, if there is one.

    Raises
    ------
    ValueError
        The run is another network's by now, or the engine would give other bits.
    """
    if not folder.net.is_file() or digest(folder.net) != record.plan.net:
        raise RunError(
            f"{folder.net}: not the network that the run was begun with: bring that back, or begin"
            " another run (--run)"
        )
    differences = fingerprint.differences(record.engine, _describe(record.plan).engine)
    if differences and not inexact:
        raise RunError(
            f"{folder.path}: a resume would not give the same bits: {'; '.join(differences)}."
            " Resume as it was begun, or say --inexact to go on all the same"
        )
    found = snapshots.find_all(folder.snapshots)
    start = snapshots.newest_whole(folder.snapshots, said)
    _check_start(folder, record, start, bool(found))
    snapshots.remove_unfinished(folder.snapshots)
    iteration = start.iteration if start else 0
    journal = Journal(folder.journal)
    journal.go_back_to(iteration, due=start is not None and start.manifest.state.due)
    journal.write("resume", iteration)
    drops = start.manifest.state.plateau.drops if start else []
    write_all({folder.solver: run_solver(record.plan, folder.net.as_posix(), drops)})
    return start


def ended(folder: RunFolder, record: Record, start: snapshots.Snapshot | None) -> Outcome | None:
    """Return how a run ended whose newest snapshot says that it did; its journal says so, too."""
    state = start.manifest.state if start else None
    if state is None or state.ended is None:
        return None
    what = ending(state, record.plan.rule) or ""
    seconds = round(state.seconds, 3)
    Journal(folder.journal).write(
        "end", state.iteration, seconds=seconds, why=state.ended, what=what
    )
    return Outcome(state.ended, what, state.iteration)


def _check_start(
    folder: RunFolder, record: Record, start: snapshots.Snapshot | None, any_there: bool
) -> None:
    """Refuse to go on from another network's snapshot, or to begin anew behind the user's back."""
    if start and start.manifest.net != record.plan.net:
        raise RunError(
            f"{start.path}: a snapshot of another network than {folder.net}: move it away to go on"
            " from an older one"
        )
    if start is None and any_there:
        raise RunError(
            f"{folder.snapshots}: no snapshot is whole (see above): bring the missing files back,"
            " or begin another run (--run)"
        )
    if start is None and record.weights:
        path = Path(record.weights.path)
        if not path.is_file() or digest(path) != record.weights.sha256:
            raise RunError(
                f"{path}: not there, or not what the run began with, and there is no snapshot yet:"
                " bring it back, or begin another run (--run)"
            )


def train(folder: RunFolder, record: Record, watcher: Watcher, timeout: float) -> Outcome:
    """Work on a run, round after round, until it ends or is stopped.

    Raises
    ------
    EngineError
        Caffe ended its process, or said nothing for `timeout` seconds.
    OSError
        A file could not be written. In both cases the newest snapshot is whole.
    """
    weights = Path(record.weights.path) if record.weights else None
    while True:
        start = snapshots.newest_whole(folder.snapshots, watcher.said)
        try:
            outcome: Outcome = call(
                work, record.plan, folder.path, start, weights,
                silence=timeout, on_message=watcher.heard, log=folder.caffe_log, signals=SIGNALS,
            )  # fmt: skip
        except EngineError as error:
            raise EngineError(
                f"{error}. Caffe's log: {folder.caffe_log}. {how_to_resume(folder)}"
            ) from None
        if outcome.why != "round":
            return outcome


def how_to_resume(folder: RunFolder) -> str:
    """Say where a run would go on, and by which command."""
    found = snapshots.find_all(folder.snapshots)
    at = f"iteration {found[-1].iteration:,}" if found else "its beginning"
    command = f"netgen train --resume --run {shlex.quote(str(folder.path))}"
    return f"Go on from {at} with: {command}"


@contextmanager
def holding(folder: RunFolder, new: bool) -> Iterator[None]:
    """Hold a run's folder against others in a with block; make it first if the run is `new`.

    What could not be begun leaves no folder behind.

    Raises
    ------
    RunError
        Another process is at work in it, or a new run would be put among other files.
    """
    if not new and not folder.path.is_dir():
        folder.read()  # which says what is wrong
    if new and folder.path.is_dir() and not folder.record.exists() and _others(folder):
        raise RunError(
            f"{folder.path}: holds other files ({_others(folder)[0].name}, …): name a new folder"
            " for the run (--run)"
        )
    folder.path.mkdir(parents=True, exist_ok=True)
    lock = folder.path / LOCK
    try:
        with held(lock, f"{folder.path}: another `netgen train` is at work in it"):
            yield
    finally:
        if not folder.record.exists():
            made = (folder.snapshots.rmdir, folder.path.rmdir) if new else ()
            for remove in (lock.unlink, *made):
                with suppress(OSError):  # it is not there, or holds more than this
                    remove()


def _others(folder: RunFolder) -> list[Path]:
    """Return what is in a folder that was never a run's; one that was has its lock."""
    return [] if (folder.path / LOCK).exists() else list(folder.path.iterdir())


def _describe(plan: Plan) -> Described:
    """Ask a child what computes, after making sure that it can."""
    if plan.gpu is not None:
        require_gpu(find_engine())
    described: Described = call(describe, plan.gpu, silence=START_UP)
    if plan.reseed and not described.can_reseed:
        raise EngineError(
            "the network has Dropout, whose random numbers this pycaffe cannot repeat (it lacks"
            " set_random_seed): train without Dropout, or with BVLC's Caffe 1.0"
        )
    return described
