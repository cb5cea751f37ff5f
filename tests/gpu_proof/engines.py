"""The Caffes under proof: each is what one virtual environment's Python finds."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from netgen.caffe.engine import FLOAT32

NETGEN = ("-c", "from netgen.commands.cli import main; main()")
# Products in float32, as netgen's own commands have them.
ENVIRONMENT = FLOAT32 | {
    "GLOG_logtostderr": "1", "OPENBLAS_NUM_THREADS": "4", "PYTHONUNBUFFERED": "1",
}  # fmt: skip


class StageError(RuntimeError):
    """A stage could not be carried out; the message says which command failed and how it ended."""


@dataclass(frozen=True)
class Engine:
    """A Caffe built with CUDA.

    Attributes
    ----------
    name
        As results name it: "without cuDNN", "with cuDNN".
    python
        The interpreter that imports it; `caffe` lies beside.
    tests
        The folder of its own tests (docker/caffe/tests/build.sh), or None.
    more
        What its processes get in their environment.
    """

    name: str
    python: Path
    tests: Path | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def caffe(self) -> Path:
        """The program."""
        return self.python.parent / "caffe"

    @property
    def build(self) -> dict[str, str]:
        """What the recipe recorded of the build."""
        record = (self.caffe.resolve().parents[1] / "build.txt").read_text(encoding="utf-8")
        facts = dict(line.split(": ", 1) for line in record.splitlines() if ": " in line)
        return facts | {"gpu": facts.get("gpu", "none").partition(", libraries ")[0]}

    def environment(self, **more: str | None) -> dict[str, str]:
        """The environment of its processes; None for what is not to be set."""
        every = os.environ | ENVIRONMENT | dict(self.more) | more
        return {name: value for name, value in every.items() if value is not None}

    def netgen(self, folder: Path, *words: str, seconds: float = 200, **more: str | None) -> str:
        """Run a command of netgen's, which has to succeed, and return what it printed."""
        return self.run(folder, [str(self.python), *NETGEN, *words], seconds, **more)

    def run(
        self, folder: Path, command: list[str], seconds: float = 200, **more: str | None
    ) -> str:
        """Run any command.

        Raises
        ------
        StageError
            It failed, or took longer than `seconds`; its processes are ended.
        """
        process = subprocess.Popen(
            command, cwd=folder, env=self.environment(**more), stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        shown = " ".join(command[3:] if command[1:3] == list(NETGEN) else command)
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            raise StageError(f"{shown}: no end within {seconds:.0f} s: {said[-600:]}") from None
        if process.returncode != 0:
            raise StageError(f"{shown}: exit status {process.returncode}: {said[-1500:]}")
        return said
