"""Ways to read what the paper leaves ambiguous: the values of a row's fields that are readings.

`variants.READINGS` says which is ours.
"""

from __future__ import annotations

from netgen.choice import Choice


class Reading(Choice):
    """A way to read a sentence of the paper; the value says it in words."""


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
    # Beyond the paper.
    AFTER_RES4A = "a stage earlier, after its first block: more blocks a task, more of them crossed"


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
