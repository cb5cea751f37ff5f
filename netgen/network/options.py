"""Every option of a network: its values, its place in the paper, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Choice(Enum):
    """One value of an option; the enum's value describes what is then built."""

    @property
    def slug(self) -> str:
        """The value's name at the command line."""
        return self.name.lower().replace("_", "-")

    @property
    def meaning(self) -> str:
        """What is then built."""
        return str(self.value)


# ---- Table 2's column --------------------------------------------------------------------------


class CrossWeight(Choice):
    """W_s^(j), j != t, in equation (2): the weight on another task's activations (5.2.2)."""

    NONE = "none"
    IDENTITY = "identity"
    SCALE = "channelwise scale"


# ---- readings: what the paper leaves ambiguous -------------------------------------------------


class Branch(Choice):
    """Where the tasks branch (section 4: "at the last input size reduction")."""

    AFTER_RES5A = "after the block that reduces to 7 x 7"
    BEFORE_RES5A = "before it: nothing of the last stage is shared, as Table 1 draws it"
    NEVER = "nowhere: one network per task"  # single-task networks; no reading of the text


class MovedNorm(Choice):
    """Which normalisations of res5a are replaced by one per task after the sum (section 4).

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


class Sharing(Choice):
    """How many cross weights a layer has: equation (2) indexes them by the source task only."""

    PER_PAIR = "one cross weight per ordered pair of tasks (Figure 5's legend)"
    PER_SOURCE = "one cross weight per source task (equation 2's superscript)"


class Normalization(Choice):
    """The "normalization factor" that equation (2) omits: the Eltwise coefficient of shortcuts."""

    NONE = "shortcuts are added as they are"
    MEAN = "shortcuts are divided by the number of tasks"


class CrossFiller(Choice):
    """What n_l is in the deviation sqrt(2 / n_l) that cross weights of C channels start with.

    "We set n_l to be the average of input and output units layerwise" (section 5.2). Counts do not
    tell: it is how the weights start.
    """

    AVERAGE = "(1 + C) / 2, as Caffe averages for a blob of C numbers: a deviation of 0.0442"
    CHANNELS = "C: C channels come in and C go out: a deviation of 0.03125"


class ProjectionReLU(Choice):
    """Whether projections end in a ReLU: "with ReLU activation […] as in [14]" (section 5.2)."""

    NO = "projections without a ReLU, as in He's network"
    YES = "a ReLU on every projection, after its normalisation where that has not moved"


class Stride(Choice):
    """Which convolution of a block halves the size: Table 1 only says "by stride 2"."""

    IN_1X1 = "the first 1 x 1 convolution, as in He's network"
    IN_3X3 = "the 3 x 3 convolution: torchvision's weights fit, He's do not"


class Conv1(Choice):
    """How many filters the first convolution has: Table 1 prints 60."""

    WIDTH = "as many as --width says: 64, as in He's network"
    SIXTY = "60, as Table 1 prints: He's weights do not fit"


class Conv1Bias(Choice):
    """Whether the first convolution has a bias, which the paper does not say."""

    YES = "a bias, as in He's file"
    NO = "no bias, as in every other convolution: He's weights do not fit"


# ---- beyond the paper: what it speculates on, or what its own numbers contradict ---------------


class BranchStage(Choice):
    """The stage in which the tasks branch; `Branch` is the side of its first block."""

    AFTER_RES5A = Branch.AFTER_RES5A.value
    AFTER_RES4A = (
        "a stage earlier, after its first block: more blocks per task, more of them crossed"
    )


class CrossStart(Choice):
    """What cross weights are before training."""

    RANDOM = "random, as in section 5.2"
    ZERO = "0: at first tasks do not mix, as in X_0"
    ONE = "1: at first tasks mix in full, as in X_1"


class CrossLearning(Choice):
    """Whether cross weights are trained."""

    LEARNED = "trained with the rest"
    FIXED = "neither trained nor decayed: they keep their initial values"


class CrossForm(Choice):
    """What a cross weight is."""

    SCALE = "one weight per channel (Caffe's Scale)"
    CONVOLUTION = "a 1 x 1 convolution: C x C weights, every channel from all of the other task's"


class CrossBias(Choice):
    """Whether a cross weight adds a bias too."""

    NO = "no bias"
    YES = "one bias per channel, which starts at 0"


class SelfWeight(Choice):
    """W_s^(t) in equation (2): the weight on a task's own shortcut where tasks are crossed."""

    IDENTITY = "none: the identity"
    LEARNED = "one trained weight per channel, which starts at 1"


