"""What the Tab key offers: click's completion, in a real bash, turned on as the guide says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.fashion_mnist import first
from support.paths import ROOT

from data_prep.convert import convert
from data_prep.request import DataOptions
from netgen.commands.cli import COMMANDS

GUIDE = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
SHELLS = dict(re.findall(r"^(.*_NETGEN_COMPLETE=\w+_source.*?) +# (\w+)", GUIDE, re.M))
# What bash does for the Tab key: it calls the function that is registered for the program.
PRESS_TAB = """
read -r -a COMP_WORDS <<<"$LINE"
if [[ $LINE == *' ' ]]; then COMP_WORDS+=(''); fi
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
registered=$(complete -p netgen) && [[ $registered =~ -F\\ ([^ ]+) ]]
"${BASH_REMATCH[1]}" netgen
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(line: str, folder: Path) -> set[str]:
    """What bash offers at the end of a line, in a folder."""
    (turned_on,) = [command for command, shell in SHELLS.items() if shell == "bash"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", turned_on + "\n" + PRESS_TAB],
        env=os.environ | {"LINE": line, "PATH": path, "PYTHONPATH": str(ROOT)},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_offers_the_commands(tmp_path: Path) -> None:
    assert offered("netgen ", tmp_path) == set(COMMANDS)
    assert offered("netgen co", tmp_path) == {"count"}


def test_bash_offers_the_options_and_the_commands_below_a_command(tmp_path: Path) -> None:
    assert "--tensorboard" in offered("netgen train --t", tmp_path)
    assert {"network", "audit", "run"} <= offered("netgen page ", tmp_path)


@pytest.mark.parametrize("command", ["build", "count", "train", "page network", "predict"])
def test_bash_offers_the_networks(command: str, tmp_path: Path) -> None:
    assert offered(f"netgen {command} --variant x", tmp_path) == {"x0", "x1", "xs"}


def test_bash_offers_the_networks_of_the_dataset_that_the_line_names(tmp_path: Path) -> None:
    convert(first({"train": 4, "test": 4}), DataOptions(tmp_path / "data"))
    line = "netgen build --dataset data/dataset.toml --variant resnet50-"
    assert offered(line, tmp_path) == {f"resnet50-{task}" for task in ("item", "family", "season")}


def test_a_dataset_that_cannot_be_read_disturbs_nothing(tmp_path: Path) -> None:
    assert "xs" in offered("netgen build --dataset nowhere.toml --variant x", tmp_path)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_given_their_script(shell: str) -> None:
    (turned_on,) = [command for command, name in SHELLS.items() if name == shell]
    (setting,) = re.findall(r"(_NETGEN_COMPLETE)=(\w+)", turned_on)
    done = subprocess.run(
        [Path(sys.executable).with_name("netgen")], check=False, capture_output=True, text=True,
        env=os.environ | {setting[0]: setting[1], "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert f"_NETGEN_COMPLETE={shell}_complete" in done.stdout, done.stderr
