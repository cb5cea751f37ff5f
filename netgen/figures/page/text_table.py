"""A table of texts, as a page and a report show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column's head, and whether it is of plain numbers, which stand to the right."""

    head: str
    is_number: bool = False

    @property
    def rule(self) -> str:
        """What Markdown has between its head and its rows."""
        return "---:" if self.is_number else "---"


@dataclass(frozen=True)
class Table:
    """A table: its title, a paragraph that explains it, its columns, and its rows."""

    title: str
    note: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
