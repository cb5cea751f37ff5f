"""The page of an audit in a real browser: its filters and links, and that nothing is told anew."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from support.browser import Window, away_and_back, serious_findings, window
from support.once import Once
from support.pages import data_of, made

from netgen.commands.cli import main

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Twenty filterings with their layout, in milliseconds: the shortest one is hardly the machine's.
FILTERED = """() => {
  const field = document.getElementById("filter-verdict");
  const times = [];
  for (let time = 0; time < 20; time++) {
    const start = performance.now();
    field.value = time % 2 ? "" : "contradicted";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.getBoundingClientRect();
    times.push(performance.now() - start);
  }
  return Math.min(...times);
}"""


@pytest.fixture(scope="module")
def page_file(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the audit."""
    folder = tmp_path_factory.mktemp("page")
    return once("page-of-audit", lambda: made(folder / "audit.html", "audit"))


@pytest.fixture(scope="module")
def audit(once: Once) -> dict[str, Any]:
    """What `netgen audit --json` prints."""

    def printed() -> dict[str, Any]:
        result = CliRunner().invoke(main, ["audit", "--json"])
        return dict(json.loads(result.stdout))

    return once("audit-as-json", printed)


def shown_claims(page: Page) -> list[str]:
    return [claim.get_attribute("id") or "" for claim in page.locator(".claim:visible").all()]


def test_the_page_has_what_netgen_audit_prints(page_file: Path, audit: dict[str, Any]) -> None:
    assert data_of(page_file)["audit"] == audit


def test_a_claim_stands_in_the_papers_words_beside_what_was_found(
    shown: Window, page_file: Path, audit: dict[str, Any]
) -> None:
    page = shown.open(page_file)
    texts = dict(zip(*(page.locator(".claim").evaluate_all(
        f"(all) => all.map((each) => each.{field})") for field in ("id", "textContent")),
        strict=True))  # fmt: skip
    assert texts.keys() == {claim["id"] for claim in audit["claims"]}
    for claim in audit["claims"]:
        for field in ("words", "printed", "place", "found", "fits", "evidence", "verdict"):
            assert claim[field].replace("`", "") in texts[claim["id"]]
        assert f"netgen audit --only {claim['id']}" in texts[claim["id"]]


def test_a_contradicted_claim_does_not_rest_on_files_that_are_as_the_paper_says(
    shown: Window, page_file: Path, audit: dict[str, Any]
) -> None:
    page = shown.open(page_file)
    own = "files that were written as the paper says"
    for claim in audit["claims"]:
        text = page.locator(f"#{claim['id']} .measured").text_content() or ""
        assert ("Found: " in text) == bool(claim["basis"])
        if claim["verdict"].startswith("contradicted"):
            assert own not in text
    both = [one for one in audit["claims"] if one["id"] in ("table1-res5-blocks", "projections")]
    for claim in both:
        assert "written by the other reading, which fits" in claim["basis"]
    built = [one for one in audit["claims"] if one["verdict"] == "built as printed"]
    assert all(own in claim["basis"] for claim in built)


def test_claims_are_filtered_by_verdict_section_network_and_words(
    shown: Window, page_file: Path, audit: dict[str, Any]
) -> None:
    page, claims = shown.open(page_file), audit["claims"]

    def expect(suits: Any) -> None:
        wanted = [claim["id"] for claim in claims if suits(claim)]
        assert shown_claims(page) == wanted
        assert page.locator("#claims-shown").inner_text().split()[0] == str(len(wanted))

    page.locator("#filter-verdict").select_option("contradicted")
    expect(lambda claim: claim["verdict"] == "contradicted")
    page.get_by_role("button", name="All claims").click()
    page.locator("#filter-network").select_option("X_S-ResNet-50")
    expect(lambda claim: "X_S-ResNet-50" in claim["networks"])
    page.locator("#filter-verdict").select_option("needs training")
    expect(
        lambda claim: "X_S-ResNet-50" in claim["networks"] and claim["verdict"] == "needs training"
    )
    page.get_by_role("button", name="All claims").click()
    page.locator("#filter-part").select_option("Table 1: the network")
    expect(lambda claim: claim["part"] == "Table 1: the network")
    page.locator("#filter-words").fill("RES5 blocks")
    expect(lambda claim: claim["id"] == "table1-res5-blocks")
    page.get_by_role("button", name="All claims").click()
    expect(lambda claim: True)


