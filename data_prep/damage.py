"""Damage that a glance does not show: found in the writing, and then everything is written anew.

An image that is rejected leaves all databases, and the split is of those that are left; so one that
turns out to be damaged changes the plan. It is taken down as a reject, the scan is repeated
thoroughly for all that no one has decoded yet, and there is a new plan, of the same bytes as if the
first scan had been a thorough one. So a run starts over once at most, and most never do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from data_prep.ledger import Ledger, encoded
from data_prep.records import DataError
from data_prep.resuming import clear

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
