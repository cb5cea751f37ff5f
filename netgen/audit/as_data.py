"""An audit, and an inspection, as plain data for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netgen.audit.inspection import Finding
from netgen.audit.readings import Read
from netgen.audit.verdicts import Judgement, tally


def as_row(judgement: Judgement) -> dict[str, str]:
    """Return a judgement as JSON has it."""
    return {
        "id": judgement.claim.id,
        "part": judgement.part,
        "verdict": judgement.verdict.label,
        "place": judgement.claim.place,
        "quote": judgement.claim.quote,
        "printed": " ".join(judgement.claim.printed),
        "found": judgement.found,
        "fits": judgement.fits,
        "evidence": judgement.evidence,
    }


def as_data(judgements: Sequence[Judgement], reads: Sequence[Read]) -> dict[str, Any]:
    """Return an audit as JSON has it."""
    return {
        "summary": {verdict.label: count for verdict, count in tally(judgements).items()},
        "claims": [as_row(judgement) for judgement in judgements],
        "readings": [
            {
                "question": read.question.asks,
                "reading": read.answer.meaning,
                "made": read.answer.made,
                "status": read.status,
                "ours": read.answer.ours,
                "counts": {name: counted.parameters for name, counted in read.counts.items()},
                "each_cross_weight": max(counted.each for counted in read.counts.values()),
                "printed": read.question.printed,
                "for": read.answer.pro,
                "against": read.answer.con,
            }
            for read in reads
        ],
    }


def findings_as_data(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Return findings as JSON has them."""
    return [{"verdict": x.verdict.value, "where": x.where, "what": x.what} for x in findings]
