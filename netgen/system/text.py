"""How numbers and lists of names are written for people."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMES = 3
GIB = 2**30  # bytes


def gib(size: float) -> float:
    """Return a number of bytes in GiB."""
    return size / GIB


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