def test_after_back_the_claims_are_those_that_the_filters_name(
    shown: Window, page_file: Path
) -> None:
    page = shown.open(page_file)
    page.locator("#filter-verdict").select_option("contradicted")
    before = shown_claims(page)
    away_and_back(page)
    assert page.locator("#filter-verdict").input_value() == "contradicted"
    assert shown_claims(page) == before


def test_filtering_takes_less_than_50_milliseconds(shown: Window, page_file: Path) -> None:
    assert shown.open(page_file).evaluate(FILTERED) < 50


def test_a_link_leads_to_a_claim_also_to_one_that_is_filtered_out(
    shown: Window, page_file: Path
) -> None:
    page = shown.open(page_file, "#xs-params")
    assert page.locator(".claim:target").get_attribute("id") == "xs-params"
    assert page.locator("#xs-params").evaluate("(e) => e.getBoundingClientRect().top < innerHeight")
    page.locator("#filter-verdict").select_option("contradicted")
    assert "xs-params" not in shown_claims(page)
    page.evaluate("() => { location.hash = '#x0-params'; }")
    page.wait_for_function("() => !document.getElementById('x0-params').hidden")
    assert len(shown_claims(page)) > 100


def test_a_verdict_of_the_summary_leads_to_its_claims(
    shown: Window, page_file: Path, audit: dict[str, Any]
) -> None:
    page = shown.open(page_file)
    page.locator("#filter-words").fill("no claim has these words")
    for verdict, count in audit["summary"].items():
        link = page.locator("#summary").get_by_role("link", name=verdict)
        link.filter(has_text=re.compile(rf" {verdict}$")).click()
        page.wait_for_function(
            "(verdict) => document.getElementById('filter-verdict').value === verdict", arg=verdict
        )
        assert len(shown_claims(page)) == count
        assert page.locator("#filter-verdict").evaluate("(field) => field.matches(':focus')")
    sent = shown.open(page_file, "#verdict=contradicted")
    sent.reload()
    assert len(shown_claims(sent)) == audit["summary"]["contradicted"]


def test_what_verdicts_mean_is_read_in_a_narrow_window(browser: Browser, page_file: Path) -> None:
    with window(browser, viewport={"width": 360, "height": 700}) as narrow:
        page = narrow.open(page_file)
        summary = page.get_by_role("region", name="Summary of the audit")
        for meaning in summary.locator("td:last-child").all():
            place = meaning.bounding_box()
            assert place is not None
            assert place["width"] > 300
            assert place["x"] + place["width"] <= 360


def test_readings_stand_side_by_side_with_their_counts(
    shown: Window, page_file: Path, audit: dict[str, Any]
) -> None:
    page = shown.open(page_file)
    rows = page.locator("table.readings tbody tr").all_text_contents()
    assert len(rows) == len(audit["readings"])
    for row, reading in zip(rows, audit["readings"], strict=True):
        assert reading["status"] in row
        assert all(f"{count:,}" in row for count in reading["counts"].values())


def test_every_name_in_the_page_is_one_place(shown: Window, page_file: Path) -> None:
    names = shown.open(page_file).locator("[id]").evaluate_all("(all) => all.map((e) => e.id)")
    assert len(names) == len(set(names))


def test_the_audit_is_read_without_javascript(
    browser: Browser, page_file: Path, audit: dict[str, Any]
) -> None:
    with window(browser, java_script_enabled=False) as plain:
        page = plain.open(page_file)
        assert page.locator(".claim").count() == len(audit["claims"])
        assert not page.locator(".needs-program:visible").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_of_the_audit(browser: Browser, page_file: Path, scheme: str) -> None:
    with window(browser, color_scheme=scheme, viewport={"width": 360, "height": 700}) as narrow:
        page = narrow.open(page_file)
        page.locator("#filter-verdict").select_option("contradicted")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        assert serious_findings(page) == []
