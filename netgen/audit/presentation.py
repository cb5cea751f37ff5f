"""What an audit looks like: tables for a terminal, Markdown, and plain data for JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from netgen.audit import inspection
from netgen.audit.as_data import as_row
from netgen.audit.inspection import Finding
from netgen.audit.measurements.split_rounding import printed_excess, roundings
from netgen.audit.readings import Read
from netgen.audit.verdicts import Judgement, Verdict, tally

STYLES = {
    Verdict.REPRODUCED: "green",
    Verdict.CONSISTENT: "cyan",
    Verdict.CONTRADICTED: "yellow",
    Verdict.CONTRADICTED_IN_OUR_COPY: "yellow",
    Verdict.NOT_REPRODUCED: "bold red",
}
FINDINGS = {
    inspection.Verdict.SAME: "green",
    inspection.Verdict.EQUIVALENT: "green",
    inspection.Verdict.DIFFERS: "bold red",
    inspection.Verdict.NOT_CHECKABLE: "dim",
}
WAITING = {Verdict.NOT_BUILT_YET, Verdict.NEEDS_TRAINING}
STATUSES = {"implied": "green", "chosen": "cyan", "fits": "", "excluded": "dim"}
LATEX = (
    (r"\\(?:mathbf|mathcal|mathbb|text)\{([^{}]*)\}", r"\1"),
    (r"\\times", "×"),
    (r"\\geq", "≥"),
    (r"\\sim", "~"),
    (r"\\sum", "Σ"),
    (r"\\sqrt", "√"),
    (r"\\in\b", "∈"),
    (r"\\(?:quad|begin\{bmatrix\}|end\{bmatrix\})|\\\\|[$\\{}]", ""),
)
LONGEST_QUOTE = 60
WIDTHS = (13, 24, 22, 38)  # of columns: 100 with what parts them


@dataclass(frozen=True)
class Line:
    """A row of a table of verdicts: one claim, or several in a row that wait for the same."""

    verdict: Verdict
    claim: str
    place: str
    printed: str
    quote: str
    found: str
    evidence: str


def lines(judgements: Iterable[Judgement]) -> Iterator[Line]:
    """Return the rows of a part; claims that wait for the same network or training share one."""
    for _, group in groupby(judgements, key=_waits_for):
        found = list(group)
        first = found[0]
        ids = [judgement.claim.id for judgement in found]
        names = ids[0] if len(ids) == 1 else f"{_beginning(ids)}*"
        place = _beginning([judgement.claim.place for judgement in found]).rstrip(", ")
        printed = ", ".join(" ".join(judgement.claim.printed) for judgement in found)
        result = first.found + (f". Fits: {first.fits}" if first.fits else "")
        quote = plain(first.claim.quote) if len(found) == 1 else ""
        yield Line(first.verdict, names, place, printed, quote, result, first.evidence)


def _waits_for(judgement: Judgement) -> object:
    """Return what several claims in a row have in common when they all wait."""
    if judgement.verdict in WAITING and len(judgement.claim.of) > 1:
        return (judgement.verdict, judgement.claim.of[0])
    return judgement.claim.id


def _beginning(names: Sequence[str]) -> str:
    """Return what all names begin with."""
    letters = takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False))
    return "".join(column[0] for column in letters)


def _printed(line: Line) -> str:
    """Return what is printed: values, or a statement's first words."""
    quote = f"“{_short(line.quote)}”" if line.quote else "–"
    return line.printed or quote


def _short(quote: str) -> str:
    return quote if len(quote) <= LONGEST_QUOTE else f"{quote[:LONGEST_QUOTE].rsplit(' ', 1)[0]} …"


def plain(quote: str) -> str:
    """Return a quote without LaTeX: what the paper's page shows."""
    for pattern, text in LATEX:
        quote = re.sub(pattern, text, quote)
    return " ".join(quote.split())


