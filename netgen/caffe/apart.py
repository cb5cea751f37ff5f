"""Run a function in a copy of this process that may die: LMDB reads through memory-mapped files.

A damaged database makes LMDB read where there is nothing, or fail an assertion: either ends the
process, and no Python can catch it. So a whole job of reading is done in a fork of this process,
which starts in milliseconds and has all that the job needs; only what it found comes back. (Caffe
needs `netgen.caffe.child`: a fork would share its threads and locks.)
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import pickle
import resource
import signal
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from netgen.caffe.child import die_with_parent
from netgen.system.interrupts import STOPPING

MESSAGE, RETURNED, RAISED = range(3)  # what the fork sends


class ProcessDiedError(Exception):
    """The fork ended before the function did; `exitcode` is negative for a signal's number."""

    def __init__(self, exitcode: int) -> None:
        super().__init__(exitcode)
        self.exitcode = exitcode

    def __str__(self) -> str:
        """Return how it ended."""
        code = self.exitcode
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def run_apart(
    function: Callable[..., Any],
    *arguments: Any,
    on_message: Callable[[Any], None] | None = None,
) -> Any:
    """Return ``function(*arguments)``, computed in a fork of this process.

    Parameters
    ----------
    function
        Any function; what it returns is pickled. Its output is thrown away.
    on_message
        Is called with each message: the function gets one more argument, which sends them.

    Raises
    ------
    ProcessDiedError
        The fork ended before the function did.
    Exception
        Whatever the function raised.
    """
    fork = multiprocessing.get_context("fork")
    mine, its = fork.Pipe(duplex=False)
    tell = (its,) if on_message else ()
    child = fork.Process(target=_main, args=(its, os.getpid(), function, arguments, tell))
    with warnings.catch_warnings():  # the job takes none of the locks that other threads may hold
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    its.close()
    try:
        kind, content = mine.recv()
        while kind == MESSAGE:
            if on_message:
                on_message(content)
            kind, content = mine.recv()
        child.join()
    except EOFError:
        child.join()
        raise ProcessDiedError(child.exitcode or 0) from None
    finally:
        if child.is_alive():
            child.kill()
            child.join()
        mine.close()
    if kind == RAISED:
        raise content
    return content


def _main(
    parent: Connection,
    its_id: int,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    tell: tuple[Connection, ...],
) -> None:
    """Run in the fork: call the function, and send what it returns or raises."""
    die_with_parent(its_id)
    for number in STOPPING:  # they may reach both; the parent decides
        signal.signal(number, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_WRONLY)  # LMDB's assertions print what helps nobody
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    faulthandler.disable()  # a reader that dies is no fault of Python's, and leaves no core file
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    senders = [lambda content: parent.send((MESSAGE, content)) for _ in tell]
    try:
        answer = (RETURNED, function(*arguments, *senders))
    except Exception as error:
        answer = (RAISED, _sendable(error))
    parent.send(answer)


def _sendable(error: Exception) -> Exception:
    """Return the error, or its text where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
