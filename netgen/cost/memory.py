"""How much memory Caffe holds for a network, from its shapes alone.

Counted as the CPU's C++ of 2016 and 1.0 allocates, in which a buffer exists once it is touched:

- every blob's values, once for all layers that work in place or share (Flatten, Reshape, Split);
- in training, the gradients of every blob that backward reaches. A blob that k > 1 layers read has
  k more: Caffe splits it, and each reader has its own;
- parameters, and in training their gradients and momentum;
- what layers keep for themselves: the unfolded image of a convolution, two or three copies of its
  input in BatchNorm, one in a Scale that works in place, a dropout's mask, a data layer's queue.

Named blobs are a fifth of what a residual network takes in training. Not counted: the program
itself (:data:`PROGRAM_BYTES`) and pages of the database. With the program this is 0.93 to 1.01 of
what real `caffe train` had resident: for X_S at batch 24 with a test network at 3, 10,232 MiB of
10,227; training and testing at batch 24, for VGG-16 6,817 of 6,826 and for Inception-v1 3,031 of
3,032, but for CaffeNet 1,202 of 1,293. A snapshot holds the parameters once more while it is
written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from netgen.cost.buffers import Buffers
from netgen.cost.wiring import Version, Wired, loss_weight

FLOAT = 4  # bytes
# The program itself: its libraries (65 MiB), and its heap besides blobs (20 MiB). Measured.
PROGRAM_BYTES = 85 * 2**20


@dataclass(frozen=True)
class Memory:
    """Bytes of one phase's network, and how they grow with the batch.

    `fixed` does not depend on the batch, `batched` is proportional to it and given for `batch`
    images. `parameters` is the part of `fixed` that a test network shares with its training one.
    """

    batch: int
    fixed: int
    batched: int
    parameters: int

    @property
    def total(self) -> int:
        """Bytes at this batch."""
        return self.fixed + self.batched

    @property
    def per_image(self) -> float:
        """Bytes that one more image a batch costs."""
        return self.batched / self.batch

    def at(self, batch: int) -> int:
        """Bytes at another batch, `batch` images."""
        return self.fixed + round(self.per_image * batch)

    def beside(self, training: Memory) -> Memory:
        """Bytes that this network adds to `training`'s, with which it shares its parameters."""
        shared = min(self.parameters, training.parameters)
        return Memory(self.batch, self.fixed - shared, self.batched, self.parameters - shared)


def mark_gradients(wired: Sequence[Wired], learns: Sequence[bool]) -> list[list[bool]]:
    """Find which gradients backward computes, as Caffe's `Net::Init`, and mark the versions.

    Parameters
    ----------
    wired
        The layers, in order.
    learns
        For each, whether Caffe takes it to have a parameter with a learning rate.

    Returns
    -------
    list of list of bool
        For each layer and bottom, whether the gradient of that bottom is computed.
    """
    needed: dict[Version, bool] = {}
    wants = []
    for layer, learning in zip(wired, learns, strict=True):
        given = list(layer.layer.propagate_down)
        want = [needed[bottom] for bottom in layer.bottoms]
        wants.append(given if len(given) == len(want) else want)
        needed.update(dict.fromkeys(layer.tops, learning or any(want)))
    _drop_unused(wired, wants)
    for layer, want in zip(wired, wants, strict=True):
        for bottom, wanted in zip(layer.bottoms, want, strict=True):
            bottom.wanted |= wanted
    return wants


def _drop_unused(wired: Sequence[Wired], wants: list[list[bool]]) -> None:
    """Go backwards from the losses: what does not lead to one has no gradient."""
    useful: set[Version] = set()
    for layer, want in zip(reversed(wired), reversed(wants), strict=True):
        tops = max(len(layer.tops), 1)  # a loss layer's top needs no name
        weighs = any(loss_weight(layer.layer, index) != 0 for index in range(tops))
        leads = weighs or not useful.isdisjoint(layer.tops)
        want[:] = [leads and wanted for wanted in want]
        useful.update(bottom for bottom in layer.bottoms if leads)


def blob_elements(wired: Sequence[Wired]) -> tuple[Buffers, Buffers]:
    """Count the elements of all blobs' values, and of the gradients that are marked as wanted.

    Returns
    -------
    Buffers, Buffers
        Values and gradients; of blobs whose shape is unknown, none.
    """
    versions = {
        version: layer for layer in wired for version in layer.tops if version.shape is not None
    }
    values = {v.storage: v for v, maker in versions.items() if maker.layer.type != "Parameter"}
    gradients = {v.storage: v for v in versions if v.wanted}
    copies = [v for v in versions if v.wanted and v.readers > 1 for _ in range(v.readers)]
    return _sum(values.values()), _sum([*gradients.values(), *copies])


def _sum(versions: Iterable[Version]) -> Buffers:
    batched = fixed = 0
    for version in versions:
        size = prod(version.shape or ())
        batched, fixed = (batched + size, fixed) if version.batched else (batched, fixed + size)
    return Buffers(batched, fixed)
