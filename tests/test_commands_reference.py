"""docs/commands.md is current, and shows every command's help in full."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from netgen.commands.cli import COMMANDS

FILE = Path(__file__).parent.parent / "docs/commands.md"


def test_the_reference_is_what_the_commands_say_now() -> None:
    """Else: `python docs/commands.py`."""
    script = runpy.run_path(str(FILE.with_suffix(".py")))
    assert FILE.read_text(encoding="utf-8") == script["reference"]()


def test_the_reference_has_every_command() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert all(f"## netgen {name}\n" in text for name in COMMANDS)


def test_no_line_of_a_list_of_commands_is_cut_off() -> None:
    lists = re.findall(r"^Commands:\n(.*?)\n```", FILE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(lists) == 4  # netgen's, and those of data, figure and experiment
    assert "..." not in "".join(lists)
