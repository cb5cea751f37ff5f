"""Read files that are files, write them completely or not at all, and compute checksums."""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, TextIO

from netgen.system.interrupts import deferred

CHUNK = 2**20  # bytes that are read at a time
PARTIAL = ".partial"  # how the names of files end that are being written
NAMED = 40  # letters of a file's name in that of its temporary one; a letter may be four bytes

# The most bytes of a file that are read into memory, by what it holds.
SETTINGS = 2**24  # JSON, TOML, class names; the largest known are below 1 MB
LOGS = 2**28  # a log, or a journal; a million iterations are 200 MB
MODELS = 2**31  # a caffemodel, a solverstate: protobuf itself reads no larger message
LINE = 2**20  # characters of a line of a list, which is read line by line

# What is no file, and how a message calls it.
SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_regular(path: str | os.PathLike[str]) -> os.stat_result:
    """Check that `path` is a file; return its status. Every path that is given is checked so.

    Reading a named pipe waits for whoever writes to it, and a device may have no end.

    Raises
    ------
    OSError
        It is something else, or is not there; `strerror` says what it is, `filename` is the path.
    """
    status = os.stat(path)
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    for is_it, name in SPECIAL:
        if is_it(mode):
            why = f"{name}, not a file: copy what it gives into a file, and name that"
            raise OSError(errno.EINVAL, why, os.fspath(path))
    return status


def read_file(path: str | os.PathLike[str], most: int = SETTINGS) -> bytes:
    """Return a file's content, at most `most` bytes.

    Raises
    ------
    OSError
        As for `check_regular`; it is larger; or it cannot be read.
    """
    name = os.fspath(path)
    size = check_regular(path).st_size
    content = b""
    if size <= most:
        # Not blocking: it may have become a named pipe since.
        with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            content = file.read(size + 1)  # not `most`: Python makes room for all of it at once
            while len(content) <= most and (more := file.read(CHUNK)):  # as of files in /proc
                content += more
    if max(size, len(content)) > most:
        why = f"over {most // 2**20:,} MB, too large for what it should be: is it the right file?"
        raise OSError(errno.EINVAL, why, name)
    return content


def read_text_file(
    path: str | os.PathLike[str], most: int = SETTINGS, errors: str = "strict"
) -> str:
    """Return a text file's content, with every kind of line end as one, without a byte order mark.

    Raises what `read_file` raises, too.

    Raises
    ------
    UnicodeDecodeError
        It is not UTF-8.
    """
    text = read_file(path, most).decode("utf-8-sig", errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def lines_of(file: TextIO, path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the lines of an open file, with their ends; none is read that is too long for a list.

    A file without an end of line, such as one of zeros, would be read into memory as one line.

    Raises
    ------
    OSError
        A line is longer than `LINE`.
    """
    while line := file.readline(LINE):
        if len(line) == LINE:
            why = f"a line of over {LINE // 2**20} MB, too long for a list: is it the right file?"
            raise OSError(errno.EINVAL, why, os.fspath(path))
        yield line


def write_all(contents: Mapping[Path, str | bytes], durable: bool = False) -> None:
    """Write all contents to their paths, or none: after an error, the files on disk are unchanged.

    What a killed process had written beside one of the paths is removed. Signals that ask to stop
    wait until it is done. If `durable`, all is on the disk before this returns.

    Raises
    ------
    OSError
        A folder or file could not be written; its `filename` is the given path.
    """
    made: list[Path] = []  # to be removed if anything fails, the newest first
    with deferred(), ExitStack() as opened:
        try:
            temporary = {
                path: _write_beside(path, content, made, opened)
                for path, content in contents.items()
            }
            for path in contents:  # what a rename could still fail for, or should not replace
                _check_replaceable(path)
            if durable:
                sync(*temporary.values())
            for path, file in temporary.items():
                file.replace(path)
        except BaseException:
            for path in reversed(made):
                with suppress(OSError):  # renamed already, or a folder that others use too by now
                    path.rmdir() if path.is_dir() else path.unlink()
            raise
    if durable:
        sync(*{path.parent for path in contents})
    for path in contents:
        _remove_left(path)


@contextmanager
def written_to(path: Path) -> Iterator[None]:
    """Give the errors of a with block, which writes `path`, its name: a full disk's have none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync(*paths: Path) -> None:
    """Wait until files' bytes, or folders' entries, are on the disk."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_writable(path: Path) -> None:
    """Check that `write_all` could write `path` later, before a long computation for it begins.

    Raises
    ------
    OSError
        It could not; its `filename` is the path.
    """
    _check_replaceable(path)
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    with written_to(path), TemporaryFile(dir=folder):
        pass


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return a file's checksum, in hexadecimal."""
    check_regular(path)
    sum_ = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            sum_.update(block)
    return sum_.hexdigest()


def _write_beside(path: Path, content: str | bytes, made: list[Path], opened: ExitStack) -> Path:
    """Write `content` to a temporary file in the folder of `path`; add new paths to `made`.

    It stays locked, and so in use, until `opened` is closed.
    """
    with written_to(path):
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            with suppress(FileExistsError):  # another has made it since; a file is told below
                folder.mkdir()
                made.append(folder)
        file = opened.enter_context(_temporary(path))
        made.append(Path(file.name))
        # Not through `file`: what it could not write, its end would try again, outside of this.
        Path(file.name).write_bytes(content if isinstance(content, bytes) else content.encode())
        Path(file.name).chmod(0o666 & ~_umask())  # only its owner can read a temporary file
    return Path(file.name)


def _temporary(path: Path) -> IO[bytes]:
    """Open a locked file beside `path`; another process may have taken a first one for left."""
    while True:
        file = NamedTemporaryFile(  # noqa: SIM115 - the caller closes it
            dir=path.parent, prefix=_beside(path), suffix=PARTIAL, delete=False
        )
        if _lock(file) and Path(file.name).exists():
            return file
        file.close()


def _beside(path: Path) -> str:
    """Return how the names of temporary files for `path` begin: short enough for any of its own."""
    return f".{path.name[:NAMED]}."


def _lock(file: IO[bytes]) -> bool:
    """Lock a file; False if another process has it locked. Some file systems know no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _remove_left(path: Path) -> None:
    """Remove the temporary files for `path` that no process is writing."""
    for left in path.parent.glob(f"{glob.escape(_beside(path))}*{PARTIAL}"):
        with suppress(OSError), left.open("rb") as file:
            if _lock(file):
                left.unlink()


def _check_replaceable(path: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):  # so it is to be made
        check_regular(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
