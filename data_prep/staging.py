"""A folder that appears completely or not at all.

It is made under another name next to its place, so that a kill, a full disk or an error leaves the
older folder unchanged; then it is moved to its place in one step. The next run for the same place
deletes or resumes the work of a killed run.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from data_prep.image_source import DataError
from netgen.system.files import sync

LOCK = "lock"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
NEW = "new"  # in the workplace: what becomes the new folder
MOST_FLUSHES = 16  # at the same time
# linux/fs.h, fcntl.h
RENAME_EXCHANGE = 2
AT_FDCWD = -100


@contextmanager
def staged(
    out: Path,
    contents: frozenset[str],
    force: bool,
    resume: bool = False,
    message: Callable[[str], None] = lambda _: None,
) -> Iterator[Path]:
    """Give a folder whose `NEW` becomes `out` when the block ends without an exception.

    After an interruption (Ctrl-C, as after a kill) everything stays in it for a later `resume`;
    with `resume`, also after an error of the system, such as a full disk. After other errors only
    what an earlier run left stays, until a run that begins without `resume` deletes it.

    Parameters
    ----------
    out
        Where the new folder goes. Symbolic links are followed.
    contents
        The names of everything that the new folder will hold; a folder is replaced only when it
        holds these and nothing else, so that `force` cannot delete what netgen did not make.
    force
        Whether an older folder may be replaced. It stays until the new one is complete.
    resume
        Whether to give the folder as a killed run left it, if one did.
    message
        Called with a message about what a killed run left.

    Raises
    ------
    DataError
        `out` exists and may not be replaced, or another run is writing it.
    OSError
        `out` cannot be written; an older folder is unchanged.
    """
    out = Path(os.path.realpath(out))
    _check_place(out)
    try:
        with _workplace(
            out, lambda: check_replaceable(out, contents, force), resume, message
        ) as work:
            new = work / NEW
            new.mkdir(exist_ok=True)
            yield work
            _flush(new)
            _clear(work, but=NEW)  # after an exchange, `NEW` is the older one: never to be resumed
            _put_in_place(new, out)
    except OSError as error:
        # This is the path that the user knows.
        raise OSError(error.errno, error.strerror, str(out)) from error


def workplace(out: Path) -> Path:
    """Return the folder, next to `out`, in which the new one is made."""
    out = Path(os.path.realpath(out))
    return out.with_name(f".{out.name}.partial")


@contextmanager
def _workplace(
    out: Path, check: Callable[[], None], resume: bool, message: Callable[[str], None]
) -> Iterator[Path]:
    """Give a folder next to `out` that no other run uses, once `check` raises nothing."""
    work = workplace(out)
    work.mkdir(parents=True, exist_ok=True)
    with (work / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another run is writing {out}: wait until it has ended") from None
        try:
            _put_back(work, out)
            keep = _left(work)  # not to be lost by a mistaken command
            check()
            keep = _settle(work, lock, resume, message)
            yield work
            keep = False
        except KeyboardInterrupt:
            keep = True
            raise
        except OSError:
            keep = resume
            raise
        finally:
            _put_back(work, out)
            if not keep:
                shutil.rmtree(work, ignore_errors=True)


def _put_back(work: Path, out: Path) -> None:
    """Put back the older folder that an interrupted run set aside."""
    if (work / "old").exists() and not out.exists():
        (work / "old").rename(out)


def _settle(work: Path, lock: TextIO, resume: bool, message: Callable[[str], None]) -> bool:
    """Delete what a killed run left, or keep it and return True; report which.

    Nothing is flushed to the disk before the end, so what was left when the machine went down
    cannot be trusted: the lock file records since which boot it was made.
    """
    left = _left(work)
    lock.seek(0)
    trusted = lock.read() == _boot()
    lock.truncate(0)
    lock.write(_boot())
    lock.flush()
    if left and resume and trusted:
        message("resuming where the last run ended")
        return True
    if resume:
        why = "the machine was restarted since" if left else "there is nothing to resume"
        message(f"starting at the beginning: {why}")
    elif left:
        message("deleting what a killed run left (--resume would have continued it)")
    _clear(work)
    return False


def _left(work: Path) -> bool:
    return any(path.name != LOCK for path in work.iterdir())


def _boot() -> str:
    """Return a string that changes whenever the machine starts."""
    return BOOT_ID.read_text() if BOOT_ID.exists() else ""


def _clear(work: Path, but: str = "") -> None:
    for path in work.iterdir():
        if path.name not in {LOCK, but}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _check_place(out: Path) -> None:
    """Refuse a place where no folder can be replaced."""
    if Path.cwd().is_relative_to(out):
        raise DataError(f"{out} is the current folder or holds it: name a folder to be made")
    if os.path.ismount(out):
        raise DataError(f"{out} is where a disk is mounted: name a folder inside it")


def check_replaceable(out: Path, contents: frozenset[str], force: bool) -> None:
    """Refuse to replace a folder that is not a dataset, and without `force` also a dataset.

    Raises
    ------
    DataError
        `out` may not be replaced.
    """
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
    """Wait until everything in `folder` is on the disk, before the older folder goes.

    All at once: a file system enters in its journal together what is flushed together.
    """
    paths = [folder, *folder.rglob("*")]
    with ThreadPoolExecutor(MOST_FLUSHES) as executor:
        list(executor.map(sync, paths))


def _put_in_place(new: Path, out: Path) -> None:
    if not out.is_dir() or not any(out.iterdir()):
        new.rename(out)
    elif not _exchange(new, out):
        # Some network file systems cannot exchange. Only here `out` is missing for a moment; a kill
        # then leaves `old`, which `_put_back` restores.
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
