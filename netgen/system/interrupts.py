"""Signals that ask netgen to stop, and the exit status that each of them ends with."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

# Ctrl-C; what a scheduler or `kill` sends; what a closed terminal sends.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AT_ONCE = 1.0  # seconds during which repeated signals count as one


class Interrupted(KeyboardInterrupt):
    """One of `STOPPING` came: `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def heeded(signals: Collection[int]) -> list[int]:
    """Return those that the caller does not ignore.

    `nohup` ignores SIGHUP, and a shell the Ctrl-C of what it runs in the background.
    """
    return [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]


def exit_status(number: int) -> int:
    """Return the exit status of a command that a signal stopped: what shells show for it."""
    return 128 + number


@contextmanager
def handling(signals: Collection[int], handler: Callable[[int, object], None]) -> Iterator[None]:
    """Handle `signals` with `handler` inside a with block, and restore the handlers after it.

    One that is ignored (`nohup`) stays ignored. Signals within a second count once: schedulers
    signal all processes of a job, and some of these forward the signal.
    """
    last = -AT_ONCE

    def once(number: int, frame: object) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= AT_ONCE:
            last = now
            handler(number, frame)

    before = {number: signal.signal(number, once) for number in heeded(signals)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


@contextmanager
def interruptible() -> Iterator[None]:
    """Make each of `STOPPING` raise `Interrupted` in a with block.

    Allowed only in the main thread.
    """

    def stop(number: int, _frame: object) -> None:
        raise Interrupted(number)

    with handling(STOPPING, stop):
        yield


@contextmanager
def deferred() -> Iterator[None]:
    """Let each of `STOPPING` that comes in a with block wait until its end.

    Outside the main thread this does nothing: handlers run in the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in heeded(STOPPING)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            os.kill(os.getpid(), number)
