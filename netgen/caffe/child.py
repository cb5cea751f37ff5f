"""Call a function in a child process, where Caffe may abort without ending netgen.

Caffe aborts its process at a failed CHECK, and engines of 2016 deadlock when two nets of one
process read the same database. So netgen's own process never imports Caffe: it checks what it can,
then calls a function in a child process, which has to send messages often enough. A child ends when
its parent ends, for whatever reason. To stop a long call, a signal to the parent becomes a message
to the child, which looks for it wherever it can stop.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from netgen.caffe.blas_kernel import kernel_setting
from netgen.caffe.engine import FLOAT32, EngineError, fatal_reason
from netgen.system.interrupts import STOPPING, handling

PR_SET_PDEATHSIG = 1  # linux/prctl.h
QUIET = {"GLOG_logtostderr": "1"}  # else each run leaves a log file behind


@dataclass(frozen=True)
class _Message:
    """What a function sent while it ran."""

    content: Any


@dataclass(frozen=True)
class _Returned:
    """What a function returned."""

    value: Any


@dataclass(frozen=True)
class _Raised:
    """What a function raised, to be raised again in the caller."""

    error: ValueError | OSError


_parent: Connection | None = None  # in a child: where its messages go
_stop: int | None = None  # in a child: the signal that its parent received


def send(content: Any) -> None:
    """Send a message to the parent's `on_message`; outside a child, do nothing."""
    if _parent is not None:
        _parent.send(_Message(content))


def stop_requested() -> int | None:
    """Return the signal that requests this child to stop; None while there is none."""
    global _stop  # noqa: PLW0603 - a process is stopped once
    if _stop is None and _parent is not None and _parent.poll():
        _stop = _parent.recv()
    return _stop


def call(
    function: Callable[..., Any],
    *arguments: Any,
    silence: float,
    on_message: Callable[[Any], None] = lambda _: None,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    signals: Collection[int] = (),
) -> Any:
    """Return ``function(*arguments)``, computed in a child process.

    Parameters
    ----------
    function
        A function at a module's top level: it is pickled, like its arguments and return value. The
        module imports Caffe only inside functions.
    silence
        The longest time without a message (`send`) or the return value, in seconds.
    on_message
        Is called with each message.
    log
        The file that the child's output (Caffe's log) is appended to; by default a temporary
        one, for the message of an error.
    environment
        The child's additional environment variables, set before Caffe is loaded.
    signals
        Signals that request the child to stop (`stop_requested`); a second one ends it at once.
        Allowed only in the main thread.

    Raises
    ------
    KeyboardInterrupt
        A second one of `signals` came.
    ValueError, OSError
        What the function raised.
    EngineError
        The child aborted (the message has Caffe's reason), sent nothing for too long, or could
        not import what it needs, usually Caffe.
    """
    with TemporaryDirectory(prefix="netgen-") as folder:
        log = log or Path(folder) / "log"
        log.touch()  # a child may end before it opens it
        start = log.stat().st_size
        spawn = multiprocessing.get_context("spawn")  # a fork would share Caffe's threads and locks
        mine, its = spawn.Pipe()
        settings = QUIET | kernel_setting() | dict(environment or {})
        child = spawn.Process(target=_main, args=(its, log, settings, signals, function, arguments))
        child.start()
        its.close()
        try:
            with _passed_on(signals, mine):
                answer = _answer(mine, silence, on_message)
                child.join()
        except EOFError:  # it ended without an answer
            child.join()
            raise EngineError(_why(child.exitcode or 0, log, start)) from None
        finally:
            if child.is_alive():
                child.kill()
                child.join()
    if isinstance(answer, _Raised):
        raise answer.error
    return answer.value


@contextmanager
def _passed_on(signals: Collection[int], child: Connection) -> Iterator[None]:
    """Turn the first of `signals` into a message to the child, and the next into an exception."""
    received: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        with suppress(OSError):  # it has ended by itself
            child.send(number)

    with handling(signals, pass_on):
        yield


def _answer(
    child: Connection, silence: float, on_message: Callable[[Any], None]
) -> _Returned | _Raised:
    while child.poll(silence):
        message = child.recv()
        if not isinstance(message, _Message):
            return message  # type: ignore[no-any-return]
        on_message(message.content)
    raise EngineError(
        f"Caffe did not answer for {silence:g} seconds and was stopped: is the machine overloaded,"
        " or another program reading the same databases?"
    )


def _why(exitcode: int, log: Path, start: int) -> str:
    """Describe why a child ended: Caffe's fatal line, else the signal and the end of its output."""
    with log.open("rb") as file:
        file.seek(start)
        output = file.read().decode(errors="replace")
    if exitcode == -signal.SIGKILL:
        return "Caffe's process was killed: did the machine run out of memory (`dmesg`)?"
    how = signal.Signals(-exitcode).name if exitcode < 0 else f"exit code {exitcode}"
    return f"Caffe ended its process ({how}): {fatal_reason(output)}"


def _main(
    parent: Connection,
    log: Path,
    environment: Mapping[str, str],
    signals: Collection[int],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    """Run in the child: call the function, and send what it returns or raises."""
    global _parent  # noqa: PLW0603 - a process has one parent
    _parent = parent
    if started_by := multiprocessing.parent_process():
        die_with_parent(started_by.pid)
    for number in STOPPING:  # they may reach both; the parent decides
        signal.signal(number, signal.SIG_IGN)
    os.environ.update(FLOAT32 | dict(os.environ) | dict(environment))
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        parent.send(_Returned(function(*arguments)))
    except (ValueError, OSError) as error:
        parent.send(_Raised(error))
    except ImportError as error:
        what = f"this Python cannot import what it needs ({error}): `./run setup` in netgen's"
        parent.send(_Raised(EngineError(f"{what} folder builds Caffe and installs the rest")))


def die_with_parent(parent: int | None, by: int = signal.SIGKILL) -> None:
    """Make the kernel send this process a signal as soon as the process that started it has ended.

    `parent` is that process's id: if it has ended before this call, this process ends here. (A
    parent with id 1 is accepted: it is a container's first program, often netgen itself.)
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        sys.exit(1)
