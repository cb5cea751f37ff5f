"""Every option of a network: its values, what the paper says of it, and whose it is."""

from __future__ import annotations

from enum import Enum


class Choice(Enum):
    """One way to build a network, where there are several; the value says it in words."""

    @property
    def slug(self) -> str:
        """The value's name at the command line."""
        return self.name.lower().replace("_", "-")

    @property
    def meaning(self) -> str:
        """What is then built."""
        return str(self.value)


# ---- ways to read what the paper leaves ambiguous: the values of a row's fields that are readings
# `variants.READINGS` says which is ours.


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


# ---- what the paper speculates on, or its own numbers speak against --------------------------
# Ours, the first of each, is the paper's. `variants.EXTENSIONS` says where the paper speaks of
# them.


class CrossStart(Choice):
    """What cross weights are before training."""

    RANDOM = "random, as in section 5.2"
    ZERO = "0: at first tasks do not mix, as in X_0"
    ONE = "1: at first tasks mix in full, as in X_1"


class CrossLearning(Choice):
    """Whether cross weights are trained."""

    LEARNED = "trained with the rest"
    FIXED = "neither trained nor decayed: they stay at their start"


class CrossForm(Choice):
    """What a cross weight is."""

    SCALE = "a weight a channel (Caffe's Scale)"
    CONVOLUTION = "a 1 x 1 convolution: C x C weights, every channel from all of the other task's"


class CrossBias(Choice):
    """Whether a cross weight adds a bias too."""

    NO = "no bias"
    YES = "a bias a channel, which starts at 0"


class SelfWeight(Choice):
    """W_s^(t) in equation (2): what weighs a task's own shortcut where tasks are crossed."""

    IDENTITY = "none: the identity"
    LEARNED = "a trained weight a channel, which starts at 1"


class Crossed(Choice):
    """Which blocks of the tasks' own add the other tasks' shortcuts."""

    IDENTITY_BLOCKS = "blocks whose shortcut is the identity: res5b and res5c"
    ALL_BLOCKS = "blocks with a projection too: they add the other tasks' projections"
    FIRST_BLOCK = "only the first block whose shortcut is the identity: res5b"


class Towers(Choice):
    """What of the network is trained beside the classifiers and the cross and self weights."""

    TRAINED = "all layers learn"
    FROZEN = "only classifiers, cross and self weights learn; all else stays at its initial weights"


class Conv1(Choice):
    """How many filters the first convolution has."""

    WIDTH = "as many as --width says: 64, as in He's ResNet-50"
    SIXTY = "60, as Table 1 prints: He's weights do not fit"


class Conv1Bias(Choice):
    """Whether the first convolution has a bias."""

    YES = "a bias, as in He's file"
    NO = "no bias, as in every other convolution"
