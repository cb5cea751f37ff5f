"""Run a network and the paper's in Caffe on the same random weights and images, and compare.

What the normal form cannot show equal may still compute the same. Each layer of the one gets the
weights of its counterpart; then outputs are compared and, in TRAIN, the gradients of all weights
and of the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.text_format import MessageToString

from netgen.audit.comparison.differences import GraphComparison
from netgen.audit.comparison.graph import Graph, fed_shapes
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.child import call, send
from netgen.caffe.engine import EngineError
from netgen.caffe.schema import Phase, layers_in
from netgen.cost.layers.layer_types import Shape
from netgen.paper import IMAGE_SHAPE, TASKS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

SAME = 1e-3  # relative to the largest; another order of sums changes about 1e-5 in 50 layers
LEAST = 1e-2  # of the usual size of a layer's numbers, below which they are rounding
IMAGES = 2
SEED = 2016
SILENCE = 300.0  # seconds for one network, forward and backward; usually 2
NOT_RUN = {"HDF5Output"}  # it writes files


@dataclass(frozen=True)
class Numeric:
    """How far two networks are apart in a phase, relative to the largest number compared.

    Attributes
    ----------
    phase
        The phase.
    outputs, gradients
        The largest differences; None: not compared.
    why
        Why they could not be compared, or "".
    """

    phase: Phase
    outputs: float | None = None
    gradients: float | None = None
    why: str = ""

    @property
    def same(self) -> bool:
        """Whether the two compute the same, but for rounding."""
        found = [value for value in (self.outputs, self.gradients) if value is not None]
        return bool(found) and all(value <= SAME for value in found)


@dataclass(frozen=True)
class Side:
    """One of the two networks, as Caffe is to run it.

    `layers` are the names of the layers with weights, the counterparts at the same places of the
    other's; `outputs` likewise the blobs to compare.
    """

    prototxt: str
    phase: Phase
    images: tuple[str, ...]
    labels: tuple[str, ...]
    layers: tuple[tuple[str, ...], ...]
    outputs: tuple[str, ...]


def run_both(net: NetParameter, wanted: NetParameter, compared: GraphComparison) -> Numeric:
    """Run a phase of a network and of the paper's, and return how far their results are apart."""
    phase = compared.found.phase
    why = _reason_not_to(net, compared)
    if why:
        return Numeric(phase, why=why)
    pairs = sorted(compared.pairs.items())
    theirs_last, ours_last = _last(compared.found), _last(compared.wanted)
    ends = [(f, w) for f, w in pairs if f in theirs_last and w in ours_last]
    theirs = _side(net, compared.found, [f for f, _ in pairs], [f for f, _ in ends])
    ours = _side(wanted, compared.wanted, [w for _, w in pairs], [w for _, w in ends])
    try:
        outputs, gradients = call(_differences, ours, theirs, silence=SILENCE)
    except (EngineError, ValueError) as error:
        return Numeric(phase, why=str(error))
    return Numeric(phase, outputs, gradients)


def _reason_not_to(net: NetParameter, compared: GraphComparison) -> str:
    """Return why the two cannot be run on the same weights, or ""."""
    phase = compared.found.phase
    if compared.found.counted.refused:
        return f"Caffe would refuse it: {compared.found.counted.refused}"
    runs = [
        layer.name for layer in layers_in(net, phase) if layer.bottom and layer.type == "Python"
    ]
    if runs:
        return f"layer {runs[0]!r} is a program in Python, which an audit does not run"
    alone = [
        node.name
        for f, node in enumerate(compared.found.nodes)
        if f not in compared.pairs and node.traits.learns.get("lr_mult")
    ]
    if alone:
        return f"layer {alone[0]!r} has weights and no counterpart in the paper's network"
    paired = set(compared.pairs.values())
    ends = (w for w in range(len(compared.wanted.nodes)) if _ends(compared.wanted, w))
    lost = [compared.wanted.nodes[w].name for w in ends if w not in paired]
    return f"it has no counterpart of {lost[0]!r}" if lost else ""


def _ends(graph: Graph, index: int) -> bool:
    """Return whether nobody reads a layer's output."""
    return not graph.readers[index]


def _last(graph: Graph) -> set[int]:
    """Return the layers whose output nobody reads, and what they read: losses and their scores."""
    ends = {index for index in range(len(graph.nodes)) if _ends(graph, index)}
    read = {edge.source for index in ends for edge in graph.nodes[index].reads}
    return ends | {index for index in read if index >= 0}


def _side(net: NetParameter, graph: Graph, layers: Sequence[int], ends: Sequence[int]) -> Side:
    phase = graph.phase
    kept = [layer for layer in layers_in(net, phase) if layer.type not in NOT_RUN]
    made = {top: (IMAGES, *shape[1:]) for top, shape in fed_shapes(net, phase).items()}
    images = {top for top, shape in made.items() if shape[1:] == IMAGE_SHAPE}
    fed = NetParameter(name=net.name, force_backward=phase == "TRAIN")
    fed.layer.extend(_fed(layer, made) for layer in kept)
    return Side(
        MessageToString(fed),
        phase,
        tuple(sorted(images)),
        tuple(sorted(made.keys() - images)),
        tuple(tuple(layer.name for layer in graph.nodes[index].layers) for index in layers),
        tuple(graph.nodes[index].layers[-1].top[0] for index in ends),
    )


