"""What the documents promise, compared with what there is."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from support.paths import ROOT

from netgen import paper
from netgen.caffe.schema import parse_net
from netgen.commands.cli import COMMANDS, main
from netgen.cost.complexity import count
from netgen.network.build import paper_prototxt
from netgen.network.variants import variants

if sys.version_info >= (3, 11):
    import tomllib
else:  # Ubuntu 22.04's Python
    import tomli as tomllib

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
TABLE_2 = (ROOT / "docs/replicate-table-2.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "docker/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
# test_contributing.py runs the commands of CONTRIBUTING.md.
TEXT = "\n".join(
    page.read_text(encoding="utf-8") for page in PAGES if page.name != "CONTRIBUTING.md"
)
LINK = re.compile(r"\]\(([^)#]+)\)")


def shell_commands(program: str) -> Iterator[list[str]]:
    """Yield the commands in the guides' code blocks that start with `program`, as words."""
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition("2>&1")[0], comments=True)
            if words[:1] == [program]:
                yield words[1:]


def test_the_readme_shows_the_two_commands() -> None:
    assert [*shell_commands("./run")][:2] == [["demo"], ["test"]]


@pytest.mark.parametrize("name", list(variants(list(paper.TASKS))))
def test_the_guide_has_every_variant_with_its_printed_and_its_counted_parameters(
    name: str,
) -> None:
    counted = count(parse_net(paper_prototxt(name)), "TRAIN").parameters
    row = next(line for line in TABLE_2.splitlines() if line.startswith(f"| `{name}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[-2:] == [paper.TABLE_2_PARAMETERS[name], f"{counted:,}"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_exists(page: Path) -> None:
    targets = set(LINK.findall(page.read_text(encoding="utf-8")))
    missing = {
        target
        for target in targets
        if not target.startswith("https://") and not (page.parent / target).exists()
    }
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_tree_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:netgen|data_prep|templates|tests|benchmarks|docs|examples)/[\w/.-]+)`",
        page.read_text(encoding="utf-8"),
    )
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_readme_is_a_front_door() -> None:
    assert len(README.splitlines()) <= 150


def test_the_index_has_every_guide() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    guides = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert guides <= set(LINK.findall(index))


# ---- the map ------------------------------------------------------------------------------------


def the_map() -> dict[str, str]:
    """Each room in the README's map, with its row."""
    rows = README.partition("## The map")[2].partition("\n## ")[0].splitlines()
    return {
        room: row
        for row in rows
        if row.startswith("| [")
        for room in LINK.findall(row.split(" | ")[0])
    }


def test_the_map_is_the_tree() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    folders = {file.split("/")[0] for file in tracked if "/" in file} - {".ci", "netgen"}
    rooms = {"/".join(file.split("/")[:2]) for file in tracked if file.startswith("netgen/")}
    rooms = {room for room in rooms if (ROOT / room).is_dir()}
    assert set(the_map()) == folders | rooms


def test_the_map_has_the_rooms_from_the_top_layer_to_the_bottom_one() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers" and contract["containers"] == ["netgen"]
    )
    place = {room: at for at, layer in enumerate(layers) for room in layer.split(" | ")}
    order = [
        place[room.removeprefix("netgen/")] for room in the_map() if room.startswith("netgen/")
    ]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("looked_for", "found", "file"),
    [
        ("a **cross weight is written**", "{% macro cross_weight(", "templates/blocks.j2"),
        ("the **plateau is decided**", "class Plateau", "netgen/training/plateau.py"),
        ("an **image is resized**", "cv2.resize(", "data_prep/images.py"),
    ],
)
def test_a_newcomer_finds_it_from_the_map(looked_for: str, found: str, file: str) -> None:
    (row,) = (row for row in the_map().values() if looked_for in row)
    assert file in LINK.findall(row)
    assert found in (ROOT / file).read_text(encoding="utf-8")


# ---- commands and versions ----------------------------------------------------------------------


@pytest.mark.parametrize("words", list(shell_commands("netgen")), ids=" ".join)
def test_the_commands_shown_exist_with_their_options(words: list[str]) -> None:
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


def test_there_is_one_version() -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    released = re.search(r"^## (\d\S+) \((\S+)\)$", CHANGELOG, re.MULTILINE)
    assert released is not None
    assert f'version="{released[1]}"' in setup
    assert (citation["version"], str(citation["date-released"])) == released.groups()
