"""The networks as Caffe would read them: built, parsed and counted, each once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property

from netgen import paper
from netgen.audit.comparison.references import parsed
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from netgen.caffe.schema import Phase, layers_in, parse_solver
from netgen.cost.complexity import NetCost, count
from netgen.network.build import BuildSpec, network_files, prototxt
from netgen.network.variants import Variant, find, variants
from netgen.paper import Recipe

TASKS = tuple(paper.TASKS)
MULTITASK = ("x0", "x1", "xs")
TRAINED = tuple(name for name, variant in variants(TASKS).items() if variant.row.is_trained)
RESIDUAL = (*(f"resnet50-{task}" for task in TASKS), *MULTITASK)
IMAGE = {"data": paper.IMAGE_SHAPE}
# A network that does not fit the paper's GPU can still be counted.
ANY_CARD = Recipe(memory=1e6)


@dataclass(frozen=True)
class ParsedNetwork:
    """A network's files, parsed; one that is not trained has its deploy net and no solver."""

    net: NetParameter
    solver: SolverParameter
    inputs: dict[str, tuple[int, int, int]] = field(default_factory=lambda: IMAGE)
    _costs: dict[Phase, NetCost] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def layers(self, phase: Phase = "TRAIN") -> list[LayerParameter]:
        """Return the layers that Caffe builds in a phase."""
        return self._train if phase == "TRAIN" else self._test

    @cached_property
    def _train(self) -> list[LayerParameter]:
        return layers_in(self.net, "TRAIN")

    @cached_property
    def _test(self) -> list[LayerParameter]:
        return layers_in(self.net, "TEST")

    @cached_property
    def by_name(self) -> dict[str, LayerParameter]:
        """The layers of the training net, by name."""
        return {layer.name: layer for layer in self.layers()}

    def cost(self, phase: Phase = "TRAIN") -> NetCost:
        """Return what the network costs in a phase."""
        if phase not in self._costs:
            self._costs[phase] = count(self.net, phase, inputs=self.inputs)
        return self._costs[phase]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every blob of the training net, by name."""
        return {top.name: top.shape or () for layer in self.cost().layers for top in layer.tops}


def emit(variant: Variant, recipe: Recipe | None = None) -> ParsedNetwork:
    """Return a network of the paper's dataset, generated and parsed."""
    order = BuildSpec(variant, recipe=recipe or Recipe())
    texts = network_files(order)
    if not variant.row.is_trained:
        net = parsed(texts[order.folder / "deploy.prototxt"])
        return ParsedNetwork(net, SolverParameter(), {})
    return ParsedNetwork(
        parsed(texts[order.folder / "train_val.prototxt"]), parse_solver(texts[order.solver])
    )


@cache
def emitted(name: str) -> ParsedNetwork:
    """Return a variant as it is committed.

    Raises
    ------
    ValueError
        netgen has no such variant.
    """
    return emit(find(name, TASKS))


@cache
def read_otherwise(variant: Variant) -> NetParameter:
    """Return the deploy network of a variant in another reading, generated and parsed.

    Readings are only counted, and the smaller of the two files suffices for that: both have the
    same parameters.
    """
    return parsed(prototxt(BuildSpec(variant), "deploy"))


@cache
def parameters_of(variant: Variant) -> int:
    """Return the parameters of a variant in another reading."""
    return count(read_otherwise(variant), "TEST").parameters


def variant_of(title: str, task: str) -> str:
    """Return the variant that is this row of Table 2.

    Raises
    ------
    ValueError
        netgen has no such network.
    """
    for name, variant in variants(TASKS).items():
        if _plain(variant.row.title) == _plain(title) and task in variant.tasks:
            return name
    raise ValueError(f"no variant is {title!r} for {task!r}: `netgen list` has those that are")


def _plain(title: str) -> str:
    """Return a title in a common spelling: VGG-16, VggNet-16."""
    return "".join(filter(str.isalnum, title.lower())).replace("net", "")


def of_type(kind: str, layers: list[LayerParameter]) -> list[LayerParameter]:
    """Return the layers of one type."""
    return [layer for layer in layers if layer.type == kind]
