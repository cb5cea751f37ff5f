"""The page of a study: what its report tells, as the page takes it, seed by seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netgen.figures.page.forest import Dot, Forest, ForestRow
from netgen.figures.page.study_page import (
    Curve,
    CurveChart,
    Finding,
    MapPlace,
    PagedCell,
    PagedStudy,
    study_page,
)
from netgen.figures.page.study_page import Place as PagedPlace
from netgen.pipeline.reporting.inside import MOST_PLACES, courses, learning_curves
from netgen.pipeline.reporting.seen import Setting, curve_cells, name_of, seen_at
from netgen.pipeline.reporting.sentences import Contrast, SentenceFinding
from netgen.pipeline.reporting.study_map import grid_of, map_of, short
from netgen.pipeline.reporting.study_places import Place
from netgen.pipeline.reporting.study_told import Told
from netgen.pipeline.running.records import CellRecord


def page_of(told: Told, command: str = "") -> str:
    """Return the page of a study; `command` is the command line that makes it again."""
    study, results, answer = told.study, told.results, told.answer
    numbers = {cell.name: number for number, cell in enumerate(results.deciding)}
    ids = {place.name: _id(place.setting) for place in told.places}
    return study_page(
        PagedStudy(
            title=study.title or study.name,
            about=_paragraphs(study.about),
            so_far=told.so_far,
            opening=answer.opening if answer else "",
            answers=answer.sentences if answer else [],
            closing=answer.closing if answer else [],
            facts=told.facts,
            rule=told.rule,
            places=[_place(told, place, numbers) for place in told.places],
            one_by_one=len(told.places) > MOST_PLACES,
            map=map_of(study, told.found),
            grid=[
                [MapPlace(ids.get(name_of(setting), ""), name_of(setting)) for setting in row]
                for row in (grid_of(study) if study.axes else [])
            ],
            inside=list(_inside(told)),
            sums=told.sums,
            notes=study.report.notes,
            trials=told.trials,
            cells=[_cell(told, cell) for cell in results.deciding],
        ),
        command,
    )


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _id(setting: Setting) -> str:
    """Return the name of a place's element: labels have no commas."""
    return f"place-{','.join(setting.values())}" if setting else ""


def _place(told: Told, place: Place, numbers: Mapping[str, int]) -> PagedPlace:
    id_ = _id(place.setting)
    return PagedPlace(
        id=id_,
        name=place.name,
        findings=[_finding(told, finding, id_, numbers) for finding in place.findings],
        tables=told.tables(place),
        cross=place.cross,
        curves=list(_curves(told, place.setting)),
    )


def _finding(
    told: Told, finding: SentenceFinding, place: str, numbers: Mapping[str, int]
) -> Finding:
    number = told.study.sentences.index(finding.sentence) + 1
    words, source = finding.source
    return Finding(
        id=f"{place}-sentence-{number}".removeprefix("-"),
        words=words,
        source=source,
        about=finding.sentence.about,
        short=short(finding.sentence),
        verdict=finding.verdict.value,
        forest=Forest([_row(contrast, numbers) for contrast in finding.contrasts]),
    )


def _row(contrast: Contrast, numbers: Mapping[str, int]) -> ForestRow:
    mean = contrast.mean
    return ForestRow(
        what=contrast.what,
        text=mean.signed,
        value=mean.value,
        ends=(mean.low, mean.high) if mean.low is not None and mean.high is not None else None,
        sign=mean.sign,
        tasks=contrast.tasks,
        dots=tuple(
            Dot(seed.seed, seed.value, tuple(numbers[name] for name in seed.cells))
            for seed in contrast.seeds
        ),
    )


def _cell(told: Told, cell: CellRecord) -> PagedCell:
    cross = cell.cross
    return PagedCell(
        name=cell.name,
        tasks={
            task: f"{cell.accuracy(task):.2f}%, {of.top1:,} of {of.total:,}"
            for task, of in cell.tasks.items()
        },
        cross=f"{cross.not_negative:,} of {cross.total:,} cross weights are not negative"
        if cross
        else "",
        command=told.again(cell.name),
    )


def _curves(told: Told, setting: Setting) -> Iterator[CurveChart]:
    """Yield the learning curves at a place: a chart per task."""
    seen = seen_at(told.study, told.results, setting)
    means, cells = learning_curves(seen), curve_cells(seen)
    for task in dict.fromkeys(task for of in means.values() for task in of):
        curves = [
            Curve(title, of[task], _points(cells[title], task))
            for title, of in means.items()
            if task in of
        ]
        yield CurveChart(f"Learning curves: {task}", "test accuracy, top-1, %", curves)


def _points(cells: Sequence[CellRecord], task: str) -> list[tuple[int, float, int]]:
    """Return iteration, accuracy and seed of each test."""
    return sorted(
        (at, value, cell.seed) for cell in cells for at, value in cell.percents.get(task, ())
    )


def _inside(told: Told) -> Iterator[CurveChart]:
    for name, quantities in courses(told.study, told.results).items():
        for quantity, lines in quantities.items():
            title = f"Cross weights: {quantity}{f' ({name})' if name else ''}"
            curves = [Curve(line, points) for line, points in lines.items() if points]
            if curves:
                yield CurveChart(title, quantity, curves)
