"""What an inspection finds: a place in a file, a sentence, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

MOST_NAMES = 3


class Verdict(Enum):
    """How what was found stands to the paper; the value is how it is printed."""

    SAME = "same"
    EQUIVALENT = "equivalent"  # another name, order or spelling: the same function
    DIFFERS = "differs"
    NOT_CHECKABLE = "not checkable"  # the paper is silent, or the file does not tell


@dataclass(frozen=True)
class Finding:
    """One thing that was compared with the paper.

    Attributes
    ----------
    where
        The file, then the layer, field or record.
    what
        One sentence: the value found, the paper's (or our reading of it), and its place there.
    verdict
        How the two stand to each other.
    """

    where: str
    what: str
    verdict: Verdict


class InspectionError(ValueError):
    """Something that cannot be inspected; the message says what, where and what next."""


def listed(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Name the first few and count the rest: "a, b, c and 12 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def said(value: object) -> str:
    """Write a value as people do: 0.999 for what single precision holds of it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        same = len(set(value)) == 1
        return said(value[0]) if same else ", ".join(map(said, value)) or "nothing"
    return "nothing" if value is None else str(value)
