"""What the fixture `once` gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Once(Protocol):
    """Computes what many tests look at one time a test run."""

    def __call__(self, name: str, compute: Callable[[], T]) -> T:
        """Return what ``compute()`` returned to the first who asked for `name`."""
