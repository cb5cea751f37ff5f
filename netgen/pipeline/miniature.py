"""The miniature: which networks are compared, and the recipe, the same for every one of them.

A network is what `netgen build` makes of a variant and options; its name here is what reports and
the command line call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from netgen.paper import TASKS

SINGLE = {task: f"resnet50-{task}" for task in TASKS}


@dataclass(frozen=True)
class Compared:
    """A network of the experiment.

    Attributes
    ----------
    name
        In the report.
    variant
        In `netgen list`.
    options
        What `netgen build` is told besides.
    start
        The network of the same seed whose trained weights it starts from; None for the pretrained
        trunk, which everything else starts from.
    about
        What it is; for those beyond Table 2, and where the paper speaks of it.
    """

    name: str
    variant: str
    options: tuple[str, ...] = ()
    start: str | None = None
    about: str = ""


# Section 5.2: all but DeepSentiBank and the other baselines, which start from other weights.
TABLE = tuple(Compared(name, name) for name in (*SINGLE.values(), "x0", "x1", "xs"))

MEAN = ("--reading", "normalization=mean")
EARLIER = ("--beyond", "branch=after-res4a")
# fmt: off
SPECULATIONS = (
    Compared("xs-fixed", "xs", ("--beyond", "cross-learning=fixed"),
             about="cross weights stay at their random start"),
    Compared("xs-from-zero", "xs", ("--beyond", "cross-start=zero"),
             about="cross weights learned from a start at zero"),
    Compared("xs-from-one", "xs", ("--beyond", "cross-start=one"),
             about="cross weights learned from a start at one"),
    Compared("x1-mean", "x1", MEAN,
             about="X_1 with the omitted normalisation factor, 1/3 (equation 2)"),
    Compared("xs-mean", "xs", MEAN,
             about="X_S with the omitted normalisation factor, 1/3 (equation 2)"),
    Compared("xs-self", "xs", ("--beyond", "self-weight=learned"),
             about="self weights learned too, from one (section 6)"),
    Compared("xs-convolution", "xs", ("--beyond", "cross-form=convolution"),
             about="a 1 x 1 convolution as cross weight (section 5.2.3)"),
    Compared("xs-earlier", "xs", EARLIER,
             about="branching earlier: three cross-residual layers (section 5.2.2)"),
    Compared("x0-earlier", "x0", EARLIER,
             about="branching earlier, without cross-residuals"),
    Compared("xs-frozen", "xs", ("--beyond", "towers=frozen"), "x0",
             about="X_0 as trained, frozen; cross weights and classifiers learn on (section 6)"),
)
# fmt: on

COMPARED = {network.name: network for network in (*TABLE, *SPECULATIONS)}


# ---- the recipe, the same for every network, and fixed before a test image was looked at --------
# What the paper prints is kept: its batch, momentum and weight decay, its initial weights, equal
# losses, SGD; what it cannot be on small images and a CPU is here, with the reason.

Positive = Annotated[int, Meta(gt=0)]

SEEDS, JOBS = 5, 2
# The speculations are looked at with fewer: they answer no claim of the paper.
SPECULATED_SEEDS = 3

# A network of the paper's shape in minutes: bottleneck blocks, two cross-residual layers, the
# stage before the last in two blocks, so that the tasks can also part there.
SHAPE = ("--width", "8", "--blocks", "1,1,2,3", "--stem", "small")

# b and d are mirror images of each other, so letters are not flipped. BatchNorm's averages have to
# follow in so few iterations.
KEPT = ("--no-mirror", "--moving-average", "0.99", "--solver-mode", "cpu")

ITERATIONS = 1200
# The paper drops the rate at plateaus; here all drop it at the same iterations.
DROPS = (0.6, 0.85)
TESTS = 4  # a run, for the learning curves: no test decides anything
# The trunk is trained from nothing, so longer, and at a higher rate.
PRETRAINING, PRETRAINING_RATE = 4 / 3, 0.05

# The rates that were tried, on the training images alone, and the one that did best in the mean
# over these networks and their tasks: `netgen experiment miniature --choose` shows it.
RATES = (0.01, 0.03, 0.1)
CHOOSING = ("resnet50-anp", "x0", "x1", "xs")
RATE = 0.03


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """What an experiment is made with; two with other settings are not to be mixed.

    `data` is the SHA-256 of the lists of images: of letters/records.csv and
    pretraining/records.csv.
    """

    iterations: Positive
    data: dict[str, str]

    @property
    def drops(self) -> tuple[int, ...]:
        """The iterations before which the rate drops."""
        return self.at(self.iterations)

    @staticmethod
    def at(iterations: int) -> tuple[int, ...]:
        """Return where a training of that length drops its rate."""
        return tuple(round(share * iterations) for share in DROPS)

    @property
    def pretraining(self) -> int:
        """The iterations of the trunk's training."""
        return round(PRETRAINING * self.iterations)
