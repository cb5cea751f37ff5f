"""The page of a network in a real browser: what it tells, where it leads, what it never does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import Window, away_and_back, serious_findings, window
from support.build_command import NARROW
from support.once import Once
from support.page_scripts import (
    COLOURS,
    COVERED,
    FITTED,
    GAPS,
    IN_SIGHT,
    OPACITIES,
    OVERLAPPING,
    PLACED,
    REFUSED,
    TOLD,
    WIDTHS,
)
from support.pages import counted, made

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

XS = ("--variant", "xs", *NARROW, "--stem", "small")
# Names that end elements, are programs, or are long; ends of lines and such are no names.
HOSTILE = (
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "'\"`${alert(1)}",
    "&lt;b&gt;{{ 7 * 7 }}", "x" * 10_000, "\u05d0\u05d1\u05d2", "-->", "]]>",
)  # fmt: skip


@pytest.fixture(scope="module")
def xs(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a narrow X_S."""
    folder = tmp_path_factory.mktemp("page")
    return once("page-of-xs", lambda: made(folder / "xs.html", "network", *XS))


@pytest.fixture(scope="module")
def both(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a narrow X_0 beside X_S."""
    words = ("network", "--variant", "x0", "--against", *XS[1:])
    folder = tmp_path_factory.mktemp("page")
    return once("page-of-both", lambda: made(folder / "both.html", *words))


def told(page: Page) -> Locator:
    return page.locator("#told")


def box(page: Page, name: str) -> Locator:
    """The box that begins with a layer."""
    return page.locator(f'.head[aria-label^="{name} "], .head[aria-label="{name}"]').first


def shape(sizes: list[int] | None) -> str:
    return " × ".join(map(str, sizes)) if sizes else "scalar"


def expected(layer: dict[str, Any]) -> dict[str, str]:
    """What the page is to tell of a layer of `netgen count --json`, without its sizes in MiB."""
    blobs = "; ".join(shape(blob) for blob in layer["blobs"])
    first = layer["bottoms"][:1] and layer["bottoms"][0]
    return {
        "type": layer["type"],
        "reads": f"{first['name']}: {shape(first['shape'])}" if first else "",
        "makes": f"{layer['tops'][0]['name']}: {shape(layer['tops'][0]['shape'])}",
        "parameters": f"{layer['parameters']:,}, {layer['trainable']:,} trained"
        + (f" ({blobs})" if blobs else ""),
        "multiply-adds": f"{layer['multiply_adds']:,}",
        "memory": f"{layer['activation_bytes'] + layer['buffer_bytes']:,}",
        "– of its output": f"{layer['activation_bytes']:,}",
        "– of its buffers": f"{layer['buffer_bytes']:,}",
        "read by": ", ".join(layer["readers"]) or "no layer",
    }


def test_what_is_told_of_each_layer_is_what_netgen_count_prints(shown: Window, xs: Path) -> None:
    found = shown.open(xs).evaluate(TOLD)
    layers = {layer["name"]: layer for layer in counted(*XS)["layers"]}
    assert found.keys() == layers.keys()
    for name, layer in layers.items():
        wanted, text = expected(layer), found[name]
        for term in ("reads", "makes"):
            text[term] = text.get(term, "").split(" | ")[0]
        for term in ("memory", "– of its output", "– of its buffers"):
            text[term], unit, *_ = text[term].split()
            assert unit == "bytes"
        assert {term: text[term] for term in wanted} == wanted


def test_a_pointer_on_a_box_tells_of_all_its_layers(shown: Window, xs: Path) -> None:
    page = shown.open(xs)
    box(page, "res5b_branch2a_noun").hover()
    text = told(page).inner_text()
    named = [one for one in counted(*XS)["layers"] if one["name"].startswith(("res5b_", "bn5b_"))]
    assert all(one["name"] in text for one in named if one["name"].endswith("noun"))
    told(page).get_by_role("button", name="bn5b_branch2b_noun").click()
    assert 'type: "BatchNorm"' in told(page).locator("pre").inner_text()


def test_a_box_unfolds_to_its_layers_and_folds_again(shown: Window, xs: Path) -> None:
    page = shown.open(xs)
    box(page, "conv1").click()
    assert box(page, "conv1").get_attribute("aria-expanded") == "true"
    rows = page.locator(".row").all_text_contents()
    assert [row.split(" · ")[0] for row in rows] == [
        "conv1",
        "bn_conv1",
        "scale_conv1",
        "conv1_relu",
    ]
    page.get_by_role("button", name="Fold all", exact=True).click()
    assert page.locator(".row").count() == 0
    assert box(page, "conv1").get_attribute("aria-expanded") == "false"


def test_all_boxes_are_unfolded_and_folded_at_once(shown: Window, xs: Path) -> None:
    """Each placing takes as long as the picture is large: one for each box would hang a browser."""
    page = shown.open(xs)
    for button in ("unfold", "fold"):
        assert page.evaluate(PLACED, button) == 1


def test_unfolded_boxes_do_not_overlap_and_wires_still_reach_their_sums(
    shown: Window, xs: Path
) -> None:
    page = shown.open(xs)
    page.get_by_role("button", name="Unfold all").click()
    assert page.evaluate(OVERLAPPING) == []
    *sums, _legend = page.evaluate(GAPS)
    assert all(gap < 8 for gaps in sums for gap in gaps)


@pytest.fixture
def inception(tmp_path: Path) -> Path:
    """Two modules named as GoogLeNet's are, with a head between them whose name is like theirs."""

    def convolution(name: str, bottom: str) -> str:
        return (
            f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"'
            " convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }\n"
        )

    text = 'layer { name: "data" type: "Input" top: "data"'
    text += " input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }\n"
    before = "data"
    for module in ("inception_3a", "inception_3b"):
        text += convolution(f"{module}/1x1", before) + convolution(f"{module}/3x3", before)
        text += f'layer {{ name: "{module}/output" type: "Concat" bottom: "{module}/1x1"'
        text += f' bottom: "{module}/3x3" top: "{module}/output" }}\n'
        before = f"{module}/output"
        text += convolution(f"loss/{module}", before)
    net = tmp_path / "inception.prototxt"
    net.write_text(text)
    return net


def test_modules_are_boxes_that_tell_of_all_their_layers_and_unfold(
    shown: Window, inception: Path, tmp_path: Path
) -> None:
    file = made(tmp_path / "page.html", "network", "--net", inception, "--modules")
    page = shown.open(file)
    boxes = page.locator(".box").all()
    assert [found.locator(".text").all_text_contents() for found in boxes] == [
        ["data", "Input", "2×3×8×8"],
        ["inception_3a", "3 layers", "2×8×8×8"],
        ["loss", "2 layers", "2×4×8×8"],
        ["inception_3b", "3 layers", "2×8×8×8"],
    ]
    # The head reads both modules, and the second the first.
    assert page.locator(".wire").count() == 4
    layers = {layer["name"]: layer for layer in counted(inception)["layers"]}
    boxes[3].hover()
    module = [layers[f"inception_3b/{name}"] for name in ("1x1", "3x3", "output")]
    for field in ("parameters", "multiply_adds"):
        assert f"{sum(layer[field] for layer in module):,}" in told(page).inner_text()
    page.get_by_role("button", name="Unfold all").click()
    assert page.locator(".row").count() == len(layers)
    assert page.evaluate(OVERLAPPING) == []


def test_boxes_below_each_other_unfold_into_one_column(shown: Window, tmp_path: Path) -> None:
    chain = "".join(
        f'layer {{ name: "{"x" * 2 * number}{number}" type: "Flatten" bottom: "b{number}"'
        f' top: "b{number + 1}" }}\n'
        for number in range(8)
    )
    net = tmp_path / "chain.prototxt"
    net.write_text('layer { name: "data" type: "Input" top: "b0" }\n' + chain)
    page = shown.open(made(tmp_path / "page.html", "network", "--net", net))
    page.get_by_role("button", name="Unfold all").click()
    rows, boxes = (
        page.locator(found).evaluate_all(WIDTHS) for found in (".row rect", ".head > rect")
    )
    assert len(boxes) == 9
    assert max(boxes) < 1.5 * max(rows)


def test_the_keyboard_reaches_boxes_unfolds_them_and_reads_their_layers(
    shown: Window, xs: Path
) -> None:
    page = shown.open(xs)
    page.locator("#view").focus()
    page.keyboard.press("Tab")
    assert told(page).locator("h3").inner_text().startswith("4 layers: conv1")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert told(page).locator("h3").inner_text() == "conv1"
    page.keyboard.press("Tab")
    assert told(page).locator("h3").inner_text() == "bn_conv1"


def test_a_cross_residual_wire_tells_its_weight_and_lights_up_alone(
    shown: Window, xs: Path
) -> None:
    page = shown.open(xs)
    page.locator('.wire[aria-label="cross5b_adj_noun, adj to noun"]').focus()
    assert told(page).locator("h3").inner_text() == "cross5b_adj_noun"
    assert page.locator(".cross-wire.sends").count() == 1
    opacities = page.locator(".cross-wire").evaluate_all(OPACITIES)
    # Its own, and that of the sample in the picture's legend.
    assert sorted(opacities)[-2:] == [1, 1]
    assert max(sorted(opacities)[:-2]) < 1


def test_the_wires_of_a_task_light_up_by_where_they_come_from_and_go(
    shown: Window, xs: Path
) -> None:
    page = shown.open(xs)
    box(page, "res5b_branch2a_adj").focus()
    sends, gets = (
        [wire.get_attribute("aria-label") for wire in page.locator(f".cross-wire.{kind}").all()]
        for kind in ("sends", "gets")
    )
    assert sorted(sends, key=str) == [
        "cross5b_adj_anp, adj to anp",
        "cross5b_adj_noun, adj to noun",
    ]
    assert sorted(gets, key=str) == ["cross5b_anp_adj, anp to adj", "cross5b_noun_adj, noun to adj"]


def test_a_search_finds_layers_in_the_picture_and_in_the_table(shown: Window, xs: Path) -> None:
    page = shown.open(xs)
    page.get_by_label("Find a layer").fill("CROSS5B")
    assert page.locator("#found").inner_text().startswith("6 layers")
    assert page.locator(".wire.hit").count() == 6
    assert page.locator("table.layers tbody tr:visible").count() == 6
    page.get_by_label("Find a layer").fill("bn5b_branch2b_anp")
    page.keyboard.press("Enter")
    assert told(page).locator("h3").inner_text() == "bn5b_branch2b_anp"
    page.get_by_label("Find a layer").fill("res5b_branch2a_a")
    for place, name in enumerate(("adj", "anp", "adj")):  # after the last, the first again
        page.keyboard.press("Enter")
        assert told(page).locator("h3").inner_text() == f"res5b_branch2a_{name}"
        assert page.locator("#found").inner_text().startswith(f"{place % 2 + 1} of 2 layers")
    assert page.get_by_label("Find a layer").evaluate("(field) => field.matches(':focus')")


@pytest.mark.parametrize("measure", ["parameters", "multiply_adds", "memory_bytes"])
def test_boxes_are_coloured_by_their_share_which_is_written_too(
    shown: Window, xs: Path, measure: str
) -> None:
    page = shown.open(xs)
    page.locator(f'input[value="{measure}"]').check()
    found = page.evaluate(COLOURS)
    assert max(found)[1] == 5
    assert sorted(found) == sorted(found, key=lambda pair: (pair[1], pair[0]))
    assert sum(share for share, _ in found) <= 100.5


def test_after_back_the_colours_are_those_that_are_chosen(shown: Window, xs: Path) -> None:
    page = shown.open(xs)
    page.get_by_label("memory").check()
    before = page.evaluate(COLOURS)
    away_and_back(page)
    assert page.get_by_label("memory").is_checked()
    assert page.evaluate(COLOURS) == before


def test_a_link_to_a_layer_tells_of_it_at_once(shown: Window, xs: Path) -> None:
    names = [layer["name"] for layer in counted(*XS)["layers"]]
    page = shown.open(xs, f"#layer-0-{names.index('fc_adj')}")
    assert told(page).locator("h3").inner_text() == "fc_adj"
    assert page.evaluate(IN_SIGHT) == ["#told", ".pointed"]
    told(page).get_by_role("button", name="loss_adj").click()
    assert told(page).locator("h3").inner_text() == "loss_adj"
    page.evaluate("() => scrollTo(0, document.body.scrollHeight)")
    page.get_by_role("link", name="res5b_branch2a_anp", exact=True).last.click()
    told(page).get_by_role("heading", name="res5b_branch2a_anp", exact=True).wait_for()
    assert page.evaluate(IN_SIGHT) == ["#told", ".pointed"]
    assert page.locator(".row:focus").get_attribute("aria-label") == (
        "res5b_branch2a_anp, Convolution"
    )


@pytest.mark.parametrize(("width", "height"), [(360, 700), (800, 900)])
def test_what_is_told_never_covers_what_has_the_focus(
    browser: Browser, xs: Path, width: int, height: int
) -> None:
    with window(browser, viewport={"width": width, "height": height}) as narrow:
        page = narrow.open(xs)
        empty = told(page).bounding_box()
        assert empty is not None
        assert empty["height"] == 0
        page.locator("#view").focus()
        stops = page.locator("#drawing [tabindex]").count()
        for _ in range(stops):
            page.keyboard.press("Tab")
            assert page.evaluate(COVERED) == 0
        page.keyboard.press("Escape")
        assert told(page).bounding_box() == {**empty, "y": pytest.approx(height, abs=height)}
        assert not page.locator(".pointed").count()


def test_fit_shows_the_whole_picture_and_enlarges_none(
    shown: Window, xs: Path, inception: Path, tmp_path: Path
) -> None:
    small = made(tmp_path / "small.html", "network", "--net", inception, "--modules")
    for file, largest in ((xs, 0.999), (small, 1)):
        page = shown.open(file)
        page.get_by_role("button", name="Larger").click()
        page.get_by_role("button", name="Fit").click()
        scale, *rest = page.evaluate(FITTED)
        assert 0.3 < scale <= largest
        assert max(rest) <= 0


def test_beside_each_other_what_differs_is_marked_and_told(shown: Window, both: Path) -> None:
    page = shown.open(both)
    marked = page.locator(".box.differs").count()
    assert marked == page.locator(".mark").count() == 6  # res5b of three tasks, in both
    assert page.get_by_text("differs from the other network").is_visible()
    box(page, "res5b_branch2a_noun").focus()
    assert "reads only in the second: cross5b_adj_noun, cross5b_anp_noun" in told(page).inner_text()
    rows = page.locator("#differences tbody tr").all_inner_texts()
    assert len(rows) == 9
    assert sum("a Scale, only in the second" in row for row in rows) == 6


def test_a_page_is_read_without_javascript(browser: Browser, xs: Path) -> None:
    with window(browser, java_script_enabled=False) as plain:
        page = plain.open(xs)
        assert page.locator("table.layers tbody tr").count() == len(counted(*XS)["layers"])
        assert page.locator("#crossing tbody tr").count() == 6
        assert page.locator("svg .head").count() > 10
        assert not page.locator(".needs-program:visible").count()


def test_a_page_is_printed_in_ink_on_paper_without_its_tools(browser: Browser, both: Path) -> None:
    sheet = {"width": 794, "height": 1123}  # A4
    with window(browser, color_scheme="dark", viewport=sheet) as dark:
        page = dark.open(both)
        page.emulate_media(media="print")
        (legend,) = page.locator(".needs-program:visible").all_inner_texts()
        assert "differs from the other network" in legend
        picture = page.locator("#drawing").bounding_box()
        assert picture is not None
        assert picture["y"] + picture["height"] <= sheet["height"]  # so it is on the first one
        assert page.evaluate("() => getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_a_page_fits_any_width(browser: Browser, both: Path, width: int) -> None:
    with window(browser, viewport={"width": width, "height": 700}) as narrow:
        page = narrow.open(both)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(browser: Browser, both: Path, scheme: str) -> None:
    with window(browser, color_scheme=scheme) as accessible:
        page = accessible.open(both)
        box(page, "res5b_branch2a_noun").click()
        assert serious_findings(page) == []


def test_the_page_may_ask_nobody_for_anything(shown: Window, xs: Path) -> None:
    page = shown.open(xs)
    assert page.evaluate(REFUSED) == "connect-src"
    shown.wrong.clear()  # chromium tells of what it refused


def test_hostile_names_are_text(shown: Window, tmp_path: Path) -> None:
    layers = ['layer { name: "data" type: "Input" top: "b0" input_param { shape { dim: 1 } } }']
    for number, name in enumerate(HOSTILE):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        layers.append(
            f'layer {{ name: "{quoted}" type: "ReLU" bottom: "b{number}" top: "b{number + 1}" }}'
        )
    net = tmp_path / "net.prototxt"
    net.write_text('name: "</title><script>alert(2)</script>"\n' + "\n".join(layers))
    page = shown.open(made(tmp_path / "page.html", "network", "--net", net))
    assert page.title() == "</title><script>alert(2)</script>"
    found = page.evaluate(TOLD)
    assert set(found) == {"data", *HOSTILE}
    rows = page.locator("table.layers tbody th").all_text_contents()
    assert rows == ["data", *HOSTILE]
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1400
