"""CONTRIBUTING.md, followed to the letter in a copy of the house."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^( *)```(python|sh)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"# (\S+\.py)(?:, (after|before): (.*))?\n")


def section(title: str) -> str:
    return GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str, language: str) -> list[str]:
    """Return the section's blocks of code in a language, not indented."""
    return [
        textwrap.dedent(text)
        for _, found, text in BLOCK.findall(section(title))
        if found == language
    ]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of what netgen runs from."""
    for folder in ("netgen", "data_prep", "templates"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def write(house: Path, block: str) -> None:
    """Put a block of code where its first line says: a new file, or beside a line of one."""
    found = PLACE.match(block)
    assert found, f"no place for:\n{block}"
    file, where, line = house / found[1], found[2], found[3]
    code = block[found.end() :]
    if not where:
        assert not file.exists()
        file.write_text(code, encoding="utf-8")
        return
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    (at,) = (number for number, text in enumerate(lines) if text.rstrip().startswith(line))
    lines.insert(at + (where == "after"), code if where == "after" else f"{code}\n\n")
    file.write_text("".join(lines), encoding="utf-8")


def follow(house: Path, title: str) -> str:
    """Write the section's code and run its commands; return what they printed."""
    for block in blocks(title, "python"):
        write(house, block)
    printed = ""
    for command in "".join(blocks(title, "sh")).splitlines():
        program, *words = shlex.split(command, comments=True)
        assert program == "netgen"
        run = subprocess.run(
            [sys.executable, "-m", "netgen.commands.cli", *words],
            cwd=house, env=os.environ | {"PYTHONPATH": str(house)},
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
        printed += run.stdout
    return printed


@pytest.mark.parametrize("title", ["Add a network", "Add a claim", "Add a data source"])
def test_a_recipe_has_five_steps(title: str) -> None:
    assert re.findall(r"^(\d)\. ", section(title), re.MULTILINE) == ["1", "2", "3", "4", "5"]


def test_a_network_is_added_as_described(house: Path) -> None:
    printed = follow(house, "Add a network")
    assert "parameters" in printed
    net = (house / "elsewhere/models/xa/train_val.prototxt").read_text()
    assert "res5a_branch2a_noun" in net
    assert (house / "elsewhere/solvers/xa.prototxt").exists()


def test_a_claim_is_added_as_described(house: Path) -> None:
    printed = follow(house, "Add a claim")
    assert "depth" in printed
    assert "50 layers" in printed
    assert "built as printed" in printed


def test_a_data_source_is_added_as_described(house: Path) -> None:
    printed = follow(house, "Add a data source")
    assert "32 training and 8 test images of 1 x 16 x 16" in printed
    assert "0 failed" in printed
    assert (house / "elsewhere/models/resnet50-direction/train_val.prototxt").exists()


def test_the_hooks_run_the_checks_of_run_test() -> None:
    """Hooks get the names of files where they can; ./run test checks all."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    entries = [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    checks = re.findall(r'^  check "[^"]+" (.*)$', (ROOT / "run").read_text(), re.MULTILINE)
    assert len(entries) == len(checks)
    for entry, check in zip(entries, checks, strict=True):
        assert entry.replace(" --force-exclude", "") == re.sub(r" (\.|CITATION\.cff)$", "", check)
    assert all(hook["language"] == "system" for repo in hooks["repos"] for hook in repo["hooks"])
