"""Ways to build a network that the paper speculates on, or that its own numbers speak against.

Ours, the first of each, is the paper's. `variants.EXTENSIONS` says where the paper speaks of them.
"""

from __future__ import annotations

from netgen.choice import Choice


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
