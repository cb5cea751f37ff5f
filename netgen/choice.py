"""A choice among ways to build a network: a field of a row of Table 2, and its values."""

from __future__ import annotations

from enum import Enum


class Choice(Enum):
    """One way to build a network, where there are several; the value says it in words."""

    @property
    def slug(self) -> str:
        """The value's name at the command line."""
        return self.name.lower().replace("_", "-")

    @property
    def meaning(self) -> str:
        """What is then built."""
        return str(self.value)
