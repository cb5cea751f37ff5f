"""Decide which work of a run is used again: after a kill, or when an image proves to be damaged.

An image that is rejected is in no database, and the split is drawn among those that are left; so an
image that proves to be damaged while it is written changes the plan. It is recorded as a reject,
all images that have not been decoded yet are scanned thoroughly, and there is a new plan: the
dataset has the same bytes as if the first scan had been thorough. So a run starts over at most
once, and most runs never do.

Images that are the same although their files differ also change the plan, and show only when all
are written. Then all databases are written again. Whatever was killed when, the last plan is made
with the pixels of all images known, so the bytes are the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from data_prep.image_source import DataError, ImageSource
from data_prep.ledger import Ledger, encoded
from data_prep.request import DataOptions

FORMAT = 4  # of the ledger and of what is written; increase it when either changes
THOROUGH = "thorough"  # a note in the ledger, for a run that resumes


class Damaged(DataError):  # noqa: N818 - it is the images that are
    """Images that were scanned and cannot be decoded: name -> reason."""

    def __init__(self, found: Mapping[str, str]) -> None:
        name, reason = next(iter(found.items()))
        super().__init__(f"{name}: {reason}, but a scan found nothing wrong")
        self.found = found


def check_settings(ledger: Ledger, source: ImageSource, options: DataOptions) -> None:
    """Check that the run to be resumed had the same options; note them when there is none.

    Raises
    ------
    DataError
        It had other options, so its work cannot be used for this one.
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
            f"{options.out}: the run to be resumed had another {what}: give the same one, or begin"
            " without --resume"
        )
    ledger.note("settings", json.dumps(wanted))


def begin_writing(
    ledger: Ledger,
    new: Path,
    message: Callable[[str], None],
    why: str = "images changed since: writing all databases again",
) -> bool:
    """Clear `new`, unless what is in it was written by this plan; return whether it was cleared.

    `message` is called with the reason, `why`, when anything was in it.
    """
    plan = ledger.digest()
    if ledger.noted("plan") == plan:
        return False
    if any(new.iterdir()):
        message(why)
    clear(ledger, new)
    ledger.note("plan", plan)
    return True


def is_thorough(ledger: Ledger) -> bool:
    """Return whether damage was found, so that a glance is not enough."""
    return ledger.noted(THOROUGH) is not None


def start_over(ledger: Ledger, damaged: Damaged, new: Path, message: Callable[[str], None]) -> None:
    """Reject what is damaged, delete everything that is written, and make the next scan thorough.

    The images that were written are known to be sound. After a kill in between, the plan differs
    from what is written, so the next run deletes that.
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
    message(f"{name}: {reason}: decoding all images before the split, and writing again without it")
    clear(ledger, new)


def clear(ledger: Ledger, new: Path) -> None:
    """Delete everything that is written."""
    shutil.rmtree(new)
    new.mkdir()
    with ledger.connection:
        ledger.connection.execute("DELETE FROM written")


def _settings(source: ImageSource, options: DataOptions) -> dict[str, object]:
    shaping = {
        field.name: getattr(options, field.name)
        for field in fields(DataOptions)
        if field.metadata["shapes_data"]
    }
    tasks = {task: list(names) for task, names in source.tasks.items()}
    settings = {"format": FORMAT, "source": source.name, "tasks": tasks, **shaping}
    return json.loads(json.dumps(settings))  # type: ignore[no-any-return]  # as it is read again
