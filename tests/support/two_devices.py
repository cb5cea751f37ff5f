"""One training on the CPU and on a GPU, compared iteration by iteration. Runs where Caffe is.

Each iteration of the GPU's begins with the weights that the CPU began it with. So what is compared
is one iteration: these networks amplify a rounding a thousandfold from one to the next.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

# Of the largest number of its kind in the whole network: what is smaller is compared with that. A
# bias before a BatchNorm has a gradient of 0, of which only rounding is left.
FLOOR = 1e-3
KINDS = ("output", "gradient", "weight")

Numbers = dict[str, dict[str, np.ndarray]]  # kind -> name -> values


@dataclass
class Comparison:
    """How far a GPU's numbers are from the CPU's.

    Attributes
    ----------
    worst
        For each iteration, and at last for the test net, the largest difference of each kind,
        relative to the largest number of the blob.
    kinks
        For each of these, how many rectified numbers are above zero on one device only: a gradient
        passes there on that one, so the two may differ by any amount, and both are right.
    compared
        How many numbers were compared.
    device_bytes
        The GPU's memory that Caffe held meanwhile.
    """

    worst: list[dict[str, tuple[float, str]]] = field(default_factory=list)
    kinks: list[int] = field(default_factory=list)
    compared: int = 0
    device_bytes: int = 0

    def largest(self, kind: str) -> float:
        """The largest difference of a kind, at any time."""
        return max(at[kind][0] for at in self.worst if kind in at)


def without_dropout(prototxt: str) -> str:
    """Drop nothing: masks are drawn by cuRAND on a GPU, by Boost on the CPU. Caffe takes no 0."""
    return re.sub(r"dropout_ratio: [0-9.]+", "dropout_ratio: 0.0000001", prototxt)


def compare(solver_file: str, iterations: int) -> Comparison:
    """In Caffe: train on the CPU, then as long on the GPU, and compare all that is known."""
    import caffe

    caffe.set_mode_cpu()
    on_cpu = list(trained(caffe, solver_file, iterations))
    caffe.set_mode_gpu()
    caffe.set_device(0)
    found = Comparison()
    starts = [numbers["weight"] for numbers in on_cpu[: iterations - 1]]
    on_gpu = trained(caffe, solver_file, iterations, starts)
    for expected, numbers in zip(on_cpu, on_gpu, strict=True):
        found.worst.append(differences(expected, numbers))
        found.kinks.append(kinks(expected["output"], numbers["output"]))
        found.compared += sum(values.size for of in numbers.values() for values in of.values())
        found.device_bytes = max(found.device_bytes, device_bytes())
    return found


def trained(
    caffe: Any, solver_file: str, iterations: int, starts: Sequence[dict[str, np.ndarray]] = ()
) -> Iterator[Numbers]:
    """Yield the numbers of each iteration, then those of a test.

    `starts` are the weights for the second iteration and those after it; momentum stays.
    """
    solver = caffe.get_solver(solver_file)
    for iteration in range(iterations):
        if 0 < iteration <= len(starts):
            begin_with(solver.net, starts[iteration - 1])
        solver.step(1)
        yield {
            "output": values(solver.net),
            "gradient": parameters(solver.net, "diff"),
            "weight": parameters(solver.net, "data"),
        }
    [test] = solver.test_nets
    test.share_with(solver.net)
    test.forward()
    yield {"output": values(test)}


def begin_with(net: Any, weights: dict[str, np.ndarray]) -> None:
    """Give a network the weights that `parameters` returned."""
    for name, blobs in net.params.items():
        for number, blob in enumerate(blobs):
            blob.data[...] = weights[f"{name} {number}"]


def values(net: Any) -> dict[str, np.ndarray]:
    """What every blob of a network holds at the end of a pass."""
    return {name: blob.data.copy() for name, blob in net.blobs.items()}


def parameters(net: Any, what: str) -> dict[str, np.ndarray]:
    return {
        f"{name} {number}": getattr(blob, what).copy()
        for name, blobs in net.params.items()
        for number, blob in enumerate(blobs)
    }


def differences(expected: Numbers, numbers: Numbers) -> dict[str, tuple[float, str]]:
    """The largest relative difference of each kind, and whose it is."""
    found = {}
    for kind, of in expected.items():
        assert of.keys() == numbers[kind].keys()
        largest = max(float(np.abs(values).max()) for values in of.values())
        each = [(relative(of[name], numbers[kind][name], FLOOR * largest), name) for name in of]
        found[kind] = max(each)
    return found


def kinks(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> int:
    """How many numbers of blobs without negative ones are above zero on one device only."""
    rectified = (
        name for name, values in expected.items() if min(values.min(), found[name].min()) >= 0
    )
    return sum(int(((expected[name] > 0) != (found[name] > 0)).sum()) for name in rectified)


def relative(expected: np.ndarray, found: np.ndarray, floor: float) -> float:
    """The largest difference, relative to the largest number expected; infinite for NaN."""
    assert expected.shape == found.shape
    difference = float(np.abs(expected - found).max())
    scale = max(float(np.abs(expected).max()), floor)
    return difference / scale if np.isfinite(difference) else float("inf")


def device_bytes() -> int:
    """The memory of the software GPU that this process holds, as it tells nvidia-smi."""
    told = Path(os.environ["SOFTWARE_GPU_STATE"], str(os.getpid())).read_bytes()
    return sum(struct.unpack("16Q", told))
