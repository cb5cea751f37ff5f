"""Fixtures that several test modules share, and the settings of the property tests."""

from __future__ import annotations

import fcntl
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from helpers import dataset, make_databases, order
from trained import Trained, train

from netgen.network.build import network_files
from netgen.paper import Recipe
from netgen.system.files import write_all

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


@pytest.fixture(scope="session")
def real_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a real Caffe that trained a narrow network for 8 iterations on random images."""
    folder = tmp_path_factory.mktemp("training")
    data = dataset({"noun": 7, "adj": 3}, (3, 16, 16), records=12, folder=str(folder / "data"))
    make_databases(data, folder)
    recipe = Recipe(batch_size=4, max_iter=8, test_interval=4, snapshot=100, display=1)
    ordered = order("xs", data, recipe=recipe, out=folder)
    write_all(network_files(ordered))
    caffe = Path(sys.executable).parent / "caffe"
    run = subprocess.run(
        [caffe, "train", "-solver", ordered.solver],
        stderr=subprocess.PIPE, text=True, timeout=120, check=True,
        env={"GLOG_logtostderr": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    log = folder / "xs.log"
    log.write_text(run.stderr)
    return log


@pytest.fixture(scope="session")
def trained(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A narrow X_S network that real Caffe trained on a few images of Fashion-MNIST."""
    return once("trained", lambda: train(tmp_path_factory.mktemp("trained")))
