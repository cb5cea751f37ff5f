"""Table 2, one row per network, and the variants of a dataset that can be built from it.

Every row has the fields that `options` lists; the default of each is our choice, and any other
value can be built, counted and compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from netgen import paper
from netgen.network.options import (
    EXTENSIONS,
    OPTIONS,
    READINGS,
    Branch,
    BranchStage,
    Conv1,
    Conv1Bias,
    CrossBias,
    Crossed,
    CrossFiller,
    CrossForm,
    CrossLearning,
    CrossStart,
    CrossWeight,
    MovedNorm,
    Normalization,
    Option,
    Part,
    Pool1,
    ProjectionReLU,
    SelfWeight,
    Sharing,
    Stride,
    Towers,
)
from netgen.network.training_commands import HES_WEIGHTS


class UnsuitedError(ValueError):
    """A network that cannot be built with these options; the message says why."""


class Architecture(Enum):
    """A network's architecture; the value is its source."""

    CAFFENET = "Krizhevsky, Sutskever, Hinton 2012, as BVLC's bvlc_reference_caffenet"
    INCEPTION = "Szegedy et al. 2014, as BVLC's bvlc_googlenet"
    VGG16 = "Simonyan, Zisserman 2014, as Oxford's VGG_ILSVRC_16_layers"
    RESNET = "He, Zhang, Ren, Sun 2015"


@dataclass(frozen=True)
class NetworkRow:
    """A network of Table 2, by default in our reading and with nothing beyond the paper.

    `weights` is the published name of the caffemodel that it starts from. `outputs` is the number
    of its outputs where they are not the task's classes: such a network is not trained on the
    dataset, but evaluated with its published weights.
    """

    title: str
    cross: CrossWeight = CrossWeight.NONE
    branch: Branch = Branch.AFTER_RES5A
    moved_norm: MovedNorm = MovedNorm.BOTH
    sharing: Sharing = Sharing.PER_PAIR
    normalization: Normalization = Normalization.NONE
    cross_filler: CrossFiller = CrossFiller.AVERAGE
    projection_relu: ProjectionReLU = ProjectionReLU.NO
    stride: Stride = Stride.IN_1X1
    conv1: Conv1 = Conv1.WIDTH
    conv1_bias: Conv1Bias = Conv1Bias.YES
    cross_start: CrossStart = CrossStart.RANDOM
    cross_learning: CrossLearning = CrossLearning.LEARNED
    cross_form: CrossForm = CrossForm.SCALE
    cross_bias: CrossBias = CrossBias.NO
    self_weight: SelfWeight = SelfWeight.IDENTITY
    branch_stage: BranchStage = BranchStage.AFTER_RES5A
    crossed: Crossed = Crossed.IDENTITY_BLOCKS
    pool1: Pool1 = Pool1.OVERHANGING
    towers: Towers = Towers.TRAINED
    architecture: Architecture = Architecture.RESNET
    weights: str = HES_WEIGHTS
    outputs: int | None = None

    @property
    def is_residual(self) -> bool:
        """Whether it is made of residual blocks."""
        return self.architecture is Architecture.RESNET

    @property
    def is_trained(self) -> bool:
        """Whether the paper trained it on its data."""
        return self.outputs is None

    def has(self, part: Part) -> bool:
        """Return whether the network has this part."""
        return {
            Part.BLOCKS: self.is_residual,
            Part.TOWERS: self.branch is not Branch.NEVER,
            Part.CROSSING: self.cross is not CrossWeight.NONE,
            Part.CROSS_WEIGHTS: self.cross is CrossWeight.SCALE,
        }[part]


def _baseline(
    title: str, architecture: Architecture, weights: str, outputs: int | None = None
) -> NetworkRow:
    """Return the row of a network without residual blocks: it neither branches nor crosses."""
    row = NetworkRow(title, branch=Branch.NEVER, moved_norm=MovedNorm.NOTHING)
    return replace(row, architecture=architecture, weights=weights, outputs=outputs)


