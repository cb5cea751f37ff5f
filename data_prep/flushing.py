"""A file brought to the disk while more of it is made, so that little is left to wait for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path


class Flusher:
    """Brings a file to the disk, again and again, in a thread of its own."""

    def __init__(self, file: Path, executor: Executor) -> None:
        self.file, self.executor = file, executor
        self.last: Future[None] | None = None

    def flush(self) -> None:
        """Begin with what has been written so far, unless it is still busy.

        Raises
        ------
        OSError
            The last time, it did not reach the disk.
        """
        if self.last is None or self.last.done():
            self.wait()
            self.last = self.executor.submit(_flush, self.file)

    def wait(self) -> None:
        """Wait for what has begun; raises as `flush`."""
        if self.last is not None:
            self.last.result()


@contextmanager
def flushing(file: Path) -> Iterator[Flusher]:
    """Give a flusher for a file. What fails is raised here, since the system tells it only once."""
    with ThreadPoolExecutor(1) as executor:
        flusher = Flusher(file, executor)
        yield flusher
        flusher.wait()


def _flush(file: Path) -> None:
    with file.open("rb") as opened:
        os.fdatasync(opened.fileno())
