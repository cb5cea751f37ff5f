"""The page of a study in a real browser: its numbers are the report's, each seed's is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from support.browser import Window, away_and_back, serious_findings, window
from support.made_up import GRID, made_up, papers, planned
from support.once import Once
from support.pages import made
from support.paths import ROOT

from netgen.pipeline.reporting.sentences import findings
from netgen.pipeline.running.records import write_results

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

MINIATURE = ROOT / "experiments/miniature"
README = (MINIATURE / "README.md").read_text(encoding="utf-8")
TABLES = ("Accuracies", "Differences, paired by seed",
          "Variations, each compared with another network", "How settings were chosen")  # fmt: skip
# The texts of a table's cells, row by row.
CELLS = "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
# Each forest plot: its rows' names and texts, and where dots and zero lie, as shares of the width.
FORESTS = """(all) => all.map((forest) => [...forest.tBodies[0].rows].map((row) => {
  const place = (node) => parseFloat(node.getAttribute("cx") ?? node.getAttribute("x1"));
  return {
    what: row.cells[0].textContent, text: row.cells[1].textContent, kind: row.className,
    zero: place(row.querySelector(".zero")),
    dots: [...row.querySelectorAll("circle")].map(place),
  };
}))"""


@pytest.fixture(scope="module")
def miniature(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the committed miniature."""
    folder = tmp_path_factory.mktemp("page")
    return once("page-of-miniature", lambda: made(folder / "study.html", "study", MINIATURE))


@pytest.fixture(scope="module")
def grid(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study of two tasks at twelve places, with made-up results."""
    folder = tmp_path_factory.mktemp("grid")

    def page() -> Path:
        plan = planned(folder)
        write_results(made_up(plan, papers, ("shape", "colour")), folder / "results.json")
        return made(folder / "study.html", "study", folder)

    return once("page-of-grid", page)


def report_table(title: str) -> list[list[str]]:
    """The head and the rows of a section's table in the report."""
    section = README.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line[1:-1].split(" |")] for line in lines]
    return [rows[0], *rows[2:]]


def report_sentences() -> list[list[str]]:
    return report_table("The sentences, and what was seen here")[1:]


def commands() -> dict[str, str]:
    section = README.partition("## Every cell\n")[2]
    command = section.partition("```sh\n")[2].partition("\n")[0]
    return {row[0]: command.replace("CELL", row[0]) for row in report_table("Every cell")[1:]}


def cells() -> dict[str, dict[str, Any]]:
    results = json.loads((MINIATURE / "results.json").read_text())
    return {cell["name"]: cell for cell in results["cells"]}


def visible(page: Page) -> list[str]:
    return [str(each.get_attribute("id")) for each in page.locator(".finding:visible").all()]


def told(article: Locator) -> str:
    return article.locator(".told-seed").inner_text()


def test_the_answer_and_the_facts_are_the_reports(shown: Window, miniature: Path) -> None:
    page = shown.open(miniature)
    section = README.partition("## The answer\n")[2].partition("\n## ")[0]
    answer, _, facts = section.partition("| | |\n| --- | --- |\n")
    plain = answer.replace("*", "").replace("\n- ", "\n")
    shown_lines = page.locator("#answer").inner_text().splitlines()[1:]
    assert [x for x in shown_lines if x] == [x for x in plain.splitlines() if x]
    rows = [line[2:-2].split(" | ") for line in facts.splitlines() if line]
    wanted = [[name, re.sub(r"[`\[\]]|\(study.toml\)", "", value)] for name, value in rows]
    assert page.locator(".facts tr").evaluate_all(CELLS) == wanted


def test_every_sentence_has_the_reports_words_verdict_and_intervals(
    shown: Window, miniature: Path
) -> None:
    page = shown.open(miniature)
    forests = page.locator(".forest table").evaluate_all(FORESTS)
    articles = page.locator(".finding").all()
    for article, rows, (quote, contrasts, verdict) in zip(
        articles, forests, report_sentences(), strict=True
    ):
        assert article.get_attribute("data-verdict") == verdict.strip("*")
        assert verdict.strip("*") in (article.locator(".verdict").text_content() or "")
        source = article.locator(".printed .evidence").text_content()
        assert f"{article.locator('blockquote').text_content()} ({source})" == quote
        assert contrasts.endswith(": " + "; ".join(f"{row['what']} {row['text']}" for row in rows))


