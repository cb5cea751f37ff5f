"""What a report opens with: the answer in words, the map as a picture, what goes on inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image
from support.made_up import GRID, made_up, papers, planned

from netgen.figures.verdict_map import SIGNS, VerdictMap, draw_map
from netgen.pipeline.reporting.answer import answer
from netgen.pipeline.reporting.inside import histories, sum_rows
from netgen.pipeline.reporting.sentences import findings
from netgen.pipeline.reporting.study_report import report_page, write_report
from netgen.pipeline.running.records import VERSION, StudyResults
from netgen.pipeline.study.cells import Trained
from netgen.pipeline.study.study_plan import Plan
from netgen.pipeline.study.study_settings import StudyError

# ---- the answer ---------------------------------------------------------------------------------


def test_a_map_is_answered_by_how_many_places_each_sentence_is_seen_at(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    found = answer(plan.study, findings(plan.study, made_up(plan, papers)))
    assert found is not None
    assert "Of 2 sentences, each asked at 12 places" in found.opening
    assert "5% is expected to be wrong" in found.opening
    above, below = found.sentences
    assert "**Seen at 4 of 12 places, not seen at 4, undecided at 4.**" in above
    assert "by rate: low: 0 and 0 of 4; high: 4 and 0 of 4; higher: 0 and 4 of 4" in above
    assert below.startswith("identity is worse")
    [order] = found.closing
    assert order.startswith("All 2 sentences are seen at 4 of 12 places: start trunk, factor none")


def test_where_no_place_has_the_whole_order_it_says_so_and_where_most_is(tmp_path: Path) -> None:
    plan = planned(tmp_path)

    def trunk_helps(cell: Trained) -> float:
        return 60.0 if (cell.network, cell.labels["start"]) == ("xs", "trunk") else 50.0

    found = answer(plan.study, findings(plan.study, made_up(plan, trunk_helps)))
    assert found is not None
    [order] = found.closing
    assert order.startswith("At no place are all 2 sentences seen. Most are, 1, at: start trunk,")
    none = answer(plan.study, findings(plan.study, made_up(plan, lambda _: 50.0)))
    assert none is not None
    assert none.closing == ["At no place is any of the sentences seen."]


def test_few_places_are_told_one_by_one_and_what_is_bounded(tmp_path: Path) -> None:
    text = GRID.replace("axes.factor", "axes.unused").replace('axes = ["start", "rate"]', "axes=[]")
    one = text[: text.index("axes.start")] + text[text.index("report =") :]
    plan = planned(tmp_path, one)
    found = answer(plan.study, findings(plan.study, made_up(plan, lambda cell: {
        "x0": 50.0, "x1": 30.0, "xs": 50.0}[cell.network])))  # fmt: skip
    assert found is not None
    assert "Of 2 sentences: *seen here* 1, *not seen here* 0, *undecided* 1." in found.opening
    assert found.sentences[0].startswith("*Undecided*: “outperforming both")
    assert "X_S - X_0: positive if so: noun " in found.sentences[0]
    assert found.sentences[1].startswith(
        "*Seen here*: identity is worse. its contrasts: **noun +20"
    )
    [bounded] = found.closing
    assert bounded.startswith("Undecided, but less than half a point either way: X_S - X")
    assert bounded.count("X_S - X_0: positive if so on") == 2


def test_nothing_is_answered_where_nothing_is_asked_or_trained(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    empty = StudyResults(VERSION, "where", "none", 1.0, 1, {}, ())
    assert answer(plan.study, findings(plan.study, empty)) is None


@pytest.fixture
def half(tmp_path: Path) -> tuple[Plan, StudyResults]:
    """A grid without X_1, and without X_S at the low rate."""
    plan = planned(tmp_path)
    whole = made_up(plan, papers)
    kept = [c for c in whole.cells if c.network != "x1"]
    kept = [c for c in kept if (c.network, c.labels["rate"]) != ("xs", "low")]
    return plan, replace(whole, cells=tuple(kept))


def test_a_report_that_is_not_finished_says_first_what_is_done_and_what_is_not_asked(
    half: tuple[Plan, StudyResults],
) -> None:
    plan, results = half
    page = report_page(plan, results, ())
    told = page[page.index("**Not finished") : page.index("## The answer")]
    done = len(results.cells)
    assert f"**Not finished: {done} of {len(plan.deciding)} cells are done**" in told
    assert "Not asked yet: X_S - X_0, at 4 of 12 places; identity is worse. `netgen" in told
    assert "So far, 1 of 2 sentences is asked, at 8 of 12 places of the study: *seen" in page
    assert "At no place" not in page
    whole = report_page(plan, made_up(plan, papers), ())
    assert "Not finished" not in whole
    assert "So far" not in whole


def test_each_verdict_of_a_report_stands_under_its_sentence_though_another_is_not_asked_yet(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path)
    whole = made_up(plan, papers)
    kept = tuple(
        c
        for c in whole.cells
        if (c.network, c.labels["rate"]) not in (("xs", "low"), ("x1", "high"))
    )
    rows = [
        line.split(" | ")
        for line in report_page(plan, replace(whole, cells=kept), ()).splitlines()
        if line.startswith("| start trunk, factor none, rate ")
    ]
    asked = {row[0].rpartition(" ")[2]: [bool(cell.strip(" |")) for cell in row[1:3]]
             for row in rows if len(row) < 5}  # fmt: skip
    assert asked == {"low": [False, True], "high": [True, False], "higher": [True, True]}


# ---- the map ------------------------------------------------------------------------------------


def test_the_map_has_the_color_of_each_verdict_and_differs_in_grey(tmp_path: Path) -> None:
    verdicts = [[*SIGNS], ["", *list(SIGNS)[:2]]]
    panels = [("one", verdicts), ("a rather long title that has to be broken", verdicts)]
    draw_map(VerdictMap(["a", "b"], ["0.01", "0.1", "1"], "rate", panels), tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        grey = np.asarray(image.convert("L")).ravel()
    fills = [sign.fill for sign in SIGNS.values() if sign.fill != "white"]
    for fill in fills:
        rgb = np.array([int(fill[at : at + 2], 16) for at in (1, 3, 5)])
        near = np.abs(pixels.astype(int) - rgb).max(axis=1) < 12
        assert near.mean() > 0.01
    dark, middle = (
        float(np.median(grey[np.abs(pixels.astype(int) - rgb).max(axis=1) < 12]))
        for rgb in (np.array([int(f[at : at + 2], 16) for at in (1, 3, 5)]) for f in fills)
    )
    assert dark + 50 < middle < 255 - 50


def test_the_report_of_a_map_opens_with_its_answer_and_shows_it(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    files = write_report(plan, made_up(plan, papers), tmp_path / "out")
    assert {file.name for file in files} == {
        "README.md", "results.json", "map.png", "cross-weights.png", "sums.png",
    }  # fmt: skip
    page = (tmp_path / "out/README.md").read_text()
    assert page.index("## The answer") < page.index("![The map") < page.index("| command |")
    assert page.index("![The map") < page.index("## What goes on inside")


# ---- what goes on inside ------------------------------------------------------------------------


def test_sizes_and_cross_weights_are_means_over_the_cells_of_a_slice(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    found = made_up(plan, papers)
    rows = sum_rows(plan.study, found)
    assert [(row.slice, row.network) for row in rows] == [
        (f"rate {rate}", network)
        for rate in ("low", "high", "higher")
        for network in ("X_0", "X_S")
    ]
    assert {row.after for row in rows} == {(3.0, 2.0, 4.0)}
    assert [row.cross for row in rows[:2]] == [None, 0.5]
    lines = histories(plan.study, found, lambda point: point.negative)["rate low"]
    assert [*lines] == ["X_S, res5b"]
    assert lines["X_S, res5b"] == [
        (0, (0.5, 0.5, 0.5)), (9, pytest.approx((0.45, 0.35, 0.55))),
    ]  # fmt: skip


def test_what_goes_on_inside_a_network_of_one_task_is_refused(tmp_path: Path) -> None:
    text = GRID.replace('inside = ["x0", "xs"]', 'inside = ["one"]').replace(
        "networks.x1", 'networks.one = { variant = "resnet50-noun" }\nnetworks.x1'
    )
    with pytest.raises(StudyError, match=r"report.inside: resnet50-noun has no blocks of its tas"):
        planned(tmp_path, text)
    with pytest.raises(StudyError, match=r"report.inside: no network 'two': choose from x0, one"):
        planned(tmp_path, text.replace('["one"]', '["two"]'))
