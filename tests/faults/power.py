"""What a disk may hold after the power failed: nothing, half or zeros of what was not flushed.

File systems write names in their order, but a file's bytes whenever they like, unless it is flushed
(fsync). So what was written to a file since it was flushed may be lost, while all names are there.
(That a name is lost as well is as if the power had failed earlier.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from faults.changes import Change

WRITTEN = ("write", "cut", "create")
LOSSES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "half": lambda written: written[: len(written) // 2],
    "zeros": lambda written: bytes(len(written)),
}


def lose(changes: Sequence[Change], what_stays: Callable[[bytes], bytes]) -> list[Path]:
    """Leave only some of what was not flushed; return the files that it was in.

    `what_stays` is given what was written to the end of a file since it was flushed.
    """
    lost = []
    for path, size in sorted(not_flushed(changes).items()):
        if path.is_file():
            content = path.read_bytes()
            path.write_bytes(content[:size] + what_stays(content[size:]))
            lost.append(path)
    return lost


def not_flushed(changes: Sequence[Change]) -> dict[Path, int]:
    """Return what was written and not flushed since, and how many bytes of it had been before.

    The paths are those after all `changes`.
    """
    flushed: dict[Path, int] = {}
    written: set[Path] = set()
    for change in changes:
        path = change.path
        if change.what in WRITTEN:
            written.add(path)
            if change.what == "cut":
                flushed[path] = 0
        elif change.what == "sync":
            written.discard(path)
            flushed[path] = change.size
        else:
            written = {new for each in written if (new := _after(change, each))}
            flushed = {new: size for each, size in flushed.items() if (new := _after(change, each))}
    return {path: flushed.get(path, 0) for path in written}


def _after(change: Change, path: Path) -> Path | None:
    """Return where a file is after names were changed; None if it was removed."""
    start, goal = change.path, change.other
    if path.is_relative_to(start):
        return goal / path.relative_to(start) if goal else None
    if goal and path.is_relative_to(goal):  # exchanged, or replaced
        return start / path.relative_to(goal) if change.what == "exchange" else None
    return path
