"""`netgen data ontology`: choose classes from a list of pairs by the paper's criteria."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen import paper
from netgen.commands.shared_options import print_table
from netgen.paper.ontology import CLASS_LISTS, adjectives_of
from netgen.system.files import write_all
from netgen.system.text import cell

if TYPE_CHECKING:
    from data_prep.criteria import FilterStep

# The files written with the class lists.
REPORTS = ("filters.csv", "pairs.csv", "graph.svg", "graph.png")
existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("ontology", short_help="Choose the paper's classes from VSO's full list of pairs.")
@click.argument("pairs_file", metavar="LIST", type=existing_file)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The folder to write to, for example data/ontology.",
)
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="ROOT",
    help="Count each pair's images in ROOT/<adjective>_<noun>/.",
)
@click.option(
    "--counts",
    "counts_file",
    type=existing_file,
    metavar="FILE",
    help="Take each pair's number of images from a CSV file with the columns pair and count.",
)
@click.option(
    "--least-nouns",
    type=click.IntRange(1),
    default=paper.LEAST_NOUNS,
    show_default=True,
    help="(1) The least number of nouns of an adjective in LIST.",
)
@click.option(
    "--exclude-nouns",
    type=existing_file,
    metavar="FILE",
    help="(2) Nouns to leave out, one per line.  [default: those that the paper names:"
    f" {', '.join(paper.LEFT_OUT_NOUNS)}]",
)
@click.option(
    "--keep-nouns",
    type=existing_file,
    metavar="FILE",
    help="(2) Instead: the nouns to keep, one per line, such as the authors' mtvso_nounlabels.txt.",
)
@click.option(
    "--min-images",
    type=click.IntRange(0),
    default=paper.LEAST_IMAGES,
    show_default=True,
    help="(3) The least number of images of a pair; applied only with --images or --counts.",
)
@click.option("--force", is_flag=True, help="Replace files that are in the folder already.")
def command(
    pairs_file: Path,
    out: Path,
    images: Path | None,
    counts_file: Path | None,
    least_nouns: int,
    exclude_nouns: Path | None,
    keep_nouns: Path | None,
    min_images: int,
    force: bool,
) -> None:
    """Choose the pairs of an ontology that meet the paper's criteria (section 5.1).

    LIST has one adjective_noun per line, as VSO's 1200ANPs.txt. The criteria are applied one after
    the other: (1) adjectives with enough nouns in LIST, (2) nouns that are not excluded, (3) pairs
    with enough images.

    The folder gets the three lists of classes, named as the authors name theirs, for `netgen
    data mtvso --labels`; filters.csv, what each criterion leaves; pairs.csv, which criterion
    each pair fails; and graph.svg and graph.png, adjectives and nouns with a line for each pair.
    """
    from data_prep import criteria

    if images and counts_file:
        raise click.UsageError("--images and --counts: give one of them")
    if exclude_nouns and keep_nouns:
        raise click.UsageError("--exclude-nouns and --keep-nouns: give one of them")
    _check_place(out, force)
    pairs = criteria.read_pairs(pairs_file)
    counts = criteria.count_images(images) if images else None
    if counts_file:
        counts = criteria.read_counts(counts_file)
    nouns = _excluded(pairs, exclude_nouns, keep_nouns)
    found = criteria.apply_criteria(
        pairs, criteria.Criteria(least_nouns, nouns, min_images), counts
    )
    rows = [step.row(counts) for step in found]
    fates = criteria.fates(found, counts)
    contents: dict[str, str | bytes] = {**criteria.class_lists(found[-1])}
    reports: list[str | bytes] = [_csv(rows), _csv(fates), *_graph(fates, found[-1])]
    contents.update(zip(REPORTS, reports, strict=True))
    write_all({out / name: content for name, content in contents.items()})
    print_table(rows)
    for note in criteria.notes(pairs, nouns, counts):
        click.echo(f"Note: {note}", err=True)
    click.echo(f"Next: netgen data mtvso IMAGES --labels {shlex.quote(str(out))} --out DIR")


def _excluded(
    pairs: Sequence[str], exclude_nouns: Path | None, keep_nouns: Path | None
) -> frozenset[str]:
    from data_prep.criteria import read_words

    if keep_nouns:
        return frozenset(adjectives_of(pairs)).difference(read_words(keep_nouns))
    return frozenset(read_words(exclude_nouns) if exclude_nouns else paper.LEFT_OUT_NOUNS)


def _check_place(out: Path, force: bool) -> None:
    there = [out / name for name in (*CLASS_LISTS.values(), *REPORTS) if (out / name).exists()]
    if there and not force:
        raise click.ClickException(
            f"{there[0]} exists: choose another folder, or replace it with --force"
        )


def _graph(fates: Sequence[Mapping[str, str]], last: FilterStep) -> list[bytes]:
    from netgen.figures.bipartite import ontology_figure
    from netgen.figures.style import figure_bytes

    reasons = {fate["pair"]: fate["left out by"] for fate in fates}
    title = f"{len(last.pairs):,} pairs of {len(last.adjectives):,} adjectives"
    title += f" and {len(last.nouns):,} nouns"
    # Lines of the criteria's colours over each other: more than 256.
    kinds = (Path(name).suffix for name in REPORTS if name.startswith("graph"))
    return [
        figure_bytes(lambda: ontology_figure(reasons, title), kind, many_colors=True)
        for kind in kinds
    ]


def _csv(rows: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(str(field)) for name, field in row.items()} for row in rows)
    return text.getvalue()
