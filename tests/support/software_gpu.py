"""The software GPU: its nvcc and its nvidia-smi, and a Caffe with CUDA that was built for it.

Both are in the cache under keys of their own; whoever needs one first has it built.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.caffe_child import ENVIRONMENT
from support.engine_suites import TABLE_2_SUITES, Built, build
from support.paths import ROOT, TESTS

FOLDER = TESTS / "software_gpu"
BUILD = FOLDER / "build.sh"
VENV = ROOT / "build/software-gpu-venv"
KERNEL_SUITE = "test_im2col_kernel"  # launches kernels itself, so it is there with CUDA only
COMPLAINT = "software GPU:"  # begins each line that says what a GPU would punish


def _said(*words: str | Path) -> str:
    run = subprocess.run(words, cwd=ROOT, text=True, check=True, stdout=subprocess.PIPE)
    return run.stdout


@dataclass(frozen=True)
class Toolkit:
    """What stands for NVIDIA's toolkit."""

    folder: Path

    @property
    def path(self) -> str:
        """A PATH on which its programs come first."""
        first = [str(self.folder / "bin"), str(FOLDER / "bin")]
        return os.pathsep.join([*first, os.environ["PATH"]])

    def compile(self, source: Path, program: Path) -> None:
        """Compile a program for the software GPU."""
        libraries = self.folder / "lib64"
        words = ["-lcublas", "-lcurand", f"-Wl,-rpath,{libraries}"]
        subprocess.run(
            [self.folder / "bin/nvcc", "-std=c++17", "-O1", source, "-o", program, *words],
            check=True,
        )


@dataclass(frozen=True)
class SoftwareGpu:
    """A Python whose Caffe computes on the software GPU, and the environment that it runs in."""

    python: Path
    environment: dict[str, str]

    @property
    def caffe(self) -> Path:
        return self.python.parent / "caffe"

    @property
    def library(self) -> Path:
        return self.caffe.resolve().parents[1] / "lib/libcaffe.so"

    def run(
        self, *words: str | Path, cwd: Path, timeout: float = 300, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program that may fail; its output and errors are both in `stdout`."""
        return subprocess.run(
            words, cwd=cwd, env=self.environment | more, timeout=timeout, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip


def toolkit() -> Toolkit:
    """Return the toolkit, which is built if it is not in the cache."""
    return Toolkit(Path(_said(BUILD, "--toolkit").strip()))


def software_gpu() -> SoftwareGpu:
    """Return a Caffe for the software GPU, which is built if it is not in the cache."""
    _said(BUILD, VENV)
    path = os.pathsep.join([str(VENV / "bin"), toolkit().path])
    return SoftwareGpu(VENV / "bin/python", os.environ | ENVIRONMENT | {"PATH": path})


def software_gpu_tests() -> Built:
    """Return Caffe's own tests of what Table 2 uses, compiled for the software GPU."""
    software_gpu()
    return build(VENV, *TABLE_2_SUITES, KERNEL_SUITE, through=(BUILD, "--run"))
