"""Find Caffe and its features, or explain how to get it.

Caffe aborts its process when it lacks a feature, so its program is run in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Products of float32, as on the paper's cards: from compute capability 8.0 on, cuDNN else rounds
# factors to TF32's ten bits, and X_S is a thousand times as far from the CPU (docs/gpu.md).
# NVIDIA's libraries read it when they are loaded; a value that is set already stays.
FLOAT32 = {"NVIDIA_TF32_OVERRIDE": "0"}

TIMEOUT = 60  # seconds: usually one; a GPU's driver may take longer to wake


class EngineError(ValueError):
    """Caffe is missing or lacks a needed feature; the message says what to do next."""


@dataclass(frozen=True)
class Engine:
    """The Caffe that would train.

    Attributes
    ----------
    program
        The path of `caffe`.
    version
        What `caffe --version` prints.
    cuda
        Whether it was built with CUDA.
    build
        What docker/caffe/build.sh recorded: "era", "gpu" and so on. Empty for a Caffe from
        elsewhere.
    """

    program: Path
    version: str
    cuda: bool
    build: Mapping[str, str]


def find_engine() -> Engine:
    """Return the Caffe of this environment: beside this Python, else on the PATH.

    Raises
    ------
    EngineError
        There is none, or it does not start.
    """
    here = Path(sys.executable).parent
    program = shutil.which("caffe", path=os.pathsep.join([str(here), os.environ.get("PATH", "")]))
    if program is None:
        raise EngineError(
            "Caffe is not installed: there is no `caffe` beside this Python or on the PATH."
            " `./run setup` in netgen's folder builds it"
        )
    version = _run(program, "--version")
    if version.returncode != 0:
        raise EngineError(f"{program} does not start: {_first_line(version.stderr)}")
    refusal = _run(program, "device_query", "-gpu", "0").stderr
    return Engine(
        program=Path(program),
        version=_first_line(version.stdout),
        cuda="CPU-only" not in refusal,
        build=_build_record(Path(program)),
    )


def require_gpu(engine: Engine) -> None:
    """Check that Caffe can train on this machine's GPU.

    Raises
    ------
    EngineError
        This Caffe was built without CUDA, or finds no GPU.
    """
    if not engine.cuda:
        raise EngineError(
            f"{engine.program} was built for the CPU only: put a Caffe built with CUDA on the PATH."
            " On the CPU: omit --gpu, and train from a solver that `netgen build --solver-mode cpu`"
            " wrote"
        )
    answer = _run(str(engine.program), "device_query", "-gpu", "0")
    if answer.returncode != 0:
        raise EngineError(
            f"{engine.program} finds no GPU: {fatal_reason(answer.stderr)}. Check `nvidia-smi`,"
            " or train on the CPU (`netgen build --solver-mode cpu`)"
        )


def fatal_reason(log: str) -> str:
    """Return the text of glog's fatal line in `log`, without its time and place."""
    fatal = [line for line in log.splitlines() if line.startswith("F")]
    return fatal[0].partition("] ")[2] if fatal else _first_line(log)


def _build_record(program: Path) -> dict[str, str]:
    try:
        text = (program.resolve().parent.parent / "build.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    quiet = os.environ | {"GLOG_logtostderr": "1"}  # else each run leaves a log file behind
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, env=quiet, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["it prints nothing"])[0]
