"""GPUs, their driver, and whether this Caffe can use them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from netgen.doctor.finding import Asked, Finding, lack, ok
from netgen.engine import Engine, EngineError, find_engine, require_gpu

QUERY = ("name", "driver_version", "memory.total", "compute_cap")
TIMEOUT = 30  # seconds: a sleeping driver takes some
MIB = 2**20


class NoGpuError(ValueError):
    """nvidia-smi knows of no GPU; the message says why."""


@dataclass(frozen=True)
class Card:
    """A GPU: name, driver's version, memory in bytes, and compute capability (75 is 7.5)."""

    name: str
    driver: str
    memory: int
    architecture: int


def examine(asked: Asked) -> list[Finding]:
    """Ask the driver for its GPUs, and Caffe whether it can use the first."""
    try:
        found = cards()
    except NoGpuError as error:
        step = "install NVIDIA's driver, or train on the CPU (`netgen build --solver-mode cpu`)"
        return [lack("GPU", str(error), step, needed=asked.gpu)]
    lines = [
        ok("GPU", f"{card.name}, {card.memory / 2**30:.1f} GiB, driver {card.driver}")
        for card in found
    ]
    return [*lines, _caffe(found[0], asked)]


def cards() -> list[Card]:
    """Return this machine's GPUs, one or more.

    Raises
    ------
    NoGpuError
        There is none, or no driver for it.
    """
    command = ("nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits")
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except FileNotFoundError:
        raise NoGpuError("none: there is no `nvidia-smi`, which comes with the driver") from None
    except subprocess.TimeoutExpired:
        raise NoGpuError(f"`nvidia-smi` did not answer for {TIMEOUT} seconds") from None
    rows = re.findall(r"^(.+), (.+), (\d+), (\d+)\.(\d+)$", answer.stdout, flags=re.MULTILINE)
    if answer.returncode != 0 or not rows:
        said = (answer.stdout + answer.stderr).strip() or "nothing"
        raise NoGpuError(f"`nvidia-smi` says: {said.splitlines()[0]}")
    return [Card(row[0], row[1], int(row[2]) * MIB, int(row[3] + row[4])) for row in rows]


def _caffe(card: Card, asked: Asked) -> Finding:
    about = "Caffe on the GPU"
    rebuild = f'`CAFFE_GPU=1 CAFFE_CUDA_ARCHITECTURES="{card.architecture}" ./run setup`'
    try:
        engine = find_engine()
        if engine.cuda and not runs_on(engine, card.architecture):
            what = f"was not built for architecture {card.architecture}: {engine.build['gpu']}"
            return lack(about, what, rebuild, needed=asked.gpu)
        require_gpu(engine)
    except EngineError as error:
        return lack(about, str(error), rebuild, needed=asked.gpu)
    return ok(about, "works")


def runs_on(engine: Engine, architecture: int) -> bool:
    """Tell whether an engine's kernels run on a GPU; a build that tells nothing may.

    Code for a GPU ("75-real") runs on its generation's later ones, what is meant for the driver to
    translate ("75-virtual") on all later ones; "75" is both.
    """
    listed = re.search(r"architectures ([\d;a-z-]+)", engine.build.get("gpu", ""))
    if listed is None:
        return True
    kinds = (one.partition("-") for one in listed[1].split(";"))
    return any(
        int(number) <= architecture and (kind != "real" or int(number) // 10 == architecture // 10)
        for number, _, kind in kinds
    )
