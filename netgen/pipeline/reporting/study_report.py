"""The report of a study: README.md, results.json and pictures, from its file and its results."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from netgen.network.render import render
from netgen.pipeline.reporting.inside import MOST_PLACES, longest_axis
from netgen.pipeline.reporting.study_map import short
from netgen.pipeline.reporting.study_pictures import PICTURES, draw_pictures
from netgen.pipeline.reporting.study_told import Told, told
from netgen.pipeline.running.records import RESULTS, StudyResults, write_results
from netgen.pipeline.study.study_file import AnySentence, Study
from netgen.pipeline.study.study_plan import Plan
from netgen.pipeline.study.study_settings import StudyError
from netgen.system.files import write_all

PAGE = "README.md"


def check_place(out: Path) -> None:
    """See that a report may be written into `out`.

    Raises
    ------
    StudyError
        Its README.md is somebody else's: no results lie beside it.
    """
    page = out / PAGE
    if page.exists() and not (out / RESULTS).exists():
        raise StudyError(
            f"{page}: not a report of a study, as no {RESULTS} is beside it, and the report would"
            " replace it: name another folder (--out), or move it"
        )


def write_report(plan: Plan, results: StudyResults, out: Path, changes: str = "") -> list[Path]:
    """Write results.json, the pictures and README.md into `out`; return what was written.

    `changes` are the words of the command line that changed the study.

    Raises
    ------
    ValueError, OSError
        A file of the study is missing or damaged, or a file cannot be written; as `check_place`.
    """
    check_place(out)
    pictures = draw_pictures(plan, results, out)
    file = out / RESULTS
    write_results(results, file)
    there = {name for name in PICTURES if (out / name).exists()}
    page = report_page(plan, results, there, changes)
    write_all({out / PAGE: page})
    return [out / PAGE, file, *pictures]


def report_page(
    plan: Plan, results: StudyResults, pictures: Collection[str], changes: str = ""
) -> str:
    """Return the report's README.md; `pictures` are the names of those that there are."""
    of = told(plan, results, changes)
    return render(
        "study.md",
        **vars(of),
        again=of.again,
        tables=of.tables,
        sentences=list(_asked(of)),
        most_places=MOST_PLACES,
        map_of=_map_of(plan.study),
        short=short,
        pictures=set(pictures),
    )


def _asked(of: Told) -> Iterator[tuple[str, AnySentence]]:
    """Yield each sentence that is asked at some place, with where it is from."""
    for sentence in of.study.sentences:
        found = filter(None, (place.finding(sentence) for place in of.places))
        if first := next(found, None):
            yield first.quote, sentence


def _map_of(study: Study) -> str:
    """Return what the rows and the columns of the map are, in words."""
    across = longest_axis(study)
    others = ", ".join(axis for axis in study.axes if axis != across)
    rows = f"; rows: {others}" if others else ""
    return f" Columns: {across}{rows}." if across else ""
