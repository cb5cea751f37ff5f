"""Connect a list of layers to a graph of blobs, by Caffe's rules for names.

A layer reads the blobs that earlier layers made. It may overwrite its bottom (`bottom` and `top` of
the same name: in place); the result is a new *version* of the blob in the same storage. Where one
version is read more than once, Caffe inserts a Split, which shares the data but not the gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from netgen.caffe.caffe_pb2 import LayerParameter

# The tops of these layers have no data of their own: they use their bottom's.
SHARES_DATA = {"Flatten", "Reshape", "Split"}


class WiringError(ValueError):
    """Layers that do not connect; the message says which layer and blob, and what next."""


class Version:
    """A blob as one layer wrote it, before another layer overwrites it in place."""

    __slots__ = ("assumed", "batched", "name", "readers", "shape", "storage", "wanted")

    def __init__(self, name: str, storage: Version | None = None) -> None:
        self.name = name
        self.storage: Version = storage.storage if storage else self
        self.shape: tuple[int, ...] | None = None  # unknown until its layer is understood
        self.assumed = ""  # what its shape follows from, where that was assumed
        self.batched = False  # has one entry per image
        self.readers = 0  # layers that read it, and one more if it has a loss weight
        self.wanted = False  # its gradient is computed


class Wired:
    """A layer with the versions that it reads and makes."""

    __slots__ = ("bottoms", "layer", "tops")

    def __init__(self, layer: LayerParameter, bottoms: list[Version], tops: list[Version]) -> None:
        self.layer, self.bottoms, self.tops = layer, bottoms, tops

    @property
    def assumed(self) -> str:
        """What the shapes that it reads follow from, where that was assumed."""
        return next((bottom.assumed for bottom in self.bottoms if bottom.assumed), "")

    @property
    def in_place(self) -> bool:
        """Whether it overwrites its first bottom."""
        return bool(self.layer.top) and self.layer.top[0] in self.layer.bottom[:1]


def wire(layers: Sequence[LayerParameter]) -> list[Wired]:
    """Connect layers in the order given.

    Parameters
    ----------
    layers
        Those of one phase.

    Returns
    -------
    list of Wired
        One per layer.

    Raises
    ------
    WiringError
        When a bottom is not made before it is read, when two layers make blobs of the same name,
        and when a layer overwrites a blob that another layer reads too.
    """
    current: dict[str, Version] = {}
    wired = []
    for layer in layers:
        missing = next((name for name in layer.bottom if name not in current), None)
        if missing is not None:
            raise WiringError(_explanation(layers, layer, missing))
        bottoms = [current[name] for name in layer.bottom]
        tops = [_top(layer, index, current) for index in range(len(layer.top))]
        current.update({top.name: top for top in tops})
        _count_readers(layer, bottoms, tops)
        wired.append(Wired(layer, bottoms, tops))
    _check_overwritten(wired)
    return wired


def loss_weight(layer: LayerParameter, index: int) -> float:
    """Weight of a layer's top in the objective: as given, or 1 for a loss layer's first top."""
    if index < len(layer.loss_weight):
        return layer.loss_weight[index]
    return float(index == 0 and not layer.loss_weight and layer.type.endswith("Loss"))


def _top(layer: LayerParameter, index: int, current: dict[str, Version]) -> Version:
    name = layer.top[index]
    bottom = layer.bottom[index] if index < len(layer.bottom) else None
    if name == bottom:
        return Version(name, current[name])
    if name in current or name in layer.top[:index]:
        raise WiringError(
            f"layer {layer.name!r} makes blob {name!r}, which an earlier layer has made: "
            "rename the top, or give the bottom at the same position this name to work in place"
        )
    return Version(name, current[layer.bottom[0]] if layer.type in SHARES_DATA else None)


def _count_readers(layer: LayerParameter, bottoms: list[Version], tops: list[Version]) -> None:
    for bottom in bottoms:
        bottom.readers += 1
    for index, top in enumerate(tops):
        top.readers += index < len(layer.loss_weight) and layer.loss_weight[index] != 0


def _check_overwritten(wired: list[Wired]) -> None:
    for layer in wired:
        for bottom, top in zip(layer.bottoms, layer.tops, strict=False):
            if top.name == bottom.name and bottom.readers > 1:
                raise WiringError(
                    f"layer {layer.layer.name!r} overwrites blob {bottom.name!r}, which another "
                    "layer reads too: give its top another name"
                )


def _explanation(layers: Sequence[LayerParameter], layer: LayerParameter, blob: str) -> str:
    """Explain why a bottom is missing: a cycle, the wrong order, or no layer makes it."""
    reads = f"layer {layer.name!r} reads blob {blob!r}"
    maker = next((other for other in layers if blob in other.top), None)
    if maker is None:
        return f"{reads}, which no layer of this phase makes: check the name and the include rules"
    cycle = _cycle(layers)
    if cycle:
        shown = cycle if len(cycle) < 12 else [*cycle[:6], "…", *cycle[-5:]]
        return f"{reads}, but the layers form a cycle: {' -> '.join(map(repr, shown))}"
    return f"{reads}, which layer {maker.name!r} makes only later: move that layer before this one"


def _cycle(layers: Sequence[LayerParameter]) -> list[str]:
    """Name the layers of one cycle, each of which makes what the next reads; empty without one."""
    made: dict[str, int] = {}
    for index, layer in reversed(list(enumerate(layers))):
        made.update(dict.fromkeys(layer.top, index))
    graph: dict[int, set[int]] = {}
    latest: dict[str, int] = {}
    for index, layer in enumerate(layers):
        makers = (latest.get(name, made.get(name, index)) for name in layer.bottom)
        graph[index] = {maker for maker in makers if maker != index}
        latest.update(dict.fromkeys(layer.top, index))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [layers[index].name for index in error.args[1]]
    return []
