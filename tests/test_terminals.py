"""Tables and bars show names as they are, and all of them, whatever the terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.logs import log_of_a_training
from support.paths import ROOT

from netgen.commands.terminal_progress import plain_console
from netgen.training.display import Display
from netgen.training.plan import TrainingPlan
from netgen.training.state import Progress

# Of rich's own language: an end without a beginning, a style, an emoji.
NAMES = ("[/red]", "[bold]x", ":cat:")


def a_plan() -> TrainingPlan:
    return TrainingPlan(
        name="xs", solver="max_iter: 60", net="", losses={}, records=50, batch=8, test_records=0,
        test_batch=0, round_iterations=60, gpus=[], rule=None, observed=None, best=[], keep=2,
        reseed=False, explosion=10.0,
    )  # fmt: skip


def netgen(folder: Path, *words: str, **environment: str) -> str:
    """Run a command that must succeed, and return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-m", "netgen", *words], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_the_names_of_a_logs_outputs_as_they_are(name: str, tmp_path: Path) -> None:
    log = log_of_a_training().replace("loss_noun", name)
    (tmp_path / "xs.log").write_text(log)
    assert f"\n{name} " in netgen(tmp_path, "log", "xs.log")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_the_names_of_layers_as_they_are(name: str, tmp_path: Path) -> None:
    shape = "input_param { shape { dim: 1 } }"
    layer = f'layer {{ name: "{name}" type: "Input" top: "data" {shape} }}'
    (tmp_path / "net.prototxt").write_text(layer)
    assert f"\n{name} " in netgen(tmp_path, "count", "net.prototxt", "--layers")


@pytest.mark.parametrize("name", NAMES)
def test_the_bar_of_a_training_has_the_names_of_its_outputs_as_they_are(name: str) -> None:
    shown = io.StringIO()
    display = Display(plain_console(file=shown, force_terminal=True, width=200), a_plan())
    with display.showing():
        display.on_event(
            {"event": "train", "iteration": 1, "epoch": 0.1, "lr": 0.1, "loss": 2.0,
             "outputs": {name: 2.0}}
        )  # fmt: skip
        display.on_event(Progress("training", 1, 60, 2.0))
        display.on_message("shown")
    assert f"loss 2 ({name} 2)" in shown.getvalue().partition("rate 0.1")[2]


@pytest.mark.parametrize("width", ["1", "20"])
@pytest.mark.parametrize(
    "words", [["list"], ["audit", "--only", "xs-params"], ["count", "--variant", "xs"]]
)
def test_a_narrow_terminal_shows_whole_tables(words: list[str], width: str, tmp_path: Path) -> None:
    """Which it breaks itself; rich would leave out all columns but the first."""
    terminal = {"TERM": "xterm", "FORCE_COLOR": "1", "NO_COLOR": "1"}
    narrow, wide = (
        netgen(tmp_path, *words, COLUMNS=columns, **terminal).split() for columns in (width, "60")
    )
    assert narrow == wide


def test_tables_in_a_pipe_are_folded_at_no_width(tmp_path: Path) -> None:
    name = "a" * 100
    (tmp_path / "xs.log").write_text(log_of_a_training().replace("loss_noun", name))
    printed = netgen(tmp_path, "log", "xs.log", COLUMNS="20").splitlines()
    assert f"{name}  5.100  5.100  DID NOT FALL" in printed
