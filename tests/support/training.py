"""A place to train in: some images of Fashion-MNIST, and a narrow X_S that `netgen build` wrote."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.convert import convert
from data_prep.request import DataOptions
from netgen.network.build import network_files
from netgen.network.dataset import read_dataset
from netgen.paper import Recipe
from netgen.system.files import write_all
from support.caffe_child import ENVIRONMENT
from support.fashion_mnist import first
from support.networks import NARROW, order

TIMEOUT = 240
# 50 images by batches of 4: no batch divides them, and batches of 3 cover the 30 test images.
RECORDS, TESTED = 50, 30
RECIPE = Recipe(
    batch_size=4, max_iter=60, test_interval=15, snapshot=10, display=5, base_lr=0.01,
    moving_average=0.9, memory=1e6,
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A folder with data, a network and a solver, in which commands run."""

    folder: Path
    timeout: float = TIMEOUT  # seconds a command may take
    python: Path = Path(sys.executable)  # its Caffe is the one that trains
    environment: Mapping[str, str] = field(default_factory=dict)

    def netgen(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command of netgen's; its output and errors are both in `stdout`."""
        with self.start(*words, **more) as process:
            out, _ = process.communicate(timeout=self.timeout)
        return subprocess.CompletedProcess(words, process.returncode, out, "")

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start a command of netgen's."""
        return subprocess.Popen(
            [self.python, "-c", "from netgen.commands.cli import main; main()", *words],
            cwd=self.folder, env={**os.environ, **ENVIRONMENT, **self.environment, **more},
            text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def train(self, run: str, *words: str, **more: str) -> str:
        """Train in the folder `run`, which has to succeed; return what it said."""
        done = self.netgen("train", "--variant", "xs", "--run", run, *words, **more)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def resume(self, run: str, *words: str, **more: str) -> str:
        """Go on with a run, which has to succeed; return what it said."""
        done = self.netgen("train", "--resume", "--run", run, *words, **more)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def refused(self, *words: str, **more: str) -> str:
        """Run a command that has to fail with one message; return that."""
        done = self.netgen("train", *words, **more)
        assert done.returncode not in (0, None)
        assert "Traceback" not in done.stdout
        return done.stdout

    def caffe(self, *words: str) -> str:
        """Run stock Caffe; return its log."""
        done = subprocess.run(
            [self.python.parent / "caffe", "train", *words], cwd=self.folder, text=True,
            env={**os.environ, **ENVIRONMENT, **self.environment}, stderr=subprocess.PIPE,
            timeout=TIMEOUT, check=True,
        )  # fmt: skip
        return done.stderr

    def path(self, run: str, name: str) -> Path:
        return self.folder / run / name

    def weights(self, run: str, iteration: int = RECIPE.max_iter or 0) -> bytes:
        """The bytes of a snapshot's caffemodel."""
        return self.path(run, f"snapshots/xs_iter_{iteration}.caffemodel").read_bytes()

    def journal(self, run: str) -> list[dict[str, Any]]:
        """The journal, less what no two runs have in common."""
        lines = self.path(run, "log.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return [
            {key: value for key, value in entry.items() if key != "seconds"}
            for entry in entries
            if entry["event"] != "resume"
        ]

    def edit(self, file: str, change: Callable[[str], str]) -> None:
        path = self.folder / file
        path.write_text(change(path.read_text()))


def make_place(folder: Path, recipe: Recipe = RECIPE) -> Place:
    """Make data, network and solver in `folder`."""
    convert(first({"train": RECORDS, "test": TESTED}), DataOptions(folder / "data"))
    before = Path.cwd()
    os.chdir(folder)
    try:
        data = read_dataset(Path("data/dataset.toml"))
        write_all(network_files(order("xs", data, NARROW, recipe)))
    finally:
        os.chdir(before)
    return Place(folder)


def copy_of(place: Place, folder: Path) -> Place:
    """Copy a place, so that a test may change it."""
    return replace(place, folder=Path(shutil.copytree(place.folder, folder / "place")))


def child_of(process: subprocess.Popen[str]) -> int | None:
    """Return the process that has Caffe: the youngest child of netgen's own."""
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    children = tasks.read_text().split() if tasks.exists() else []
    workers = [int(pid) for pid in children if _is_spawned(int(pid))]
    return workers[-1] if workers else None


def _is_spawned(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until something is so; the process may not end before."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.002)


def kill(pid: int | None) -> None:
    """Kill a process that may have ended."""
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
