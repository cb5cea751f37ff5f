"""Read a ResNet-50 from ONNX by its graph: exporters agree on no names."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from netgen.weights.incoming.naming import FIRST_STAGE, block_name
from netgen.weights.incoming.onnx_graph import (
    Node,
    OnnxGraph,
    padding_of,
    read_graph,
    stride_of,
    window,
)
from netgen.weights.incoming.onnx_run import runner
from netgen.weights.incoming.units import (
    STEM,
    Array,
    Classifier,
    Foreign,
    ForeignError,
    Normal,
    Pixels,
    Style,
    Unit,
    checked,
    in_halves,
)

NO_PADS = (0, 0, 0, 0)
EPSILON = 1e-5  # BatchNormalization's, where the file does not say
POOLS = {  # padding, and whether the number of windows is rounded up -> whether it is padded
    ((1, 1, 1, 1), 0): True,
    ((0, 0, 0, 0), 1): False,
    ((0, 0, 1, 1), 0): False,  # the same on maps of an even size
}


def read_onnx(file: str, content: bytes, style: Style | None) -> Foreign:
    """Read a residual network of bottleneck blocks.

    Raises
    ------
    ForeignError
        It is damaged, or another network; or its pixels are not known: neither `style` nor the file
        says them.
    """
    model, graph = read_graph(file, content)
    pixels = _pixels(graph, style)
    walk = _Walk(graph)
    try:
        walk.all()
    except ForeignError:
        raise
    except (TypeError, ValueError, IndexError) as error:  # attributes of any type, or none
        raise ForeignError(
            f"{file}: ONNX with an attribute that its operator has not ({error}): damaged?"
        ) from None
    kind = "ONNX" + (f" of {model.producer_name}" if model.producer_name else "")
    run = runner(model, graph, walk.stages)
    notes = in_halves({name: graph.numbers[name] for name in walk.used})
    return Foreign(file, kind, walk.units, walk.classifier, pixels, walk.padded, run, notes)


class _About(msgspec.Struct):
    """What netgen's own files say of themselves, as far as it is needed here."""

    mean: list[float]


def _pixels(graph: OnnxGraph, style: Style | None) -> Pixels:
    """Return the pixels: netgen's own files say them."""
    if (said := graph.metadata.get("netgen")) and style is None:
        try:
            mean = tuple(msgspec.json.decode(said, type=_About).mean)
        except (msgspec.DecodeError, RecursionError):
            raise ForeignError(
                f"{graph.file}: its metadata say no mean, as netgen's do: give --style"
            ) from None
        return Pixels(True, mean or None, (1.0,) * (len(mean) or 3))
    if style is None:
        raise ForeignError(
            f"{graph.file}: ONNX does not say what a pixel is: give --style caffe (B, G, R,"
            " 0 to 255 less a mean) or --style pytorch (R, G, B, 0 to 1, normalised)"
        )
    return style.pixels


@dataclass
class _Branch:
    """A chain of convolutions that ends in a sum."""

    units: list[Unit]
    end: Node


