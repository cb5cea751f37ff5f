"""Checks the paper's claims by measuring them, and compares anybody's files with the paper."""

__all__ = ["inspection", "markdown", "measurements", "readings", "rows", "terminal", "verdicts"]
