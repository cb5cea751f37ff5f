"""What the fixture `once` gives."""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")


class Once(Protocol):
    """Computes what many tests look at one time a test run."""

    def __call__(self, name: str, compute: Callable[[], T]) -> T:
        """Return what ``compute()`` returned to the first who asked for `name`."""


@dataclass(frozen=True)
class _Failure:
    """Why something could not be computed."""

    why: str


def once_in(folder: Path) -> Once:
    """Compute things one time for all processes that name the same folder.

    What fails fails for all: a build that takes minutes is not tried again for each test.
    """

    def get(name: str, compute: Callable[[], T]) -> T:
        kept = folder / f"{name}.pickle"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                try:
                    kept.write_bytes(pickle.dumps(compute()))
                except Exception as error:
                    kept.write_bytes(pickle.dumps(_Failure(f"{type(error).__name__}: {error}")))
                    raise
        found = pickle.loads(kept.read_bytes())
        if isinstance(found, _Failure):
            raise AssertionError(f"{name} failed for an earlier test: {found.why}")
        value: T = found
        return value

    return get
