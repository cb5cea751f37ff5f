"""Figure 5 on the page of results: each weight with its channel, under pointer and keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace
from support.browser import Window, serious_findings, window
from support.build_command import refused
from support.pages import data_of, made
from support.results import result_of, scored

from netgen.caffe.caffemodel import Weights, to_caffemodel
from netgen.evaluation.results import FileUsed, write_result
from netgen.system.files import digest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHANNELS = 2048
CONNECTIONS = ("noun_adj", "noun_anp", "adj_noun", "adj_anp", "anp_noun", "anp_adj")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A caffemodel with cross weights, and the result of testing them."""
    rng = np.random.default_rng(5)
    layers = [
        Weights(f"cross{block}_{name}", "Scale", (rng.normal(0.5, 0.4, CHANNELS).astype("f4"),))
        for block in ("5b", "5c")
        for name in CONNECTIONS
    ]
    file = tmp_path / "xs.caffemodel"
    file.write_bytes(to_caffemodel("xs", layers))
    result = result_of(scored(1, 2), "xs")
    tested = FileUsed(file.as_posix(), digest(file))
    write_result(replace(result, weights=tested), tmp_path / "results/xs.json")
    return file


def page_of(weights: Path) -> Path:
    folder = weights.parent
    return made(folder / "page.html", "results", folder / "results", "--weights", weights)


def test_every_cross_weight_is_there_with_its_channel_sorted(weights: Path) -> None:
    from netgen.caffe.caffemodel import read_weights

    blobs = {layer.name: layer.blobs[0] for layer in read_weights(weights)}
    charts = data_of(page_of(weights))["charts"]
    assert len(charts) == 2
    for chart, block in zip(charts, ("5b", "5c"), strict=True):
        named = [line["label"] for line in chart["lines"]]
        assert named == [name.replace("_", "-") for name in CONNECTIONS]
        for line, name in zip(chart["lines"], CONNECTIONS, strict=True):
            learned = blobs[f"cross{block}_{name}"]
            places, values, channels = zip(*line["points"], strict=True)
            assert places == tuple(range(CHANNELS))
            assert np.array(values, np.float32).tolist() == learned[list(channels)].tolist()
            assert list(values) == sorted(values, reverse=True)
            assert sorted(channels) == list(range(CHANNELS))


def test_the_channel_is_told_under_pointer_and_keyboard(shown: Window, weights: Path) -> None:
    file = page_of(weights)
    line = data_of(file)["charts"][1]["lines"][0]
    page = shown.open(file)
    chart = page.locator("#chart-weights-0-1")
    assert chart.locator("h3").inner_text() == "xs: res5c, cross-residual layer 2"
    chart.locator(".plot").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    _, value, channel = line["points"][1]
    told = chart.locator(".readout").inner_text()
    assert told.startswith(f"Place 1: noun-adj {float(f'{value:.6g}'):g} (channel {channel:,});")
    assert told.count("(channel ") == len(CONNECTIONS)
    chart.locator(".plot").hover(position={"x": 300, "y": 50})
    assert not chart.locator(".readout").inner_text().startswith("Place 1:")
    chart.get_by_label("adj-noun").uncheck()
    assert "adj-noun" not in chart.locator(".readout").inner_text()


def test_a_table_tells_of_each_connection_without_javascript(
    browser: Browser, weights: Path
) -> None:
    from netgen.figures.cross_weights import cross_weights

    learned = cross_weights(weights)["5b"]["noun-adj"]
    with window(browser, java_script_enabled=False) as plain:
        page = plain.open(page_of(weights))
        page.get_by_text("Its weights in numbers").first.click()
        cells = page.get_by_role("row", name="noun-adj").locator("td").all_inner_texts()
        assert float(cells[0]) == pytest.approx(learned[-1], abs=1e-4)
        assert float(cells[1]) == pytest.approx(np.median(learned), abs=1e-4)
        assert float(cells[2]) == pytest.approx(learned[0], abs=1e-4)
        assert float(cells[3]) == pytest.approx(100 * (learned < 0).mean(), abs=0.01)


def test_weights_of_another_network_are_one_message(weights: Path) -> None:
    words = ("page", "results", weights.parent / "results", "--out", weights.parent / "page.html")
    other = weights.with_name("other.caffemodel")
    blob = np.linspace(-1, 1, 5)
    other.write_bytes(to_caffemodel("other", [Weights("cross5b_a_b", "Scale", (blob,))]))
    message = refused(1, *words, "--weights", other)
    assert f"{other}: none of the results is of these weights (xs: {weights})" in message
    assert "netgen eval --weights" in message
    other.write_bytes(to_caffemodel("other", [Weights("conv1", "Convolution", (blob,))]))
    assert "only X_S learns cross weights" in refused(1, *words, "--weights", other)
    other.write_bytes(b"no caffemodel")
    assert f"{other}" in refused(1, *words, "--weights", other)
    assert not (weights.parent / "page.html").exists()


def test_the_same_weights_give_the_same_bytes(weights: Path) -> None:
    first, second = (page_of(weights).read_bytes() for _ in range(2))
    assert first == second
    assert len(first) < 1_500_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_of_figure_5(browser: Browser, weights: Path, scheme: str) -> None:
    with window(browser, color_scheme=scheme, viewport={"width": 360, "height": 700}) as narrow:
        page = narrow.open(page_of(weights))
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        assert serious_findings(page) == []
