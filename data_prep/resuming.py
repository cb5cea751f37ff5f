"""What a run finds of a killed one's work, and when everything has to be written anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from data_prep.ledger import Ledger, encoded
from data_prep.records import DataError, Source
from data_prep.request import Options

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


# ---- damage that a glance does not show, found while writing ------------------------------------
# An image that is rejected leaves all databases, and the split is of those that are left; so one
# that turns out to be damaged changes the plan. It is taken down as a reject, the scan is
# repeated thoroughly for all that no one has decoded yet, and there is a new plan, of the same
# bytes as if the first scan had been a thorough one. So a run starts over once at most, and most
# never do.

THOROUGH = "thorough"  # a note in the ledger, for a run that goes on with a killed one's work


class Damaged(DataError):  # noqa: N818 - it is the images that are
    """Images that were scanned and cannot be decoded: name -> reason."""

    def __init__(self, found: Mapping[str, str]) -> None:
        name, reason = next(iter(found.items()))
        super().__init__(f"{name}: {reason}, but a scan found nothing wrong")
        self.found = found


def is_thorough(ledger: Ledger) -> bool:
    """Return whether damage was found, so that glances are not to be trusted."""
    return ledger.noted(THOROUGH) is not None


def start_over(ledger: Ledger, damaged: Damaged, new: Path, say: Callable[[str], None]) -> None:
    """Reject what is damaged, drop all that is written, and have the next scan be thorough.

    What was written is known to be sound. After a kill midway, the plan is another than that which
    was written, so the next run drops it.
    """
    with ledger.connection:
        ledger.connection.executemany(
            "UPDATE items SET reason = ? WHERE name = ?",
            [(reason, encoded(name)) for name, reason in damaged.found.items()],
        )
        ledger.connection.execute(
            "UPDATE items SET sound = 1 FROM written"
            " WHERE items.split = written.split AND items.position < written.records"
        )
        ledger.connection.execute("REPLACE INTO notes VALUES (?, 'yes')", (THOROUGH,))
    name, reason = next(iter(damaged.found.items()))
    say(f"{name}: {reason}: decoding all images before the split, and writing anew without it")
    clear(ledger, new)
