"""Whether a training fits into memory, estimated from its prototxt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import read_net
from netgen.cost.complexity import count
from netgen.cost.memory import PROGRAM_BYTES
from netgen.system.machine import gpu_memory, machine_memory
from netgen.system.text import gib
from netgen.training.plan import TrainingPlan

PYTHON_BYTES = 12 * 2**20  # what pycaffe and its libraries add to the program, as measured
# What a process takes on a GPU before it computes anything, as measured on an H200 with CUDA 13:
# its context, and the code of the libraries.
CONTEXT_BYTES = 600 * 2**20


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
        device = "" if self.total is None else f" of {gib(self.total):.1f}"
        return f"{gib(self.needed):.2f} GiB{device}"


def check_memory(plan: TrainingPlan, net: Path) -> MemoryEstimate:
    """Check that a training fits into memory, by an estimate that includes layers' own buffers.

    Raises
    ------
    TrainingMemoryError
        It takes more than the machine or the GPU has.
    """
    stages = plan.parameters.train_state.stage
    tests, gpu = bool(plan.test_records), plan.gpu is not None
    needed = needed_by(read_net(net), stages=stages, tests=tests, gpu=gpu)
    total, free = machine_memory() if plan.gpu is None else gpu_memory(plan.gpu)
    if total is not None and needed > total:
        where = "this machine" if plan.gpu is None else f"GPU {plan.gpu}"
        raise TrainingMemoryError(
            f"the training takes about {gib(needed):.1f} GiB, and {where} has"
            f" {gib(total):.1f}: build the network with a smaller --batch-size (`netgen count`"
            " prints the memory per image)"
        )
    return MemoryEstimate(needed, total, free)


def needed_by(
    net: NetParameter,
    inputs: Mapping[str, tuple[int, int, int]] | None = None,
    *,
    stages: Sequence[str] = (),
    tests: bool = True,
    gpu: bool = False,
) -> int:
    """Return the bytes that training takes on its device (estimated), with or without a test net.

    `inputs` are the shapes of the databases' records, where there are no databases yet.
    """
    train = count(net, "TRAIN", inputs=inputs, stages=stages).memory
    test = count(net, "TEST", inputs=inputs).memory.added_to(train).total if tests else 0
    return train.total + test + (CONTEXT_BYTES if gpu else PROGRAM_BYTES + PYTHON_BYTES)