# Table 2. A row that never branches is one network per task.
# fmt: off
NETWORKS = {
    #                title            made of                 published weights
    "deepsentibank": _baseline(
                     "DeepSentiBank", Architecture.CAFFENET,  "caffe_sentibank_train_iter_250000",
                     paper.DEEPSENTIBANK_PAIRS),
    "caffenet":      _baseline(
                     "CaffeNet",      Architecture.CAFFENET,  "bvlc_reference_caffenet.caffemodel"),
    "inception-v1":  _baseline(
                     "Inception-v1",  Architecture.INCEPTION, "bvlc_googlenet.caffemodel"),
    "vgg16":         _baseline(
                     "VggNet-16",     Architecture.VGG16,     "VGG_ILSVRC_16_layers.caffemodel"),
    #                      title            cross weight          branch        moved normalisation
    "resnet50": NetworkRow("ResNet-50",     CrossWeight.NONE,     Branch.NEVER, MovedNorm.NOTHING),
    "x0":       NetworkRow("X_0-ResNet-50", CrossWeight.NONE),
    "x1":       NetworkRow("X_1-ResNet-50", CrossWeight.IDENTITY),
    "xs":       NetworkRow("X_S-ResNet-50", CrossWeight.SCALE),
}
# fmt: on


# The task that a network trained on other data can solve.
PAIRS = "anp"


@dataclass(frozen=True)
class Variant:
    """A network that can be built for a dataset: a row of Table 2 and the tasks that it solves."""

    name: str
    row: NetworkRow
    tasks: tuple[str, ...]


def variants(tasks: Sequence[str]) -> dict[str, Variant]:
    """Return every network of Table 2 for a dataset with these tasks, by the name users give it."""
    found: dict[str, Variant] = {}
    for name, row in NETWORKS.items():
        if not row.is_trained:
            found |= {name: Variant(name, row, (PAIRS,))} if PAIRS in tasks else {}
        elif row.branch is Branch.NEVER:
            found |= {f"{name}-{task}": Variant(f"{name}-{task}", row, (task,)) for task in tasks}
        else:
            found[name] = Variant(name, row, tuple(tasks))
    return found


def find(name: str, tasks: Sequence[str]) -> Variant:
    """Return the variant of that name.

    Raises
    ------
    ValueError
        There is none; the message lists the variants.
    """
    known = variants(tasks)
    if name not in known:
        raise ValueError(
            f"unknown variant {name!r}: choose from {', '.join(known)} (`netgen list`)"
        )
    return known[name]


def read_as(variant: Variant, name: str, value: str) -> Variant:
    """Return `variant` in another reading: the option of that name set to the value of that name.

    Raises
    ------
    UnsuitedError
        The variant lacks what the reading is about: a single-task network has no branch.
    ValueError
        There is no such option or value.
    """
    return _with(variant, name, value, READINGS)


def go_beyond(variant: Variant, name: str, value: str) -> Variant:
    """Return `variant` beyond the paper: the option of that name set to the value of that name.

    Raises
    ------
    UnsuitedError
        The variant lacks what the option is about: X_0 and X_1 have no weights to start.
    ValueError
        There is no such option or value.
    """
    return _with(variant, name, value, EXTENSIONS)


def _with(variant: Variant, name: str, value: str, options: Mapping[str, Option]) -> Variant:
    """Return `variant` with one of `options` set, both by their names at the command line."""
    if name not in options:
        raise ValueError(_unknown(name, options))
    option = options[name]
    values = {choice.slug: choice for choice in option.values}
    if value not in values:
        raise ValueError(f"unknown value {value!r} of {name}: choose from {', '.join(values)}")
    if not variant.row.has(option.needs):
        those = ", ".join(name for name, row in NETWORKS.items() if row.has(option.needs))
        raise UnsuitedError(f"{variant.name} has no {option.needs.value}: {name} is for {those}")
    row = replace(variant.row, **{option.field: values[value]})  # type: ignore[arg-type]
    return replace(variant, row=row)


def _unknown(name: str, options: Mapping[str, Option]) -> str:
    """Say that an option is not among these, and whether it is among the others."""
    kind = next(iter(options.values())).source
    others = {option.name: option.source for option in OPTIONS if option.source is not kind}
    elsewhere = f", which is of another kind ({others[name].value})" if name in others else ""
    return f"unknown {kind.value} {name!r}{elsewhere}: choose from {', '.join(options)}"
