"""The miniature: the networks that it compares, the recipe that all share, and its cells.

A network is what `netgen build` writes for a variant and options; reports and the command line use
its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from netgen.network.dataset import Positive
from netgen.paper import TASKS

SINGLE = {task: f"resnet50-{task}" for task in TASKS}


class ExperimentError(ValueError):
    """An experiment that cannot be run as asked; the message says why, and the next step."""


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
        Further options of `netgen build`.
    start
        The network of the same seed whose trained weights it starts from; None for the pretrained
        trunk, which all other networks start from.
    about
        For networks beyond Table 2: what it is, and where the paper mentions it.
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


# ---- the recipe, the same for every network, and fixed before any test image was looked at ------
# The paper's batch, momentum, weight decay, initial weights, equal losses and SGD are kept. These
# are the changes that small images and a CPU require, with the reasons.


SEEDS, JOBS = 5, 2
# No claim of the paper depends on the speculations, so they get fewer seeds.
SPECULATED_SEEDS = 3

# A network of the paper's shape that trains in minutes: bottleneck blocks, two cross-residual
# layers, and two blocks in the stage before the last, so that the tasks can also branch there.
SHAPE = ("--width", "8", "--blocks", "1,1,2,3", "--stem", "small")

# b and d are mirror images of each other, so letters are not flipped. In so few iterations,
# BatchNorm's averages have to follow faster.
KEPT = ("--no-mirror", "--moving-average", "0.99", "--solver-mode", "cpu")

ITERATIONS = 1200
# The paper drops the rate at plateaus; here all networks drop it at the same iterations.
DROPS = (0.6, 0.85)
TESTS = 4  # per training, for the learning curves: nothing is chosen by a test
# The trunk is trained from scratch, so longer, and at a higher rate.
PRETRAINING, PRETRAINING_RATE = 4 / 3, 0.05

# The rates that were tried, on the training images alone, and the one with the best mean over these
# networks and their tasks: `netgen experiment miniature --choose` repeats the choice.
RATES = (0.01, 0.03, 0.1)
CHOOSING = ("resnet50-anp", "x0", "x1", "xs")
RATE = 0.03


class ExperimentSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of an experiment; cells made with other settings must not be mixed with its own.

    `data` has the SHA-256 of each list of images: letters/records.csv and pretraining/records.csv.
    """

    iterations: Positive
    data: dict[str, str]

    @property
    def pretraining(self) -> int:
        """The iterations of the trunk's training."""
        return round(PRETRAINING * self.iterations)


def drops(iterations: int) -> tuple[int, ...]:
    """Return the iterations at which a training of that length drops its rate."""
    return tuple(round(share * iterations) for share in DROPS)


# ---- the cells ----------------------------------------------------------------------------------

# The splits of examples/typefaces: all images; and, to choose the rate, only the training images.
LETTERS, CHOICE = "letters", "choosing"


@dataclass(frozen=True)
class Cell:
    """One training: its network, its seed, its initial learning rate, and the split it uses."""

    network: str
    seed: int
    rate: float = RATE
    split: str = LETTERS

    @property
    def name(self) -> str:
        """As the command line takes it, such as ``xs-3``."""
        chosen = f"-rate{self.rate:g}" if self.split == CHOICE else ""
        return f"{self.network}-{self.seed}{chosen}"

    @property
    def compared(self) -> Compared:
        """The network's description."""
        return COMPARED[self.network]

    @property
    def start(self) -> Cell | None:
        """The cell whose trained weights this one starts from; None for the trunk's."""
        start = self.compared.start
        return None if start is None else Cell(start, self.seed, self.rate, self.split)


def report_cells(seeds: int) -> list[Cell]:
    """Return all cells of the report: for each seed Table 2's networks, then the speculations."""
    fewer = range(1, min(seeds, SPECULATED_SEEDS) + 1)
    return [Cell(network.name, seed) for seed in range(1, seeds + 1) for network in TABLE] + [
        Cell(network.name, seed) for seed in fewer for network in SPECULATIONS
    ]


def choosing_cells() -> list[Cell]:
    """Return the cells that choose the rate, on the training images alone."""
    return [Cell(network, 1, rate, CHOICE) for rate in RATES for network in CHOOSING]


def named_cells(names: Sequence[str]) -> list[Cell]:
    """Return the cells with these names.

    Raises
    ------
    ExperimentError
        A name is not that of a cell.
    """
    return [_named(name) for name in names]


def _named(name: str) -> Cell:
    network, _, seed = name.rpartition("-")
    if network not in COMPARED or not seed.isdecimal() or int(seed) < 1:
        raise ExperimentError(
            f"{name!r} is not a cell: write NETWORK-SEED, such as xs-3, with one of the networks"
            f" {', '.join(COMPARED)}"
        )
    return Cell(network, int(seed))
