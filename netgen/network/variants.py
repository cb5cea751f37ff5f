"""One row a network of Table 2, every reading of what is ambiguous, and what goes beyond the paper.

A *reading* is a field of a row: ours is the default, and every other can be built (`replace` a
field of the row), counted and compared. An *extension* is one that the paper does not mean, but
speculates on. What networks are made of is `architecture`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from netgen import paper
from netgen.network.options import (
    Branch,
    Choice,
    Conv1,
    Conv1Bias,
    CrossBias,
    Crossed,
    CrossForm,
    CrossLearning,
    CrossStart,
    CrossWeight,
    MovedNorm,
    Normalization,
    Reading,
    SelfWeight,
    Sharing,
    Towers,
)


class UnsuitedError(ValueError):
    """A network that cannot be built as asked, where others can; the message says why."""


class Part(Enum):
    """What only some networks have; the value says it in words."""

    BLOCKS = "residual blocks"
    TOWERS = "blocks of several tasks"
    CROSSING = "cross-residuals"
    CROSS_WEIGHTS = "learned cross weights"


class Architecture(Enum):
    """What a network is made of; the value is its source."""

    CAFFENET = "Krizhevsky, Sutskever, Hinton 2012, as BVLC's bvlc_reference_caffenet"
    INCEPTION = "Szegedy et al. 2014, as BVLC's bvlc_googlenet"
    VGG16 = "Simonyan, Zisserman 2014, as Oxford's VGG_ILSVRC_16_layers"
    RESNET = "He, Zhang, Ren, Sun 2015"


@dataclass(frozen=True)
class Row:
    """A network of Table 2, our reading of it, and nothing beyond the paper.

    `weights` is the caffemodel that it starts from, under the name it was published by. `outputs`
    is given where they are not the task's classes: such a network is not trained on the dataset,
    but evaluated with its published weights.
    """

    title: str
    cross: CrossWeight = CrossWeight.NONE
    branch: Branch = Branch.AFTER_RES5A
    moved_norm: MovedNorm = MovedNorm.BOTH
    sharing: Sharing = Sharing.PER_PAIR
    normalization: Normalization = Normalization.NONE
    cross_start: CrossStart = CrossStart.RANDOM
    cross_learning: CrossLearning = CrossLearning.LEARNED
    cross_form: CrossForm = CrossForm.SCALE
    cross_bias: CrossBias = CrossBias.NO
    self_weight: SelfWeight = SelfWeight.IDENTITY
    crossed: Crossed = Crossed.IDENTITY_BLOCKS
    towers: Towers = Towers.TRAINED
    conv1: Conv1 = Conv1.WIDTH
    conv1_bias: Conv1Bias = Conv1Bias.YES
    architecture: Architecture = Architecture.RESNET
    weights: str = "ResNet-50-model.caffemodel"
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
        """Tell whether the network has this part."""
        return {
            Part.BLOCKS: self.is_residual,
            Part.TOWERS: self.branch is not Branch.NEVER,
            Part.CROSSING: self.cross is not CrossWeight.NONE,
            Part.CROSS_WEIGHTS: self.cross is CrossWeight.SCALE,
        }[part]


def _baseline(
    title: str, architecture: Architecture, weights: str, outputs: int | None = None
) -> Row:
    """Return the row of a network that is no residual one: it neither branches nor crosses."""
    row = Row(title, branch=Branch.NEVER, moved_norm=MovedNorm.NOTHING)
    return replace(row, architecture=architecture, weights=weights, outputs=outputs)


# Table 2. A row that never branches stands for one network a task.
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
    #               title            cross weight          branch        moved normalisation
    "resnet50": Row("ResNet-50",     CrossWeight.NONE,     Branch.NEVER, MovedNorm.NOTHING),
    "x0":       Row("X_0-ResNet-50", CrossWeight.NONE),
    "x1":       Row("X_1-ResNet-50", CrossWeight.IDENTITY),
    "xs":       Row("X_S-ResNet-50", CrossWeight.SCALE),
}
# fmt: on


# The fields of a row that are readings of the text: ours is the default, each can be built.
READINGS: dict[str, tuple[Reading, ...]] = {
    "branch": (Branch.AFTER_RES5A, Branch.BEFORE_RES5A),
    "moved_norm": tuple(MovedNorm),
    "sharing": tuple(Sharing),
    "normalization": tuple(Normalization),
}


@dataclass(frozen=True)
class Extension:
    """A field of a row that goes beyond the paper: where that speaks of it, and what it can be.

    Ours is the first of `values`; `needs` is what a network must have for the field to mean
    anything.
    """

    place: str
    needs: Part
    values: tuple[Choice, ...]


# fmt: off
EXTENSIONS = {
    "cross_start":    Extension("section 5.2.2", Part.CROSS_WEIGHTS, tuple(CrossStart)),
    "cross_learning": Extension("section 5.2.2", Part.CROSS_WEIGHTS, tuple(CrossLearning)),
    "cross_form":     Extension("section 5.2.3", Part.CROSS_WEIGHTS, tuple(CrossForm)),
    "cross_bias":     Extension("section 5.2",   Part.CROSS_WEIGHTS, tuple(CrossBias)),
    "self_weight":    Extension("section 6",     Part.TOWERS,        tuple(SelfWeight)),
    "branch":         Extension("section 4",     Part.TOWERS,
                                (Branch.AFTER_RES5A, Branch.AFTER_RES4A)),
    "crossed":        Extension("section 5.2.2", Part.CROSSING,      tuple(Crossed)),
    "towers":         Extension("section 6",     Part.TOWERS,        tuple(Towers)),
    "conv1":          Extension("Table 1",       Part.BLOCKS,        tuple(Conv1)),
    "conv1_bias":     Extension("section 5.2",   Part.BLOCKS,        tuple(Conv1Bias)),
}
# fmt: on


# The task that a network trained on other data can be asked to solve.
PAIRS = "anp"


@dataclass(frozen=True)
class Variant:
    """A network that can be built for a dataset: a row of Table 2 and the tasks that it solves."""

    name: str
    row: Row
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
        There is none; the message lists those there are.
    """
    known = variants(tasks)
    if name not in known:
        raise ValueError(
            f"unknown variant {name!r}: choose from {', '.join(known)} (`netgen list`)"
        )
    return known[name]


