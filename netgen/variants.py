"""One row a network of Table 2, and every reading of what the paper leaves ambiguous.

A *reading* is a field of a row: ours is the default, and every other can be built (`replace` a
field of the row), counted and compared. What networks are made of is `architecture`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Reading(Enum):
    """A way to read a sentence of the paper; the value says it in words."""

    @property
    def slug(self) -> str:
        """The value's name at the command line."""
        return self.name.lower().replace("_", "-")

    @property
    def meaning(self) -> str:
        """What the reading takes the paper to say."""
        return str(self.value)


class CrossWeight(Reading):
    """W_s^(j), j != t, in equation (2): what weighs another task's activations (section 5.2.2)."""

    NONE = "none"
    IDENTITY = "identity"
    SCALE = "channelwise scale"


class Branch(Reading):
    """Where the tasks part (section 4: "at the last input size reduction")."""

    AFTER_RES5A = "after the block that reduces to 7 x 7"
    BEFORE_RES5A = "before it: nothing of the last stage is shared, as Table 1 draws it"
    NEVER = "nowhere: one network a task"


class MovedNorm(Reading):
    """Which normalisations of res5a give way to one a task after the sum (section 4).

    "We move the last ReLU activation and batch normalization […] outside, placing it after the
    elementwise addition such that there is one per task." Values are the branches concerned and
    the layers that move; the ReLU moves with any of them.
    """

    BOTH = (("branch1", "branch2c"), ("BatchNorm", "Scale"))
    LAST = (("branch2c",), ("BatchNorm", "Scale"))
    BOTH_SCALES = (("branch1", "branch2c"), ("Scale",))
    LAST_SCALE = (("branch2c",), ("Scale",))
    BOTH_BATCHNORMS = (("branch1", "branch2c"), ("BatchNorm",))
    LAST_BATCHNORM = (("branch2c",), ("BatchNorm",))
    NOTHING = ((), ())

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches of the block whose normalisation moves."""
        branches: tuple[str, ...] = self.value[0]
        return branches

    @property
    def layers(self) -> tuple[str, ...]:
        """The types of the layers that move."""
        layers: tuple[str, ...] = self.value[1]
        return layers

    @property
    def meaning(self) -> str:
        """What the reading takes the paper to say."""
        if self is MovedNorm.NOTHING:
            return "nothing moves; the ReLU is shared too"
        return f"{' and '.join(self.layers)} of {' and '.join(self.branches)}, and the ReLU"


class Sharing(Reading):
    """How many cross weights a layer has: equation (2) indexes them by the source alone."""

    PER_PAIR = "a cross weight an ordered pair of tasks (Figure 5's legend)"
    PER_SOURCE = "a cross weight a source task (equation 2's superscript)"


class Normalization(Reading):
    """The "normalization factor" that equation (2) omits: the Eltwise coefficient of shortcuts."""

    NONE = "shortcuts are added as they are"
    MEAN = "shortcuts are divided by the number of tasks"


@dataclass(frozen=True)
class Row:
    """A network of Table 2 that is a residual network, and our reading of it."""

    title: str
    cross: CrossWeight = CrossWeight.NONE
    branch: Branch = Branch.AFTER_RES5A
    moved_norm: MovedNorm = MovedNorm.BOTH
    sharing: Sharing = Sharing.PER_PAIR
    normalization: Normalization = Normalization.NONE


# Table 2, its residual networks. A row that never branches stands for one network a task.
# fmt: off
NETWORKS = {
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
class Variant:
    """A network that can be built for a dataset: a row of Table 2 and the tasks that it solves."""

    name: str
    row: Row
    tasks: tuple[str, ...]


def variants(tasks: Sequence[str]) -> dict[str, Variant]:
    """Return every network of Table 2 for a dataset with these tasks, by the name users give it."""
    found: dict[str, Variant] = {}
    for name, row in NETWORKS.items():
        if row.branch is Branch.NEVER:
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
    ValueError
        There is no such field or value, or the variant is no multitask network.
    """
    choices = {f.replace("_", "-"): f for f in READINGS}
    if variant.row.branch is Branch.NEVER:
        raise ValueError(
            f"{variant.name} is a single-task network: nothing in it is a reading; choose a"
            " multitask one"
        )
    if field not in choices:
        raise ValueError(f"unknown reading {field!r}: choose from {', '.join(choices)}")
    values = {reading.slug: reading for reading in READINGS[choices[field]]}
    if value not in values:
        raise ValueError(f"unknown value {value!r} of {field}: choose from {', '.join(values)}")
    row = replace(variant.row, **{choices[field]: values[value]})  # type: ignore[arg-type]
    return replace(variant, row=row)
