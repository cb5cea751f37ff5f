"""The header of every file says how it was made; its command makes it again."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from support.build_command import NARROW, ODD, make_dataset, netgen, succeed, tree, written
from support.paths import ROOT

from netgen import paper
from netgen.network.options import READINGS

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


# Every option of the recipe, away from its default.
RECIPE = {
    "batch-size": 6,
    "momentum": 0.5,
    "weight-decay": 0.25,
    "base-lr": 0.125,
    "memory": 1,
    "max-iter": 70,
    "test-interval": 7,
    "snapshot": 14,
    "display": 3,
    "random-seed": 4,
    "frozen-statistics": True,
    "moving-average": 0.75,
    "head-std": 0.0625,
    "head-lr-mult": 10,
    "mirror": False,
    "stepvalues": "40,60",
}


def option(name: str, value: object) -> list[object]:
    """Return the words that set an option of the recipe."""
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", value]


CHANGES = [
    *(("--variant", "xs", *option(name, value))
      for name, value in RECIPE.items() if name != "memory"),
    ("--variant", "xs", "--memory", 30),
    ("--variant", "xs", "--solver-mode", "cpu"),
    ("--variant", "xs", "--width", 32),
    ("--variant", "xs", "--blocks", "1,2,3,2"),
    ("--variant", "xs", "--stem", "small", "--memory", 300),
    *(("--variant", "xs", "--reading", f"{name}={value.slug}", "--memory", 20)
      for name, option in READINGS.items() for value in option.values[1:]),
]  # fmt: skip


def test_the_options_below_are_all_there_are() -> None:
    assert set(RECIPE) == {field.name.replace("_", "-") for field in fields(paper.Recipe)}


def without_comments(content: bytes) -> list[bytes]:
    return [line for line in content.splitlines() if not line.startswith(b"#")]


@pytest.mark.parametrize("options", CHANGES, ids=lambda options: " ".join(map(str, options[2:])))
def test_every_option_changes_the_files_and_is_recorded(
    options: tuple[object, ...], tmp_path: Path
) -> None:
    succeed("build", "--variant", "xs", "--out", "out")
    ours = written(tmp_path)
    succeed("build", *options, "--out", "out")  # in the same place: solvers name their networks
    changed = written(tmp_path)
    assert any(without_comments(ours[name]) != without_comments(changed[name]) for name in ours)
    rebuild_from_headers(tmp_path / "out")


def rebuild_from_headers(folder: Path) -> None:
    """Take a folder's files away, run the command in the header of each; all must be as before."""
    before = written(folder)
    commands = {
        line.removeprefix("# Made by: ")
        for name, content in before.items()
        for line in content.decode().splitlines()
        if line.startswith("# Made by: ")
    }
    assert len(commands) == 1
    shutil.rmtree(folder)
    program_name, *words = shlex.split(commands.pop())
    assert program_name == "netgen"
    succeed(*words)
    assert written(folder) == before


def test_the_header_of_many_options_and_odd_paths_rebuilds_the_same_bytes(tmp_path: Path) -> None:
    make_dataset(tmp_path / ODD)
    recipe = [word for name, value in RECIPE.items() for word in option(name, value)]
    odd_dataset = f"{ODD}/dataset.toml"
    readings = ["--reading", "sharing=per-source", "--reading", "normalization=mean"]
    succeed(
        *("build", "--variant", "xs", "--dataset", odd_dataset, "--out", "out put"),
        *(*NARROW, "--stem", "small", "--solver-mode", "cpu", *readings, *recipe),
    )
    rebuild_from_headers(tmp_path / "out put")


def test_the_headers_command_runs_in_a_shell(tmp_path: Path) -> None:
    succeed("build", "--variant", "x1", "--out", "it's here", *NARROW)
    before = written(tmp_path)
    [command] = [
        line.removeprefix(b"# Made by: ").decode()
        for line in before["it's here/solvers/x1.prototxt"].splitlines()
        if line.startswith(b"# Made by: ")
    ]
    shutil.rmtree(tmp_path / "it's here")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(command, shell=True, env=os.environ | {"PATH": path}, check=True)
    assert written(tmp_path) == before


def test_a_header_names_network_dataset_and_paper() -> None:
    header = (ROOT / "models/xs/deploy.prototxt").read_text(encoding="utf-8").splitlines()[:3]
    assert header == [
        "# X_S-ResNet-50 (xs) for mtvso: noun 167, adj 117, anp 553.",
        '# Jou & Chang, "Deep Cross Residual Learning for Multitask Visual Recognition",'
        " ACM MM 2016.",
        "# Made by: netgen build --variant xs",
    ]


# ---- --check ------------------------------------------------------------------------------------
def test_check_is_silent_about_what_was_just_built(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0")
    before = tree(tmp_path)
    assert succeed("build", "--variant", "x0", "--check").stdout == "5 files are up to date.\n"
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("damage", "shown"),
    [
        (lambda file: file.write_text(file.read_text().replace("0.9", "0.8")), "-momentum: 0.8"),
        (lambda file: file.write_text(file.read_text() + "iter_size: 2\n"), "-iter_size: 2"),
        (Path.unlink, "+momentum: 0.9"),
        (lambda file: file.write_text(""), "+momentum: 0.9"),
        (lambda file: file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n")), "-momentum"),
    ],
    ids=["edited", "added to", "missing", "empty", "other ends of lines"],
)
def test_check_shows_a_stale_file_as_a_diff_and_leaves_it(
    damage: Any, shown: str, tmp_path: Path
) -> None:
    succeed("build", "--variant", "x0")
    damage(tmp_path / "solvers/x0.prototxt")
    before = tree(tmp_path)
    result = netgen("build", "--variant", "x0", "--check")
    assert result.exit_code == 1
    assert shown in result.stdout
    assert "1 of 5 files" in result.stderr
    assert "without --check" in result.stderr
    assert tree(tmp_path) == before


def test_check_tells_of_a_file_that_is_not_text(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0")
    (tmp_path / "solvers/x0.prototxt").write_bytes(b"\xff\xfe\x00")
    result = netgen("build", "--variant", "x0", "--check")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert "solvers/x0.prototxt" in result.output
