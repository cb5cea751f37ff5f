"""The journal of a run, ``log.jsonl``: one JSON object per line, written during the run.

Every line has `event` and `iteration` (updates of the weights so far, as Caffe counts); those that
the training itself writes have `seconds` (of training, over all resumes). Outputs have the names
that they have in train_val.prototxt (``loss_noun``, ``top1_noun``, ``top5_noun``); numbers that are
not finite are written as null.

``start``
    `epoch`: the iterations of an epoch (a float).
``train``, at every `display`
    `epoch`: epochs so far; `loss`: the sum of all losses by their weights, mean of
    the iterations since the last display; `outputs`: output -> the same mean of each loss; `lr`: of
    this iteration, null under a policy of the solver's own.
``test``, at every `test_interval`
    `outputs`: output -> mean over the test set; accuracies are between 0 and 1.
``drop``
    The rate dropped before this iteration: `lr`, the new rate, and `why`.
``snapshot``
    `model`: the caffemodel, relative to the run's folder; `best`: whether it is the best so far.
``round``
    A new Caffe process starts `round` at this iteration, from the first record, with `seed`.
``resume``
    The run was resumed from this iteration's snapshot.
``end``
    `why`: "max_iter", "converged", "stopped" (by a signal: can be resumed) or "failed"; `what`:
    the same in words.

A resume goes back to a snapshot and removes the lines of later iterations, which will be written
again, the same. So iterations never decrease from line to line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from netgen.caffe.schema import layers_in, read_net
from netgen.caffe.training_log import LogError, NetOutputs, TrainingLog
from netgen.system.files import write_all
from netgen.training.state import COMPLETED

Entry = dict[str, Any]

# Of the lines of one iteration number, which come before its snapshot, and which after it.
BEFORE_SNAPSHOT = frozenset({"test", "drop", "snapshot"})
AFTER_SNAPSHOT = frozenset({"round", "train", "end"})


class Journal:
    """A run's ``log.jsonl``, open for appending."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, iteration: int, **values: Any) -> Entry:
        """Append one line, and return it."""
        entry: Entry = _finite({"event": event, "iteration": iteration} | values)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        return entry

    def rewind_to(self, iteration: int, test_pending: bool = False) -> None:
        """Remove the lines after a snapshot at `iteration`, and a line that was cut off.

        The snapshot is of the run after the test of that iteration, or, with `test_pending`, before
        it.
        """
        after = AFTER_SNAPSHOT | BEFORE_SNAPSHOT if test_pending else AFTER_SNAPSHOT
        kept = [entry for entry in read_journal(self.path) if _stays(entry, iteration, after)]
        write_all({self.path: "".join(json.dumps(entry) + "\n" for entry in kept)})


def read_journal(path: Path) -> list[Entry]:
    """Return a journal's lines, oldest first; none if it does not exist.

    A last line that is still being written, or was cut off, is left out.
    """
    if not path.exists():
        return []
    return list(_whole(path.read_text(encoding="utf-8", errors="replace").splitlines()))


def journal_log(journal: Path, net: Path) -> TrainingLog:
    """Return a run's journal as Caffe's log would tell it; `net` is its train_val.prototxt.

    Raises
    ------
    LogError
        The journal has no line of a training yet.
    ValueError
        The network cannot be read.
    """
    entries = read_journal(journal)
    train, test = (
        [
            NetOutputs(entry["iteration"], _numbers(entry["outputs"]))
            for entry in entries
            if entry["event"] == event
        ]
        for event in ("train", "test")
    )
    if not train and not test:
        raise LogError(f"{journal}: no iteration in it yet: did the training start?")
    snapshots = [entry["model"] for entry in entries if entry["event"] == "snapshot"]
    read = read_net(net) if net.is_file() else None
    return TrainingLog(
        train=train,
        test=test,
        train_layers=layers_in(read, "TRAIN") if read else [],
        test_layers=layers_in(read, "TEST") if read else [],
        finished=entries[-1]["event"] == "end" and entries[-1].get("why") in COMPLETED,
        ties=None,
        model=journal.parent / snapshots[-1] if snapshots else None,
    )


def _numbers(outputs: Mapping[str, float | None]) -> dict[str, float]:
    """Return outputs with nan in place of null, as which the journal keeps what is not finite."""
    return {name: math.nan if value is None else value for name, value in outputs.items()}


def _whole(lines: Iterable[str]) -> Iterable[Entry]:
    for line in lines:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def _stays(entry: Mapping[str, Any], iteration: int, after: frozenset[str]) -> bool:
    if entry["iteration"] == iteration:
        return entry["event"] not in after
    return bool(entry["iteration"] < iteration)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
