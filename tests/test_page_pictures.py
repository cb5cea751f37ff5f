"""Figure 6 on the page of results: images to choose among, with what each network says of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from support.browser import Window, serious_findings, window
from support.build_command import refused
from support.guesses import Seen, seen_by_two, write_pixels
from support.pages import made
from support.results import ADJECTIVES, IMAGES, NOUNS, PAIRS

from netgen.commands.cli import main
from netgen.evaluation.image_guesses import guesses_file
from netgen.evaluation.results import read_result, write_result

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

HOSTILE = "</script><script>alert(1)</script>\"'&<b>" + "x" * 10_000
CLASSES = {"noun": NOUNS, "adj": ADJECTIVES, "anp": PAIRS}
# The pixels of a page's image, as the browser decodes them: height, width, and R, G, B, A.
PIXELS = """(image) => {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, [...data]];
}"""


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    return seen_by_two(tmp_path)


@pytest.fixture
def pets(seen: Seen) -> Path:
    """The page of two networks that were tested on the same images."""
    return made(seen.results.parent / "page.html", "results", seen.results)


def cards(page: Page) -> Locator:
    return page.locator("#images-0 .card:visible")


def record(card: Locator) -> int:
    return int(str(card.get_attribute("id")).rpartition("-")[2])


def choose(page: Page, task: str, **networks: str) -> str:
    """Choose images; return what the page says of how many there are."""
    form = page.locator("#images-0 form")
    form.get_by_label("Task").select_option(task)
    for network, right in networks.items():
        form.get_by_label(network).select_option(right)
    return form.get_by_role("status").inner_text()


@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize(("x0", "xs"), [("wrong", "right"), ("right", "wrong"), ("wrong", "wrong")])
def test_images_are_filtered_by_which_network_is_right(
    shown: Window, seen: Seen, pets: Path, task: str, x0: str, xs: str
) -> None:
    page = shown.open(pets)
    told = choose(page, task, x0=x0, xs=xs)
    wanted = (seen.right("x0", task) == (x0 == "right")) & (
        seen.right("xs", task) == (xs == "right")
    )
    found = [record(card) for card in cards(page).all()]
    assert found
    assert all(wanted[found])
    share = 100 * wanted.sum() / IMAGES
    assert told == (
        f"{wanted.sum()} of the test set's images ({share:.1f}%), {len(found)} of them here"
    )
    page.get_by_role("button", name="All images").click()
    assert cards(page).count() == 120


def test_an_image_opens_to_the_five_best_classes_of_every_task(
    shown: Window, seen: Seen, pets: Path
) -> None:
    page = shown.open(pets)
    card = cards(page).nth(7)
    card.locator("summary").press("Enter")
    number = record(card)
    tables = card.locator("table")
    assert tables.count() == len(CLASSES)
    for place, (task, names) in enumerate(CLASSES.items()):
        table = tables.nth(place)
        truth = names[seen.scores["x0"].labels[task][number]]
        assert table.locator("caption").inner_text() == f"{task} {truth}, test image {number}"
        assert table.locator("th").all_inner_texts() == ["x0", "xs"]
        rows = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
        for column, network in enumerate(("x0", "xs")):
            scores = seen.scores[network].scores[task][number].astype(float)
            likely = np.exp(scores) / np.exp(scores).sum()
            best = np.argsort(-scores)[:5]
            for row, label in zip(rows, best, strict=True):
                name, percent = re.split(r"\s+(?=\S+%)", row[column])
                assert name == names[label] + (" ✓" if names[label] == truth else "")
                wanted = "<1%" if likely[label] < 0.005 else f"{likely[label]:.0%}"
                assert percent == wanted


def test_an_image_is_the_databases(shown: Window, seen: Seen, pets: Path) -> None:
    page = shown.open(pets)
    card = cards(page).first
    high, wide, values = card.locator("img").evaluate(PIXELS)
    pixels = np.array(values).reshape(high, wide, 4)[:, :, 2::-1].transpose(2, 0, 1)
    assert (pixels == seen.pixels[record(card)]).all()
    assert card.get_by_alt_text(f"test image {record(card)}").count() == 1


@pytest.mark.parametrize("size", [(3, 200, 100), (1, 20, 20), (1, 300, 260)])
def test_large_images_are_made_smaller_and_grey_ones_are_grey(
    shown: Window, tmp_path: Path, size: tuple[int, int, int]
) -> None:
    seen = seen_by_two(tmp_path, size)
    file = made(tmp_path / "page.html", "results", seen.results)
    assert file.stat().st_size < 3_000_000  # of noise, which JPEG and PNG cannot make smaller
    high, wide, values = cards(shown.open(file)).first.locator("img").evaluate(PIXELS)
    assert max(high, wide) == min(144, max(size[1:]))
    assert high / wide == pytest.approx(size[1] / size[2], rel=0.02)
    red, green, blue = (values[channel::4] for channel in range(3))
    assert (red == green == blue) == (size[0] == 1)


def test_every_way_to_be_right_and_wrong_together_has_images(
    shown: Window, seen: Seen, pets: Path
) -> None:
    page = shown.open(pets)
    found = [record(card) for card in cards(page).all()]
    for task in CLASSES:
        patterns = 2 * seen.right("x0", task) + seen.right("xs", task)
        every, counts = np.unique(patterns, return_counts=True)
        for pattern, count in zip(every, counts, strict=True):
            assert (patterns[found] == pattern).sum() >= min(count, 10)


def test_a_network_of_one_task_stands_beside_at_its_task_alone(
    shown: Window, seen: Seen, tmp_path: Path
) -> None:
    """A single-task network is tested with the same labels, and says something of one task."""
    result = read_result(seen.results / "x0.json")
    one = [task for task in result.tasks if task.name == "adj"]
    write_result(
        replace(result, variant="resnet50-adj", tasks=tuple(one)), seen.results / "adj.json"
    )
    lines = guesses_file(seen.results / "x0.json").read_text()
    alone = re.sub(r'"guesses":\{.*?("adj":\[\[.*?\]\]).*?\}\}', r'"guesses":{\1}}', lines)
    guesses_file(seen.results / "adj.json").write_text(alone)
    page = shown.open(made(tmp_path / "page.html", "results", seen.results))
    form = page.locator("#images-0 form")
    assert form.get_by_label("Task").locator("option").all_inner_texts() == ["noun", "adj", "anp"]
    assert form.get_by_label("resnet50-adj").is_disabled()
    choose(page, "adj")
    assert form.get_by_label("resnet50-adj").is_enabled()
    tables = cards(page).first.locator("table")
    cards(page).first.locator("summary").click()
    heads = [table.locator("th").all_inner_texts() for table in tables.all()]
    assert heads == [["x0", "xs"], ["resnet50-adj", "x0", "xs"], ["x0", "xs"]]


def test_images_that_are_not_there_are_told_and_the_rest_is_shown(
    shown: Window, seen: Seen, tmp_path: Path
) -> None:
    shutil.rmtree(seen.database)
    words = ["page", "results", seen.results, "--out", tmp_path / "page.html"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0
    assert f"note: {seen.database} is not there, so the page has no images" in done.stderr
    page = shown.open(tmp_path / "page.html")
    assert not page.locator("img").count()
    assert page.get_by_text(str(seen.database)).is_visible()
    assert cards(page).first.locator("summary").inner_text().startswith("image ")


def test_images_of_a_dataset_that_was_made_again_are_refused(seen: Seen, tmp_path: Path) -> None:
    shutil.rmtree(seen.database)
    write_pixels(seen.database, seen.pixels[::-1])
    message = refused(1, "page", "results", seen.results, "--out", tmp_path / "page.html")
    assert "is not that of" in message
    assert "was the dataset made again?" in message
    assert not (tmp_path / "page.html").exists()


def test_a_damaged_database_of_images_is_one_message(seen: Seen, tmp_path: Path) -> None:
    data = seen.database / "data.mdb"
    data.write_bytes(data.read_bytes()[:5000])
    message = refused(1, "page", "results", seen.results, "--out", tmp_path / "page.html")
    assert str(seen.database) in message


def test_results_without_images_have_no_such_section(
    shown: Window, seen: Seen, tmp_path: Path
) -> None:
    for network in ("x0", "xs"):
        guesses_file(seen.results / f"{network}.json").unlink()
    page = shown.open(made(tmp_path / "page.html", "results", seen.results))
    assert not page.locator(".pictures").count()
    assert not page.get_by_role("link", name="Images").count()


def test_hostile_names_of_classes_are_text_beside_images(shown: Window, tmp_path: Path) -> None:
    seen = seen_by_two(tmp_path, names=(HOSTILE, *PAIRS[1:]))
    page = shown.open(made(tmp_path / "page.html", "results", seen.results))
    first = next(
        card for card in cards(page).all() if seen.scores["x0"].labels["anp"][record(card)] == 0
    )
    assert HOSTILE in str(first.locator("summary").text_content())
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1400


def test_the_same_results_make_the_same_page(seen: Seen, pets: Path, tmp_path: Path) -> None:
    again = made(tmp_path / "again/page.html", "results", seen.results)
    assert pets.read_text() == again.read_text().replace(str(again), str(pets))


def test_an_images_address_opens_it_also_where_it_is_filtered_out(
    shown: Window, seen: Seen, pets: Path
) -> None:
    page = shown.open(pets)
    first = record(cards(page).nth(50))
    card = page.locator(f"#image-0-{first}")
    shown.open(pets, f"#image-0-{first}").reload()  # as somebody who was sent it
    assert card.locator("table:visible").count() == len(CLASSES)
    assert card.evaluate("(e) => e.getBoundingClientRect().top < innerHeight")
    choose(page, "anp", x0="right", xs="wrong")
    hidden = page.locator("#images-0 .card[hidden]").first
    number = record(hidden)
    page.evaluate("(number) => { location.hash = `#image-0-${number}`; }", number)
    page.locator(f"#image-0-{number} table").first.wait_for()
    assert cards(page).count() == 120
    link = page.locator(f"#image-0-{number}").get_by_role("link").first
    assert link.get_attribute("href") == f"#image-0-{number}"


def test_images_are_read_without_javascript(browser: Browser, pets: Path) -> None:
    with window(browser, java_script_enabled=False) as plain:
        page = plain.open(pets)
        assert cards(page).count() == 120
        cards(page).first.locator("summary").click()
        assert cards(page).first.locator("table:visible").count() == len(CLASSES)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_of_the_images(browser: Browser, pets: Path, scheme: str) -> None:
    with window(browser, color_scheme=scheme, viewport={"width": 360, "height": 700}) as narrow:
        page = narrow.open(pets)
        cards(page).nth(3).locator("summary").click()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        assert serious_findings(page) == []