# ---- a terminal ---------------------------------------------------------------------------------


def print_verdicts(console: Console, judgements: Sequence[Judgement]) -> None:
    """Print a table a part of the paper."""
    for part, group in groupby(judgements, key=lambda judgement: judgement.part):
        rows = [
            (Text(x.verdict.label, STYLES.get(x.verdict, "")), x.claim, _printed(x), x.found
             or x.evidence)
            for x in lines(group)
        ]  # fmt: skip
        console.print(_table(part, ("verdict", "claim", "printed", "found"), WIDTHS, rows))
        console.print()


def print_readings(console: Console, reads: Sequence[Read]) -> None:
    """Print every reading beside the printed counts."""
    title = "Readings: what the text leaves open but a number decides, each built and counted"
    rows = [
        (Text(x.status, STATUSES.get(x.status, "bold red")), x.question.id, x.answer.meaning,
         counts_of(x))
        for x in reads
    ]  # fmt: skip
    rows += [
        (Text(status, STATUSES.get(status, "")), "split", meaning, found)
        for status, meaning, found in split_rows()
    ]
    heads = ("status", "question", "reading", "counted, and printed in Table 2 (M)")
    console.print(_table(title, heads, (9, 13, 35, 40), rows))
    console.print()


def print_details(console: Console, judgements: Iterable[Judgement]) -> None:
    """Print a paragraph a claim: place, quote, what is printed, found, and where."""
    for x in judgements:
        console.print(Text(f"{x.claim.id}: ").append(x.verdict.label, STYLES.get(x.verdict, "")))
        for name, value in as_row(x).items():
            if value and name not in ("id", "verdict", "part"):
                console.print(f"  {name:9}{value}", soft_wrap=True)
        console.print()


def print_summary(console: Console, judgements: Sequence[Judgement]) -> None:
    """Print how many claims have each verdict."""
    summary = Text(f"{len(judgements)} claims: ", "bold")
    for index, (verdict, count) in enumerate(tally(judgements).items()):
        summary.append(", " if index else "")
        summary.append(f"{count} {verdict.label}", STYLES.get(verdict, ""))
    console.print(summary)


def _table(
    title: str,
    heads: Sequence[str],
    widths: Sequence[int],
    rows: Iterable[Sequence[RenderableType]],
) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left",
                  title_style="bold underline")  # fmt: skip
    for head, width in zip(heads, widths, strict=True):
        table.add_column(head, width=width, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def counts_of(read: Read) -> str:
    """Return a reading's counts, each with the printed one."""
    totals = ", ".join(
        f"{name} {counted.parameters:,} ({read.question.printed[name]})"
        for name, counted in read.counts.items()
    )
    each = max(counted.each for counted in read.counts.values())
    return totals + (f"; {each:,} a cross weight (≤ 2,048)" if each > 2_048 else "")


def split_rows() -> list[tuple[str, str, str]]:
    """Return status, meaning and expectation of each rule by which a split rounds."""
    rules = roundings()
    fitting = [rule for rule in rules if rule.sigmas < 3]
    return [
        (
            ("implied" if len(fitting) == 1 else "chosen") if rule in fitting else "excluded",
            f"a pair's training images: {rule.name} of 80%",
            f"{rule.expected:+.1f} ± {rule.deviation:.1f} test images beyond 20%, printed"
            f" {printed_excess():+.1f}: {rule.sigmas:.1f} sigma",
        )
        for rule in rules
    ]


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print how files stand to the paper, and how many findings there are of each kind."""
    rows = [(Text(x.verdict.value, FINDINGS[x.verdict]), x.where, x.what) for x in findings]
    console.print(_table("", ("verdict", "where", "what"), (13, 30, 55), rows))
    counts = Counter(finding.verdict.value for finding in findings)
    console.print()
    console.print(Text(", ".join(f"{n} {verdict}" for verdict, n in counts.items()), "bold"))
