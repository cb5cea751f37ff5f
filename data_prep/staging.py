"""A folder that appears whole or not at all.

It is made under another name beside its place, so that a kill, a full disk or an error leaves what
was there before; then it takes its place in one step. What a killed run left behind, the next run
for the same place clears away.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.records import DataError

# linux/fs.h, fcntl.h
RENAME_EXCHANGE = 2
AT_FDCWD = -100


@contextmanager
def staged(out: Path, contents: frozenset[str], force: bool) -> Iterator[Path]:
    """Give an empty folder that becomes `out` when the block ends without an exception.

    Parameters
    ----------
    out
        Where the new folder goes. Symbolic links are followed.
    contents
        The names of everything that the new folder will hold; a folder is replaced only when it
        holds these and nothing else, so that `force` cannot delete what netgen did not make.
    force
        Whether an older folder may be replaced. It stays until the new one is whole.

    Raises
    ------
    DataError
        `out` exists and may not be replaced, or another run is writing it.
    OSError
        `out` cannot be written; what was there is unchanged.
    """
    out = Path(os.path.realpath(out))
    _check_place(out)
    try:
        with _workplace(out) as work:
            _check_replaceable(out, contents, force)
            new = work / "new"
            new.mkdir()
            yield new
            _flush(new)
            _put_in_place(new, out)
    except OSError as error:
        # Of all the files concerned, the user knows this one.
        raise OSError(error.errno, error.strerror, str(out)) from error


@contextmanager
def _workplace(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` that no other run uses, cleared of what a killed run left."""
    work = out.with_name(f".{out.name}.partial")
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another run is writing {out}: wait until it has ended") from None
        try:
            _recover(work, out)
            yield work
        finally:
            _recover(work, out)
            shutil.rmtree(work, ignore_errors=True)


def _recover(work: Path, out: Path) -> None:
    """Undo what a run did that was killed or failed, if it did not come to its end."""
    shutil.rmtree(work / "new", ignore_errors=True)
    if (work / "old").exists() and not out.exists():
        (work / "old").rename(out)


def _check_place(out: Path) -> None:
    """Refuse what no other folder can take the place of."""
    if Path.cwd().is_relative_to(out):
        raise DataError(f"{out} is the current folder or holds it: name a folder to be made")
    if os.path.ismount(out):
        raise DataError(f"{out} is where a disk is mounted: name a folder inside it")


def _check_replaceable(out: Path, contents: frozenset[str], force: bool) -> None:
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise DataError(f"{out} is not a folder: choose another name")
    there = {path.name for path in out.iterdir()}
    if not there:
        return
    strangers = sorted(there - contents)
    if strangers or "dataset.toml" not in there:
        raise DataError(
            f"{out} exists and is not only a dataset: it holds"
            f" {', '.join(strangers[:3]) or 'no dataset.toml'}: choose another folder"
        )
    if not force:
        raise DataError(f"{out} exists: choose another folder, or replace it with --force")


def _flush(folder: Path) -> None:
    """Wait until everything in `folder` is on the disk, or the old data would go for nothing."""
    for path in (folder, *folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _put_in_place(new: Path, out: Path) -> None:
    if not out.is_dir() or not any(out.iterdir()):
        new.rename(out)
    elif not _exchange(new, out):
        # Some network file systems cannot exchange. Here alone there is a moment without `out`; a
        # kill in it leaves `old`, which `_recover` puts back.
        old = new.with_name("old")
        out.rename(old)
        new.rename(out)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    first, second = os.fsencode(one), os.fsencode(other)
    return bool(renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE) == 0)
