"""What no command expects is one message that says how to report it, and a status of its own."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from support.build_command import program

from netgen.commands import list as list_command
from netgen.commands.cli import UNEXPECTED, main
from netgen.system.machine import machine_memory


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """Run `netgen list` with a defect in it."""

    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(list_command.command, "callback", broken)
    monkeypatch.setattr(sys, "argv", ["netgen", *words, "list"])
    return CliRunner().invoke(main, [*words, "list"])


@pytest.mark.parametrize("error", [KeyError("noun"), AssertionError(), StopIteration()])
def test_a_defect_is_one_message_that_says_how_to_report_it(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = fail_with(error, monkeypatch)
    assert result.exit_code == UNEXPECTED == 70
    (line,) = result.output.splitlines()
    assert line.startswith(f"Error: a defect of netgen's ({type(error).__name__}")
    assert Path(__file__).name in line
    assert line.endswith("please report it, with the files that it was given and what this prints:"
                         " netgen --debug list")  # fmt: skip


def test_debug_prints_where_it_was_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status in ((KeyError("noun"), UNEXPECTED), (ValueError("wrong"), 1)):
        result = fail_with(error, monkeypatch, "--debug")
        assert result.exit_code == status
        assert "Traceback" in result.output
        assert "in broken" in result.output
        assert result.output.splitlines()[-1].startswith("Error: ")


def test_debug_prints_nothing_more_where_nothing_fails() -> None:
    plain, debugged = (CliRunner().invoke(main, [*words, "list"]) for words in ((), ("--debug",)))
    assert plain.exit_code == debugged.exit_code == 0
    assert plain.output == debugged.output


def options(command: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Option]]:
    """Every option of a command and of those below it, with the words that name its command."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below
            yield from options(below, *words, name)
    for one in command.params:
        if isinstance(one, click.Option):
            yield words, one


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_no_option_takes_what_is_no_finite_number(value: str) -> None:
    numbers = [
        (*words, one.opts[0])
        for words, one in options(main)
        if isinstance(one.type, type(click.FLOAT))
    ]
    assert ("data", "resample", "--share") in numbers
    assert ("train", "--timeout") in numbers
    for words in numbers:
        result = CliRunner().invoke(main, [*words, value])
        assert result.exit_code == 2, result.output
        said = result.output.splitlines()[-1]
        assert said.startswith(f"Error: Invalid value for '{words[-1]}': "), said
        assert re.search("is not a (finite )?number|is not in the range", said), said


def test_a_folder_that_was_removed_is_told_of(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    remove = ("sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh")
    told = program(*remove, arguments=("data", "folder", ".", "--out", "x"), folder=gone)
    assert told.returncode == 1
    assert told.stderr == "Error: the current folder was removed: change to another one (cd)\n"


def test_memory_and_depth_are_no_defects(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, said in ((MemoryError(), "out of memory"), (RecursionError(), "nested too deeply")):
        result = fail_with(error, monkeypatch)
        assert result.exit_code == 1
        assert result.output.startswith(f"Error: {said}")
        assert len(result.output.splitlines()) == 1


def test_processes_that_may_not_be_started_are_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (
        RuntimeError("can't start new thread"),
        BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)),
    ):
        result = fail_with(error, monkeypatch)
        assert result.exit_code == 1
        next_step = "end other processes, or raise the limit (`ulimit -u`)"
        assert result.output == f"Error: {error.args[-1]}: {next_step}\n"


def limited(mebibytes: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run netgen in a process that may take so much address space."""
    limit = f'ulimit -v {1024 * mebibytes}; exec "$@"'
    command = ["bash", "-c", limit, "bash", sys.executable, "-m", "netgen.commands.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_where_libraries_do_not_fit_a_command_says_so_before_it_loads_them(tmp_path: Path) -> None:
    """At 300 MiB OpenBLAS tries again and again, or matplotlib fails at something else."""
    drawing = ("figure", "architecture", "--variant", "xs", "--out", str(tmp_path / "a.png"))
    ended = limited(300, *drawing)
    assert (ended.returncode, ended.stdout) == (1, "")
    said = re.fullmatch(
        r"Error: this process may take 300 MiB .* need ([\d,]+) on .*\n", ended.stderr
    )
    assert said
    assert limited(int(said[1].replace(",", "")), *drawing).returncode == 0
    assert limited(300, "list").returncode == 0


def test_a_training_counts_the_address_space_as_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_memory()[0] > 2**30
    monkeypatch.setattr("resource.getrlimit", lambda _: (2**30, 2**30))
    assert machine_memory()[0] == 2**30


def test_ctrl_c_stays_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    result = fail_with(KeyboardInterrupt(), monkeypatch)
    assert "defect" not in result.output
