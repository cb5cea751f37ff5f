"""The page of results: its values are the result files', and two networks stand side by side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from support.browser import Window, away_and_back, serious_findings, window
from support.build_command import refused
from support.evaluation import RESULT
from support.pages import made
from support.paths import ROOT
from support.results import PAIRS, result_of, scored, two_results

from netgen import paper
from netgen.evaluation.results import VERSION, Confusion, write_result

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

HOSTILE = "</script><script>alert(1)</script>\"'&<b>" + "x" * 10_000
# The texts of the visible cells of a table's rows.
CELLS = """(rows) => {
  const seen = (all) => [...all].filter((one) => one.getClientRects().length);
  return seen(rows).map((row) => seen(row.cells).map((cell) => cell.innerText.trim()));
}"""


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """The page of two networks that were tested on the same images."""
    two_results(tmp_path / "results")
    return made(tmp_path / "page.html", "results", tmp_path / "results")


def cells(part: Locator) -> list[list[str]]:
    """The texts of a table's visible cells, row by row, without its head."""
    return list(part.locator("tbody tr").evaluate_all(CELLS))


def points(cell: str) -> float:
    return float(cell.replace("−", "-"))


def classes(page: Page, task: int) -> Locator:
    return page.locator(f"#classes-{task}")


def test_every_accuracy_is_the_result_files_with_its_interval(shown: Window, pets: Path) -> None:
    results = two_results(pets.parent / "results")
    rows = cells(shown.open(pets).locator("#accuracies table"))
    for result in results:
        for task in result.tasks:
            wanted = [task.name, result.variant, "the network"]
            for share in (task.accuracy.top1, task.accuracy.top5):
                wanted.append(f"{100 * share.correct / share.total:.2f}")
                wanted.append(f"{100 * share.low:.2f} to {100 * share.high:.2f}")
            if task.classes <= 5:  # of which top-5 is always right
                wanted[-2:] = ["–", ""]
            assert wanted in rows
    assert [row[:3] for row in rows].count(["noun", "none", "always the most frequent"]) == 1


def test_networks_stand_beside_each_other_at_each_task_and_guessing_last(
    shown: Window, pets: Path
) -> None:
    rows = cells(shown.open(pets).locator("#accuracies table"))
    assert [tuple(row[:2]) for row in rows] == [
        (task, network)
        for task in ("noun", "adj", "anp")
        for network in ("x0", "xs", "none", "none")
    ]


def test_what_is_no_result_is_refused_with_what_shows_it(pets: Path) -> None:
    folder = ROOT / "experiments/deciding"
    said = refused(1, "page", "results", folder, "--out", pets)
    assert "results.json: results of a study, not of `netgen eval`: show them with" in said
    assert f"`netgen page study {folder.as_posix()} --out FILE`" in said
    result = two_results(pets.parent / "results")[0]
    twice = replace(result, tasks=(*result.tasks, result.tasks[0]))
    write_result(twice, pets.parent / "results/x0.json")
    said = refused(1, "page", "results", pets.parent / "results", "--out", pets)
    assert "x0.json: a damaged result (the task 'noun' more than once): make it again" in said


def test_the_papers_data_stand_beside_what_table_2_prints(shown: Window, tmp_path: Path) -> None:
    write_result(RESULT, tmp_path / "results/xs.json")
    page = shown.open(made(tmp_path / "page.html", "results", tmp_path / "results"))
    (noun,) = [row for row in cells(page.locator("#accuracies table").first) if row[0] == "noun"][
        :1
    ]
    assert noun[3:] == [
        "42.18", "41.83 to 42.53", "42.18", "-0.00", "70.04", "69.72 to 70.37", "70.04", "+0.00",
    ]  # fmt: skip
    page.get_by_text("rows of Table 2 for which no result was given").click()
    rest = cells(page.get_by_label("Table 2, not measured"))
    assert len(rest) == len(paper.TABLE_2) - len(RESULT.tasks)
    assert ["X_S-ResNet-50", "anp", "22.89", "48.54"] in rest


