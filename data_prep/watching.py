"""Who is told how the making of a dataset goes."""

from __future__ import annotations


class Watch:
    """Is told of every stage and its steps; this one keeps silent."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage of `total` steps (None: nobody knows how many)."""

    def step(self, count: int) -> None:
        """Take note that so many steps of it are done."""

    def say(self, text: str) -> None:
        """Pass on something that the user should know."""