def test_means_above_zero_lie_right_of_it_and_have_a_mark_of_their_own(
    shown: Window, miniature: Path
) -> None:
    rows = [row for of in shown.open(miniature).locator(".forest table").evaluate_all(FORESTS)
            for row in of]  # fmt: skip
    assert {row["kind"] for row in rows} == {"above", "below", "open"}
    for row in rows:
        ends = [float(end) for end in re.findall(r"[+-]\d+\.\d+", row["text"])[1:]]
        kind = "above" if min(ends) > 0 else "below" if max(ends) < 0 else "open"
        assert row["kind"] == kind
        if kind != "open":
            middle = sum(row["dots"]) / len(row["dots"])
            assert (middle > row["zero"]) == (kind == "above")


def test_every_table_is_the_reports(shown: Window, miniature: Path) -> None:
    page = shown.open(miniature)
    for title in TABLES:
        found = page.get_by_role("region", name=title, exact=True).locator("tr")
        assert found.evaluate_all(CELLS) == report_table(title)


def test_the_keys_go_through_the_seeds_and_tell_value_cells_and_commands(
    shown: Window, miniature: Path
) -> None:
    page, known, repeats = shown.open(miniature), cells(), commands()
    number = [row[1].partition(":")[0] for row in report_sentences()].index("X_S - X_1")
    article = page.locator(".finding").nth(number)
    article.locator(".forest").focus()
    page.keyboard.press("ArrowRight")
    for row, task in enumerate(("noun", "adj", "anp")):
        for seed in range(1, 6):
            xs, x1 = (known[f"{name}-{seed}"]["tasks"][task] for name in ("xs", "x1"))
            value = 100 * (xs["top1"] - x1["top1"]) / xs["total"]
            text = told(article)
            assert text.startswith(f"{task}, seed {seed}: {value:+.2f}\n")
            for name, counts in ((f"xs-{seed}", xs), (f"x1-{seed}", x1)):
                share = 100 * counts["top1"] / counts["total"]
                line = f"{name}: {task} {share:.2f}%, {counts['top1']:,} of {counts['total']:,}"
                assert f"{line}\n{repeats[name]}" in text
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Home")
        if row < 2:
            page.keyboard.press("ArrowDown")


def test_a_dot_is_told_under_the_pointer_and_kept_by_a_click(
    shown: Window, miniature: Path
) -> None:
    page = shown.open(miniature)
    article = page.locator(".finding").first
    article.scroll_into_view_if_needed()
    row = article.locator("tbody").first.locator("tr").nth(1)
    values = article.locator("details tbody tr").nth(1).locator("td").all_text_contents()
    for number, value in enumerate(values):
        box = row.locator("circle").nth(number).bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert told(article).startswith(f"x0, seed {number + 1}: {value}\n")
        assert f"x0-{number + 1}: noun " in told(article)
    page.mouse.down()
    page.mouse.up()
    article.locator("tbody tr .strip").first.hover()
    assert told(article).startswith("x0, seed 5:")
    page.keyboard.press("Escape")
    article.locator("tbody tr .strip").first.hover(position={"x": 5, "y": 5})
    assert told(article).startswith("single, seed ")


def test_a_contrast_of_cross_weights_tells_how_many_are_not_negative(
    shown: Window, miniature: Path
) -> None:
    page = shown.open(miniature)
    article = page.locator(".finding").last
    article.locator(".forest").focus()
    page.keyboard.press("ArrowRight")
    cross = cells()["xs-1"]["cross"]
    share = 100 * cross["not_negative"] / cross["total"] - 50
    assert told(article).startswith(f"xs, seed 1: {share:+.2f}\n")
    assert f"{cross['not_negative']:,} of {cross['total']:,} cross weights" in told(article)


def test_sentences_are_filtered_by_verdict_and_words(shown: Window, miniature: Path) -> None:
    page = shown.open(miniature)
    verdicts = [row[2].strip("*") for row in report_sentences()]
    for verdict in ("seen here", "not seen here", "undecided"):
        page.locator("#filter-verdict").select_option(verdict)
        wanted = [f"sentence-{n + 1}" for n, each in enumerate(verdicts) if each == verdict]
        assert visible(page) == wanted
        assert page.locator("#findings-shown").inner_text() == f"{len(wanted)} sentences"
    page.get_by_role("button", name="All sentences").click()
    page.locator("#filter-words").fill("GAIN from")
    assert visible(page) == ["sentence-9"]
    page.evaluate("() => { location.hash = '#sentence-2'; }")
    page.wait_for_function("() => !document.getElementById('sentence-2').hidden")
    assert len(visible(page)) == 10