def test_results_of_other_data_have_no_printed_values(shown: Window, pets: Path) -> None:
    page = shown.open(pets)
    assert "printed" not in page.locator("#accuracies thead").inner_text()
    assert not page.get_by_text("of Table 2").count()


def test_every_class_has_its_counts_of_each_network(shown: Window, pets: Path) -> None:
    first, second = two_results(pets.parent / "results")
    page = shown.open(pets)
    for number, task in enumerate(first.tasks):
        other = second.task(task.name)
        rows = cells(classes(page, number))
        assert [row[0] for row in rows] == list(task.names or ())
        for row, one, two in zip(rows, task.of_class, other.of_class, strict=True):
            if not one.total:
                assert row[1:] == ["0", "–", "–", "–", "–", "–"]
                continue
            shares = [100 * count / one.total for count in (one.top1, one.top5, two.top1, two.top5)]
            texts = [f"{share:.2f}" for share in shares]
            if task.classes <= 5:  # of which top-5 is always right
                texts[1] = texts[3] = "–"
            assert row[1:6] == [str(one.total), *texts]
            assert float(row[6].replace("−", "-")) == pytest.approx(
                shares[2] - shares[0], abs=0.006
            )


def test_classes_are_filtered_by_words_and_sorted_by_any_column(shown: Window, pets: Path) -> None:
    part = classes(shown.open(pets), 2)
    part.get_by_label("Words").fill("WET o")
    assert [row[0] for row in cells(part)] == ["wet_dog", "wet_house", "wet_road"]
    assert part.get_by_role("status").inner_text() == "3 rows"
    part.get_by_role("button", name="All classes").click()
    assert len(cells(part)) == len(PAIRS)

    def column(place: int) -> list[str]:
        return [row[place] for row in cells(part)]

    for place, name in ((2, "x0, top-1"), (6, "difference")):
        part.get_by_role("button", name=name).click()
        values = [points(value) for value in column(place) if value != "–"]
        assert values == sorted(values, reverse=True)
        assert column(0)[-1] == PAIRS[-1]  # without images, so last, either way
        part.get_by_role("button", name=name).click()
        assert [points(value) for value in column(place) if value != "–"] == sorted(values)
        assert column(0)[-1] == PAIRS[-1]
    part.get_by_role("button", name="class", exact=True).press("Enter")
    assert column(0) == sorted(PAIRS)
    assert part.locator("[aria-sort]").count() == 1


def test_two_networks_of_several_are_chosen_to_stand_side_by_side(
    shown: Window, tmp_path: Path
) -> None:
    two_results(tmp_path / "results")
    third = result_of(scored(3, 5), "x1")
    write_result(third, tmp_path / "results/x1.json")
    page = shown.open(made(tmp_path / "page.html", "results", tmp_path / "results"))
    part = classes(page, 0)
    head = part.locator("thead th:visible")
    assert [text.split(",")[0] for text in head.all_inner_texts()][2:6] == ["x0", "x0", "xs", "xs"]
    part.get_by_label("Network").select_option("x1")
    part.get_by_label("beside").select_option("x0")
    assert [text.split(",")[0] for text in head.all_inner_texts()][2:6] == ["x0", "x0", "x1", "x1"]
    # The second less the first, in whatever order the columns stand.
    x0, x1 = float(cells(part)[0][2]), float(cells(part)[0][4])
    assert points(cells(part)[0][6]) == pytest.approx(x0 - x1, abs=0.011)
    part.get_by_role("button", name="difference").click()
    part.get_by_label("beside").select_option("xs")
    values = [points(row[6]) for row in cells(part) if row[6] != "–"]
    assert values == sorted(values, reverse=True)  # as the arrow still says
    assert part.locator("thead th").last.get_attribute("aria-sort") == "descending"


