"""`netgen page study` from outside: the file that it makes, and what it says of bad input."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import Window, window
from support.build_command import refused
from support.made_up import GRID, made_up, papers, planned
from support.pages import data_of, made
from support.paths import ROOT

from netgen.pipeline.running.records import write_results
from netgen.pipeline.study.study_plan import plan_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MINIATURE = ROOT / "experiments/miniature"
MAP = ROOT / "experiments/map/study.toml"
BREAKING = "</script><script>alert(1)</script>\"'&<b>`*" + "x" * 10_000
HOSTILE = f"\u202e\u2066\x07{BREAKING}"  # of which a study.toml is refused, results are not
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the miniature's definition and results."""
    for name in ("study.toml", "results.json"):
        shutil.copy(MINIATURE / name, tmp_path / name)
    return tmp_path


def change(folder: Path, how: Change) -> None:
    file = folder / "results.json"
    content = json.loads(file.read_text())
    how(content)
    file.write_text(json.dumps(content))


def test_a_study_is_named_by_its_folder_or_its_file_and_results_may_be_elsewhere(
    folder: Path,
) -> None:
    first = made(folder / "1.html", "study", folder)
    second = made(folder / "2.html", "study", folder / "study.toml")
    (folder / "elsewhere").mkdir()
    (folder / "results.json").rename(folder / "elsewhere/found.json")
    words = ("study", folder, "--results", folder / "elsewhere/found.json")
    third = made(folder / "3.html", *words)
    assert data_of(first)["findings"] == data_of(second)["findings"] == data_of(third)["findings"]


def test_the_same_study_gives_the_same_bytes_and_a_small_page(folder: Path) -> None:
    first, second = (made(folder / "page.html", "study", MINIATURE).read_bytes() for _ in "12")
    assert first == second
    assert len(first) < 1_500_000


def test_a_map_of_722_networks_opens_at_one_place(browser: Browser, tmp_path: Path) -> None:
    results = made_up(plan_study(MAP), lambda cell: 50.0 + len(cell.network), ("noun", "anp"))
    assert len(results.cells) == 722
    write_results(results, tmp_path / "results.json")
    page = made(tmp_path / "page.html", "study", MAP, "--results", tmp_path / "results.json")
    assert page.stat().st_size < 4_000_000
    with window(browser) as shown:
        opened = shown.open(page, "#place-conditions-trunk,quarter,mean,0.3")
        assert opened.locator(".grid-place").count() == 80
        assert opened.locator(".grid-place:visible").count() == 1
        assert opened.locator(".finding:visible").count() == 5
        assert opened.locator(".map").count() == 5


def test_one_seed_has_values_without_intervals(shown: Window, folder: Path) -> None:
    change(folder, lambda all_: all_.update(cells=[c for c in all_["cells"] if c["seed"] == 1]))
    page = shown.open(made(folder / "page.html", "study", folder))
    assert page.get_by_text("With one seed there are no intervals").count() == 1
    assert not page.locator(".interval").count()
    assert page.locator(".forest circle").count() == 29
    assert page.locator(".finding[data-verdict='undecided']").count() == 10


def test_a_study_that_is_not_finished_says_first_what_is_done_and_what_is_not_asked(
    shown: Window, folder: Path
) -> None:
    assert "Not finished" not in made(folder / "page.html", "study", folder).read_text()
    change(
        folder, lambda all_: all_.update(cells=[c for c in all_["cells"] if c["variant"] != "x1"])
    )
    page = shown.open(made(folder / "page.html", "study", folder))
    told = page.locator("header .notice").inner_text()
    assert re.match(r"Not finished: \d+ of 60 cells are done, and all .* Not asked yet: ", told)
    assert "; X_S - X_1" in told
    assert page.locator("#answer p").first.inner_text().startswith("So far, ")


def test_results_of_other_seeds_are_shown_with_the_option_that_made_them(folder: Path) -> None:
    file = folder / "study.toml"
    file.write_text(file.read_text().replace("seeds = 5", "seeds = 4"))
    said = refused(1, "page", "study", folder, "--out", folder / "page.html")
    assert "study.toml has no cells 'resnet50-adj-5', 'resnet50-anp-5'" in said
    assert "give the --seeds and --iterations that they were made with" in said
    data = data_of(made(folder / "page.html", "study", folder, "--seeds", "5"))
    commands = {cell["name"]: cell["command"] for cell in data["cells"]}
    wanted = "netgen experiment miniature --seeds 5 --only xs-1 --work runs/xs-1"
    assert commands["xs-1"] == wanted