def test_learning_curves_tell_their_mean_and_each_seed(shown: Window, miniature: Path) -> None:
    page = shown.open(miniature)
    chart = page.locator(".chart", has_text="Learning curves: anp")
    chart.locator(".plot").focus()
    page.keyboard.press("End")
    last = [100 * cells()[f"xs-{seed}"]["curves"]["anp"][-1][1] for seed in range(1, 6)]
    text = chart.locator(".readout").inner_text()
    assert text.startswith("Iteration 1,200: ")
    mean, least, most = (f"{value:.6g}" for value in (sum(last) / 5, min(last), max(last)))
    assert f"; X_S {mean} ({least} to {most}); " in text
    seeds = ", ".join(f"{value:.6g} (seed {seed})" for seed, value in enumerate(last, 1))
    assert sorted(text.partition("X_S: each seed ")[2].split(", ")) == sorted(seeds.split(", "))


def test_every_name_is_one_place(shown: Window, grid: Path) -> None:
    names = shown.open(grid).locator("[id]").evaluate_all("(all) => all.map((e) => e.id)")
    assert len(names) == len(set(names))


def test_cells_are_found_by_words(shown: Window, miniature: Path) -> None:
    page = shown.open(miniature)
    section = page.locator("#cells")
    section.get_by_label("Words").fill("frozen-2")
    (row,) = section.locator("tbody tr:visible").evaluate_all(CELLS)
    assert (row[0], row[2]) == ("xs-frozen-2", commands()["xs-frozen-2"])


# ---- the map ------------------------------------------------------------------------------------


def test_the_map_has_each_sentences_verdict_at_each_place(
    shown: Window, grid: Path, tmp_path: Path
) -> None:
    plan = planned(tmp_path)
    wanted = [
        f"{finding.verdict.value}: {', '.join(' '.join(each) for each in setting.items())}"
        for setting, here in findings(plan.study, made_up(plan, papers)).places
        for finding in here
    ]
    links = shown.open(grid).locator(".map a")
    found = links.evaluate_all("(all) => all.map((each) => each.ariaLabel)")
    assert sorted(found) == sorted(wanted)
    signs = {(label.partition(":")[0], text) for label, text in
             zip(found, links.all_text_contents(), strict=True)}  # fmt: skip
    assert signs == {("seen here", "+"), ("not seen here", "−"), ("undecided", "·")}