def test_after_back_the_difference_is_that_of_the_networks_that_are_chosen(
    shown: Window, pets: Path
) -> None:
    page = shown.open(pets)
    part = classes(page, 0)
    part.get_by_label("Network").select_option("xs")
    part.get_by_label("beside").select_option("x0")
    before = cells(part)
    away_and_back(page)
    assert part.get_by_label("beside").locator("option:checked").inner_text() == "x0"
    assert cells(part) == before


def confused(page: Page, task: int) -> Locator:
    return page.locator(f"#confusions-{task}")


def test_every_confusion_has_its_counts_of_each_network(shown: Window, pets: Path) -> None:
    results = two_results(pets.parent / "results")
    page = shown.open(pets)
    for number, task in enumerate(results[0].tasks):
        names = task.names or ()
        wanted: dict[tuple[str, str], list[str]] = {}
        for place, result in enumerate(results):
            for one in result.task(task.name).confusions:
                row = wanted.setdefault((names[one.truth], names[one.guess]), ["0", "0.00"] * 2)
                share = 100 * one.count / task.of_class[one.truth].total
                row[2 * place : 2 * place + 2] = [str(one.count), f"{share:.2f}"]
        rows = cells(confused(page, number).locator(".searched"))
        assert {(row[0], row[1]): row[-4:] for row in rows} == wanted
        assert len(rows) == len(wanted)


def test_confusions_of_pairs_tell_what_both_have_in_common(shown: Window, pets: Path) -> None:
    results = two_results(pets.parent / "results")
    page = shown.open(pets)
    part = confused(page, 2)
    for row, result in zip(cells(part.locator(".kinds")), results, strict=True):
        counts = {"same noun": 0, "same adj": 0, "neither": 0}
        for one in result.task("anp").confusions:
            both = [PAIRS[label].split("_") for label in (one.truth, one.guess)]
            same = ("same adj", "same noun")
            alike = [kind for kind, *of in zip(same, *both, strict=True) if len(set(of)) == 1]
            counts[alike[0] if alike else "neither"] += one.count
        wrong = sum(counts.values())
        shares = [f"{100 * count / wrong:.2f}" for count in counts.values()]
        assert row == [result.variant, str(wrong), *shares]
    assert not confused(page, 0).locator(".kinds").count()
    part.locator("select").select_option("same noun")
    part.get_by_label("Words").fill("dog")
    rows = cells(part.locator(".searched"))
    assert rows
    assert all(row[0].endswith("_dog") and row[1].endswith("_dog") for row in rows)
    assert {row[2] for row in rows} == {"same noun"}


