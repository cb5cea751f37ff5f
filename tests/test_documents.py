"""What the documents promise, held against what there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from netgen import paper
from netgen.caffe.schema import parse_net
from netgen.commands.cli import COMMANDS, main
from netgen.cost.complexity import count
from netgen.network.build import paper_prototxt
from netgen.network.variants import variants

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def shell_commands(program: str) -> Iterator[list[str]]:
    """Yield the commands in the README's code blocks that start with `program`, as words."""
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition("2>&1")[0], comments=True)
            if words[:1] == [program]:
                yield words[1:]


def test_the_readme_tells_the_two_commands() -> None:
    assert [*shell_commands("./run")][:2] == [["demo"], ["test"]]


@pytest.mark.parametrize("name", list(variants(list(paper.TASKS))))
def test_the_readme_has_every_variant_with_its_printed_and_its_counted_parameters(
    name: str,
) -> None:
    counted = count(parse_net(paper_prototxt(name)), "TRAIN").parameters
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[-2:] == [paper.TABLE_2_PARAMETERS[name], f"{counted:,}"]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_what_the_readme_links_to_exists(target: str) -> None:
    assert target.startswith("https://") or (ROOT / target).exists()


@pytest.mark.parametrize("words", list(shell_commands("netgen")), ids=" ".join)
def test_the_readmes_commands_exist_with_their_options(words: list[str]) -> None:
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
    known = {option for param in command.params for option in param.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_and_changelog_name_every_command(command: str) -> None:
    assert f"netgen {command}" in README
    assert f"netgen {command}" in CHANGELOG
