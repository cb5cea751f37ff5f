"""The networks as Caffe would see them: built, parsed and counted, each once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property

from netgen import paper
from netgen.audit.measurements.measurement import NotBuilt
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from netgen.caffe.schema import Phase, layers_in, parse_net, parse_solver
from netgen.cost.complexity import NetCost, count
from netgen.network.build import BuildSpec, network_files, prototxt
from netgen.network.dataset import MTVSO
from netgen.network.variants import Variant, variants
from netgen.paper import Recipe

TASKS = tuple(paper.TASKS)
MULTITASK = ("x0", "x1", "xs")
TRAINED = tuple(name for name, variant in variants(TASKS).items() if variant.row.is_trained)
RESIDUAL = (*(f"resnet50-{task}" for task in TASKS), *MULTITASK)
IMAGE = {"data": (MTVSO.images.channels, MTVSO.images.height, MTVSO.images.width)}
# What does not fit the paper's card can still be counted.
ANY_CARD = Recipe(memory=1e6)


@dataclass(frozen=True)
class Emitted:
    """The files of a network, parsed; one that is not trained has its deploy net and no solver."""

    net: NetParameter
    solver: SolverParameter
    inputs: dict[str, tuple[int, int, int]] = field(default_factory=lambda: IMAGE)

    def layers(self, phase: Phase = "TRAIN") -> list[LayerParameter]:
        """Return the layers that Caffe builds in a phase."""
        return self._train if phase == "TRAIN" else self._test

    @cached_property
    def _train(self) -> list[LayerParameter]:
        return layers_in(self.net, "TRAIN")

    @cached_property
    def _test(self) -> list[LayerParameter]:
        return layers_in(self.net, "TEST")

    def cost(self, phase: Phase = "TRAIN") -> NetCost:
        """Return what the network costs."""
        return count(self.net, phase, inputs=self.inputs)


def emit(variant: Variant, recipe: Recipe | None = None) -> Emitted:
    """Return a network of the paper's dataset, generated and parsed."""
    order = BuildSpec(variant, recipe=recipe or Recipe())
    texts = network_files(order)
    if not variant.row.is_trained:
        return Emitted(parse_net(texts[order.folder / "deploy.prototxt"]), SolverParameter(), {})
    return Emitted(
        parse_net(texts[order.folder / "train_val.prototxt"]), parse_solver(texts[order.solver])
    )


@cache
def emitted(name: str) -> Emitted:
    """Return a variant as it is committed.

    Raises
    ------
    NotBuilt
        netgen has no such variant.
    """
    known = variants(TASKS)
    if name not in known:
        raise NotBuilt(f"`netgen list` has no {name}")
    return emit(known[name])


@cache
def read_otherwise(variant: Variant) -> NetParameter:
    """Return the deploy network of a variant in another reading, generated and parsed.

    Readings are only counted, for which the smaller of the two files does: both have the same
    parameters.
    """
    return parse_net(prototxt(BuildSpec(variant), "deploy"))


@cache
def parameters_of(variant: Variant) -> int:
    """Return the parameters of a variant in another reading."""
    return count(read_otherwise(variant), "TEST").parameters


@cache
def cost(name: str, phase: Phase = "TRAIN") -> NetCost:
    """Return what a variant costs; raises as `emitted`."""
    return emitted(name).cost(phase)


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of every blob of a variant's training net, by name."""
    return {top.name: top.shape or () for layer in cost(name).layers for top in layer.tops}


def variant_of(title: str, task: str) -> str:
    """Return the variant that is this row of Table 2.

    Raises
    ------
    NotBuilt
        There is none: `netgen list` does not have this network yet.
    """
    for name, variant in variants(TASKS).items():
        if _plain(variant.row.title) == _plain(title) and task in variant.tasks:
            return name
    raise NotBuilt(f"`netgen list` has no {title}")


def _plain(title: str) -> str:
    """Return a title less what is spelled in several ways: VGG-16, VggNet-16."""
    return "".join(filter(str.isalnum, title.lower())).replace("net", "")


def of_type(kind: str, layers: list[LayerParameter]) -> list[LayerParameter]:
    """Return the layers of one type."""
    return [layer for layer in layers if layer.type == kind]
