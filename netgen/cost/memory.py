"""How much memory Caffe allocates for a network, computed from its shapes.

It counts what the CPU code of Caffe 2016 and 1.0 allocates; a buffer exists once it is touched:

- every blob's values, once for all layers that work in place or share (Flatten, Reshape, Split);
- in training, the gradients of every blob that backward reaches. A blob that k > 1 layers read has
  k more gradients, because Caffe splits it and each reader has its own;
- parameters, and in training their gradients and momentum;
- what layers keep for themselves: the unfolded image of a convolution, two or three copies of its
  input in BatchNorm, one in a Scale that works in place, a dropout's mask, a data layer's queue.

Named blobs are a fifth of what a residual network takes in training. The program itself
(:data:`PROGRAM_BYTES`) and pages of the database are not counted. With the program, the result is
0.93 to 1.01 times the resident memory of `caffe train` as measured, in MiB (counted and measured):
X_S at batch 24 with a test batch of 3, 10,232 and 10,227; at training and test batches of 24,
VGG-16 6,817 and 6,826, Inception-v1 3,031 and 3,032, but CaffeNet 1,202 and 1,293. While a snapshot
is written, the parameters are held once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from netgen.cost.buffers import Buffers
from netgen.cost.wiring import Version, Wired, loss_weight

FLOAT = 4  # bytes
# The program itself, as measured: its libraries (65 MiB), and its heap without blobs (20 MiB).
PROGRAM_BYTES = 85 * 2**20


@dataclass(frozen=True)
class Memory:
    """Bytes of one phase's network, and how they grow with the batch.

    `fixed` does not depend on the batch; `batched` is proportional to it and given for `batch`
    images. `parameters` is the part of `fixed` that a test network shares with the training one.
    """

    batch: int
    fixed: int
    batched: int
    parameters: int

    @property
    def total(self) -> int:
        """Bytes at this batch size."""
        return self.fixed + self.batched

    @property
    def per_image(self) -> float:
        """Bytes that one more image per batch costs."""
        return self.batched / self.batch

    def at(self, batch: int) -> int:
        """Bytes at another batch size, of `batch` images."""
        return self.fixed + round(self.per_image * batch)

    def added_to(self, training: Memory) -> Memory:
        """Bytes that this network adds to those of `training`, whose parameters it shares."""
        shared = min(self.parameters, training.parameters)
        return Memory(self.batch, self.fixed - shared, self.batched, self.parameters - shared)


def mark_gradients(wired: Sequence[Wired], learns: Sequence[bool]) -> list[list[bool]]:
    """Find which gradients backward computes, as Caffe's `Net::Init` does, and mark the versions.

    Parameters
    ----------
    wired
        The layers, in order.
    learns
        For each layer, whether Caffe computes gradients for a parameter of it.

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
    """Remove the gradients of blobs that do not lead to a loss, going backwards from the losses."""
    useful: set[Version] = set()
    for layer, want in zip(reversed(wired), reversed(wants), strict=True):
        tops = max(len(layer.tops), 1)  # a loss layer's top needs no name
        weighs = any(loss_weight(layer.layer, index) != 0 for index in range(tops))
        leads = weighs or not useful.isdisjoint(layer.tops)
        want[:] = [leads and wanted for wanted in want]
        useful.update(bottom for bottom in layer.bottoms if leads)


def stored_elements(layer: Wired) -> int:
    """Count the elements of a layer's tops that have storage of their own; of unknown shape: 0."""
    if layer.layer.type == "Parameter":  # its top is its blob
        return 0
    own = (top.shape for top in layer.tops if top.storage is top)
    return sum(prod(shape) for shape in own if shape is not None)


def blob_elements(wired: Sequence[Wired]) -> tuple[Buffers, Buffers]:
    """Count the elements of all blobs' values, and of the gradients that are marked as computed.

    Returns
    -------
    Buffers, Buffers
        Values and gradients; blobs of unknown shape count as 0.
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
