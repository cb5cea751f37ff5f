"""Shapes, parameters, multiply-adds and memory of any network, computed from its prototxt.

Only the prototxt is read, so networks that netgen did not write are counted too. Parameters are
those of all blobs, as in pycaffe's `net.params` and in Table 2: BatchNorm's three blobs are
included, and a blob that layers share is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import Phase, SchemaError, layers_in
from netgen.cost import memory
from netgen.cost.buffers import Buffers, Situation, buffers
from netgen.cost.layers.layer_types import Made, Shape
from netgen.cost.layers.sources import ASSUMED, Known, batch_of
from netgen.cost.memory import FLOAT, Memory
from netgen.cost.shaping import (
    Blob,
    check_hints,
    give_shapes,
    images_of,
    owned_blobs,
    unknown_types,
)
from netgen.cost.wiring import Version, Wired, WiringError, wire

CARRIES_LABELS = {"Flatten", "Power", "Slice", "Split"}
# Layer types whose second bottom holds one label per image.
READS_LABELS = {
    "Accuracy",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SoftmaxWithLoss",
}


@dataclass(frozen=True)
class Top:
    """A blob that a layer makes or reads: its name, and its shape or None where it is unknown."""

    name: str
    shape: Shape | None


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs.

    Attributes
    ----------
    name, type
        As in the prototxt.
    bottoms, tops
        The blobs it reads, and those it makes.
    readers
        The layers that read what it makes, in order; a layer that works in place is the one reader
        of what it overwrites.
    blobs
        Shapes of its parameter blobs, shared ones included.
    parameters, trainable
        Elements of the parameter blobs that no earlier layer has; and of those, the ones with a
        learning rate other than 0 (BatchNorm's three blobs are never trained).
    multiply_adds
        For the whole batch; a multiplication and its addition count as one.
    activation_bytes
        Bytes of its tops, without those that are in the storage of a bottom.
    buffer_bytes
        Bytes that it keeps for itself, in addition to its tops.
    known
        False when its type or the shape of a bottom is unknown: then the numbers are 0.
    """

    name: str
    type: str
    bottoms: tuple[Top, ...]
    tops: tuple[Top, ...]
    readers: tuple[str, ...]
    blobs: tuple[Shape, ...] = ()
    parameters: int = 0
    trainable: int = 0
    multiply_adds: int = 0
    activation_bytes: int = 0
    buffer_bytes: int = 0
    known: bool = True


@dataclass(frozen=True)
class NetCost:
    """What a network costs in one phase.

    Attributes
    ----------
    name, phase
        Of the network.
    batch
        Images per batch: the first axis of the first blob that a data source makes; what a data
        source states where no size is known; 1 without a data source.
    layers
        The costs of the layers that exist in this phase, in order.
    parameters, trainable, multiply_adds
        Sums over the layers; multiply_adds for the whole batch.
    activation_bytes
        Bytes of all named blobs, each once: layers that work in place or share data add none.
    memory
        All that Caffe allocates for this network; in training with gradients and momentum.
    notices
        What was assumed, and what is unknown.
    complete
        False when a layer is unknown: then every number is a lower bound.
    """

    name: str
    phase: Phase
    batch: int
    layers: tuple[LayerCost, ...]
    parameters: int
    trainable: int
    multiply_adds: int
    activation_bytes: int
    memory: Memory
    notices: tuple[str, ...]
    complete: bool

    @property
    def assumed(self) -> tuple[str, ...]:
        """The notices of what was assumed: other numbers may be right."""
        return tuple(notice for notice in self.notices if ASSUMED in notice)

    @property
    def multiply_adds_per_image(self) -> int:
        """Multiply-adds per image."""
        return self.multiply_adds // self.batch


