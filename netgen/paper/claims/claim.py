"""What a claim is: what the paper prints, where, and how it is measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

# Numbers as papers print them; a few are words. "One" and "single" are left out: they are articles.
WORDS = {"two": 2.0, "three": 3.0, "four": 4.0, "ten": 10.0, "half": 0.5}
NUMBER = re.compile(
    rf"\d+(?:,\d{{3}})*(?:\.\d+)?|\b(?:{'|'.join(WORDS)})\b",
    re.IGNORECASE,
)


class Relation(Enum):
    """How a measured value is to stand to the printed one."""

    EQUAL = "="
    ABOVE = ">"
    BELOW = "<"
    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True)
class Number:
    """A printed number: `value`, and half a unit in its last printed digit."""

    text: str
    value: float
    tolerance: float

    def agrees(self, measured: float, relation: Relation = Relation.EQUAL) -> bool:
        """Return whether `measured` would be printed as this, or stands in that relation to it."""
        return {
            # Rounding a half up or down is the printer's business, hence the last 1e-9.
            Relation.EQUAL: abs(measured - self.value) <= self.tolerance + 1e-9,
            Relation.ABOVE: measured > self.value,
            Relation.BELOW: measured < self.value,
            Relation.AT_LEAST: measured >= self.value,
            Relation.AT_MOST: measured <= self.value,
        }[relation]


def numbers_in(text: str) -> tuple[Number, ...]:
    """Return the numbers that `text` prints, in order."""
    return tuple(map(_number, NUMBER.findall(text)))


def _number(text: str) -> Number:
    if text.lower() in WORDS:
        return Number(text, WORDS[text.lower()], 0.05)
    _, _, decimals = text.partition(".")
    return Number(text, float(text.replace(",", "")), 0.5 * 10.0 ** -len(decimals))


@dataclass(frozen=True)
class Claim:
    """Something that the paper states.

    Attributes
    ----------
    id
        Its name, for `netgen audit --only`.
    place
        Section, table or figure; more than one where it is said again.
    quote
        The exact words; of a table, the cells of a row. Markup and citations left out.
    printed
        The values among them, as printed: each number in them is to be met by a measured one.
        Empty for a statement that holds or does not.
    measure, of
        The measurement (a name in `netgen.audit.measurements`) and what it is taken of.
    relation
        How the measured values are to stand to the printed ones.
    one_glyph
        Whether it rests on one character of a text that was converted from PDF.
    again
        The same said elsewhere: more quotes, with the same printed values.
    """

    id: str
    place: str
    quote: str
    printed: tuple[str, ...]
    measure: str
    of: tuple[str, ...] = ()
    relation: Relation = Relation.EQUAL
    one_glyph: bool = False
    again: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The numbers among the printed values."""
        return numbers_in(" ".join(self.printed))

    @property
    def quotes(self) -> tuple[str, ...]:
        """Every place in the text where it is said."""
        return (self.quote, *self.again)


@dataclass(frozen=True)
class Uncheckable:
    """Numbers that the paper prints and nothing here can check, with the reason."""

    place: str
    quote: str
    printed: tuple[str, ...]
    because: str

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The numbers among the printed values."""
        return numbers_in(" ".join(self.printed))
