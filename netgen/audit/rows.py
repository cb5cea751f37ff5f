"""The output of an audit: the rows of its tables (terminal, Markdown), and plain data for JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import Any

from netgen import paper
from netgen.audit.inspection import InspectionFinding
from netgen.audit.measurements.counts import fitting_roundings, printed_excess, roundings
from netgen.audit.readings import CountedReading
from netgen.audit.verdicts import ClaimJudgement, ClaimVerdict, basis_told, tally
from netgen.network.variants import NETWORKS
from netgen.paper.claims import Argument, Claim

LATEX = (
    (r"\\(?:mathbf|mathcal|mathbb|text)\{([^{}]*)\}", r"\1"),
    (r"\\times", "×"),
    (r"\\geq", "≥"),
    (r"\\sim", "~"),
    (r"\\sum", "Σ"),
    (r"\\sqrt\{([^{}]*)\}", r"√(\1)"),
    (r"\\forall", "∀"),
    (r"\\neq", "≠"),
    (r"\\cdot", "·"),
    (r"\\in\b", "∈"),
    (r"\\(?:quad|begin\{bmatrix\}|end\{bmatrix\})|\\\\|[$\\{}]", ""),
)


@dataclass(frozen=True)
class ClaimRow:
    """A row of a table of verdicts: one claim, or adjacent claims that need the same input."""

    verdict: ClaimVerdict
    claim: str
    place: str
    printed: str
    quote: str
    found: str
    evidence: str


def claim_rows(judgements: Iterable[ClaimJudgement]) -> Iterator[ClaimRow]:
    """Return the rows of a part; claims that need the same training share one."""
    for _, group in groupby(judgements, key=_waits_for):
        found = list(group)
        first = found[0]
        ids = [judgement.claim.id for judgement in found]
        names = ids[0] if len(ids) == 1 else f"{_beginning(ids)}*"
        place = _beginning([judgement.claim.place for judgement in found]).rstrip(", ")
        printed = plain(", ".join(" ".join(judgement.claim.printed) for judgement in found))
        result = first.found + (f". Fits: {first.fits}" if first.fits else "")
        quote = plain(first.claim.quote) if len(found) == 1 else ""
        yield ClaimRow(first.verdict, names, place, printed, quote, result, first.evidence)


def _waits_for(judgement: ClaimJudgement) -> object:
    """Return what adjacent claims that cannot be measured yet have in common."""
    if judgement.verdict is ClaimVerdict.NEEDS_TRAINING and len(judgement.claim.of) > 1:
        return judgement.claim.of[0]
    return judgement.claim.id


def _beginning(names: Sequence[str]) -> str:
    """Return the common beginning of all names."""
    letters = takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False))
    return "".join(column[0] for column in letters)


def argument_rows(arguments: Iterable[Argument]) -> list[tuple[str, str, str, str, str]]:
    """Return name, place, quotes, conclusion and reasoning of each argument."""
    return [
        (one.id, one.place, "; ".join(f"“{plain(quote)}”" for quote in one.quotes),
         one.conclusion.value, one.because)
        for one in arguments
    ]  # fmt: skip


def plain(quote: str) -> str:
    """Return a quote without LaTeX, as the paper's page shows it."""
    for pattern, text in LATEX:
        quote = re.sub(pattern, text, quote)
    return " ".join(quote.split())


def counts_of(reading: CountedReading) -> str:
    """Return a reading's counts, each with the printed one."""
    totals = ", ".join(
        f"{name} {counted.parameters:,} ({reading.question.printed[name]})"
        for name, counted in reading.counts.items()
    )
    each, most = reading.largest_cross_weight, paper.CROSS_CHANNELS
    return totals + (f"; {each:,} per cross weight (≤ {most:,})" if each > most else "")


def split_rows() -> list[tuple[str, str, str]]:
    """Return status, meaning and expectation of each rule by which a split rounds."""
    fitting = fitting_roundings()
    return [
        (
            ("implied" if len(fitting) == 1 else "chosen") if rule in fitting else "excluded",
            f"a pair's training images: {rule.name} of 80%",
            f"{rule.expected:+.1f} ± {rule.deviation:.1f} test images beyond 20%, printed"
            f" {printed_excess():+.1f}: {rule.sigmas:.1f} sigma",
        )
        for rule in roundings()
    ]


# ---- JSON ---------------------------------------------------------------------------------------


def audit_as_data(
    judgements: Sequence[ClaimJudgement],
    readings: Sequence[CountedReading],
    arguments: Sequence[Argument],
) -> dict[str, Any]:
    """Return an audit as JSON has it."""
    return {
        "summary": {verdict.label: count for verdict, count in tally(judgements).items()},
        "claims": [claim_as_data(judgement) for judgement in judgements],
        "arguments": [argument_as_data(argument) for argument in arguments],
        "readings": [
            {
                "question": reading.question.asks,
                "reading": reading.answer.meaning,
                "made": reading.answer.made,
                "status": reading.status,
                "ours": reading.answer.ours,
                "counts": {name: counted.parameters for name, counted in reading.counts.items()},
                "each_cross_weight": reading.largest_cross_weight,
                "printed": reading.question.printed,
                "for": reading.answer.pro,
                "against": reading.answer.con,
            }
            for reading in readings
        ],
    }


def claim_as_data(judgement: ClaimJudgement) -> dict[str, Any]:
    """Return a judgement as JSON has it."""
    return {
        "id": judgement.claim.id,
        "part": judgement.part,
        "verdict": judgement.verdict.label,
        "place": judgement.claim.place,
        "networks": networks_of(judgement.claim),
        "quote": judgement.claim.quote,
        "words": plain(judgement.claim.quote),
        "printed": " ".join(judgement.claim.printed),
        "basis": basis_told(judgement),
        "found": judgement.found,
        "fits": judgement.fits,
        "evidence": judgement.evidence,
    }


def networks_of(claim: Claim) -> list[str]:
    """Return the titles of the networks of Table 2 that a claim is about; none: no one network."""
    titles = {name: row.title for name, row in NETWORKS.items()}
    named = (titles.get(word, word) for word in claim.of)
    return list(dict.fromkeys(title for title in named if title in titles.values()))


def argument_as_data(argument: Argument) -> dict[str, Any]:
    """Return an argument as JSON has it."""
    return {
        "id": argument.id,
        "place": argument.place,
        "quotes": list(argument.quotes),
        "words": [plain(quote) for quote in argument.quotes],
        "conclusion": argument.conclusion.value,
        "because": argument.because,
    }


def findings_as_data(findings: Iterable[InspectionFinding]) -> list[dict[str, str]]:
    """Return the findings of an inspection as JSON has them."""
    return [
        {"verdict": x.verdict.value, "rule": x.rule.value, "phase": x.phase, "where": x.where,
         "what": x.what}
        for x in findings
    ]  # fmt: skip
