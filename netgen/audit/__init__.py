"""Checks the paper's claims by measuring them, and compares users' files with the paper."""

__all__ = [
    "comparison",
    "inspection",
    "markdown",
    "measurements",
    "readings",
    "rows",
    "terminal",
    "verdicts",
]
