"""What may go wrong around a command that writes, and what makes it right again: a table.

Each is real: a small disk that is full, one that is read-only, rights that are missing, a clock
that is set back. Where a command's changes are counted (recorder.c), it comes at one of them.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.changes import HEADER, LONG, NETGEN, recording
from faults.writers import NEVER_BEGUN, Writer, tree

NO_RIGHTS = "-dac_override,-dac_read_search"  # which root has whatever a file's mode says


@dataclass(frozen=True)
class Trouble:
    """Trouble for a command that writes below ``out``, in the folder of its inputs.

    Attributes
    ----------
    name
        What it is called.
    before, after
        What the shell does to bring it about before the command, and to end it.
    prefix
        Words before the command.
    during
        What recorder.c does at one of the command's changes.
    twice
        Whether the command is started twice at the same time.
    """

    name: str
    before: str = ""
    after: str = ""
    prefix: str = ""
    during: tuple[tuple[str, str], ...] = ()
    twice: bool = False


Make = Callable[[Writer, Path, random.Random], Trouble]


def _full(_writer: Writer, whole: Path, chance: random.Random) -> Trouble:
    needed = sum(file.stat().st_size for file in (whole / "out").rglob("*") if file.is_file())
    size = chance.randint(1, max(1, needed // 4096))  # in pages of a tmpfs
    return Trouble(
        f"a disk of {size} pages",
        f"mount -t tmpfs -o nr_blocks={size} none out", "mount -o remount,nr_blocks=100000 out",
    )  # fmt: skip


def _read_only(_writer: Writer, _whole: Path, _chance: random.Random) -> Trouble:
    return Trouble(
        "a read-only disk",
        "mount -t tmpfs none out && mount -o remount,ro out", "mount -o remount,rw out",
    )  # fmt: skip


def _no_rights(_writer: Writer, _whole: Path, _chance: random.Random) -> Trouble:
    return Trouble(
        "no permission", "chmod 555 out", "chmod 755 out",
        f"setpriv --bounding-set={NO_RIGHTS} --inh-caps={NO_RIGHTS}",
    )  # fmt: skip


def _taken(_writer: Writer, whole: Path, chance: random.Random) -> Trouble:
    files = sorted(path for path in (whole / "out").rglob("*") if path.is_file())
    taken = shlex.quote(str(chance.choice(files).relative_to(whole)))
    return Trouble("a folder of a file's name", f"mkdir -p {taken}/x", "rm -r out/*")


def _vanishes(writer: Writer, whole: Path, _chance: random.Random) -> Trouble:
    return Trouble(
        "an input that vanishes", after=f"cp {whole / writer.reads} {writer.reads}",
        during=(("FAULTS_DO", f"rm {writer.reads}"),),
    )  # fmt: skip


def _cut(writer: Writer, whole: Path, _chance: random.Random) -> Trouble:
    return Trouble(
        "an input that is cut off", after=f"cp {whole / writer.reads} {writer.reads}",
        during=(("FAULTS_DO", f"truncate -s 100 {writer.reads}"),),
    )  # fmt: skip


def _clock(_writer: Writer, _whole: Path, chance: random.Random) -> Trouble:
    return Trouble("a clock set back", during=(("FAULTS_CLOCK", str(chance.choice((5, 10**6)))),))


def _two(_writer: Writer, _whole: Path, _chance: random.Random) -> Trouble:
    return Trouble("two at the same time", twice=True)


def _memory(_writer: Writer, _whole: Path, chance: random.Random) -> Trouble:
    return Trouble("little memory", prefix=f"prlimit --as={chance.randint(2**28, 2**32)}")


TROUBLES: dict[str, Make] = {
    "full": _full, "read-only": _read_only, "no rights": _no_rights, "taken": _taken,
    "vanishes": _vanishes, "cut off": _cut, "clock": _clock, "two": _two, "memory": _memory,
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a command ended in trouble (all of it, if it was started twice), and given again.

    `left` and `made` are the trees of ``out`` after the trouble and after that.
    """

    statuses: list[int]
    said: list[str]
    left: dict[str, str]
    again: int
    said_again: str
    made: dict[str, str]


def into(trouble: Trouble, writer: Writer, again: Sequence[str], work: Path, at: int) -> Outcome:
    """Run a command of the table of writers into trouble, and again after it, in a fresh folder.

    All of it happens in a mount namespace of its own; what it mounts is gone afterwards.
    """
    notes = work.with_name("notes")
    notes.mkdir(exist_ok=True)
    for file in notes.iterdir():
        file.unlink()
    (notes / "record").write_bytes(HEADER)
    variables = recording(work, notes / "record", at, **dict(trouble.during))
    recorded = shlex.join(["env", *(f"{name}={value}" for name, value in variables.items())])
    command = shlex.join([*NETGEN, *writer.words])
    looked = f"{shlex.quote(NETGEN[0])} -m faults.troubles out"
    lines = [
        f"cd {shlex.quote(str(work))}",
        "mkdir -p out",
        trouble.before or ":",
        *(
            f"{{ {trouble.prefix} {recorded} {command}; echo $? >{notes}/status{i}; }}"
            f" >{notes}/said{i} 2>&1 {'&' if trouble.twice else ''}"
            for i in range(1 + trouble.twice)
        ),
        "wait",
        f"{looked} >{notes}/left",
        trouble.after or ":",
        f"{shlex.join([*NETGEN, *again])} >{notes}/said_again 2>&1; echo $? >{notes}/again",
        f"if grep -q {shlex.quote(NEVER_BEGUN)} {notes}/said_again; then",
        f"{command} >{notes}/said_again 2>&1; echo $? >{notes}/again",
        "fi",
        f"{looked} >{notes}/made",
    ]
    subprocess.run(
        ["unshare", "--mount", "bash", "-c", "\n".join(lines)], check=True, timeout=LONG,
        stdin=subprocess.DEVNULL, env=_environment(),
    )  # fmt: skip
    return Outcome(
        [int(file.read_text()) for file in sorted(notes.glob("status*"))],
        [file.read_text(errors="replace") for file in sorted(notes.glob("said?"))],
        json.loads((notes / "left").read_text()),
        int((notes / "again").read_text()),
        (notes / "said_again").read_text(errors="replace"),
        json.loads((notes / "made").read_text()),
    )


def _environment() -> dict[str, str]:
    """Return what all commands have, also those that are not recorded, to compute the same bits."""
    tests = Path(__file__).parents[1]
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(Path.home()),
        "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}",
    }  # fmt: skip


if __name__ == "__main__":
    import sys

    print(json.dumps(tree(Path(sys.argv[1]))))
