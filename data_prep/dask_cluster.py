"""Images read by the workers of a Dask cluster; planned and written here, to the same bytes.

A task is a few names on its way there, and what was found out, or finished records, on its way
back. The images themselves the workers read, so they need the same files at the same paths.
"""

from __future__ import annotations

import errno
import importlib
import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from data_prep.ahead import Workers, keep_freed_memory
from data_prep.records import DataError

if TYPE_CHECKING:
    from distributed import Client

ADDRESS = r"(tcp|tls|ws|wss)://\S+:\d{1,5}"
# Whose loggers tell the terminal of a lost connection, each in a traceback of its own.
TALKERS = {"asyncio", "concurrent", "distributed", "tornado"}
CONNECTING = 5  # seconds
WITHOUT_WORKERS = 60  # seconds


@contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """Give the workers of the Dask scheduler at `address`, for example ``tcp://head:8786``.

    When a worker is lost, others do its work over.

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
        stack.enter_context(_explained(address))
        # Results come straight from the workers where they can be reached, else by the scheduler.
        executor = stack.enter_context(client.get_executor(pure=False))
        stack.callback(executor.shutdown, wait=False)
        depth = 2 * _prepared_threads(client, address) + 4
        yield Workers(executor, depth, _Hope(client, address).check)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Give a client that keeps its troubles to itself: what matters of them is raised."""
    try:
        from distributed import Client
    except ImportError:
        raise DataError(
            "--scheduler needs Dask's `distributed`: pip install 'netgen[cluster]'"
        ) from None
    for name in ("asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in TALKERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if not re.fullmatch(ADDRESS, address):
        raise DataError(f"--scheduler {address}: no scheduler's address, such as tcp://head:8786")
    try:
        client = Client(address, timeout=CONNECTING, direct_to_workers=True, set_as_default=False)
    except OSError as error:
        raise DataError(
            f"no Dask scheduler answers at {address} ({error}): is it running (`dask scheduler`),"
            " and is that the address that it prints?"
        ) from None
    with client:
        yield client


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Say what came of a cluster that was lost, or never fit."""
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
    """Return the number of the workers' threads, once all workers have loaded netgen."""
    threads: dict[str, int] = client.nthreads()
    if not threads:
        raise DataError(f"{address}: a scheduler without workers: start some (`dask worker`)")
    client.run(importlib.import_module, keep_freed_memory.__module__)
    client.run(keep_freed_memory)
    return sum(threads.values())


class _Hope:
    """Whether it makes sense to wait for an answer: as long as there are workers, or were."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address = client, address
        self.seen = time.monotonic()

    def check(self) -> None:
        """Raise an OSError when there has been no worker for a while."""
        if self.client.nthreads():
            self.seen = time.monotonic()
        elif time.monotonic() - self.seen > WITHOUT_WORKERS:
            what = f"no worker for {WITHOUT_WORKERS} seconds: start some, and run again"
            raise _lost(self.address, what)


def _lost(address: str, what: str) -> OSError:
    return OSError(errno.ECONNABORTED, f"{address}: {what}")
