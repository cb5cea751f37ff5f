"""Compute the verdict on each claim from what the paper prints and what was measured.

A verdict is computed, never written by hand. What a claim that is met is worth follows from what
its measurement rests on (`MET`). A printed value that is not measured is *contradicted* where the
paper's own words or numbers name another reading that fits. Where none fits, the mistake may be
ours: *not reproduced*, the only verdict that makes `netgen audit` fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from netgen.audit.measurements import MEASUREMENTS
from netgen.audit.measurements.measurement import (
    BASES,
    AuditInputs,
    Basis,
    Estimate,
    Found,
    LeftOpen,
    Missing,
    NeedsData,
    NeedsTraining,
)
from netgen.audit.measurements.public_lists import not_published
from netgen.paper.claims import PARTS, Claim, PrintedNumber, Relation


class ClaimVerdict(Enum):
    """The verdict of an audit on a claim; the value explains it."""

    REPRODUCED = "computed from what we did not choose, and as printed"
    BUILT_AS_PRINTED = "our files have it as printed; read back, which proves nothing more"
    CONSISTENT = "allowed by what else is printed, or follows from printed accuracies; not proved"
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


# What a claim that is met is worth, by what its measurement rests on.
MET = {
    Basis.COUNT: ClaimVerdict.REPRODUCED,
    Basis.ARITHMETIC: ClaimVerdict.REPRODUCED,
    Basis.LISTS: ClaimVerdict.REPRODUCED,
    Basis.TRAINED: ClaimVerdict.REPRODUCED,
    Basis.OWN_FILES: ClaimVerdict.BUILT_AS_PRINTED,
    Basis.RESULTS: ClaimVerdict.CONSISTENT,
    Basis.ALLOWED: ClaimVerdict.CONSISTENT,
}
CONTRADICTED = (ClaimVerdict.CONTRADICTED, ClaimVerdict.CONTRADICTED_IN_OUR_COPY)
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
        shown, verdict = _noted(inputs, missing.shown, str(missing)), WAITING[type(missing)]
        return ClaimJudgement(part, claim, verdict, shown, str(missing))
    verdict = verdict_of(claim, found, basis_of(claim))
    differs = verdict in CONTRADICTED
    shown = _noted(inputs, found.shown, found.evidence)
    return ClaimJudgement(
        part, claim, verdict, shown, found.evidence, found.fits if differs else ""
    )


def _noted(inputs: AuditInputs, shown: str, evidence: str) -> str:
    """Return what was found, and which of the lists that it rests on are not the published ones."""
    others = [one.file for one in not_published(inputs) if one.file in evidence]
    return f"{shown} (NOT by the published {', '.join(others)})" if others else shown


def waits(judgement: ClaimJudgement) -> bool:
    """Return whether a claim is left open, or waits for training or data: nothing is measured."""
    return judgement.verdict in WAITING.values()


def basis_of(claim: Claim) -> Basis:
    """Return what the measurement of a claim rests on."""
    return BASES[claim.measure]


def basis_told(judgement: ClaimJudgement) -> str:
    """Tell what a judgement rests on; "" where nothing is measured.

    Files that contradict what is printed were not written as it says.
    """
    if waits(judgement):
        return ""
    basis = basis_of(judgement.claim)
    if judgement.verdict in CONTRADICTED and basis is Basis.OWN_FILES:
        return "read back from files that were written by the other reading, which fits"
    return basis.value


def verdict_of(claim: Claim, found: Found, basis: Basis) -> ClaimVerdict:
    """Compare what was found, and what that rests on, with what is printed."""
    if agrees(claim, found):
        return MET[basis]
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
        return measured.holds(number.value)
    return number.agrees(measured, relation)


def tally(judgements: Iterable[ClaimJudgement]) -> dict[ClaimVerdict, int]:
    """Return how many judgements there are of each verdict, in the verdicts' order."""
    counts = Counter(judgement.verdict for judgement in judgements)
    return {verdict: counts[verdict] for verdict in ClaimVerdict if counts[verdict]}
