"""The evidence of a verdict is commands that run as they are written, each in backticks."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.paths import ROOT

from netgen.audit.measurements import AuditInputs
from netgen.audit.verdicts import audit
from netgen.commands.cli import main

EVIDENCE = {judgement.claim.id: judgement.evidence for judgement in audit(AuditInputs())}
COMMANDS = sorted(
    {found for text in EVIDENCE.values() for found in re.findall("`(netgen [^`]*)`", text)}
)
# With an option or an argument, a command is one to run; without, it is only named.
TO_RUN = [command for command in COMMANDS if len(command.split()) > 3 or " -" in command]
NAMED = [command for command in COMMANDS if command not in TO_RUN]


def parsed(command: str) -> click.Context:
    """The context of a command line, which click refuses to make of one that does not parse."""
    _netgen, *words = shlex.split(command)
    found: click.Command = main
    while isinstance(found, click.Group):
        name, *words = words
        inner = found.get_command(click.Context(found), name)
        assert inner, name
        found = inner
    return found.make_context(name, words)


def make_what_is_read(command: str) -> None:
    """Make the weights, or the folder of results, that the command before it wrote."""
    for option, value in pairwise(shlex.split(command)):
        if option in ("--from", "--weights"):
            Path(value).parent.mkdir(parents=True, exist_ok=True)
            Path(value).touch()
        elif option == "--results":
            Path(value).mkdir()


def test_there_are_commands_to_run() -> None:
    assert {command.split()[1] for command in TO_RUN} == {"audit", "count", "eval", "init", "train"}


@pytest.mark.parametrize("command", TO_RUN)
def test_a_command_has_what_it_needs_and_only_options_that_there_are(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_what_is_read(command)
    assert parsed(command)


@pytest.mark.parametrize("command", [one for one in TO_RUN if one.startswith("netgen count ")])
def test_a_command_that_counts_runs(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", NAMED)
def test_a_command_that_is_named_is_there(command: str) -> None:
    assert CliRunner().invoke(main, [*command.split()[1:], "--help"]).exit_code == 0


def test_every_option_that_is_named_with_a_command_is_one_of_it() -> None:
    named = [
        (option, command)
        for text in EVIDENCE.values()
        for options, command in re.findall(r"(--[^`;]*) of `netgen (\w+)`", text)
        for option in re.findall(r"--[\w-]+", options)
    ]
    assert len(named) > 10
    for option, command in named:
        found = main.get_command(click.Context(main), command)
        assert found
        assert option in {name for one in found.params for name in one.opts}, option


@pytest.mark.parametrize("name", EVIDENCE)
def test_no_command_is_written_without_backticks(name: str) -> None:
    outside = re.sub("`[^`]*`", "", EVIDENCE[name])
    assert not re.search(r"\bnetgen (?!/)", outside)


def test_a_network_that_waits_for_training_is_evaluated_where_it_is_trained() -> None:
    *_, evaluated, audited = re.findall("`([^`]*)`", EVIDENCE["xs-anp-top1"])
    assert evaluated == "netgen eval --variant xs --weights runs/xs --out results/xs.json"
    assert audited == "netgen audit --results results"