def test_of_very_many_confusions_the_most_frequent_of_each_kind_are_shown(tmp_path: Path) -> None:
    many = [Confusion(index // 150, 17 + index % 150, 1 + index % 7) for index in range(1000)]
    task = replace(RESULT.tasks[0], confusions=tuple(many))
    write_result(replace(RESULT, tasks=(task,)), tmp_path / "xs.json")
    text = made(tmp_path / "page.html", "results", tmp_path / "xs.json").read_text()
    assert "Of 1,000 different confusions the 300 most frequent." in text
    part = text[text.index('id="confusions-0"') :]
    counts = [int(found) for found in re.findall(r'</bdi></td><td class="n">(\d+)</td>', part)]
    assert counts == sorted((one.count for one in many), reverse=True)[:300]


def test_results_of_other_images_stand_apart(tmp_path: Path) -> None:
    two_results(tmp_path / "results")
    write_result(result_of(scored(1, 1), "x0", "zoo"), tmp_path / "results/zoo.json")
    text = made(tmp_path / "page.html", "results", tmp_path / "results").read_text()
    assert text.count('class="classes"') == 6
    assert "Classes of <bdi>noun</bdi> (<bdi>zoo</bdi>)" in text


def test_two_results_of_a_network_are_called_by_their_files(tmp_path: Path) -> None:
    two_results(tmp_path / "results")
    write_result(result_of(scored(7, 1), "x0"), tmp_path / "results/seed 7.json")
    text = made(tmp_path / "page.html", "results", tmp_path / "results").read_text()
    assert "<bdi>x0 (seed 7)</bdi>, top-1" in text
    assert "<bdi>x0 (x0)</bdi>, top-1" in text
    assert "<bdi>xs</bdi>, top-1" in text


def test_the_same_results_give_the_same_bytes(pets: Path) -> None:
    before = pets.read_bytes()
    assert made(pets, "results", pets.parent / "results").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": VERSION + 1}, f"a result in format {VERSION + 1}, but this netgen reads"),
        ({"tasks": (replace(RESULT.tasks[0], names=("dog",)),)}, "noun: 1 names of 167 classes"),
        (
            {"tasks": (replace(RESULT.tasks[0], of_class=RESULT.tasks[0].of_class[1:]),)},
            "noun: counts of 166 of 167 classes",
        ),
        (
            {"tasks": (replace(RESULT.tasks[0], classes=1, of_class=()),)},
            "noun: class 1 of 1 (0 to 0)",
        ),
    ],
)
def test_a_damaged_result_is_one_message(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    file = tmp_path / "bad.json"
    write_result(replace(RESULT, **change), file)
    message = refused(1, "page", "results", file, "--out", tmp_path / "page.html")
    assert said in message
    assert f"{file}: " in message
    assert "again with `netgen eval`" in message
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 1}', b"\xff\xd8"])
def test_what_is_no_result_is_one_message(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.json").write_bytes(content)
    message = refused(1, "page", "results", tmp_path, "--out", tmp_path / "page.html")
    assert "not a result of `netgen eval`" in message


def test_a_folder_without_results_says_how_to_make_one(tmp_path: Path) -> None:
    message = refused(1, "page", "results", tmp_path, "--out", tmp_path / "page.html")
    assert f"{tmp_path}: no result in it (*.json): write one there with `netgen eval" in message
    assert "does not exist" in refused(2, "page", "results", tmp_path / "no", "--out", "page.html")


def test_hostile_names_of_classes_are_text(shown: Window, tmp_path: Path) -> None:
    names = (HOSTILE, *PAIRS[1:])
    result = result_of(scored(1, 1, names), "</script>")
    write_result(result, tmp_path / "<b>.json")
    page = shown.open(made(tmp_path / "page.html", "results", tmp_path / "<b>.json"))
    assert classes(page, 2).locator("tbody th").first.text_content() == HOSTILE
    assert page.locator("h1").text_content() == "Results: </script>"
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1400


def test_printed_classes_have_their_difference_and_no_arrows_to_press(
    shown: Window, pets: Path
) -> None:
    page = shown.open(pets)
    classes(page, 0).get_by_role("button", name="difference").click()
    page.emulate_media(media="print")
    assert all(re.match(r"[+−]|–$", row[-1]) for row in cells(classes(page, 0)))
    arrows = (
        classes(page, 0)
        .locator("thead th:visible .sort")
        .evaluate_all("(all) => all.map((each) => getComputedStyle(each, '::after').content)")
    )
    assert [arrow for arrow in arrows if arrow != "none"] == arrows[-1:]  # what it is sorted by


def test_results_are_read_without_javascript(browser: Browser, pets: Path) -> None:
    with window(browser, java_script_enabled=False) as plain:
        page = plain.open(pets)
        assert len(cells(classes(page, 2))) == len(PAIRS)
        assert not page.locator(".needs-program:visible").count()


def test_every_name_in_the_page_is_one_place(shown: Window, pets: Path) -> None:
    names = shown.open(pets).locator("[id]").evaluate_all("(all) => all.map((e) => e.id)")
    assert len(names) == len(set(names))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_of_results(browser: Browser, pets: Path, scheme: str) -> None:
    with window(browser, color_scheme=scheme, viewport={"width": 360, "height": 700}) as narrow:
        page = narrow.open(pets)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        assert serious_findings(page) == []