def test_a_place_is_chosen_by_a_click_by_keys_by_a_list_and_by_a_link(
    shown: Window, grid: Path
) -> None:
    page = shown.open(grid, "#place-scratch,mean,high")
    shown_place = page.locator(".grid-place:visible .where bdi")

    def expect(name: str) -> None:
        page.wait_for_function(
            "(name) => { const shown = [...document.querySelectorAll('.grid-place:not([hidden])')];"
            " return shown.length === 1 && shown[0].ariaLabel === name; }",
            arg=name,
        )
        assert shown_place.all_inner_texts() == [name]
        current = page.locator(".map [aria-current]")
        labels = current.evaluate_all("(all) => all.map((each) => each.ariaLabel)")
        assert [label.partition(": ")[2] for label in labels] == [name] * 2

    expect("start scratch, factor mean, rate high")
    page.locator(".map").first.locator("a").nth(5).click()
    expect("start trunk, factor mean, rate higher")
    assert page.locator(".where:focus").count() == 1
    page.locator(".map").first.locator("[aria-current]").focus()
    for key in ("ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    expect("start trunk, factor none, rate high")
    page.locator("#choose-place").select_option("place-scratch,none,low")
    expect("start scratch, factor none, rate low")
    assert visible(page) == [f"place-scratch,none,low-sentence-{n}" for n in (1, 2)]
    assert page.locator(".map").first.locator("a[tabindex='0']").count() == 1


def test_after_back_the_place_and_the_sentences_are_those_that_are_chosen(
    shown: Window, grid: Path
) -> None:
    page = shown.open(grid)
    page.locator("#choose-place").select_option("place-scratch,none,low")
    page.locator(".where:focus").wait_for()
    page.evaluate("() => { location.hash = '#map'; }")
    page.locator("#filter-verdict").select_option("seen here")
    before = visible(page)
    away_and_back(page)
    assert page.locator("#choose-place").input_value() == "place-scratch,none,low"
    assert page.locator(".grid-place:visible").get_attribute("id") == "place-scratch,none,low"
    assert page.locator("#filter-verdict").input_value() == "seen here"
    assert visible(page) == before


def test_a_verdict_has_one_colour_in_the_map_and_beside_its_sentence(
    shown: Window, grid: Path
) -> None:
    page = shown.open(grid)
    for verdict in ("seen-here", "not-seen-here"):
        colours = [
            page.locator(f"{kind}.{verdict}").first.evaluate(
                "(node) => getComputedStyle(node).backgroundColor"
            )
            for kind in (".sign", ".verdict")
        ]
        assert colours[0] == colours[1]


def test_the_map_fades_what_a_filter_leaves_out(shown: Window, grid: Path) -> None:
    page = shown.open(grid, "#place-trunk,none,high")
    page.locator("#filter-verdict").select_option("seen here")
    assert page.locator(".map a.faint").count() == page.locator(".map a:not(.seen-here)").count()
    assert not page.locator(".map a.seen-here.faint").count()


def test_a_place_that_is_chosen_has_its_sentences_whatever_the_filters_left_out(
    shown: Window, grid: Path
) -> None:
    page = shown.open(grid)
    page.locator("#filter-words").fill("no sentence has these words")
    assert page.locator("#findings-shown").inner_text() == "0 sentences"
    page.locator(".map").first.locator("[aria-current]").click()  # the place that is shown
    page.locator(".where:focus").wait_for()
    assert len(visible(page)) == 2
    assert page.locator("#findings-shown").inner_text() == "2 sentences"


def test_what_goes_on_inside_is_drawn_and_told(shown: Window, grid: Path) -> None:
    page = shown.open(grid)
    chart = page.locator(".chart", has_text="Cross weights: below zero, % (rate high)")
    chart.locator(".plot").focus()
    page.keyboard.press("End")
    assert chart.locator(".readout").inner_text() == "Iteration 9: X_S, res5b 45 (35 to 55)"
    assert chart.locator(".band").count() == 1
    rows = page.get_by_role("region", name="What blocks add").locator("tr").evaluate_all(CELLS)
    assert ["rate high", "X_S", "res5b", "1", "2", "0.5", "3 (2 to 4)"] in rows


def test_a_place_without_results_is_empty_in_the_map(shown: Window, tmp_path: Path) -> None:
    plan = planned(tmp_path)
    results = made_up(plan, papers)
    kept = tuple(cell for cell in results.cells if cell.labels["rate"] != "higher")
    write_results(replace(results, cells=kept), tmp_path / "results.json")
    page = shown.open(made(tmp_path / "page.html", "study", tmp_path))
    assert page.locator(".map").first.locator("a").count() == 8
    assert page.locator(".grid-place").count() == 8


# ---- everybody -----------------------------------------------------------------------------------


def test_a_study_is_read_without_javascript(browser: Browser, grid: Path) -> None:
    with window(browser, java_script_enabled=False) as plain:
        page = plain.open(grid)
        assert page.locator(".grid-place:visible").count() == 12
        assert not page.locator(".needs-program:visible").count()
        assert page.locator(".finding:visible .forest").count() == 24


def test_print_has_the_chosen_place_and_no_tools(shown: Window, grid: Path) -> None:
    page = shown.open(grid, "#place-trunk,mean,low")
    page.emulate_media(media="print")
    assert page.locator(".grid-place:visible").count() == 1
    assert not page.locator(".tools:visible, .told-seed:visible").count()
    assert page.locator(".finding:visible").count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["miniature", "grid"])
def test_nobody_is_kept_out(
    browser: Browser, request: pytest.FixtureRequest, scheme: str, which: str
) -> None:
    file = request.getfixturevalue(which)
    with window(browser, color_scheme=scheme, viewport={"width": 360, "height": 700}) as narrow:
        page = narrow.open(file)
        page.locator(".forest:visible").first.focus()
        page.keyboard.press("ArrowRight")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        assert serious_findings(page) == []


def test_the_study_of_the_tests_has_two_tasks_that_are_no_pair(grid: Path) -> None:
    assert "anp" not in GRID
    assert "shape top-1" in grid.read_text(encoding="utf-8")
