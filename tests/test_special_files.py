"""A named pipe, a device, a folder or a socket in place of each path that a command takes."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import socket
import stat
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import click.testing
import pytest

from netgen.caffe.apart import ProcessDiedError, run_apart
from netgen.commands.cli import main
from netgen.system.files import (
    CHUNK,
    MODELS,
    check_regular,
    check_writable,
    read_file,
    write_all,
)

HANGS = 100  # seconds, on a machine that is busy; a command that waits for a pipe waits for ever
MEMORY = 2**32  # bytes beyond those in use: a device without end would take all
# What commands import; else each fork would, anew.
LOADED_ONCE = (
    "data_prep.convert", "data_prep.verify", "netgen.audit.inspection.inspect_data",
    "netgen.audit.inspection.inspect_log", "netgen.audit.inspection.inspect_network",
    "netgen.audit.inspection.inspect_weights", "netgen.audit.terminal", "netgen.doctor",
    "netgen.evaluation.evaluate", "netgen.evaluation.prediction", "netgen.figures.curves",
    "netgen.training.driver", "netgen.weights.assemble",
)  # fmt: skip
COMMANDS_THAT_RUN = {"experiment", "cluster"}  # they start others, and take folders only
# What a command needs besides the path, to come as far as to look at it.
NEEDS = {
    "build": ("--variant", "xs"),
    "doctor": ("--variant", "xs"),
    "eval": ("--variant", "xs"),
    "predict": ("--variant", "xs"),
    "table": ("--only", "xs"),
    "figure architecture": ("--variant", "xs"),
}
INSTEAD = {"init --from": ("--variant", "xs"), "train --weights": ("--variant", "xs")}
FOR_FILES = {"count --dataset": ("--variant", "xs"), "data csv --root": ()}

Make = Callable[[Path], None]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


KINDS = {"pipe": pipe, "device": device, "folder": folder, "socket": a_socket}


def commands(
    command: click.Command, context: click.Context, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner
        yield from commands(inner, context, (*words, name))


def is_path(parameter: click.Parameter) -> bool:
    return isinstance(parameter.type, click.Path) or parameter.name == "images"


def calls() -> list[tuple[str, ...]]:
    """The words of a call for each path of each command; "HOLE" is where the path is."""
    found = []
    for words, command in commands(main, click.Context(main)):
        if words[0] in COMMANDS_THAT_RUN:
            continue
        for hole in filter(is_path, command.params):
            name = hole.opts[0]
            key = f"{' '.join(words)} {name}"
            call = [*words, *NEEDS.get(" ".join(words), ()), *INSTEAD.get(key, ()),
                    *FOR_FILES.get(key, ())]  # fmt: skip
            for parameter in command.params:
                if parameter is hole or parameter.required:
                    value = "HOLE" if parameter is hole else f"filled-{parameter.name}"
                    named = (parameter.opts[0],) if parameter.opts[0].startswith("-") else ()
                    call += [*named, value]
            found.append(tuple(call))
    return found


def end(call: tuple[str, ...], path: Path) -> tuple[int, str, str]:
    """Run a call in a fork, which may not wait or grow for ever; give its end and its words."""
    signal.alarm(HANGS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    words = [str(path) if word == "HOLE" else word for word in call]
    result = click.testing.CliRunner().invoke(main, words)
    return result.exit_code, result.output, repr(result.exception)


def filled(folder: Path) -> None:
    """Put in place what calls need besides: files of the right name and no content."""
    for call in calls():
        for word in call:
            if word.startswith("filled-"):
                (folder / word).write_text("")


@pytest.mark.parametrize("kind", KINDS)
def test_every_path_of_every_command_refuses_it_or_does_without(
    kind: str, in_an_empty_folder: None
) -> None:
    path = Path("special")
    KINDS[kind](path)
    filled(Path())
    for module in LOADED_ONCE:
        importlib.import_module(module)
    before = stat.S_IFMT(path.lstat().st_mode)
    every = calls()
    assert len(every) > 50  # so none is forgotten
    wrong = []
    for call in every:
        try:
            status, said, error = run_apart(end, call, path)
        except ProcessDiedError as died:
            wrong.append(f"{' '.join(call)}: {died}")
            continue
        if status not in (0, 1, 2) or "Traceback" in said or not error.startswith(("S", "N")):
            wrong.append(f"{' '.join(call)}: {status} {error} {said}")
        if stat.S_IFMT(path.lstat().st_mode) != before:
            wrong.append(f"{' '.join(call)}: the {kind} was replaced")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_neither_read_nor_replaced(kind: str, in_an_empty_folder: None) -> None:
    path = Path("special")
    KINDS[kind](path)
    takers: tuple[Callable[[Path], object], ...] = (
        check_regular, read_file, check_writable, lambda it: write_all({it: b"x"}),
    )  # fmt: skip
    for refused in takers:
        with pytest.raises(OSError, match="special"):
            refused(path)
    assert stat.S_IFMT(path.stat().st_mode) != stat.S_IFREG


def test_a_file_that_claims_to_be_huge_is_not_read_into_memory(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**38)
    with pytest.raises(OSError, match="too large for what it should be"):
        read_file(tmp_path / "sparse")


def test_a_small_file_takes_no_room_for_the_largest(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x" * 1000)
    tracemalloc.start()
    try:
        assert len(read_file(tmp_path / "small", MODELS)) == 1000
        assert tracemalloc.get_traced_memory()[1] < 2 * CHUNK
    finally:
        tracemalloc.stop()


def test_a_file_that_says_it_is_empty_is_read_to_its_limit() -> None:
    assert read_file("/proc/self/status").startswith(b"Name:")
    with pytest.raises(OSError, match="too large"):
        read_file("/proc/self/maps", most=10)
