"""The page of a study: its answer, each sentence with its contrasts, the map, and the tables.

What is on it comes as plain data, texts included: `netgen.pipeline.reporting.study_shown` has them
from what the report tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netgen.figures.page.charts import COLORS, DASHES, Chart, Line
from netgen.figures.page.document import page
from netgen.figures.page.forest import KINDS, MARKS, MIDDLE, ROW, Forest, ForestRow
from netgen.figures.page.text_table import Table
from netgen.figures.page.thinning import Points
from netgen.figures.style import Range
from netgen.figures.verdict_map import SIGNS, VerdictMap


@dataclass(frozen=True)
class Finding:
    """A sentence at a place.

    Attributes
    ----------
    id
        Of its element: a link leads there.
    words, source
        The sentence, and where in the paper it is; "" for one's own.
    about, short
        What its contrasts are; the same in a few words.
    verdict
        In the words of `SIGNS`.
    forest
        Its contrasts.
    """

    id: str
    words: str
    source: str
    about: str
    short: str
    verdict: str
    forest: Forest


@dataclass(frozen=True)
class Curve:
    """A line over a training: its name, its means with their ranges, and the seeds' own points."""

    name: str
    points: Sequence[tuple[int, Range]]
    seeds: Sequence[tuple[int, float, int]] = ()


@dataclass(frozen=True)
class CurveChart:
    """Curves with one axis; `unit` says what its values are."""

    title: str
    unit: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Place:
    """A place in the grid of a study's axes; its id and its name are "" where there are none.

    `cross` tells of the cross weights; "" without.
    """

    id: str
    name: str
    findings: Sequence[Finding]
    tables: Sequence[Table]
    cross: str
    curves: Sequence[CurveChart]


@dataclass(frozen=True)
class MapPlace:
    """A place as the map has it: its id, "" for one without results, and its name."""

    id: str
    name: str


@dataclass(frozen=True)
class PagedCell:
    """A cell: its name, its accuracies by task and cross weights as text, what repeats it."""

    name: str
    tasks: dict[str, str]
    cross: str
    command: str


@dataclass(frozen=True)
class PagedStudy:
    """What a page shows of a study; paragraphs, facts and the answer are Markdown.

    Attributes
    ----------
    title, about, facts, notes
        Its head, how it was made.
    so_far
        Of a study that is not finished, what is done and what is not asked yet; "" of one that is.
    opening, answers, closing
        What the report opens with.
    rule
        How verdicts follow from intervals, in words.
    places, one_by_one
        Those with results, and whether they are too many to be shown together.
    map, grid
        The map, and what is at each of its places.
    inside, sums
        The cross weights over the training, the sizes of what blocks add.
    trials
        How settings were chosen.
    cells
        All that decide.
    """

    title: str
    about: Sequence[str]
    so_far: str
    opening: str
    answers: Sequence[str]
    closing: Sequence[str]
    facts: Sequence[tuple[str, str]]
    rule: str
    places: Sequence[Place]
    one_by_one: bool
    map: VerdictMap | None
    grid: Sequence[Sequence[MapPlace]]
    inside: Sequence[CurveChart]
    sums: Table | None
    notes: Sequence[str]
    trials: Table | None
    cells: Sequence[PagedCell]


@dataclass(frozen=True)
class _Drawn:
    """A chart with what the page's program reads of it."""

    chart: Chart
    data: dict[str, Any]


def study_page(study: PagedStudy, command: str = "") -> str:
    """Return the page of a study; `command` is the command line that makes it again."""
    curves = [
        [_drawn(f"{number}-{at}", chart) for at, chart in enumerate(place.curves)]
        for number, place in enumerate(study.places)
    ]
    inside = [_drawn(f"inside-{at}", chart) for at, chart in enumerate(study.inside)]
    findings = [finding for place in study.places for finding in place.findings]
    return page(
        "study",
        study.title,
        {
            "charts": [each.data for of in (*curves, inside) for each in of],
            "cells": [vars(cell) for cell in study.cells],
            "findings": {
                each.id: [_row_data(row) for row in each.forest.rows] for each in findings
            },
            "oneByOne": study.one_by_one,
        },
        ("tables", "charts", "study"),
        study=study,
        curves=[[each.chart for each in of] for of in curves],
        inside=[each.chart for each in inside],
        signs={verdict: sign.sign for verdict, sign in SIGNS.items()},
        kinds=KINDS,
        marks=MARKS,
        middle=MIDDLE,
        row_height=ROW,
        command=command,
    )


def _row_data(row: ForestRow) -> dict[str, Any]:
    return {
        "what": row.what,
        "tasks": row.tasks,
        "seeds": [[dot.seed, f"{dot.value:+.2f}", dot.cells] for dot in row.dots],
    }


def _drawn(name: str, curves: CurveChart) -> _Drawn:
    lines: list[Line] = []
    told: list[dict[str, Any]] = []
    for index, curve in enumerate(curves.curves):
        color, dash = index % COLORS, index % DASHES
        band = [] if curve.seeds else [(low, high) for _, (_, low, high) in curve.points]
        points: Points = [(at, middle) for at, (middle, _, _) in curve.points]
        lines.append(Line(curve.name, "", points, color, dash, band=band))
        ranges = [[at, middle, low, high] for at, (middle, low, high) in curve.points]
        told.append({"label": curve.name, "points": ranges})
        if curve.seeds:
            label = f"{curve.name}: each seed"
            dots: Points = [(at, value) for at, value, _ in curve.seeds]
            lines.append(Line(label, "", dots, color, dash, dots=True))
            told.append({"label": label, "points": [list(each) for each in curve.seeds]})
    end = max(at for line in lines for at, _ in line.points)
    chart = Chart(name, curves.title, curves.unit, lines, end)
    return _Drawn(chart, {**chart.data(told), "numbered": "seed"})