def read_as(variant: Variant, field: str, value: str) -> Variant:
    """Return `variant` in another reading: `field` of its row set to the value of that name.

    Raises
    ------
    UnsuitedError
        The variant is no multitask network.
    ValueError
        There is no such field or value.
    """
    if variant.row.branch is Branch.NEVER:
        raise UnsuitedError(
            f"{variant.name} is a single-task network: nothing in it is a reading; choose a"
            " multitask one"
        )
    return _with(variant, "reading", field, value, READINGS)


def go_beyond(variant: Variant, field: str, value: str) -> Variant:
    """Return `variant` beyond the paper: `field` of its row set to the value of that name.

    Raises
    ------
    UnsuitedError
        The variant lacks what the field is about: X_0 and X_1 have no weights to start.
    ValueError
        There is no such field or value.
    """
    changed = _with(
        variant, "extension", field, value, {f: e.values for f, e in EXTENSIONS.items()}
    )
    needs = EXTENSIONS[field.replace("-", "_")].needs
    if not variant.row.has(needs):
        those = ", ".join(name for name, row in NETWORKS.items() if row.has(needs))
        raise UnsuitedError(f"{variant.name} has no {needs.value}: {field} is for {those}")
    return changed


def _with(
    variant: Variant, kind: str, field: str, value: str, table: Mapping[str, tuple[Choice, ...]]
) -> Variant:
    """Return `variant` with a field of its row set to the value of that name in `table`."""
    fields = {name.replace("_", "-"): name for name in table}
    if field not in fields:
        raise ValueError(f"unknown {kind} {field!r}: choose from {', '.join(fields)}")
    values = {choice.slug: choice for choice in table[fields[field]]}
    if value not in values:
        raise ValueError(f"unknown value {value!r} of {field}: choose from {', '.join(values)}")
    row = replace(variant.row, **{fields[field]: values[value]})  # type: ignore[arg-type]
    return replace(variant, row=row)
