"""`netgen list`: Table 2's networks, every reading, and other people's datasets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.build_command import make_dataset, refused, succeed
from support.networks import VARIANTS

from netgen import paper
from netgen.network.options import READINGS

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def test_list_shows_every_network_with_table_2s_parameters() -> None:
    lines = succeed("list").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == VARIANTS
    assert [line.split()[-1] for line in lines] == [
        paper.TABLE_2_PARAMETERS[variant] for variant in VARIANTS
    ]


def test_list_speaks_json() -> None:
    rows = json.loads(succeed("list", "--json").stdout)
    assert [row["variant"] for row in rows] == VARIANTS
    assert {row["tasks"] for row in rows} == {*paper.TASKS, ", ".join(paper.TASKS)}


def test_list_shows_every_reading_and_which_is_ours() -> None:
    rows = json.loads(succeed("list", "--readings", "--json").stdout)
    shown = [row["--reading"] for row in rows]
    assert shown == [
        f"{name}={value.slug}" for name, option in READINGS.items() for value in option.values
    ]
    assert sum(row["ours"] == "*" for row in rows) == len(READINGS)
    for reading in shown:
        succeed("build", "--variant", "xs", "--memory", 20, "--reading", reading)


def test_list_shows_the_networks_of_a_dataset(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", colour=3, shape=9)
    output = succeed("list", "--dataset", "data/dataset.toml").stdout
    assert "resnet50-shape" in output
    assert "43.16" not in output, "Table 2 says nothing about other data"


@pytest.mark.parametrize("kind", ["--readings", "--beyond"])
def test_list_refuses_a_dataset_that_it_would_not_read(kind: str) -> None:
    said = refused(2, "list", kind, "--dataset", "nope.toml")
    assert "--dataset has networks, not readings or extensions: omit it" in said


def test_list_never_shortens_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    make_dataset(tmp_path / "data", wings=3, shape=9)
    output = succeed("list", "--dataset", "data/dataset.toml").stdout
    assert "inception-v1-wings" in output
    assert "…" not in output
