"""The journal of a run, ``log.jsonl``: one JSON object per line, written during the run.

Every line has `event` and `iteration` (updates of the weights so far, as Caffe counts); those that
the training itself writes have `seconds` (of training, over all resumes). Outputs have the names
that they have in train_val.prototxt (``loss_noun``, ``top1_noun``, ``top5_noun``); numbers that are
not finite are written as null.

``start``
    `epoch`: the iterations of an epoch (a float). `plan`: the SHA-256 of run.json's plan.
``train``, at every `display`
    `epoch`: epochs so far; `loss`: the sum of all losses by their weights, mean of
    the iterations since the last display; `outputs`: output -> the same mean of each loss; `lr`: of
    this iteration, null under a policy of the solver's own. On several GPUs, netgen 0.2 wrote a
    last one without outputs, of Caffe's last line.
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
again, the same. So iterations never decrease from line to line, and nothing but a resume follows an
end. Lines of one event have the same outputs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from netgen.caffe.schema import layers_in, read_net
from netgen.caffe.training_log import LogError, NetOutputs, TrainingLog
from netgen.network.dataset import LARGEST
from netgen.system.files import LOGS, read_text_file, write_all, written_to
from netgen.training.state import COMPLETED

Entry = dict[str, Any]

# Of the lines of one iteration number, which come before its snapshot, and which after it.
BEFORE_SNAPSHOT = frozenset({"test", "drop", "snapshot"})
AFTER_SNAPSHOT = frozenset({"round", "train", "end"})

ACCURACIES = ("top1_", "top5_")  # prefixes of the outputs of netgen's networks that are accuracies
ROUNDED = 1e-4  # by how much Caffe's mean of batches, in single precision, may be above 1


class JournalError(ValueError):
    """A journal that is damaged, or none; the message says where."""


class _Line(msgspec.Struct, tag_field="event"):
    """A line as it is read again; what nothing reads is not checked."""

    iteration: Annotated[int, Meta(ge=0, le=LARGEST)]
    seconds: float = 0.0


class _Start(_Line, tag="start"):
    pass


class _Round(_Line, tag="round"):
    pass


class _Resume(_Line, tag="resume"):
    pass


class _Train(_Line, tag="train", kw_only=True):
    outputs: dict[str, float | None]
    loss: float | None = None
    lr: float | None = None

    def __post_init__(self) -> None:
        if not self.outputs and self.loss is None:
            raise ValueError("neither a loss nor the outputs that it is of")


class _Test(_Line, tag="test", kw_only=True):
    outputs: dict[str, float | None]

    def __post_init__(self) -> None:
        for name, value in self.outputs.items():
            if name.startswith(ACCURACIES) and not 0 <= (value or 0) <= 1 + ROUNDED:
                raise ValueError(f"{name} is {value:g}, and an accuracy is between 0 and 1")


class _Drop(_Line, tag="drop", kw_only=True):
    lr: float | None


class _Snapshot(_Line, tag="snapshot", kw_only=True):
    model: str


class _End(_Line, tag="end", kw_only=True):
    why: Literal["max_iter", "converged", "stopped", "failed"]
    what: str


LINE = _Start | _Round | _Resume | _Train | _Test | _Drop | _Snapshot | _End


class Journal:
    """A run's ``log.jsonl``, open for appending."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, iteration: int, **values: Any) -> Entry:
        """Append one line, and return it."""
        entry: Entry = _finite({"event": event, "iteration": iteration} | values)
        with written_to(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        return entry

    def rewind_to(self, iteration: int, test_pending: bool = False) -> None:
        """Remove the lines after a snapshot at `iteration`, and a line that was cut off.

        The snapshot is of the run after the test of that iteration, or, with `test_pending`, before
        it.
        """
        after = AFTER_SNAPSHOT | BEFORE_SNAPSHOT if test_pending else AFTER_SNAPSHOT
        kept = [entry for entry in read_journal(self.path) if _stays(entry, iteration, after)]
        lines = "".join(json.dumps(entry) + "\n" for entry in kept)
        write_all({self.path: lines}, durable=True)


def read_journal(path: Path) -> list[Entry]:
    """Return a journal's lines, oldest first; none if it does not exist.

    A last line that is still being written, or was cut off, is left out.

    Raises
    ------
    JournalError
        Another line is damaged: not JSON, a field is missing or of another type; or it contradicts
        those above, as where two runs' lines are in one file: its iteration is before theirs, its
        outputs are others, or the run had ended.
    """
    if not path.exists():
        return []
    text = read_text_file(path, LOGS, errors="replace")
    return list(_read(path, text.split("\n")))


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
            if entry["event"] == event and (entry["outputs"] or event == "test")
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


def _read(path: Path, lines: Sequence[str]) -> Iterator[Entry]:
    last = max((number for number, line in enumerate(lines, 1) if line.strip()), default=0)
    before = _Before()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry: Entry = msgspec.json.decode(line)
            told = msgspec.convert(entry, LINE)
        except (msgspec.ValidationError, RecursionError) as error:
            raise _damaged(path, number, error) from None
        except msgspec.DecodeError as error:
            if number < last:
                raise _damaged(path, number, error) from None
            return
        if why := before.contradicted_by(told):
            raise _damaged(path, number, why)
        yield entry


class _Before:
    """What the lines above have told."""

    def __init__(self) -> None:
        self._last: _Line | None = None
        self._outputs: dict[type[_Line], Collection[str]] = {}

    def contradicted_by(self, line: _Line) -> str | None:
        """Return why a line cannot follow them, if so; else take it in."""
        last, self._last = self._last, line
        if last and line.iteration < last.iteration:
            return f"iteration {line.iteration:,} after {last.iteration:,}"
        if last and isinstance(line, _Start):
            return "a second start: are two runs' lines in one file?"
        if isinstance(last, _End) and not isinstance(line, _Resume):
            return "the run had ended: are two runs' lines in one file?"
        if isinstance(line, _Train | _Test):
            known = self._outputs.setdefault(type(line), line.outputs)
            if others := [name for name in line.outputs if name not in known]:
                return f"the output {others[0]!r}, which the lines above lack"
        return None


def _damaged(path: Path, number: int, error: Exception | str) -> JournalError:
    return JournalError(
        f"{path}: not a log.jsonl of `netgen train`, or damaged (line {number}: {error}): correct"
        " that line; or give a run's folder, or Caffe's log"
    )


def _stays(entry: Mapping[str, Any], iteration: int, after: frozenset[str]) -> bool:
    if entry["iteration"] == iteration:
        return entry["event"] not in after
    return bool(entry["iteration"] < iteration)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