def other_study(content: dict[str, Any]) -> None:
    content["study"] = "deciding"


def other_rate(content: dict[str, Any]) -> None:
    content["cells"][3]["settings"]["base-lr"] = 0.5


def other_variant(content: dict[str, Any]) -> None:
    content["cells"][3]["variant"] = "xs"


def unknown_network(content: dict[str, Any]) -> None:
    content["cells"][3]["name"] = "x9-1"


def one_twice(content: dict[str, Any]) -> None:
    content["cells"].append(content["cells"][3])


def only_trials(content: dict[str, Any]) -> None:
    content["cells"] = [cell for cell in content["cells"] if cell["trial"]]


def no_such_task(content: dict[str, Any]) -> None:
    for cell in content["cells"]:
        cell["tasks"] = {task: of for task, of in cell["tasks"].items() if task != "adj"} or {
            "noun": {"top1": 1, "top5": 1, "total": 1}
        }
        cell["curves"] = {task: cell["curves"].get(task, [[1, 0.5]]) for task in cell["tasks"]}


def old_version(content: dict[str, Any]) -> None:
    content["version"] = 1


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (other_study, "the results of the study 'deciding', but"),
        (other_rate, "resnet50-adj-4 has another base-lr than"),
        (other_variant, "resnet50-adj-4 has another variant than"),
        (unknown_network, "study.toml has no cell 'x9-1': give the --seeds"),
        (one_twice, "has cell 'resnet50-adj-4' more than once"),
        (only_trials, "no cell is done but those that choose settings"),
        (no_such_task, "miniature: single has no task 'adj', but"),
        (old_version, "results in format 1, but this netgen reads 2: make them again"),
    ],
)
def test_results_that_are_not_the_studys_are_refused(folder: Path, how: Change, said: str) -> None:
    change(folder, how)
    assert said in refused(1, "page", "study", folder, "--out", folder / "page.html")
    assert not (folder / "page.html").exists()


def test_what_is_missing_or_damaged_is_one_message_with_the_next_step(folder: Path) -> None:
    results = folder / "results.json"
    results.write_text('{"version": 2, "study"')
    said = refused(1, "page", "study", folder, "--out", folder / "page.html")
    assert "results.json: not a study's results (" in said
    results.unlink()
    said = refused(1, "page", "study", folder, "--out", folder / "page.html")
    assert "results.json: no results yet: `netgen study run " in said
    (folder / "study.toml").unlink()
    said = refused(1, "page", "study", folder, "--out", folder / "page.html")
    assert "study.toml: No such file or directory: name a study.toml" in said


def test_hostile_texts_are_shown_and_never_run(browser: Browser, tmp_path: Path) -> None:
    quoted = json.dumps(BREAKING)  # as TOML writes it, too
    text = GRID.replace('"X_S"', quoted).replace('"identity is worse"', quoted)
    text = text.replace("seeds = 3", f"seeds = 3\ntitle = {quoted}\nabout = {quoted}", 1)
    text = text.replace('inside = ["x0", "xs"]', f'notes = [{quoted}], curves = ["xs"]')
    text = text.replace('"X_S - X_0: positive if so"', quoted)
    results = made_up(planned(tmp_path, text), papers, (HOSTILE, "__proto__"))
    write_results(results, tmp_path / "results.json")
    file = made(tmp_path / "page.html", "study", tmp_path)
    assert "\u202e" not in file.read_text(encoding="utf-8")
    with window(browser, viewport={"width": 360, "height": 700}) as shown:
        page = shown.open(file)
        forest = page.locator(".forest:visible").first
        forest.focus()
        page.keyboard.press("ArrowRight")
        told = page.locator(".told-seed:visible").first.inner_text()
        assert f"\\u202e\\u2066\\x07{BREAKING}, seed 1: " in told
        page.keyboard.press("ArrowDown")
        assert "__proto__ " in page.locator(".told-seed:visible").first.inner_text()
        assert page.locator("h1").inner_text().startswith("</script><script>alert(1)")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