def _fed(layer: LayerParameter, made: dict[str, Shape]) -> LayerParameter:
    """Return a layer without rules of phases; a source as an Input."""
    copy = LayerParameter.FromString(layer.SerializeToString())
    copy.ClearField("include")
    copy.ClearField("exclude")
    if layer.bottom:
        return copy
    copy = LayerParameter(name=layer.name, type="Input", top=layer.top)
    for top in layer.top:
        copy.input_param.shape.add(dim=made[top])
    return copy


# ---- in a child process -------------------------------------------------------------------------


def _differences(ours: Side, theirs: Side) -> tuple[float, float | None]:
    """Run both sides; return the largest relative difference of outputs, and of gradients."""
    weights: list[list[Array]] = []
    first, second = _run(ours, weights), _run(theirs, weights)
    outputs, gradients = (_farthest(*both) for both in zip(first, second, strict=True))
    return outputs, gradients if first[1] else None


def _farthest(ours: Sequence[list[Array]], theirs: Sequence[list[Array]]) -> float:
    """Return the largest difference of two lists of a layer's arrays, relative to the layer's own.

    A bias that only a BatchNorm reads has a gradient of 0, of which rounding is all that is seen:
    so what counts is the layer, and never less than a part of what is usual in the network.
    """
    import numpy as np

    sizes = [max((float(np.abs(a).max(initial=0)) for a in group), default=0.0) for group in ours]
    usual = float(np.median([size for size in sizes if size > 0] or [1.0]))
    most = 0.0
    for left, right, size in zip(ours, theirs, sizes, strict=True):
        for a, b in zip(left, right, strict=True):
            if a.size != b.size:
                raise ValueError(f"outputs or weights of {a.shape} and {b.shape} do not compare")
            apart = float(np.abs(a.ravel() - b.ravel()).max(initial=0))
            most = max(most, apart / max(size, LEAST * usual))
    return most


def _run(side: Side, weights: list[list[Array]]) -> tuple[list[list[Array]], list[list[Array]]]:
    """Run one side forward (in TRAIN also backward); return its outputs and its gradients.

    The first side that is run fills `weights`, pair by pair; the second takes them.
    """
    import tempfile

    import caffe
    import numpy as np

    caffe.set_mode_cpu()
    caffe.set_random_seed(SEED)
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(side.prototxt)
        file.flush()
        net = caffe.Net(file.name, caffe.TRAIN if side.phase == "TRAIN" else caffe.TEST)
    if not weights:
        weights += [
            _drawn(net, names, np.random.default_rng([SEED, number]))
            for number, names in enumerate(side.layers)
        ]
    for names, blobs in zip(side.layers, weights, strict=True):
        _give(net, names, blobs)
    rng = np.random.default_rng(SEED)
    image = rng.normal(0, 1, (IMAGES, *IMAGE_SHAPE))
    label = rng.integers(0, min(TASKS.values()), IMAGES)
    for name in side.images:
        net.blobs[name].data[...] = image
    for name in side.labels:
        data = net.blobs[name].data
        data[...] = label.reshape(IMAGES, *[1] * (data.ndim - 1))
    caffe.set_random_seed(SEED)  # of Dropout
    net.forward()
    outputs = [[net.blobs[name].data.copy()] for name in side.outputs]
    send("forward")
    if side.phase != "TRAIN":
        return outputs, []
    net.backward()
    gradients = [[blob.diff.copy() for blob in _blobs(net, names)] for names in side.layers]
    gradients += [[net.blobs[name].diff.copy()] for name in side.images]
    return outputs, gradients


def _blobs(net: Any, names: Sequence[str]) -> Iterator[Any]:
    return (blob for name in names if name in net.params for blob in net.params[name])


def _give(net: Any, names: Sequence[str], values: Sequence[Array]) -> None:
    blobs = list(_blobs(net, names))
    if [blob.count for blob in blobs] != [value.size for value in values]:
        raise ValueError(f"{' and '.join(names)}: weights of another size than in the paper's")
    for blob, value in zip(blobs, values, strict=True):
        blob.data[...] = value.reshape(blob.data.shape)


def _drawn(net: Any, names: Sequence[str], rng: np.random.Generator) -> list[Array]:
    """Draw weights: as He's fillers of what has inputs, else near one; BatchNorm's of one image."""
    import numpy as np

    types = dict(zip(net._layer_names, (layer.type for layer in net.layers), strict=True))
    values = []
    for name in names:
        for number, blob in enumerate(net.params.get(name, ())):
            shape = blob.data.shape
            if types[name] == "BatchNorm":
                drawn = (rng.normal(0, 0.1, shape), rng.uniform(0.5, 1.5, shape), np.ones(shape))
                values.append(drawn[number])
            elif number == 0 and len(shape) > 1:
                values.append(rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape))
            else:
                values.append(rng.normal(1 if number == 0 else 0, 0.3, shape))
    return [value.astype(np.float32) for value in values]
