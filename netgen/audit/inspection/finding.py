"""The findings of an inspection: a place in a file, a sentence, and a verdict."""

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
    """

    where: str
    what: str
    verdict: InspectionVerdict


class InspectionError(ValueError):
    """A file that cannot be inspected; the message says what, where, and what to do next."""
