"""Fixtures that several test modules share, and the settings of the property tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest
from faults.writers import write_short_solver
from fuzz.readers import seeds
from support.browser import Window, chromium, window
from support.engine_suites import Built, build_for_installed
from support.images import by_caffe, jpegs, others
from support.initial_weights import Layers, narrow_source
from support.networks import dataset, make_databases, order
from support.once import Once, once_in
from support.paths import ROOT
from support.software_gpu import SoftwareGpu, software_gpu
from support.trained_network import Trained, train

from netgen.caffe.blas_kernel import kernel_setting
from netgen.network.build import network_files
from netgen.paper import Recipe
from netgen.system.files import write_all

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# As netgen's own commands do, for the `caffe` that tests start themselves: the same bits.
os.environ.update(kernel_setting())

# Machines that run tests are busy: a slow example is no failure.
hypothesis.settings.register_profile("netgen", deadline=None)
hypothesis.settings.load_profile("netgen")

# What a test starts inherits which signals are ignored, and so could not be stopped by one under
# `nohup`, or in the background of a shell or a service.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGTERM, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Once:
    """Compute what many tests look at one time a test run, whichever process needs it first.

    `once(name, compute)` returns what ``compute()`` returned to the first who asked for `name`.
    """
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # one of pytest-xdist's: its parent is shared
        folder = folder.parent
    return once_in(folder)


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


@pytest.fixture(scope="session")
def real_files(trained: Trained, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a real one of every file that netgen reads, to be copied, not to be changed."""
    return once("real-files", lambda: seeds(trained, tmp_path_factory.mktemp("real-files")))


@pytest.fixture(scope="module")
def inputs(real_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `real_files`, with a short training, for `faults.writers`."""
    copy = Path(shutil.copytree(real_files, tmp_path_factory.mktemp("faults") / "inputs"))
    write_short_solver(copy)
    return copy


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the set-up reads, so that a test may break it."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "docker", copy / "docker")
    for name in ("run", "setup.py", "pyproject.toml"):
        shutil.copy2(ROOT / name, copy)
    (copy / "netgen/caffe").mkdir(parents=True)
    shutil.copy2(ROOT / "netgen/caffe/caffe.proto", copy / "netgen/caffe")
    return copy


@pytest.fixture(scope="session")
def caffes(once: Once, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Caffe's pixels of every whole image of `support.images`."""
    return once(
        "convert-imageset-pixels",
        lambda: by_caffe(jpegs() | others(), tmp_path_factory.mktemp("images")),
    )


@pytest.fixture
def source(once: Once, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layers:
    """A ResNet-50, narrow, as training might leave it; the current folder has its file."""
    monkeypatch.chdir(tmp_path)
    return narrow_source(once, tmp_path)


@pytest.fixture(scope="session")
def installed_tests(once: Once) -> Built:
    """Caffe's own tests of what Table 2 uses, built for the Caffe that is installed."""
    return once("installed-tests", build_for_installed)


@pytest.fixture(scope="session")
def gpu(once: Once) -> SoftwareGpu:
    """A Caffe for the software GPU, and a Python that has it."""
    return once("software-gpu", software_gpu)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser. It is closed with the module: what drives it keeps an event loop running."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def shown(browser: Browser) -> Iterator[Window]:
    """A window in which nothing may go wrong: no error, no dialog, no request."""
    with window(browser) as opened:
        yield opened
