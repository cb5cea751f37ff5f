"""Compute the verdict on each claim from what the paper prints and what was measured.

A verdict is computed, never written by hand. A printed value that is not measured is *contradicted*
where the paper's own words or numbers name another reading that fits. Where none fits, the mistake
may be ours: *not reproduced*, the only verdict that makes `netgen audit` fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from netgen.audit.measurements import MEASUREMENTS
from netgen.audit.measurements.measurement import (
    AuditInputs,
    Estimate,
    Found,
    LeftOpen,
    Missing,
    NeedsData,
    NeedsTraining,
)
from netgen.paper.claims import PARTS, Claim, PrintedNumber, Relation


class ClaimVerdict(Enum):
    """The verdict of an audit on a claim; the value explains it."""

    REPRODUCED = "measured, and as printed"
    CONSISTENT = "follows from what else is printed, or is allowed by it; not proved"
    CONTRADICTED = "the paper's own words or numbers say otherwise; another reading fits"
    CONTRADICTED_IN_OUR_COPY = "as contradicted, on one character of a text converted from PDF"
    LEFT_OPEN = "the paper does not specify it: our choice"
    NEEDS_TRAINING = "can only be measured on a trained network"
    NEEDS_DATA = "can only be measured on data that are not here"
    NOT_REPRODUCED = "measured, not as printed, and no other reading fits"

    @property
    def label(self) -> str:
        """The verdict's name in prose."""
        return self.name.lower().replace("_", " ")


WAITING = {
    LeftOpen: ClaimVerdict.LEFT_OPEN,
    NeedsTraining: ClaimVerdict.NEEDS_TRAINING,
    NeedsData: ClaimVerdict.NEEDS_DATA,
}


@dataclass(frozen=True)
class ClaimJudgement:
    """A claim with its verdict.

    Attributes
    ----------
    part, claim, verdict
        The part of the paper, a claim in it, and the verdict; see `netgen.paper.claims`.
    found
        What was measured, in words.
    evidence
        Files, layers, commands, or the numbers it follows from; or what is missing.
    fits
        The other reading, where the printed one is contradicted.
    """

    part: str
    claim: Claim
    verdict: ClaimVerdict
    found: str
    evidence: str
    fits: str = ""


def audit(inputs: AuditInputs, parts: dict[str, tuple[Claim, ...]] = PARTS) -> list[ClaimJudgement]:
    """Return a judgement of every claim, in the paper's order."""
    return [judge(part, claim, inputs) for part, claims in parts.items() for claim in claims]


def judge(part: str, claim: Claim, inputs: AuditInputs) -> ClaimJudgement:
    """Measure what a claim states, and compare."""
    try:
        found = MEASUREMENTS[claim.measure](inputs, *claim.of)
    except Missing as missing:
        return ClaimJudgement(part, claim, WAITING[type(missing)], missing.shown, str(missing))
    verdict = verdict_of(claim, found)
    differs = verdict in (ClaimVerdict.CONTRADICTED, ClaimVerdict.CONTRADICTED_IN_OUR_COPY)
    return ClaimJudgement(
        part, claim, verdict, found.shown, found.evidence, found.fits if differs else ""
    )


def verdict_of(claim: Claim, found: Found) -> ClaimVerdict:
    """Compare what was found with what is printed."""
    if agrees(claim, found):
        return ClaimVerdict.REPRODUCED if found.proves else ClaimVerdict.CONSISTENT
    if not found.fits:
        return ClaimVerdict.NOT_REPRODUCED
    return ClaimVerdict.CONTRADICTED_IN_OUR_COPY if claim.one_glyph else ClaimVerdict.CONTRADICTED


def agrees(claim: Claim, found: Found) -> bool:
    """Return whether a statement holds and every printed number agrees with a measured one."""
    if not found.holds or len(claim.numbers) != len(found.values):
        return False
    return all(
        _meets(number, value, claim.relation)
        for number, value in zip(claim.numbers, found.values, strict=True)
    )


def _meets(number: PrintedNumber, measured: float | Estimate, relation: Relation) -> bool:
    """Return whether a printed number is what was measured, or lies in its interval."""
    if isinstance(measured, Estimate):
        return measured.low <= number.value <= measured.high
    return number.agrees(measured, relation)


def tally(judgements: Iterable[ClaimJudgement]) -> dict[ClaimVerdict, int]:
    """Return how many judgements there are of each verdict, in the verdicts' order."""
    counts = Counter(judgement.verdict for judgement in judgements)
    return {verdict: counts[verdict] for verdict in ClaimVerdict if counts[verdict]}
