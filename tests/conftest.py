"""Fixtures that several test modules share, and the settings of the property tests."""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Machines that run tests are busy: a slow example is no failure.
hypothesis.settings.register_profile("netgen", deadline=None)
hypothesis.settings.load_profile("netgen")

Once = Callable[[str, Callable[[], Any]], Any]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Once:
    """Compute what many tests look at one time a test run, whichever process needs it first.

    `once(name, compute)` returns what ``compute()`` returned to the first who asked for `name`.
    """
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # one of pytest-xdist's: its parent is shared
        folder = folder.parent

    def get(name: str, compute: Callable[[], Any]) -> Any:
        kept: Path = folder / f"{name}.pickle"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_bytes(pickle.dumps(compute()))
        return pickle.loads(kept.read_bytes())

    return get