class Pool1(Choice):
    """Where the first pool's windows lie: Table 1 only says "3 x 3 max pool, stride 2"."""

    OVERHANGING = "windows start at the edge and the last overhangs, as in He's network"
    PADDED = "one pixel of padding, no window overhangs: as in torchvision's and Keras' networks"


class Crossed(Choice):
    """Which of the tasks' own blocks add the other tasks' shortcuts."""

    IDENTITY_BLOCKS = "blocks whose shortcut is the identity: res5b and res5c"
    ALL_BLOCKS = "blocks with a projection too: they add the other tasks' projections"
    FIRST_BLOCK = "only the first block whose shortcut is the identity: res5b"


class Towers(Choice):
    """Whether layers other than the classifiers and the cross and self weights are trained."""

    TRAINED = "all layers learn"
    FROZEN = "only classifiers, cross and self weights learn; all others keep their initial weights"


# ---- the table ---------------------------------------------------------------------------------


class Part(Enum):
    """A part that only some networks have; the value is its name in messages."""

    BLOCKS = "residual blocks"
    TOWERS = "blocks of several tasks"
    CROSSING = "cross-residuals"
    CROSS_WEIGHTS = "learned cross weights"


class Source(Enum):
    """Where an option comes from; the value is its name in messages."""

    TABLE_2 = "column"
    READING = "reading"
    BEYOND = "extension"


@dataclass(frozen=True)
class Option:
    """A field of a network's row: its values, and the part that a network needs for it.

    `place` is its place in the paper. The first of `values` is our choice; for extensions, it is
    the paper's.
    """

    field: str
    source: Source
    place: str
    needs: Part
    values: tuple[Choice, ...]

    @property
    def name(self) -> str:
        """The option's name at the command line; a reading and an extension may share one."""
        return COMMAND_LINE_NAMES.get(self.field, self.field).replace("_", "-")

    @property
    def ours(self) -> Choice:
        """What netgen builds by default."""
        return self.values[0]


COMMAND_LINE_NAMES = {"branch_stage": "branch"}

TABLE_2, READING, BEYOND = Source

# fmt: off
OPTIONS = (
    #      field of the row  source   place            needs               values
    Option("cross",          TABLE_2, "Table 2",       Part.TOWERS,        tuple(CrossWeight)),
    Option("branch",         READING, "section 4",     Part.TOWERS,
           (Branch.AFTER_RES5A, Branch.BEFORE_RES5A)),
    Option("moved_norm",     READING, "section 4",     Part.TOWERS,        tuple(MovedNorm)),
    Option("sharing",        READING, "equation (2)",  Part.CROSS_WEIGHTS, tuple(Sharing)),
    Option("normalization",  READING, "equation (2)",  Part.CROSSING,      tuple(Normalization)),
    Option("cross_filler",   READING, "section 5.2",   Part.CROSS_WEIGHTS, tuple(CrossFiller)),
    Option("projection_relu", READING, "section 5.2",  Part.BLOCKS,        tuple(ProjectionReLU)),
    Option("stride",         READING, "Table 1",       Part.BLOCKS,        tuple(Stride)),
    Option("conv1",          READING, "Table 1",       Part.BLOCKS,        tuple(Conv1)),
    Option("conv1_bias",     READING, "section 5.2",   Part.BLOCKS,        tuple(Conv1Bias)),
    Option("cross_start",    BEYOND,  "section 5.2.2", Part.CROSS_WEIGHTS, tuple(CrossStart)),
    Option("cross_learning", BEYOND,  "section 5.2.2", Part.CROSS_WEIGHTS, tuple(CrossLearning)),
    Option("cross_form",     BEYOND,  "section 5.2.3", Part.CROSS_WEIGHTS, tuple(CrossForm)),
    Option("cross_bias",     BEYOND,  "section 5.2",   Part.CROSS_WEIGHTS, tuple(CrossBias)),
    Option("self_weight",    BEYOND,  "section 6",     Part.TOWERS,        tuple(SelfWeight)),
    Option("branch_stage",   BEYOND,  "section 4",     Part.TOWERS,        tuple(BranchStage)),
    Option("crossed",        BEYOND,  "section 5.2.2", Part.CROSSING,      tuple(Crossed)),
    Option("pool1",          BEYOND,  "Table 1",       Part.BLOCKS,        tuple(Pool1)),
    Option("towers",         BEYOND,  "section 6",     Part.TOWERS,        tuple(Towers)),
)
# fmt: on

# By their names at the command line.
READINGS, EXTENSIONS = (
    {option.name: option for option in OPTIONS if option.source is source}
    for source in (Source.READING, Source.BEYOND)
)