def count(
    net: NetParameter,
    phase: Phase = "TRAIN",
    *,
    stages: Sequence[str] = (),
    level: int | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> NetCost:
    """Count a network.

    Parameters
    ----------
    net
        As :func:`netgen.caffe.schema.read_net` returns it.
    phase, stages, level
        The state that selects the layers: see :func:`netgen.caffe.schema.layers_in`.
    inputs
        Sizes of the records that sources read, where the file has none: blob to (C, H, W) of
        images, or to (D,) of vectors.

    Returns
    -------
    NetCost
        With notices for what was assumed or is unknown.

    Raises
    ------
    SchemaError
        When Caffe would refuse the network: blobs that no layer makes, cycles, sizes that do not
        fit; and when `inputs` names a blob that no data layer makes.
    """
    layers = layers_in(net, phase, stages, level)
    check_hints(net, inputs or {})
    try:
        wired = wire(layers)
    except WiringError as error:
        raise SchemaError(str(error)) from None
    read = {blob for layer in layers if layer.type != "Silence" for blob in layer.bottom}
    batch = max(1, next(filter(None, map(batch_of, layers)), 1))
    known = Known(inputs or {}, _labels(layers), images_of(layers), read, batch)
    shaped, notices = give_shapes(wired, known)
    return _cost(net, phase, wired, shaped, batch, [*notices, *unknown_types(layers)])


def _labels(layers: Sequence[LayerParameter]) -> dict[str, tuple[int, int, int]]:
    """Find the blobs that are read as labels and as nothing else, and their C, H, W.

    Directly, or sliced into as many labels as there are tops.
    """
    labels: dict[str, tuple[int, int, int]] = {}
    others: set[str] = set()
    for layer in reversed(layers):
        carries = layer.type in CARRIES_LABELS and set(layer.top) <= labels.keys() - others
        reads_labels = layer.type in READS_LABELS
        for index, blob in enumerate(layer.bottom):
            if (reads_labels and index == 1) or carries:
                labels[blob] = (len(layer.top) if layer.type == "Slice" else 1, 1, 1)
            elif layer.type != "Silence":
                others.add(blob)
    return {blob: shape for blob, shape in labels.items() if blob not in others}


def _cost(
    net: NetParameter,
    phase: Phase,
    wired: Sequence[Wired],
    shaped: Sequence[Made | None],
    stated_batch: int,
    notices: Sequence[str],
) -> NetCost:
    """Add up the costs of the layers, whose shapes are known by now."""
    owned = owned_blobs(wired, shaped)
    # As in the Caffe that docker/caffe builds. Others overlook BatchNorm's learning rates of 0 and
    # compute gradients as for a weight, so frozen networks take more memory there.
    learns = [any(blob.trainable for blob in blobs) for blobs in owned]
    wants = memory.mark_gradients(wired, learns)
    kept = [
        buffers(Situation(layer, result, phase == "TRAIN" and any(want[:1])))
        if result
        else Buffers()
        for layer, result, want in zip(wired, shaped, wants, strict=True)
    ]
    readers = _readers(wired)
    layers = tuple(map(_layer_cost, wired, shaped, owned, kept, readers))
    parameters = sum(layer.parameters for layer in layers)
    values, gradients = memory.blob_elements(wired)
    batch = _batch(wired, stated_batch)
    return NetCost(
        name=net.name,
        phase=phase,
        batch=batch,
        layers=layers,
        parameters=parameters,
        trainable=sum(layer.trainable for layer in layers),
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        activation_bytes=FLOAT * sum(values),
        memory=_memory(phase, batch, parameters, [values, *kept], gradients),
        notices=tuple(notices),
        complete=all(layer.known for layer in layers),
    )


def _memory(
    phase: Phase, batch: int, parameters: int, kept: Sequence[Buffers], gradients: Buffers
) -> Memory:
    training = phase == "TRAIN"
    parts = [*kept, gradients] if training else kept
    batched = FLOAT * sum(part.batched for part in parts)
    fixed = FLOAT * sum(part.fixed for part in parts)
    own = FLOAT * parameters
    return Memory(batch, fixed + (3 * own if training else own), batched, own)


def _batch(wired: Sequence[Wired], stated: int) -> int:
    """Return the first axis of the first blob whose shape is known, otherwise what was stated."""
    tops = (top for layer in wired if not layer.bottoms for top in layer.tops)
    return next((max(top.shape[0], 1) for top in tops if top.batched and top.shape), stated)


def _readers(wired: Sequence[Wired]) -> list[tuple[str, ...]]:
    """List the layers that read each layer's tops."""
    readers: dict[Version, list[int]] = {}
    for index, layer in enumerate(wired):
        for bottom in layer.bottoms:
            readers.setdefault(bottom, []).append(index)
    found = ({index for top in layer.tops for index in readers.get(top, ())} for layer in wired)
    return [tuple(wired[index].layer.name for index in sorted(each)) for each in found]


def _layer_cost(
    wired: Wired,
    result: Made | None,
    owned: Sequence[Blob],
    kept: Buffers,
    readers: tuple[str, ...],
) -> LayerCost:
    layer = wired.layer
    bottoms, tops = (
        tuple(Top(blob.name, blob.shape) for blob in blobs) for blobs in (wired.bottoms, wired.tops)
    )
    if not result:
        return LayerCost(layer.name, layer.type, bottoms, tops, readers, known=False)
    return LayerCost(
        layer.name,
        layer.type,
        bottoms,
        tops,
        readers,
        result.blobs,
        parameters=sum(blob.size for blob in owned),
        trainable=sum(blob.size for blob in owned if blob.trainable),
        multiply_adds=result.multiply_adds,
        activation_bytes=FLOAT * memory.stored_elements(wired),
        buffer_bytes=FLOAT * sum(kept),
    )
