"""The map of a study: each sentence's verdict at each place in the grid of the axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netgen.pipeline.reporting.inside import longest_axis
from netgen.pipeline.reporting.seen import Setting, name_of
from netgen.pipeline.reporting.sentences import Findings
from netgen.pipeline.study.study_file import AnySentence, Study, settings_of

if TYPE_CHECKING:
    from netgen.figures.verdict_map import VerdictMap


def grid_of(study: Study) -> list[list[Setting]]:
    """Return the places of a study with axes, row by row: the longest axis lies across."""
    axis = longest_axis(study)
    rows: dict[tuple[str, ...], list[Setting]] = {}
    for setting in settings_of(study):
        rows.setdefault(_row(setting, axis), []).append(setting)
    return [*rows.values()]


def _row(setting: Setting, across: str | None) -> tuple[str, ...]:
    return tuple(label for axis, label in setting.items() if axis != across)


def map_of(study: Study, found: Findings) -> VerdictMap | None:
    """Return the map of a study's findings; None without axes, or without sentences."""
    from netgen.figures.verdict_map import VerdictMap

    axis = longest_axis(study)
    if axis is None or not study.sentences:
        return None
    verdicts = {
        (name_of(setting), study.sentences.index(finding.sentence)): finding.verdict.value
        for setting, here in found.places
        for finding in here
    }
    grid = grid_of(study)
    panels = [
        (
            short(sentence),
            [[verdicts.get((name_of(place), number), "") for place in row] for row in grid],
        )
        for number, sentence in enumerate(study.sentences)
    ]
    names = [", ".join(_row(row[0], axis)) for row in grid]
    return VerdictMap(names, list(study.axes[axis]), axis, panels)


def short(sentence: AnySentence) -> str:
    """Return a sentence in a few words: what it is about, up to a colon."""
    words = sentence.about.partition(":")[0]
    return words or sentence.says or str(sentence.claim)
