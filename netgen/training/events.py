"""A run's numbers as TensorBoard's events, written by tensorboardX from the journal.

A folder has the events of one run, in one file, with each number once. A resume goes back to a
snapshot, whose iteration may lie before the last events, and the run's earlier part may have been
trained without events. So it writes the whole journal anew and removes the run's file of before; a
TensorBoard that is open is told to forget what it has read (`SessionLog.START` at step 0).
"""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from netgen.system.files import digest
from netgen.training.journal import Entry, read_journal
from netgen.training.run_folder import RunFolder
from netgen.training.series import SeriesReader

if TYPE_CHECKING:
    from tensorboardX.proto.event_pb2 import Event

PATTERN = "*tfevents*"  # what TensorBoard reads


class EventsError(ValueError):
    """Events that cannot be written; the message says what to do next."""


def check_events(folder: Path, run: RunFolder | None = None) -> None:
    """Create a folder for the events of a run, or of one that has not begun: None.

    Raises
    ------
    EventsError
        tensorboardX is missing, the folder has the events of another run, or the run's record does
        not tell when it began.
    OSError
        The folder cannot be written to.
    """
    if find_spec("tensorboardX") is None:
        raise EventsError(
            "--tensorboard needs the package tensorboardX, which this Python does not have:"
            " pip install 'netgen[tensorboard]'"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    if run:
        _begun(run)
    ours = _events_of(folder, run) if run else []
    if others := sorted(set(folder.glob(PATTERN)) - set(ours)):
        raise EventsError(
            f"{folder}: has events of something else ({others[0].name}): name a folder for this"
            " run alone; TensorBoard shows each folder below its --logdir as a run"
        )


class _Events:
    """The events of a run, open for appending."""

    def __init__(self, folder: Path, run: RunFolder) -> None:
        # Not its SummaryWriter, which writes in a thread: an error there is nobody's.
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._reader = SeriesReader()
        self._begun = _begun(run)
        before = _events_of(folder, run)
        file = folder / f"events.out.tfevents.{time.time():.0f}{_suffix(run)}"
        self._writer = RecordWriter(str(file))
        self._record(Event(wall_time=self._begun, file_version="brain.Event:2"))
        forget = SessionLog(status=SessionLog.START)
        self._record(Event(wall_time=self._begun, step=0, session_log=forget))
        for entry in read_journal(run.journal):
            self._write(entry)
        self._writer.flush()
        for old in before:
            if old != file:
                old.unlink(missing_ok=True)

    def add(self, entry: Entry) -> None:
        """Add what a new entry of the journal tells; OSError if it could not be written."""
        self._write(entry)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, entry: Entry) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        for kind, output, iteration, value, seconds in self._reader.read(entry):
            tag = f"{kind}/{output}" if output else kind
            number = math.nan if value is None else value
            told = Summary(value=[Summary.Value(tag=tag, simple_value=number)])
            # Its time is that of the training, without interruptions.
            at = self._begun + seconds
            self._record(Event(wall_time=at, step=iteration, summary=told))

    def _record(self, event: Event) -> None:
        self._writer.write(event.SerializeToString())


@contextmanager
def events_of(
    run: RunFolder, folder: Path | None, on_message: Callable[[str], object]
) -> Iterator[Callable[[Entry], None]]:
    """Write what a run's journal has so far, and in a with block what is added to it.

    Yields a function to call with each new entry. One that cannot be written is told, and ends the
    writing of events, but not the training.

    Parameters
    ----------
    run
        The run's folder.
    folder
        The folder of the events, which has been checked (`check_events`); None for no events.
    on_message
        Called with sentences for the user.

    Raises
    ------
    OSError
        What the journal has so far could not be written.
    """
    if folder is None:
        yield lambda _: None
        return
    events = _Events(folder, run)
    goes_on = True

    def add(entry: Entry) -> None:
        nonlocal goes_on
        try:
            if goes_on:
                events.add(entry)
        except OSError as error:
            goes_on = False
            on_message(
                f"{folder}: no more events are written ({error.strerror}); the training goes on."
                " Afterwards, all of them can be: --resume --tensorboard, with the run's folder"
            )

    try:
        yield add
    finally:
        with suppress(OSError):  # of what could not be written, which was told
            events.close()


def _begun(run: RunFolder) -> float:
    """Return when a run began, in seconds since 1970."""
    begun = run.read().begun
    try:
        return datetime.fromisoformat(begun).timestamp()
    except (ValueError, OverflowError):
        raise EventsError(
            f"{run.record}: begun: {begun!r} is no time: restore that file, or omit --tensorboard"
        ) from None


def _events_of(folder: Path, run: RunFolder) -> list[Path]:
    return [path for path in folder.glob(PATTERN) if path.name.endswith(_suffix(run))]


def _suffix(run: RunFolder) -> str:
    """Return the end of the names of a run's files, which no other run has."""
    return f".netgen-{digest(run.record)[:12]}"
