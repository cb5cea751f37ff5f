"""What no command expects is one message that says how to report it, and a status of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netgen.commands import list as list_command
from netgen.commands.cli import UNEXPECTED, main


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


def test_memory_and_depth_are_no_defects(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, said in ((MemoryError(), "out of memory"), (RecursionError(), "nested too deeply")):
        result = fail_with(error, monkeypatch)
        assert result.exit_code == 1
        assert result.output.startswith(f"Error: {said}")
        assert len(result.output.splitlines()) == 1


def test_ctrl_c_stays_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    result = fail_with(KeyboardInterrupt(), monkeypatch)
    assert "defect" not in result.output
