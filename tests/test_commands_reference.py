"""docs/commands.md is current, and shows every command's help in full."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from support.paths import ROOT

from netgen.commands.cli import COMMANDS

FILE = ROOT / "docs/commands.md"


def test_the_reference_is_what_the_commands_say_now() -> None:
    """Else: `python docs/commands.py`."""
    # In a process of its own: click remembers how a command called its help option first.
    said = subprocess.run(
        [sys.executable, "-c", "import commands; print(commands.reference(), end='')"],
        cwd=FILE.parent, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert FILE.read_text(encoding="utf-8") == said.stdout


def test_the_reference_has_every_command() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert all(f"## netgen {name}\n" in text for name in COMMANDS)


def test_no_line_of_a_list_of_commands_is_cut_off() -> None:
    lists = re.findall(r"^Commands:\n(.*?)\n```", FILE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(lists) == 6  # netgen's, and those of data, figure, page, study and experiment
    assert "..." not in "".join(lists)
