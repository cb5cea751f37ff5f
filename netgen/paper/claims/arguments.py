"""What can only be argued: statements about formulas and words, which no measurement decides.

An argument is not a claim: nothing is measured, so nothing could come out otherwise, and it has no
verdict. Its quotes are the paper's; the rest is our reasoning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Conclusion(Enum):
    """What an argument concludes about the quoted words."""

    FOLLOWS = "it follows"
    FOLLOWS_IN_PART = "it follows in part"
    AT_ODDS = "two places are at odds"
    UNDEFINED = "the words name nothing that can be tested"


@dataclass(frozen=True)
class Argument:
    """A statement of the paper and what follows from its own words or formulas.

    Attributes
    ----------
    id
        Its name, for `netgen audit --only`.
    place
        Section, table or figure.
    quotes
        The exact words that it is about, without markup.
    conclusion
        What the argument concludes.
    because
        The argument.
    """

    id: str
    place: str
    quotes: tuple[str, ...]
    conclusion: Conclusion
    because: str


# fmt: off
ARGUMENTS = (
    Argument("equation-3", "Section 3, equation (3)",
             ("when both gates are on, this is precisely the same as a residual layer",),
             Conclusion.FOLLOWS,
             "with T = C = 1, H(x) T(x) + x C(x) is H(x) + x, which is equation (1) with the"
             " identity as shortcut, whatever H is"),
    Argument("equation-4", "Section 3, equation (4)",
             ("we are left with a residual layer",), Conclusion.FOLLOWS_IN_PART,
             "with i = f = o = 1, no h(k-1) and c(k-1) = x, the cell state c is x + tanh(W x + b),"
             " a residual layer; the output h is tanh(c), which never leaves -1 to 1, as a sum with"
             " a shortcut does"),
    Argument("basic-emotions", "Section 5.1",
             ("which consists of 24 basic emotions, such as joy, terror, and anticipation",),
             Conclusion.FOLLOWS_IN_PART,
             "Plutchik's wheel of 1980 has 8 basic emotions, each in 3 degrees: 24 words; joy and"
             " anticipation are among the 8, terror is the strongest degree of fear, so that"
             " “basic” is said of all degrees"),
    Argument("normalised-nodes", "Section 5.1",
             ("normalized the number of adjective and noun nodes",), Conclusion.UNDEFINED,
             "no measure of “normalized” is given; from the 1,200 pairs to the printed 167 nouns"
             " and 117 adjectives, the nouns per adjective fall (see fewer-adjectives), as they do"
             " for any selection that drops a larger share of the nouns"),
    Argument("not-significant", "Section 5.2.2",
             ("we do not claim that our cross-residual multitask network ( $X_S$ -ResNet-50)"
              " definitively achieves a significantly higher accuracy",), Conclusion.UNDEFINED,
             "who does not claim something cannot be wrong about it; and Table 2 could not decide:"
             " it has one run of each network, and both were tested on the same images, so that"
             " the error of two independent samples is not theirs; a paired test needs both"
             " networks' answers image by image, which are not printed"),
    Argument("figure-5-sorted", "Figure 5 and section 5.2.2",
             ("cross-residual weights (sorted)", "network sorted by channel"), Conclusion.AT_ODDS,
             "a curve sorted by value only falls or only rises, one in the order of channels does"
             " neither, and needs no sorting; the picture, which would tell, is not in our copy"),
    Argument("figure-5-magnitudes", "Figure 5 and section 5.2.2",
             ("the unnormalized weight magnitudes", "mostly non-negative cross-task weights"),
             Conclusion.AT_ODDS,
             "a magnitude is never negative, so that “mostly” has a meaning for signed weights"
             " only; the caption has those: “unnormalized cross-residual weights”"),
)
# fmt: on
