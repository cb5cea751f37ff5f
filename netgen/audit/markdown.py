"""An audit as Markdown (AUDIT.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from netgen.audit.readings import CountedReading
from netgen.audit.rows import ClaimRow, claim_rows, counts_of, plain, split_rows
from netgen.audit.verdicts import ClaimJudgement, tally
from netgen.paper.claims import NOT_CHECKABLE


def markdown(judgements: Sequence[ClaimJudgement], readings: Sequence[CountedReading]) -> str:
    """Return an audit as AUDIT.md has it."""
    return "\n".join(_markdown(judgements, readings)) + "\n"


def _markdown(
    judgements: Sequence[ClaimJudgement], readings: Sequence[CountedReading]
) -> Iterator[str]:
    yield "# Audit of the paper's claims"
    yield ""
    yield "Made by `netgen audit --ontology DIR --markdown`, not by hand. DIR holds public class"
    yield "lists; without them, what rests on them reads *needs data*."
    yield ""
    yield from _grid(
        ("verdict", "claims", "meaning"),
        ((verdict.label, str(n), verdict.value) for verdict, n in tally(judgements).items()),
    )
    for part, group in groupby(judgements, key=lambda judgement: judgement.part):
        yield f"## {part}"
        yield ""
        yield from _grid(
            ("verdict", "claim", "place", "printed", "found", "evidence"),
            (
                (x.verdict.label, x.claim, x.place, _printed(x), x.found, x.evidence)
                for x in claim_rows(group)
            ),
        )
    if readings:
        yield from _markdown_readings(readings)
    yield "## Not checkable"
    yield ""
    yield from _grid(
        ("place", "printed", "because"),
        ((x.place, f"“{plain(x.quote)}”", x.because) for x in NOT_CHECKABLE),
    )


def _markdown_readings(readings: Sequence[CountedReading]) -> Iterator[str]:
    yield "## Readings"
    yield ""
    yield "What the text leaves open but a number decides; every reading built and counted."
    yield "*Implied*: ours, and no other fits; *chosen*: ours, where others fit too. Each question"
    yield "is asked with our readings of the others."
    yield ""
    for question, group in groupby(readings, key=lambda reading: reading.question):
        yield f"### {question.asks}"
        yield ""
        yield from _grid(
            ("status", "reading", "counted (printed, M)", "for", "against"),
            ((x.status, x.answer.meaning, counts_of(x), x.answer.pro, x.answer.con) for x in group),
        )
    yield "### How is 80% of a pair's images rounded?"
    yield ""
    yield from _grid(("status", "reading", "expected, and printed"), split_rows())


def _printed(row: ClaimRow) -> str:
    """Return the printed values and, except of a table's cells, the words around them."""
    quote = f"“{row.quote}”" if row.quote and not row.place.startswith("Table") else ""
    return ": ".join(filter(None, (row.printed, quote))) or "–"


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(map(_escaped, row))} |"
    yield ""


def _escaped(cell: str) -> str:
    """Return a cell in which Markdown sees no marks but those of code."""
    parts = cell.replace("|", "\\|").split("`")
    return "`".join(
        re.sub(r"[*_<]", r"\\\g<0>", part) if index % 2 == 0 else part
        for index, part in enumerate(parts)
    )