class _Walk:
    """Goes through a graph from the image to the classifier."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.units: dict[str, Unit] = {}
        self.stages: dict[str, str] = {}  # He's name -> the tensor
        self.classifier: Classifier | None = None
        self.padded: bool | None = None
        self.used: list[str] = []

    def all(self) -> None:
        tensor = self._stem()
        stage, block = FIRST_STAGE - 1, 0
        while chains := self._convolutions(tensor):
            projected = len(chains) == 2
            stage, block = (stage + 1, 0) if projected else (stage, block + 1)
            if stage < FIRST_STAGE:
                raise self._strange(chains[0][0], "the first block has no projection")
            tensor = self._block(block_name(stage, block, self.graph.file), tensor, chains)
            self.stages[f"res{stage}"] = tensor
        if stage < FIRST_STAGE:
            raise ForeignError(f"{self.graph.file}: no residual block in it: not a ResNet")
        self._head(tensor)

    # ---- parts

    def _stem(self) -> str:
        first = self._convolutions(self.graph.input)
        if len(first) != 1:
            raise ForeignError(
                f"{self.graph.file}: {len(first)} convolutions read the image, one in a ResNet"
            )
        self.units[STEM], tensor = self._unit(*first[0])
        tensor = self._one(tensor, "Relu").output
        self.stages[STEM] = tensor
        node, pads = self._padded(self._one(tensor, "MaxPool", "Pad", "Conv", "Add", first=True))
        if node.operator != "MaxPool":
            return tensor  # for small images
        pool = (window(node, (3, 3), pads), node.attributes.get("ceil_mode", 0))
        shape = (tuple(node.attributes.get("kernel_shape", ())), stride_of(node))
        if shape != ((3, 3), 2) or pool not in POOLS:
            raise self._strange(node, f"windows of {shape[0]}, stride {shape[1]}, pads {pool[0]}")
        self.padded = POOLS[pool]
        return node.output

    def _block(self, name: str, tensor: str, chains: list[tuple[Node, tuple[int, ...]]]) -> str:
        branches = [self._branch(*chain) for chain in chains]
        branches.sort(key=lambda branch: len(branch.units))
        *projection, residual = branches
        if [len(branch.units) for branch in projection] not in ([], [1]):
            raise self._strange(residual.end, "two branches of several convolutions")
        if len(residual.units) != 3:
            raise self._strange(
                residual.end,
                f"a block of {len(residual.units)} convolutions, 3 in a ResNet-50 (2 in ResNet-18"
                " and -34)",
            )
        ends = {branch.end.output for branch in branches}
        if len(ends) != 1 or (not projection and tensor not in residual.end.inputs):
            raise self._strange(residual.end, "not the sum of a block and its shortcut")
        if projection:
            self.units[f"{name}_branch1"] = projection[0].units[0]
        for branch, unit in zip("abc", residual.units, strict=True):
            self.units[f"{name}_branch2{branch}"] = unit
        return self._one(residual.end.output, "Relu").output

    def _branch(self, node: Node, pads: tuple[int, ...]) -> _Branch:
        units = []
        while True:
            unit, tensor = self._unit(node, pads)
            units.append(unit)
            follower = self._one(tensor, "Relu", "Add")
            if follower.operator == "Add":
                return _Branch(units, follower)
            node, pads = self._padded(self._one(follower.output, "Conv", "Pad"))

    def _unit(self, node: Node, pads: tuple[int, ...]) -> tuple[Unit, str]:
        """Return a convolution with its normalisation, and what they make."""
        kernel = self._numbers(node, 1)
        bias = self._numbers(node, 2) if len(node.inputs) > 2 and node.inputs[2] else None
        if kernel.ndim != 4:
            raise self._strange(node, f"a kernel of {kernel.ndim} axes")
        sides = (int(kernel.shape[2]), int(kernel.shape[3]))
        found = window(node, sides, pads)
        if node.attributes.get("group", 1) != 1:
            raise self._strange(node, "groups, as in a ResNeXt")
        if set(node.attributes.get("dilations", (1,))) != {1}:
            raise self._strange(node, "a dilated kernel")
        if found != (sides[0] // 2, sides[1] // 2) * 2 or stride_of(node) not in (1, 2):
            raise self._strange(node, f"pads {found}, stride {stride_of(node)}: not He's window")
        readers = self.graph.readers(node.output)
        if len(readers) != 1 or readers[0].operator != "BatchNormalization":
            return Unit(kernel, bias, None, stride_of(node)), node.output
        (norm,) = readers
        if norm.attributes.get("training_mode", 0):
            raise self._strange(norm, "in training mode: export it for inference")
        gamma, beta, mean, variance = (self._numbers(norm, index) for index in range(1, 5))
        eps = float(norm.attributes.get("epsilon", EPSILON))
        if (variance.astype(np.float64) + eps <= 0).any():
            raise self._strange(norm, "a negative variance")
        return Unit(
            kernel, bias, Normal(gamma, beta, mean, variance, eps), stride_of(node)
        ), norm.output

    def _head(self, tensor: str) -> None:
        """Take the classifier, if there is one that is a matrix on the mean of each channel."""
        pooled = self._after(tensor, "GlobalAveragePool", "AveragePool", "ReduceMean")
        if pooled is None:
            return
        self.stages["pool5"] = pooled.output
        node: Node | None = pooled
        while node and node.operator not in ("Gemm", "MatMul"):
            node = self._after(node.output, "Reshape", "Flatten", "Squeeze", "Gemm", "MatMul")
        if node is None:
            return
        weights = self._numbers(node, 1)
        if weights.ndim != 2:
            raise self._strange(node, f"a matrix of {weights.ndim} axes")
        across = node.operator == "Gemm" and node.attributes.get("transB", 0)
        weights = (weights if across else weights.T) * node.attributes.get("alpha", 1)
        add = self._after(node.output, "Add") if node.operator == "MatMul" else None
        bias = np.zeros(len(weights), np.float32)
        if add is not None:
            bias = self._numbers(add, 1 if add.inputs[0] == node.output else 0)
        elif len(node.inputs) > 2:
            bias = self._numbers(node, 2) * node.attributes.get("beta", 1)
        self.classifier = Classifier(weights, np.ravel(bias))  # of 1 x classes, too

    # ---- steps

    def _numbers(self, node: Node, index: int) -> Array:
        array: Array = self.graph.constant(node, index)
        checked(self.graph.file, node.name, array)
        self.used.append(node.inputs[index])
        return array

    def _convolutions(self, tensor: str) -> list[tuple[Node, tuple[int, ...]]]:
        """Return the convolutions that read a tensor, each with what a Pad before it adds."""
        found = [
            self._padded(n) for n in self.graph.readers(tensor) if n.operator in ("Conv", "Pad")
        ]
        return [(node, pads) for node, pads in found if node.operator == "Conv"]

    def _padded(self, node: Node) -> tuple[Node, tuple[int, ...]]:
        if node.operator != "Pad":
            return node, NO_PADS
        return self._one(node.output, "Conv", "MaxPool"), padding_of(self.graph, node)

    def _after(self, tensor: str, *operators: str) -> Node | None:
        found = [node for node in self.graph.readers(tensor) if node.operator in operators]
        return found[0] if found else None

    def _one(self, tensor: str, *operators: str, first: bool = False) -> Node:
        """Return the node that reads a tensor (`first`: of several, that comes first)."""
        readers = self.graph.readers(tensor)
        if not readers or (len(readers) > 1 and not first) or readers[0].operator not in operators:
            found = ", ".join(f"{node.operator} {node.name!r}" for node in readers) or "nothing"
            raise ForeignError(
                f"{self.graph.file}: {tensor!r} goes to {found}, where a ResNet-50 has"
                f" {' or '.join(operators)}"
            )
        return readers[0]

    def _strange(self, node: Node, what: str) -> ForeignError:
        return ForeignError(f"{self.graph.file}: {node.operator} {node.name!r}: {what}")
