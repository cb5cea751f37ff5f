"""`./run gpu-proof`: what it writes, what it takes for a disagreement, and what it refuses."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpu_proof import agreement, page
from gpu_proof.engines import Engine, StageError
from support.paths import ROOT, TESTS
from support.software_gpu import SoftwareGpu, toolkit

CARD = "netgen-software-gpu"


@pytest.fixture(scope="session")
def rehearsal(gpu: SoftwareGpu, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a proof of the quickest stage found on the software GPU."""
    out = tmp_path_factory.mktemp("gpu-proof")
    ran = gpu.run(
        gpu.python, "-m", "gpu_proof", "--out", out, "--engine", f"without cuDNN={gpu.python}",
        "--small", "--only", "agreement without kinks", cwd=ROOT, PYTHONPATH=str(TESTS),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    found = json.loads((out / f"{CARD}.json").read_text())
    assert (out / f"{CARD}.md").read_text() in ran.stdout
    return dict(found)


def test_on_the_software_gpu_a_smooth_network_agrees_with_the_cpu_to_rounding(
    rehearsal: dict[str, Any],
) -> None:
    ways = rehearsal["stages"]["agreement without kinks"]["apart"]
    assert len(ways) == 2
    for way in ways.values():
        assert 0 < max(way[kind] for kind in agreement.KINDS.values()) < 1e-4
    assert not page.disagreements(rehearsal)


def test_the_page_names_the_card_the_build_and_the_differences(rehearsal: dict[str, Any]) -> None:
    text = page.write(rehearsal)
    assert text.startswith("# netgen software GPU: what it showed\n")
    assert "A rehearsal" in text
    assert rehearsal["engines"]["without cuDNN"]["gpu"] in text
    assert "| the GPU, without cuDNN |" in text
    assert "yes" in text
    assert "nan" not in text


@pytest.mark.parametrize("kind", agreement.KINDS.values())
def test_what_is_farther_from_the_cpu_than_allowed_is_told(
    rehearsal: dict[str, Any], kind: str
) -> None:
    found = copy.deepcopy(rehearsal)
    rows = found["stages"]["agreement without kinks"]["apart"]
    (gpu,) = (name for name in rows if name.startswith("the GPU"))
    usual = next(row for name, row in rows.items() if name != gpu)
    rows[gpu][kind] = 1.0
    agreement.judge(rows[gpu], usual, agreement.ALLOWED_SMOOTH)
    assert page.disagreements(found) == [f"{gpu}: farther from the CPU than allowed"]
    assert "**no**" in page.write(found)


def test_a_stage_that_failed_is_told_and_the_others_remain(rehearsal: dict[str, Any]) -> None:
    found = copy.deepcopy(rehearsal)
    found["failed"]["training with cuDNN"] = "StageError: no memory"
    assert page.disagreements(found) == ["training with cuDNN: StageError: no memory"]
    assert "- training with cuDNN: StageError: no memory" in page.write(found)
    assert "| the GPU, without cuDNN |" in page.write(found)


def test_a_test_of_caffes_that_failed_is_told(rehearsal: dict[str, Any]) -> None:
    found = copy.deepcopy(rehearsal)
    found["stages"]["suites without cuDNN"] = {
        "engine": "without cuDNN", "suites": 1, "run": 2, "passed": 1, "explained": 0,
        "problems": ["test_lrn_layer T/2.Forward: failed"],
    }  # fmt: skip
    assert page.disagreements(found) == ["without cuDNN: test_lrn_layer T/2.Forward: failed"]


def test_a_difference_is_relative_to_the_arrays_of_a_layer_together() -> None:
    reference = {"output loss": np.ones(4), "deployed fc": np.ones(1)}
    reference |= {"gradient conv1 0": np.full(3, 2.0), "gradient conv1 1": np.array([1e-9])}
    found = copy.deepcopy(reference)
    found["gradient conv1 1"] = np.array([-1e-9])  # a bias of no gradient: rounding alone
    found["output loss"] = np.array([1.0, 1, 1, 1.2])
    row = agreement.apart(reference, found)
    assert row["gradients"] < 1e-8
    assert row["training outputs"] == pytest.approx(0.1)
    assert row["training outputs, where"] == "loss"


def test_a_command_that_fails_says_which_and_why(tmp_path: Path) -> None:
    engine = Engine("broken", Path("/usr/bin/python3"))
    with pytest.raises(StageError, match=r"sh -c echo no; exit 3: exit status 3: no"):
        engine.run(tmp_path, ["sh", "-c", "echo no; exit 3"])
    with pytest.raises(StageError, match=r"no end within 1 s"):
        engine.run(tmp_path, ["sleep", "60"], seconds=1)


# ---- the commands --------------------------------------------------------------------------------


def refused(*words: str, path: str = os.environ["PATH"], cwd: Path = ROOT) -> str:
    """Run ./run, which has to fail with a message; return that."""
    ran = subprocess.run(
        [cwd / "run", *words], cwd=cwd, env=os.environ | {"PATH": path}, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stdout
    assert "Next: " in ran.stdout
    return ran.stdout


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of what ./run reads before it builds anything, where a pack may lie."""
    for name in ("run", "docker", "tests/gpu_proof"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", ROOT / name, target], check=True)
    return tmp_path


def pack(folder: Path, **facts: str) -> None:
    """Write a pack that says this of itself."""
    packs = folder / "build/gpu-pack"
    packs.mkdir(parents=True)
    text = folder / "pack.txt"
    text.write_text("".join(f"{name}: {value}\n" for name, value in facts.items()))
    with tarfile.open(packs / "gpu-pack-90-x86_64.tar.xz", "w:xz") as tar:
        tar.add(text, "gpu-pack/pack.txt")


HERE = {"architecture": "90", "processor": os.uname().machine, "glibc": "2.2", "cuda": "999"}


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    said = refused("gpu-proof", path=f"{tmp_path}:{os.environ['PATH']}")
    assert "no NVIDIA GPU answers here" in said


def test_a_compute_capability_with_its_dot_is_explained() -> None:
    assert "without its dot, not '9.0'" in refused("gpu-pack", "9.0")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"architecture": "100"}, "is for compute capability 100 and later, and this card has 90"),
        ({"processor": "pdp11"}, "is for pdp11, and this machine is"),
        ({"glibc": "9.9"}, "needs glibc 9.9 or newer: this system is older"),
        ({}, "libcudart.so.999 is nowhere"),
    ],
)
def test_a_pack_for_another_machine_says_so(copied: Path, facts: dict[str, str], said: str) -> None:
    pack(copied, **HERE | facts)
    (copied / "netgen/caffe").mkdir(parents=True)
    (copied / "netgen/caffe/caffe_pb2.py").touch()
    assert said in refused("gpu-proof", path=toolkit().path, cwd=copied)


def test_a_damaged_pack_says_so(copied: Path) -> None:
    pack(copied, **HERE)
    file = next(copied.glob("build/gpu-pack/*.xz"))
    file.write_bytes(file.read_bytes()[:40])
    assert "is damaged" in refused("gpu-proof", path=toolkit().path, cwd=copied)
