"""Whether a training fits into memory, estimated from its prototxt."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import read_net
from netgen.cost.complexity import count
from netgen.cost.memory import PROGRAM_BYTES
from netgen.training.plan import TrainingPlan

GIB = 2**30
PYTHON_BYTES = 70 * 2**20  # what pycaffe and its libraries add to the program itself. Measured.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class TrainingMemoryError(ValueError):
    """A training that does not fit into memory; the message says by how much and what next."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a training takes (estimated), and that its device has in total and free."""

    needed: int
    total: int | None
    free: int | None

    def __str__(self) -> str:
        """Return it in GiB."""
        device = "" if self.total is None else f" of {self.total / GIB:.1f}"
        return f"{self.needed / GIB:.2f} GiB{device}"


def check_memory(plan: TrainingPlan, net: Path) -> MemoryEstimate:
    """Check that a training fits into memory, by an estimate that includes layers' own buffers.

    Raises
    ------
    TrainingMemoryError
        It takes more than the machine or the GPU has.
    """
    stages = plan.parameters.train_state.stage
    needed = needed_by(read_net(net), stages=stages, tests=bool(plan.test_records))
    total, free = machine_memory() if plan.gpu is None else _gpu_memory(plan.gpu)
    if total is not None and needed > total:
        where = "this machine" if plan.gpu is None else f"GPU {plan.gpu}"
        raise TrainingMemoryError(
            f"the training takes about {needed / GIB:.1f} GiB, and {where} has"
            f" {total / GIB:.1f}: build the network with a smaller --batch-size (`netgen count`"
            " says what an image costs)"
        )
    return MemoryEstimate(needed, total, free)


def needed_by(
    net: NetParameter,
    inputs: Mapping[str, tuple[int, int, int]] | None = None,
    *,
    stages: Sequence[str] = (),
    tests: bool = True,
) -> int:
    """Return the bytes that training takes (estimated), with the test network beside it or not.

    `inputs` are the shapes of the databases' records, where there are no databases yet.
    """
    train = count(net, "TRAIN", inputs=inputs, stages=stages).memory
    beside = count(net, "TEST", inputs=inputs).memory.beside(train).total if tests else 0
    return train.total + beside + PROGRAM_BYTES + PYTHON_BYTES


def machine_memory() -> tuple[int, int]:
    """Return the machine's memory, in all and available, within this process's limits."""
    info = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in info}
    total = min([sizes["MemTotal"], *_limits()])
    return total, min(total, sizes.get("MemAvailable", total))


def _limits() -> Iterator[int]:
    for file in map(Path, LIMITS):
        with suppress(OSError, ValueError):  # no such limit, or "max"
            yield int(file.read_text(encoding="utf-8"))


def _gpu_memory(gpu: int) -> tuple[int | None, int | None]:
    ask = ["nvidia-smi", "--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            [*ask, f"--id={gpu}"], capture_output=True, text=True, timeout=60, check=True
        )
        total, free = (int(mib) * 2**20 for mib in answer.stdout.split(","))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None, None
    return total, free
