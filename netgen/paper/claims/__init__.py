"""The paper's claims as data: id, place, quote, printed values, and how each is measured.

Nothing here is computed: a printed value is never regenerated from a measurement.
"""

from __future__ import annotations

from netgen.paper.claims.arguments import ARGUMENTS, Argument, Conclusion
from netgen.paper.claims.claim import (
    Claim,
    Measure,
    PrintedNumber,
    Relation,
    Uncheckable,
    numbers_in,
)
from netgen.paper.claims.left_open import LEFT_OPEN, NOT_CHECKABLE, QUESTIONS, Answer, Question
from netgen.paper.claims.section_5 import DATA, EXPERIMENTS
from netgen.paper.claims.sections_1_to_4 import METHOD
from netgen.paper.claims.tables import RESULTS, ROWS, TABLE_1, table_2

# By the part of the paper that they come from, in its order.
PARTS: dict[str, tuple[Claim, ...]] = {
    "Sections 1 to 4: the method": METHOD,
    "Table 1: the network": TABLE_1,
    "Section 5.1: the data": DATA,
    "Section 5.2: the experiments": EXPERIMENTS,
    "Table 2: parameters and accuracies": tuple(table_2()),
    "Section 5.2.2 and conclusions": RESULTS,
    "Left open by the paper": LEFT_OPEN,
}
CLAIMS: dict[str, Claim] = {claim.id: claim for part in PARTS.values() for claim in part}

__all__ = [
    "ARGUMENTS",
    "CLAIMS",
    "NOT_CHECKABLE",
    "PARTS",
    "QUESTIONS",
    "ROWS",
    "Answer",
    "Argument",
    "Claim",
    "Conclusion",
    "Measure",
    "PrintedNumber",
    "Question",
    "Relation",
    "Uncheckable",
    "numbers_in",
]
