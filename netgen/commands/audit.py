"""`netgen audit`: measure every claim of the paper, or compare files with the paper."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.audit_options import audit_inputs, input_options
from netgen.commands.shared_options import differs, table_console
from netgen.commands.terminal_progress import show_work

if TYPE_CHECKING:
    from netgen.audit.readings import CountedReading
    from netgen.audit.verdicts import ClaimJudgement
    from netgen.paper.claims import Argument


PAGE_WIDTH = 100  # width of the tables, in columns

# The files that `netgen.audit.inspection` compares with the paper: metavar and description.
KINDS = {
    "net": ("FILE", "a network's prototxt"),
    "solver": ("FILE", "a solver's prototxt"),
    "weights": ("FILE", "a caffemodel"),
    "data": ("DIR", "a folder with dataset.toml or LMDBs"),
    "log": ("FILE", "a log of caffe train"),
}


def inspection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option per kind of file that can be inspected."""
    for kind, (metavar, what) in reversed(KINDS.items()):
        help_text = f"Compare {what} with the paper."
        command = click.option(
            f"--{kind}", type=click.Path(), metavar=metavar, help=help_text, callback=_named
        )(command)
    return command


def _named(context: click.Context, parameter: click.Parameter, file: str | None) -> str | None:
    """Refuse an empty name: of a shell's unset variable, for example."""
    if file == "":
        raise click.BadParameter("it is empty: name a file", context, parameter)
    return file


@click.command("audit", short_help="Check the paper's claims against the networks.")
@input_options
@click.option(
    "--only",
    multiple=True,
    metavar="WORD",
    help="Print only claims with this verdict ('needs data') or name (* allowed), or arguments of"
    " that name, with quotes and evidence. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown (AUDIT.md).")
@click.option(
    "--check",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Compare FILE with what --markdown prints; exit with 1 if it differs.",
)
@inspection_options
@click.option(
    "--numeric",
    is_flag=True,
    help="With --net, also run it in Caffe beside the paper's, on the same random weights.",
)
@click.option("--deep", is_flag=True, help="With --data, also check that no image is in both sets.")
def command(
    ontology: Path | None,
    results: Path | None,
    only: tuple[str, ...],
    as_json: bool,
    as_markdown: bool,
    check: Path | None,
    deep: bool,
    numeric: bool,
    **files: str | None,
) -> None:
    """Check every claim of the paper against the generated networks.

    Each claim gets a verdict, computed from the printed and the measured value. What our files
    merely repeat is "built as printed"; only what is computed from something else is "reproduced".
    Exits with 1 if a claim is measured, not as printed, and no other reading fits.

    With --net, --solver, --weights, --data or --log, compare these files with the paper instead,
    and with each other where several are given; exits with 1 if one differs from the paper, or
    contradicts another.
    """
    inspects = any(file is not None for file in files.values())
    if inspects and (only or as_markdown or check or ontology or results):
        raise click.UsageError(
            "--only, --markdown, --check, --ontology and --results are about the paper's"
            " claims, not about files: give one or the other"
        )
    for given, option, kind in ((deep, "--deep", "data"), (numeric, "--numeric", "net")):
        if given and files[kind] is None:
            raise click.UsageError(f"{option} needs --{kind}")
    if as_json + as_markdown + (check is not None) > 1:
        raise click.UsageError("--json, --markdown and --check print one thing each: give one")
    if check and only:
        raise click.UsageError("--check compares the whole page: omit --only")
    if inspects:
        sys.exit(_inspect(files, deep, numeric, as_json))
    sys.exit(_audit(ontology, results, only, as_json, as_markdown, check))


def _inspect(files: dict[str, str | None], deep: bool, numeric: bool, as_json: bool) -> int:
    """Print how files compare with the paper and each other; return the exit code."""
    from netgen.audit.inspection import InspectionVerdict, inspect
    from netgen.audit.rows import findings_as_data
    from netgen.audit.terminal import print_findings

    given = [file for file in files.values() if file is not None]
    with show_work(f"comparing {' and '.join(given)} with the paper"):
        findings = inspect(**files, deep=deep, numeric=numeric)
    if as_json:
        click.echo(json.dumps(findings_as_data(findings), indent=2))
    else:
        print_findings(table_console(PAGE_WIDTH), findings)
    return int(any(finding.verdict is InspectionVerdict.DIFFERS for finding in findings))


def _audit(
    ontology: Path | None,
    results: Path | None,
    only: tuple[str, ...],
    as_json: bool,
    as_markdown: bool,
    check: Path | None,
) -> int:
    """Print the audit of the paper's claims; return the exit code."""
    from netgen.audit.markdown import markdown
    from netgen.audit.readings import readings
    from netgen.audit.rows import audit_as_data
    from netgen.audit.verdicts import ClaimVerdict, audit

    with show_work("checking the paper's claims"):
        everything = audit(audit_inputs(ontology, results))
        judgements, arguments = _chosen(everything, only)
        counted = readings() if check or not only else []
    if check:
        _check(check, markdown(everything, counted))
    elif as_json:
        data = audit_as_data(judgements, counted, arguments)
        click.echo(json.dumps(data, indent=2))
    elif as_markdown:
        text = markdown(judgements, counted)
        click.echo(text if sys.stdout.isatty() else text.encode(), nl=False)  # a file is UTF-8
    else:
        _print(judgements, counted, arguments, detailed=bool(only))
    failed = [j for j in everything if j.verdict is ClaimVerdict.NOT_REPRODUCED]
    return int(bool(failed) or any(one.status == "ours, excluded" for one in counted))


def _chosen(
    judgements: list[ClaimJudgement], words: Sequence[str]
) -> tuple[list[ClaimJudgement], list[Argument]]:
    """Return the judgements and the arguments with these verdicts or names, or all."""
    from netgen.paper.claims import ARGUMENTS

    if not words:
        return judgements, [*ARGUMENTS]
    found = {
        word: (
            [j for j in judgements if _is(j, word)],
            [one for one in ARGUMENTS if fnmatch(one.id, word)],
        )
        for word in words
    }
    unknown = [word for word, (claims, arguments) in found.items() if not (claims or arguments)]
    if unknown:
        raise click.BadParameter(
            f"no claim has this verdict or name: {', '.join(unknown)} (`netgen audit` lists them)",
            param_hint="--only",
        )
    chosen, argued = ([one for pair in found.values() for one in pair[n]] for n in (0, 1))
    return [j for j in judgements if j in chosen], [one for one in ARGUMENTS if one in argued]


def _is(judgement: ClaimJudgement, word: str) -> bool:
    plain = word.lower().replace("-", " ").replace("_", " ")
    return judgement.verdict.label == plain or fnmatch(judgement.claim.id, word)


def _check(file: Path, text: str) -> None:
    """Compare a file with `text`; print a diff and exit 1 when they differ."""
    if not differs(file, text):
        click.echo(f"{file} is as it would be written")
        return
    raise click.ClickException(f"{file} differs: update it with `netgen audit --markdown > {file}`")


def _print(
    judgements: list[ClaimJudgement],
    counted: list[CountedReading],
    arguments: list[Argument],
    detailed: bool,
) -> None:
    from netgen.audit.terminal import (
        print_argument_details,
        print_arguments,
        print_details,
        print_readings,
        print_summary,
        print_verdicts,
    )

    console = table_console(PAGE_WIDTH)
    if detailed:
        print_details(console, judgements)
        print_argument_details(console, arguments)
    else:
        print_verdicts(console, judgements)
        print_readings(console, counted)
        print_arguments(console, arguments)
    if judgements:
        print_summary(console, judgements)
