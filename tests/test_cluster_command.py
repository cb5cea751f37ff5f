"""`netgen cluster`: the jobs pass their schedulers' checks, and do what a row needs, once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from support.networks import VARIANTS
from support.small_table_2 import long_training
from support.training import TIMEOUT, Place, wait_for

from netgen.commands.cli import main

JOB = {"SLURM_ARRAY_TASK_ID": "0", "OPENBLAS_NUM_THREADS": "1"}


def cluster(*words: str) -> str:
    result = CliRunner().invoke(main, ["cluster", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str) -> str:
    result = CliRunner().invoke(main, ["cluster", *words])
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder with a small network that trains for longer than a test, and a job's script."""
    made = long_training(tmp_path, "xs")
    words = ("--only", "xs", "--folder", str(tmp_path), "--solver-mode", "cpu")
    (tmp_path / "table2.sh").write_text(cluster("--slurm", *words))
    return made


def job(place: Place) -> subprocess.Popen[str]:
    """Start the only job of the array, as the scheduler does."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.Popen(
        ["/bin/bash", place.folder / "table2.sh"],
        cwd="/", env=os.environ | JOB | {"PATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_a_job_told_to_stop_leaves_a_snapshot_and_the_next_one_goes_on_from_there(
    place: Place,
) -> None:
    with job(place) as first:
        wait_for(place.path("runs/xs", "snapshots/xs_iter_4.json").exists, first)
        first.send_signal(signal.SIGTERM)  # Slurm's --signal=B:TERM@120, Kubernetes' first word
        said, _ = first.communicate(timeout=TIMEOUT)
    assert first.returncode == 128 + signal.SIGTERM, said
    stopped = place.journal("runs/xs")[-1]
    assert stopped["why"] == "stopped"
    with job(place) as second:
        assert second.stdout is not None
        heard = "".join(line for line in iter(second.stdout.readline, "") if _note(line, second))
    assert f"runs/xs: resuming from iteration {stopped['iteration']:,}" in heard
    assert second.returncode == 128 + signal.SIGTERM


def test_a_killed_job_leaves_no_training_behind(place: Place) -> None:
    with job(place) as killed:
        wait_for(place.path("runs/xs", "snapshots/xs_iter_4.json").exists, killed)
        killed.kill()
        killed.communicate(timeout=TIMEOUT)  # ends when the training has closed the pipe, too
    assert place.journal("runs/xs")[-1]["why"] == "stopped"


def _note(line: str, running: subprocess.Popen[str]) -> bool:
    """End a job once it has said that it goes on."""
    if "engine: " in line:
        running.terminate()
    return True


def test_a_job_without_its_networks_weights_says_so_and_ends(place: Place) -> None:
    shutil.rmtree(place.folder / "weights")
    with job(place) as running:
        said, _ = running.communicate(timeout=TIMEOUT)
    assert running.returncode == 1
    assert "not there: weights/ResNet-50-model.caffemodel" in said


def test_the_array_has_one_job_a_network_of_table_2_or_for_each_that_is_named() -> None:
    assert f"#SBATCH --array=0-{len(VARIANTS) - 1}\n" in cluster("--slurm")
    assert f"cells=({' '.join(VARIANTS)})\n" in cluster("--slurm")
    assert "#SBATCH --array=0-1\n" in cluster("--slurm", "--only", "x0", "--only", "xs")
    assert "cells=(x0)\n" in cluster("--slurm", "--only", "x0", "--only", "x0")


def test_shellcheck_finds_nothing_in_the_script_even_for_odd_folders(tmp_path: Path) -> None:
    script = tmp_path / "table2.sh"
    script.write_text(cluster("--slurm", "--folder", "/my data's", "--weights", "a b"))
    found = subprocess.run(
        ["shellcheck", script], capture_output=True, text=True, timeout=50, check=False
    )
    assert found.returncode == 0, found.stdout


def test_kubernetes_own_schema_accepts_the_job() -> None:
    text = cluster("--kubernetes", "--image", "registry/me/netgen:cuda", "--folder", '/a "b"')
    job = yaml.safe_load(text)
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    assert job["spec"]["completions"] == len(VARIANTS)
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["volumeMounts"][0]["mountPath"] == '/a "b"'
    assert container["args"][-1].endswith(" --weights weights --gpu 0\n")
    job["spec"]["completions"] = "six"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def test_jobs_for_the_cpu_ask_for_no_gpu() -> None:
    script = cluster("--slurm", "--solver-mode", "cpu")
    assert "gpu" not in script
    assert script.endswith(" --weights weights --solver-mode cpu\n")
    job = yaml.safe_load(cluster("--kubernetes", "--solver-mode", "cpu"))
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "16Gi"}
    assert container["args"][-1].endswith(" --weights weights --solver-mode cpu\n")


def test_a_pods_script_chooses_its_network_by_its_index(tmp_path: Path) -> None:
    job = yaml.safe_load(cluster("--kubernetes", "--folder", str(tmp_path)))
    (tmp_path / "netgen").write_text('#!/bin/sh\necho "$PWD: $*"\n')
    (tmp_path / "netgen").chmod(0o755)
    said = subprocess.run(
        job["spec"]["template"]["spec"]["containers"][0]["args"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "JOB_COMPLETION_INDEX": "2"},
        capture_output=True, text=True, timeout=50, check=True,
    ).stdout  # fmt: skip
    assert said == f"{tmp_path}: table --only {VARIANTS[2]} --weights weights --gpu 0\n"


def test_wrong_usage_is_told_and_nothing_is_printed() -> None:
    assert "choose --slurm or --kubernetes" in refused()
    assert "one of them" in refused("--slurm", "--kubernetes")
    assert "--hours is for --slurm: omit it" in refused("--kubernetes", "--hours", "3")
    assert "--image is for --kubernetes: omit it" in refused("--slurm", "--image", "mine")
    assert "unknown variant 'x2'" in refused("--slurm", "--only", "x2")
    assert "give an absolute path" in refused("--slurm", "--folder", "table2")


@pytest.mark.parametrize("name", ["", " ", "A_B c", "-a", "a..b", "a" * 254])
def test_a_claim_that_kubernetes_cannot_have_is_refused(name: str) -> None:
    said = refused("--kubernetes", "--claim", name)
    assert f"{name!r} is not the name of a claim: small letters, digits" in " ".join(said.split())


@pytest.mark.parametrize("name", ["", " ", "a: b", "-v", "a\nb"])
def test_an_image_that_no_registry_can_have_is_refused(name: str) -> None:
    said = refused("--kubernetes", "--image", name)
    assert f"{name!r} is not the name of an image, such as" in " ".join(said.split())
