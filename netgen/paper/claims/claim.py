"""What a claim is: what the paper prints, where, and how it is measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

# Numbers as papers print them; some are words. "One" and "single" are omitted: they are articles.
WORDS = {
    "zero": 0.0, "half": 0.5, "twice": 2.0, "double": 2.0, "twofold": 2.0, "two": 2.0, "three": 3.0,
    "threefold": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0,
    "ten": 10.0, "tenfold": 10.0, "eleven": 11.0, "twelve": 12.0, "twenty": 20.0, "hundred": 100.0,
    "thousand": 1000.0,
}  # fmt: skip
NUMBER = re.compile(
    rf"\d+(?:,\d{{3}})*(?:\.\d+)?|\b(?:{'|'.join(WORDS)})\b",
    re.IGNORECASE,
)


class Relation(Enum):
    """How a measured value must compare with the printed one."""

    EQUAL = "="
    ABOVE = ">"
    BELOW = "<"
    AT_LEAST = "≥"
    AT_MOST = "≤"


class Measure(Enum):
    """What is measured for a claim; `netgen.audit.measurements` has one function for each."""

    TASKS = auto()
    RESIDUAL_SUMS = auto()
    IDENTITY_SHORTCUTS = auto()
    EQUATION_2 = auto()
    WEIGHTS_BY_SOURCE = auto()
    CROSS_SUMS = auto()
    NO_CONTRIBUTIONS = auto()
    DIFFERENT_INPUTS = auto()
    ONE_HEAD_A_TASK = auto()
    BRANCHING_POINT = auto()
    MEMORY_OF_BRANCHES = auto()
    UNCUT_TOWERS = auto()
    MOVED_NORMALISATION = auto()
    UNWEIGHTED_LOSSES = auto()
    PROJECTION_KERNELS = auto()
    CONVOLUTIONS_A_BLOCK = auto()
    CROSS_CONNECTIONS = auto()
    CROSS_SHORTCUTS = auto()
    CHANCE = auto()
    PARAMETERS = auto()
    ACCURACY = auto()
    STEM = auto()
    CONV1_FILTERS = auto()
    STAGE = auto()
    STAGE_SHAPE = auto()
    OWN_BLOCKS = auto()
    POOL5 = auto()
    HEADS = auto()
    SOFTMAXES = auto()
    WEIGHT_LAYERS = auto()
    DOWNSAMPLING = auto()
    PARAMETERS_SAVED = auto()
    PARAMETERS_KEPT = auto()
    TOTAL_PARAMETERS = auto()
    MARGINAL_COST = auto()
    GAIN = auto()
    LARGEST_GAIN = auto()
    LOWEST_ACCURACY = auto()
    DROP = auto()
    ORDER_OF_TASKS = auto()
    EXPECTED_ORDER = auto()
    MORE_PAIRS = auto()
    ALMOST_HALF = auto()
    BELOW = auto()
    ABOVE = auto()
    CROSS_LAYERS = auto()
    COST_OF_MORE = auto()
    CROSS_PAIRS = auto()
    LEARNED_WEIGHTS = auto()
    LINES_OF = auto()
    FEWER_ADJECTIVES = auto()
    SINGLETONS = auto()
    FEWEST_NOUNS = auto()
    NOUNS_DROPPED = auto()
    IMAGES_PER_PAIR = auto()
    UNEXPLAINED = auto()
    EDGE_COVERAGE = auto()
    PAIRS_WELL_FORMED = auto()
    IMAGES = auto()
    DEEPSENTIBANK_SUBSET = auto()
    PAIRS_IN = auto()
    LABELS_IN = auto()
    SPLIT_SHARES = auto()
    SPLIT_RULE = auto()
    SPLIT_SUM = auto()
    IMAGE_SIZE = auto()
    PROJECTION_STRIDES = auto()
    PROJECTION_RELUS = auto()
    PROJECTION_NORMS = auto()
    SELF_SHORTCUTS = auto()
    CROSS_PARAMETERS = auto()
    CROSS_INPUT = auto()
    CROSS_WEIGHT = auto()
    INITIAL_WEIGHTS = auto()
    CROSS_FILLER = auto()
    NO_DROPOUT = auto()
    FLIPS = auto()
    BATCH = auto()
    SOLVER = auto()
    OPTIMISER = auto()
    RATE_DROPS = auto()
    RECIPE_OF_BASELINES = auto()
    MEMORY_ON_THE_CARD = auto()
    BASELINES = auto()
    BASELINE_LAYERS = auto()
    WIDEST_KERNEL = auto()
    POOL_BEFORE_NORM = auto()
    FINE_TUNED = auto()
    AUXILIARY_HEADS = auto()
    ACCURACIES = auto()
    CLASSIFIER_WIDTHS = auto()
    DEEPSENTIBANK_SIZE = auto()
    COMPETING_OUTPUTS = auto()
    CHOICE = auto()
    MEAN_PIXEL = auto()


@dataclass(frozen=True)
class PrintedNumber:
    """A printed number: `value`, and half a unit in its last printed digit."""

    text: str
    value: float
    tolerance: float

    def agrees(self, measured: float, relation: Relation = Relation.EQUAL) -> bool:
        """Return whether `measured` would be printed as this, or is in that relation to it."""
        return {
            # A half may have been rounded up or down, hence the last 1e-9.
            Relation.EQUAL: abs(measured - self.value) <= self.tolerance + 1e-9,
            Relation.ABOVE: measured > self.value,
            Relation.BELOW: measured < self.value,
            Relation.AT_LEAST: measured >= self.value,
            Relation.AT_MOST: measured <= self.value,
        }[relation]


def numbers_in(text: str) -> tuple[PrintedNumber, ...]:
    """Return the numbers that `text` prints, in order."""
    return tuple(map(_number, NUMBER.findall(text)))


def _number(text: str) -> PrintedNumber:
    if text.lower() in WORDS:
        return PrintedNumber(text, WORDS[text.lower()], 0.05)
    _, _, decimals = text.partition(".")
    return PrintedNumber(text, float(text.replace(",", "")), 0.5 * 10.0 ** -len(decimals))


@dataclass(frozen=True)
class Claim:
    """Something that the paper states.

    Attributes
    ----------
    id
        Its name, for `netgen audit --only`.
    place
        Section, table or figure; more than one where it is repeated.
    quote
        The exact words; of a table, the cells of a row. Markup and citations are omitted.
    printed
        The values among them, as printed: each number must agree with a measured one.
        Empty for a statement that holds or does not.
    measure, of
        What is measured, and of what.
    relation
        How the measured values must compare with the printed ones.
    one_glyph
        Whether it rests on one character of a text that was converted from PDF.
    again
        Quotes of other places that repeat it, with the same printed values.
    """

    id: str
    place: str
    quote: str
    printed: tuple[str, ...]
    measure: Measure
    of: tuple[str, ...] = ()
    relation: Relation = Relation.EQUAL
    one_glyph: bool = False
    again: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[PrintedNumber, ...]:
        """The numbers among the printed values."""
        return numbers_in(" ".join(self.printed))

    @property
    def quotes(self) -> tuple[str, ...]:
        """Every quote that states it."""
        return (self.quote, *self.again)


@dataclass(frozen=True)
class Uncheckable:
    """Numbers that the paper prints and nothing here can check, with the reason."""

    place: str
    quote: str
    printed: tuple[str, ...]
    because: str

    @property
    def numbers(self) -> tuple[PrintedNumber, ...]:
        """The numbers among the printed values."""
        return numbers_in(" ".join(self.printed))
