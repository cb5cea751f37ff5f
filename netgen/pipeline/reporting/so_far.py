"""What a report tells ahead of the answer while cells of its study are still to be made."""

from __future__ import annotations

import shlex

from netgen.pipeline.reporting.sentences import Findings
from netgen.pipeline.reporting.study_map import short
from netgen.pipeline.running.records import StudyResults
from netgen.pipeline.study.study_plan import Plan


def so_far(plan: Plan, results: StudyResults, found: Findings) -> str:
    """Return how many cells are done, and what is not asked yet, in Markdown; "" once all are.

    Cells are those that decide, without those that others only start from. A sentence is asked at a
    place as soon as one seed there has all networks that it is about.
    """
    reported = {name for name, network in plan.study.networks.items() if network.reported}
    cells = [c for c in plan.deciding if c.trained and c.trained.network in reported]
    done = [c for c in results.deciding if c.network in reported]
    if len(done) >= len(cells):
        return ""
    unasked = _unasked(plan, found)
    left = f" Not asked yet: {'; '.join(unasked)}." if unasked else ""
    return (
        f"**Not finished: {len(done):,} of {len(cells):,} cells are done**, and all that follows is"
        f" of these alone.{left} `netgen study status {shlex.quote(plan.file.as_posix())}` lists"
        " what is to be made."
    )


def _unasked(plan: Plan, found: Findings) -> list[str]:
    """Return each sentence that lacks findings, with at how many places, if it has some."""
    told = []
    for sentence in plan.study.sentences:
        lacking = sum(
            all(finding.sentence != sentence for finding in here) for _, here in found.places
        )
        if lacking == len(found.places):
            told.append(short(sentence))
        elif lacking:
            told.append(f"{short(sentence)}, at {lacking} of {len(found.places)} places")
    return told
