"""Run a command into trouble at one of its changes of the file system, and list these changes."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile, mkdtemp

SOURCE = Path(__file__).with_name("recorder.c")
HEADER = bytes(3 * struct.calcsize("q"))  # of a record, as recorder.c says
LONG = 300  # seconds, for a command of a second: only a hang takes as long
NETGEN = (sys.executable, "-m", "netgen.commands.cli")


@dataclass(frozen=True)
class Change:
    """A change that a command made, or was about to make.

    `other` is the goal of a rename, `size` how large a file was when it was flushed.
    """

    what: str
    path: Path
    other: Path | None = None
    size: int = 0


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status (minus a signal's number), what it said, what it changed."""

    status: int
    said: str
    changes: list[Change]


def run(words: Sequence[str | Path], folder: Path, at: int = 0, number: int = 0) -> Ended:
    """Run ``netgen WORDS`` in `folder`; signal `number` comes just before change `at` (from 1).

    Changes are those below `folder`, by the command and all that it starts.
    """
    with NamedTemporaryFile() as record:
        record.write(HEADER)
        record.flush()
        ended = subprocess.run(
            [*NETGEN, *map(str, words)], cwd=folder, timeout=LONG, check=False,
            env=os.environ | recording(folder, Path(record.name), at, FAULTS_SIGNAL=int(number)),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        lines = Path(record.name).read_bytes()[len(HEADER) :].decode(errors="surrogateescape")
    return Ended(
        ended.returncode,
        ended.stdout.decode(errors="replace"),
        [_change(line) for line in lines.splitlines()],
    )


def recording(folder: Path, record: Path, at: int, **trouble: object) -> dict[str, str]:
    """Return the environment of a command whose changes below `folder` are written to `record`.

    `record` is a file that holds `HEADER`; `trouble`, of recorder.c's kinds, comes at change `at`.
    """
    return {
        "LD_PRELOAD": str(_library()),
        "FAULTS_FOLDER": str(folder.resolve()),
        "FAULTS_RECORD": str(record),
        "FAULTS_AT": str(at),
        "OPENBLAS_NUM_THREADS": "1",
        **{name: str(value) for name, value in trouble.items()},
    }


def _change(line: str) -> Change:
    what, path, other = line.split("\t")
    if what == "sync":
        return Change(what, Path(path), size=int(other))
    return Change(what, Path(path), Path(other) if other else None)


@cache
def _library() -> Path:
    """Compile the recorder."""
    library = Path(mkdtemp(prefix="netgen-faults-")) / "recorder.so"
    subprocess.run(
        ["gcc", "-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"],
        check=True,
    )
    return library
