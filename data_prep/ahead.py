"""Work done ahead of who needs it, in order and within bounds."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

PATIENCE = 5  # seconds between checks
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes
    ----------
    executor
        Takes pieces of work.
    depth
        How many of them at most are under way or waiting to be fetched.
    check
        Where the work is done on other machines: called now and then while an answer is awaited; it
        raises an error when none will come.
    """

    executor: Executor
    depth: int
    check: Callable[[], None] | None = None

    @contextmanager
    def ahead(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[Iterator[tuple[A, B]]]:
        """Give an iterator over every item with its ``work(item)``, in the items' order.

        When the block ends early, what has not begun is not begun.
        """
        waiting: deque[tuple[A, Future[B]]] = deque()
        try:
            yield self._each(work, items, waiting)
        finally:
            for _, future in waiting:
                future.cancel()

    def _each(
        self, work: Callable[[A], B], items: Iterable[A], waiting: deque[tuple[A, Future[B]]]
    ) -> Iterator[tuple[A, B]]:
        for item in items:
            waiting.append((item, self.executor.submit(work, item)))
            if len(waiting) >= self.depth:
                yield self._first(waiting)
        while waiting:
            yield self._first(waiting)

    def _first(self, waiting: deque[tuple[A, Future[B]]]) -> tuple[A, B]:
        item, future = waiting.popleft()
        while self.check and not wait([future], PATIENCE).done:
            self.check()
        return item, future.result()


@contextmanager
def threads(jobs: int) -> Iterator[Workers]:
    """Give so many threads, with a piece in hand and one in store each, and a few to spare."""
    keep_freed_memory()
    with ThreadPoolExecutor(jobs) as executor:
        yield Workers(executor, 2 * jobs + 4)


def keep_freed_memory() -> None:
    """Have the C library keep up to 512 MB of freed memory for the next images.

    By default it returns an image's memory to the system, which clears it and gives it back for the
    next one: a fifth of the time that a conversion takes. Other libraries than glibc lack the call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**25)
        mallopt(M_TRIM_THRESHOLD, 2**29)
