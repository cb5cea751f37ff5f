"""`netgen build` from outside: what it writes and checks, for which data."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.build_command import (
    FILES,
    NARROW,
    ODD,
    files_of,
    make_dataset,
    refused,
    succeed,
    written,
)
from support.caffe_child import in_caffe
from support.networks import TRAINED, VARIANTS
from support.paths import ROOT

from netgen.caffe.schema import read_solver

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


# ---- what is written ----------------------------------------------------------------------------


def test_a_variant_gives_two_networks_a_solver_and_a_folder_for_snapshots(tmp_path: Path) -> None:
    result = succeed("build", "--variant", "xs")
    assert sorted(written(tmp_path)) == [name.format("xs") for name in FILES]
    assert sorted(result.stdout.split()) == [
        "models/xs/deploy.json",
        "models/xs/deploy.prototxt",
        "models/xs/train_val.prototxt",
        "solvers/xs.prototxt",
    ]
    told = "caffe train -solver solvers/xs.prototxt -weights models/xs/initial.caffemodel -gpu 0"
    assert told in result.stderr


def test_all_gives_every_variant_as_one_by_one(tmp_path: Path) -> None:
    succeed("build", "--all", "--out", "together")
    assert sorted(written(tmp_path / "together")) == sorted(
        name for variant in VARIANTS for name in files_of(variant)
    )
    for variant in VARIANTS:
        succeed("build", "--variant", variant, "--out", "together", "--check")


def test_the_committed_files_are_what_netgen_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = succeed("build", "--all", "--check")
    expected = sum(len(files_of(variant)) for variant in VARIANTS)
    assert result.stdout == f"{expected} files are up to date.\n"


def test_files_have_the_permissions_that_the_user_asks_for(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        succeed("build", "--variant", "x0")
    finally:
        os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.prototxt")} == {0o640}


def test_snapshots_stay_out_of_git_and_their_folder_stays_in(tmp_path: Path) -> None:
    succeed("build", "--variant", "x0")
    shutil.copy2(ROOT / ".gitignore", tmp_path)
    solver = read_solver(tmp_path / "solvers/x0.prototxt")
    Path(f"{solver.snapshot_prefix}_iter_1.caffemodel").write_bytes(b"")
    Path(f"{solver.snapshot_prefix}_iter_1.solverstate").write_bytes(b"")
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", "add", "--all"], check=True)
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == [".gitignore", *(name.format("x0") for name in FILES)]


@pytest.mark.parametrize("variant", TRAINED)
def test_the_folder_that_a_committed_solver_names_is_there(variant: str) -> None:
    solver = read_solver(ROOT / f"solvers/{variant}.prototxt")
    assert (ROOT / solver.net).is_file()
    assert (ROOT / solver.snapshot_prefix).parent.is_dir()
    assert ((ROOT / solver.snapshot_prefix).parent / ".gitignore").is_file()


# ---- other datasets and odd paths ---------------------------------------------------------------


def load(solver_file: str) -> list[str]:
    """In Caffe: load a solver and train once; return the outputs of its networks."""
    import caffe

    solver = caffe.get_solver(solver_file)
    solver.step(1)
    return [*solver.net.outputs, *solver.test_nets[0].outputs]


@pytest.mark.parametrize("out", [ODD, "plain"])
def test_caffe_finds_odd_paths_of_data_and_networks(out: str, tmp_path: Path) -> None:
    make_dataset(tmp_path / ODD)
    succeed(
        *("build", "--variant", "xs", "--dataset", f"{ODD}/dataset.toml", "--out", out),
        *(*NARROW, "--stem", "small", "--solver-mode", "cpu", "--batch-size", 4, "--snapshot", 1),
    )
    answer = in_caffe(load, f"{out}/solvers/xs.prototxt", folder=tmp_path)
    assert answer.complaints == []
    assert len(answer.value) == 2 + 5
    assert (tmp_path / out / "models/xs/snapshots/xs_iter_1.caffemodel").exists()


def test_the_command_to_train_is_quoted_for_a_shell(tmp_path: Path) -> None:
    result = succeed("build", "--variant", "x0", *NARROW, "--out", ODD)
    command = "caffe train -solver " + shlex.quote(f"{ODD}/solvers/x0.prototxt") + " -gpu 0"
    assert command in result.stderr
    assert command in (tmp_path / ODD / "solvers/x0.prototxt").read_text(encoding="utf-8")


def test_a_dataset_brings_its_own_tasks(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", colour=3, shape=9)
    options = ("--dataset", "data/dataset.toml", *NARROW, "--stem", "small", "--out", "out")
    result = succeed("build", "--all", *options)
    for name in ("caffenet-colour", "inception-v1-shape", "vgg16-colour"):
        assert f"omitted {name}: {name} is not made of residual blocks" in result.stderr
    names = sorted(path.name for path in (tmp_path / "out/models").iterdir())
    assert names == ["resnet50-colour", "resnet50-shape", "x0", "x1", "xs"]
    message = refused(2, "build", "--variant", "resnet50-noun", *options)
    assert "vgg16-shape, resnet50-colour, resnet50-shape, x0, x1, xs" in message
    assert "mtvso" not in (tmp_path / "out/models/xs/train_val.prototxt").read_text()
