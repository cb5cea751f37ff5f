"""What a run finds of a killed one's work, and whether it may go on with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from data_prep.ledger import Ledger
from data_prep.options import Options
from data_prep.records import DataError, Source

FORMAT = 2  # of the ledger and of what is written; to be changed with either
# What other machines, threads and places do not change.
FREE = ("out", "jobs", "scheduler", "force", "resume", "dry_run")


def agree(ledger: Ledger, source: Source, options: Options) -> None:
    """Check that a killed run was given the same options; note them if there was none.

    Raises
    ------
    DataError
        It was not, and its work is of no use for this one.
    """
    wanted = _settings(source, options)
    noted = ledger.noted("settings")
    found = json.loads(noted) if noted else wanted
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        what = ", ".join(
            f"{name} ({found.get(name)!r}, now {wanted[name]!r})" for name in differing
        )
        raise DataError(
            f"{options.out}: the run to be resumed had another {what}: give the same, or start anew"
            " without --resume"
        )
    ledger.note("settings", json.dumps(wanted))


def begin_writing(ledger: Ledger, new: Path, say: Callable[[str], None]) -> None:
    """Clear `new`, unless what is in it was written by this very plan."""
    plan = ledger.digest()
    if ledger.noted("plan") == plan:
        return
    if any(new.iterdir()):
        say("images changed since: writing all databases anew")
    clear(ledger, new)
    ledger.note("plan", plan)


def clear(ledger: Ledger, new: Path) -> None:
    """Drop all that is written."""
    shutil.rmtree(new)
    new.mkdir()
    with ledger.connection:
        ledger.connection.execute("DELETE FROM written")


def _settings(source: Source, options: Options) -> dict[str, object]:
    asked = {name: value for name, value in asdict(options).items() if name not in FREE}
    tasks = {task: list(names) for task, names in source.tasks.items()}
    settings = {"format": FORMAT, "source": source.name, "tasks": tasks, **asked}
    return json.loads(json.dumps(settings))  # type: ignore[no-any-return]  # as it is read again
