"""The findings of an inspection: a place in a file, a sentence, a verdict, and whose rule it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class InspectionVerdict(Enum):
    """The result of a comparison with the paper; the value is what is printed."""

    SAME = "same"
    EQUIVALENT = "equivalent"  # another name, order or spelling: the same function
    DIFFERS = "differs"
    NOT_CHECKABLE = "not checkable"  # the paper does not specify it, or the file does not show it

    @classmethod
    def same_if(cls, same: bool) -> InspectionVerdict:
        """Return the verdict on a value that is either the paper's or not."""
        return cls.SAME if same else cls.DIFFERS


class Rule(Enum):
    """Whose rule a finding is about; the value is what is printed."""

    PAPER = "the paper"  # its words or tables, at the place that the finding names
    COUNTS = "Table 2's counts"
    READING = "a reading"  # of words that allow several
    OURS = "netgen's choice"  # of what the paper leaves open
    CAFFE = "Caffe"  # what Caffe refuses, or does without a word
    ITSELF = "itself"  # two parts of what was given contradict each other


@dataclass(frozen=True)
class InspectionFinding:
    """One thing that was compared with the paper.

    Attributes
    ----------
    where
        The file, then the layer, field or record.
    what
        One sentence: the value found, the paper's (or our reading of it), and its place there.
    verdict
        How the two compare.
    rule
        Whose rule it is about. What netgen chose where the paper is silent cannot be broken.
    phase
        Of a network: "TRAIN", "TEST" or "both"; otherwise "".

    Raises
    ------
    ValueError
        When a difference from netgen's own choice is given as one from the paper.
    """

    where: str
    what: str
    verdict: InspectionVerdict
    rule: Rule = Rule.PAPER
    phase: str = ""

    def __post_init__(self) -> None:
        if self.rule is Rule.OURS and self.verdict is InspectionVerdict.DIFFERS:
            raise ValueError(f"{self.where}: what the paper leaves open cannot differ from it")


class InspectionError(ValueError):
    """A file that cannot be inspected; the message says what, where, and what to do next."""
