"""Write files completely or not at all, and compute their checksums."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile

CHUNK = 2**20  # bytes that are read at a time


def write_all(contents: Mapping[Path, str | bytes]) -> None:
    """Write all contents to their paths, or none: after an error, the files on disk are unchanged.

    Raises
    ------
    OSError
        A folder or file could not be written; its `filename` is the given path.
    """
    made: list[Path] = []  # to be removed if anything fails, the newest first
    try:
        temporary = {path: _write_beside(path, content, made) for path, content in contents.items()}
        for path in contents:  # what a rename could still fail for
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        for path, file in temporary.items():
            file.replace(path)
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):  # renamed already, or a folder that others use too by now
                path.rmdir() if path.is_dir() else path.unlink()
        raise


def check_writable(path: Path) -> None:
    """Check that `write_all` could write `path` later, before a long computation for it begins.

    Raises
    ------
    OSError
        It could not; its `filename` is the path.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return a file's checksum, in hexadecimal."""
    sum_ = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            sum_.update(block)
    return sum_.hexdigest()


def _write_beside(path: Path, content: str | bytes, made: list[Path]) -> Path:
    """Write `content` to a temporary file in the folder of `path`; add new paths to `made`."""
    try:
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            folder.mkdir()
            made.append(folder)
        with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            made.append(Path(file.name))
            file.write(content if isinstance(content, bytes) else content.encode())
        Path(file.name).chmod(0o666 & ~_umask())  # only its owner can read a temporary file
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return Path(file.name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
