"""An audit, and an inspection, as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from netgen.audit.inspection import InspectionFinding, InspectionVerdict
from netgen.audit.readings import CountedReading
from netgen.audit.rows import (
    ClaimRow,
    argument_as_data,
    argument_rows,
    claim_as_data,
    claim_rows,
    counts_of,
    split_rows,
)
from netgen.audit.verdicts import ClaimJudgement, ClaimVerdict, tally
from netgen.paper.claims import Argument
from netgen.system.text import printable

# Of a claim's fields: in its head, or what its place and its quote say, too.
ELSEWHERE = frozenset({"id", "verdict", "part", "networks", "words"})
CLAIM_STYLES = {
    ClaimVerdict.REPRODUCED: "green",
    ClaimVerdict.BUILT_AS_PRINTED: "blue",
    ClaimVerdict.CONSISTENT: "cyan",
    ClaimVerdict.CONTRADICTED: "yellow",
    ClaimVerdict.CONTRADICTED_IN_OUR_COPY: "yellow",
    ClaimVerdict.NOT_REPRODUCED: "bold red",
}
INSPECTION_STYLES = {
    InspectionVerdict.SAME: "green",
    InspectionVerdict.EQUIVALENT: "green",
    InspectionVerdict.DIFFERS: "bold red",
    InspectionVerdict.NOT_CHECKABLE: "dim",
}
READING_STYLES = {"implied": "green", "chosen": "cyan", "fits": "", "excluded": "dim"}
LONGEST_QUOTE = 60
WIDTHS = (13, 24, 22, 38)  # of columns: 100 with the space between them


def print_verdicts(console: Console, judgements: Sequence[ClaimJudgement]) -> None:
    """Print one table per part of the paper."""
    for part, group in groupby(judgements, key=lambda judgement: judgement.part):
        rows = [
            (Text(x.verdict.label, CLAIM_STYLES.get(x.verdict, "")), x.claim, _printed(x), x.found
             or x.evidence)
            for x in claim_rows(group)
        ]  # fmt: skip
        console.print(_table(part, ("verdict", "claim", "printed", "found"), WIDTHS, rows))
        console.print()


def _printed(row: ClaimRow) -> str:
    """Return what is printed: values, or a statement's first words."""
    quote = f"“{_short(row.quote)}”" if row.quote else "–"
    return row.printed or quote


def _short(quote: str) -> str:
    return quote if len(quote) <= LONGEST_QUOTE else f"{quote[:LONGEST_QUOTE].rsplit(' ', 1)[0]} …"


def print_readings(console: Console, readings: Sequence[CountedReading]) -> None:
    """Print every reading with its counts and the printed ones."""
    title = "Readings: what the text leaves open but a printed number decides, built and counted"
    rows = [
        (Text(x.status, READING_STYLES.get(x.status, "bold red")), x.question.id, x.answer.meaning,
         counts_of(x))
        for x in readings
    ]  # fmt: skip
    rows += [
        (Text(status, READING_STYLES.get(status, "")), "split", meaning, found)
        for status, meaning, found in split_rows()
    ]
    heads = ("status", "question", "reading", "counted, and printed in Table 2 (M)")
    console.print(_table(title, heads, (9, 13, 35, 40), rows))
    console.print()


def print_arguments(console: Console, arguments: Sequence[Argument]) -> None:
    """Print what can only be argued: no row of it has a verdict."""
    title = "Arguments: about formulas and words; nothing is measured"
    rows = [(name, quotes, concludes, why)
            for name, _, quotes, concludes, why in argument_rows(arguments)]  # fmt: skip
    heads = ("argument", "printed", "conclusion", "because")
    console.print(_table(title, heads, (19, 28, 14, 36), rows))
    console.print()


def print_details(console: Console, judgements: Iterable[ClaimJudgement]) -> None:
    """Print one paragraph per claim: place, quote, what is printed and found, evidence."""
    for x in judgements:
        console.print(
            Text(f"{x.claim.id}: ").append(x.verdict.label, CLAIM_STYLES.get(x.verdict, ""))
        )
        for name, value in claim_as_data(x).items():
            if value and name not in ELSEWHERE:
                console.print(f"  {name:9}{value}", soft_wrap=True)
        console.print()


def print_argument_details(console: Console, arguments: Iterable[Argument]) -> None:
    """Print one paragraph per argument: place, quotes, conclusion and reasoning."""
    for argument in arguments:
        data = argument_as_data(argument)
        console.print(f"{data['id']}: an argument, not measured: {data['conclusion']}")
        for name, value in (("place", data["place"]), ("because", data["because"])):
            console.print(f"  {name:9}{value}", soft_wrap=True)
        for quote in data["quotes"]:
            console.print(f"  quote    {quote}", soft_wrap=True)
        console.print()


def print_summary(console: Console, judgements: Sequence[ClaimJudgement]) -> None:
    """Print how many claims have each verdict."""
    summary = Text(f"{len(judgements)} claims: ", "bold")
    for index, (verdict, count) in enumerate(tally(judgements).items()):
        summary.append(", " if index else "")
        summary.append(f"{count} {verdict.label}", CLAIM_STYLES.get(verdict, ""))
    console.print(summary)


def _table(
    title: str,
    heads: Sequence[str],
    widths: Sequence[int],
    rows: Iterable[Sequence[RenderableType]],
) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False, title=title,
                  title_justify="left", title_style="bold underline")  # fmt: skip
    for head, width in zip(heads, widths, strict=True):
        table.add_column(head, width=width, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def print_findings(console: Console, findings: Sequence[InspectionFinding]) -> None:
    """Print one table per file, and the number of findings of each verdict."""
    heads = ("verdict", "whose rule", "phase", "where", "what")
    for file, group in groupby(findings, key=_file):
        rows = [
            (
                Text(x.verdict.value, INSPECTION_STYLES[x.verdict]),
                x.rule.value,
                x.phase,
                printable(x.where.removeprefix(file).removeprefix(": ")) or "all of it",
                printable(x.what),  # names in files that others made
            )
            for x in group
        ]
        console.print(_table(printable(file), heads, (13, 11, 5, 24, 43), rows))
        console.print()
    counts = Counter(finding.verdict.value for finding in findings)
    console.print(Text(", ".join(f"{n} {verdict}" for verdict, n in counts.items()), "bold"))


def _file(finding: InspectionFinding) -> str:
    return finding.where.partition(": ")[0]
