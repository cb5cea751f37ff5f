"""Workers that read images: threads here, or those of a Dask cluster, with the same results.

Work is done ahead of the writing, in order and within limits. To a cluster only names are sent, and
scans or finished records come back. The workers read the images themselves, so they need the same
files at the same paths.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from data_prep.image_source import DataError

if TYPE_CHECKING:
    from distributed import Client

CHECK_INTERVAL = 5  # seconds between checks whether a cluster's answer can still come
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h

ADDRESS = r"(tcp|tls|ws|wss)://\S+:\d{1,5}"
# Their loggers print a traceback each when a connection is lost.
SILENCED_LOGGERS = {"asyncio", "concurrent", "distributed", "tornado"}
CONNECT_TIMEOUT = 5  # seconds
NO_WORKERS_TIMEOUT = 60  # seconds

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Workers:
    """Threads or processes that do the work.

    Attributes
    ----------
    executor
        Takes pieces of work.
    depth
        The largest number of pieces in progress or finished and not yet fetched.
    checks
        For work done on other machines: called once per answer. What it returns is called every
        `CHECK_INTERVAL` seconds while that answer is awaited, and raises an error when none will
        come.
    """

    executor: Executor
    depth: int
    checks: Callable[[], Callable[[], None]] | None = None

    @contextmanager
    def ahead(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[Iterator[tuple[A, B]]]:
        """Give an iterator over every item with its ``work(item)``, in the items' order.

        When the block ends early, work that has not begun is cancelled.
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
        if self.checks:
            check = self.checks()
            while not wait([future], CHECK_INTERVAL).done:
                check()
        return item, future.result()


@contextmanager
def threads(jobs: int) -> Iterator[Workers]:
    """Give `jobs` threads; each has one piece in progress and one waiting, and a few are spare."""
    keep_freed_memory()
    with ThreadPoolExecutor(jobs) as executor:
        yield Workers(executor, 2 * jobs + 4)


def keep_freed_memory() -> None:
    """Make the C library keep up to 512 MB of freed memory for the next images.

    By default it returns an image's memory to the system, which clears it and gives it back for the
    next one: a fifth of a conversion's time. C libraries other than glibc lack the call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**25)
        mallopt(M_TRIM_THRESHOLD, 2**29)


@contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """Give the workers of the Dask scheduler at `address`, for example ``tcp://head:8786``.

    When a worker is lost, others repeat its work.

    Raises
    ------
    DataError
        There is no such scheduler, it has no workers, they lack netgen, or ``distributed`` is not
        installed here.
    OSError
        The scheduler, or all workers for a minute, were lost midway.
    """
    with ExitStack() as stack:
        client = stack.enter_context(_connected(address))
        stack.enter_context(_errors_explained(address))
        # Results come directly from workers that can be reached, else through the scheduler.
        executor = stack.enter_context(client.get_executor(pure=False))
        stack.callback(executor.shutdown, wait=False)
        depth = 2 * _prepared_threads(client, address) + 4
        yield Workers(executor, depth, lambda: _WorkerTimeout(client, address).check)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Give a client that prints nothing: errors that matter are raised."""
    try:
        from distributed import Client
    except ImportError:
        raise DataError(
            "--scheduler needs Dask's `distributed`: pip install 'netgen[cluster]'"
        ) from None
    for name in ("asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in SILENCED_LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if not re.fullmatch(ADDRESS, address):
        raise DataError(f"--scheduler {address}: no scheduler's address, such as tcp://head:8786")
    try:
        client = Client(
            address, timeout=CONNECT_TIMEOUT, direct_to_workers=True, set_as_default=False
        )
    except OSError as error:
        raise DataError(
            f"no Dask scheduler answers at {address} ({error}): is it running (`dask scheduler`),"
            " and is that the address that it prints?"
        ) from None
    with client:
        yield client


@contextmanager
def _errors_explained(address: str) -> Iterator[None]:
    """Turn Dask's errors into messages on what happened to the cluster and what to do."""
    from distributed import KilledWorker

    try:
        yield
    except KilledWorker:
        raise _lost(address, "several workers in a row died of one task: out of memory?") from None
    except CancelledError:
        raise _lost(address, "the scheduler was lost: run again") from None
    except ImportError as error:
        raise DataError(
            f"{address}: a worker has no {error.name!r}: install the same netgen there as here"
        ) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "distributed":
            raise
        raise _lost(address, "the scheduler was lost: run again") from None


def _prepared_threads(client: Client, address: str) -> int:
    """Return the number of the workers' threads, once all workers have imported this module."""
    threads: dict[str, int] = client.nthreads()
    if not threads:
        raise DataError(f"{address}: a scheduler without workers: start some (`dask worker`)")
    client.run(importlib.import_module, keep_freed_memory.__module__)
    client.run(keep_freed_memory)
    return sum(threads.values())


class _WorkerTimeout:
    """Ends the wait for one answer once the cluster has had no workers for a while."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address = client, address
        self.seen = time.monotonic()

    def check(self) -> None:
        """Raise an OSError when there has been no worker for `NO_WORKERS_TIMEOUT` seconds."""
        if self.client.nthreads():
            self.seen = time.monotonic()
        elif time.monotonic() - self.seen > NO_WORKERS_TIMEOUT:
            what = f"no worker for {NO_WORKERS_TIMEOUT} seconds: start some, and run again"
            raise _lost(self.address, what)


def _lost(address: str, what: str) -> OSError:
    return OSError(errno.ECONNABORTED, f"{address}: {what}")
