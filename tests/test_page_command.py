"""`netgen page network` from outside: the file that it makes, and what it says of bad input."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from support.build_command import NARROW, refused
from support.pages import counted, data_of, made, printed, without_memory
from support.paths import ROOT, TESTS, ZOO
from support.prototxt import image

# One of each kind: residual, plain, with branches, with heads that only train, any type of layer.
NETWORKS = [
    *(ROOT / f"models/{name}/train_val.prototxt" for name in ("inception-v1-adj", "vgg16-adj")),
    *(ROOT / f"models/{name}/deploy.prototxt" for name in ("deepsentibank", "resnet50-anp")),
    ROOT / "models/x1/train_val.prototxt",
    ZOO,
]
BAD_INPUT = TESTS / "bad_input" / "count"


def page_of(tmp_path: Path, *words: object) -> Path:
    return made(tmp_path / "page.html", "network", *words)


def edges(box: dict[str, Any]) -> tuple[float, float, float, float]:
    half, high = box["width"] / 2, box["height"] / 2
    return box["x"] - half, box["y"] - high, box["x"] + half, box["y"] + high


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    left, top, right, bottom = edges(one)
    left_2, top_2, right_2, bottom_2 = edges(other)
    return left < right_2 and left_2 < right and top < bottom_2 and top_2 < bottom


@pytest.mark.parametrize("net", NETWORKS, ids=lambda net: "-".join(net.parts[-2:]))
def test_every_layer_of_any_network_is_in_the_picture_once(tmp_path: Path, net: Path) -> None:
    data = data_of(page_of(tmp_path, "--net", net))
    (network,) = data["networks"]
    held = [layer for each in data["elements"] for layer in each.get("layers", ())]
    assert sorted(held) == list(range(len(network["layers"])))
    boxes = [each for each in data["elements"] if each["kind"] == "box"]
    assert boxes
    assert not [pair for pair in itertools.combinations(boxes, 2) if overlap(*pair)]


@pytest.mark.parametrize("words", [("--variant", "xs"), ("--net", ZOO), ("--net", NETWORKS[0])])
def test_every_value_is_one_of_netgen_count(tmp_path: Path, words: tuple[object, ...]) -> None:
    (shown,) = data_of(page_of(tmp_path, *words))["networks"]
    wanted = counted(*words[words[0] == "--net" :])
    layers = shown.pop("layers")
    assert [without_memory(layer) for layer in layers] == wanted.pop("layers")
    assert {name: value for name, value in shown.items() if name != "title"} == wanted
    for layer in layers:
        assert layer["memory_bytes"] == layer["activation_bytes"] + layer["buffer_bytes"]


def test_a_layers_prototxt_is_the_files(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(image(1, 3, 9, 9) + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }')
    (shown,) = data_of(page_of(tmp_path, "--net", net))["networks"]
    wanted = 'layer {\n  name: "r"\n  type: "ReLU"\n  bottom: "data"\n  top: "r"\n}'
    assert shown["layers"][-1]["prototxt"] == wanted


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (page_of(tmp_path, "--net", ZOO).read_bytes() for _ in range(2))
    assert first == second


def test_a_page_of_xs_is_small(tmp_path: Path) -> None:
    assert page_of(tmp_path, "--variant", "xs").stat().st_size < 1_500_000


@pytest.mark.parametrize(
    ("variant", "kind"), [("x0", "deploy"), ("xs", "train_val"), ("resnet50-adj", "train_val")]
)
def test_a_file_of_a_residual_network_is_drawn_as_the_network(
    tmp_path: Path, variant: str, kind: str
) -> None:
    drawn, built = (
        [{**each, "layers": 0} for each in data_of(page_of(tmp_path, *words))["elements"]]
        for words in (
            ("--net", ROOT / f"models/{variant}/{kind}.prototxt"),
            ("--variant", variant),
        )
    )
    assert drawn == built


def test_a_network_of_ones_own_is_recognised_too(tmp_path: Path) -> None:
    printed("build", "--variant", "xs", *NARROW, "--stem", "small", "--out", tmp_path)
    page = page_of(tmp_path, "--net", tmp_path / "models/xs/train_val.prototxt")
    assert any(each["kind"] == "sum" for each in data_of(page)["elements"])


def test_a_file_with_one_wire_laid_otherwise_is_not_drawn_as_the_network(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    text = (ROOT / "models/xs/deploy.prototxt").read_text()
    changed, count = re.subn(r'bottom: "cross5b_adj_noun"', 'bottom: "cross5b_anp_noun"', text)
    assert count == 1
    net.write_text(changed)
    elements = data_of(page_of(tmp_path, "--net", net))["elements"]
    assert not any(each["kind"] == "sum" for each in elements)


def test_networks_side_by_side_are_compared_by_what_they_compute(tmp_path: Path) -> None:
    data = data_of(page_of(tmp_path, "--variant", "x0", "--against", "xs"))
    names = [[layer["name"] for layer in network["layers"]] for network in data["networks"]]
    differ = [{names[n][int(layer)] for layer in data["differs"][n]} for n in (0, 1)]
    sums = {f"res5{block}_{task}" for block in "bc" for task in ("noun", "adj", "anp")}
    assert differ[0] == sums
    assert differ[1] == sums | {name for name in names[1] if name.startswith("cross")}


def test_a_network_differs_in_nothing_from_itself(tmp_path: Path) -> None:
    file = ROOT / "models/xs/train_val.prototxt"
    page = page_of(tmp_path, "--variant", "xs", "--against", file)
    assert data_of(page)["differs"] == [{}, {}]
    assert "No difference</h2>" in page.read_text()
    title = page.read_text().partition("<title>")[2].partition("</title>")[0]
    assert len(title.split(" beside ")) == 2


def convolutions(file: Path, *layers: tuple[str, int]) -> Path:
    """Write a chain of convolutions: each a name, which others may have too, and its kernel."""
    text, before = image(1, 3, 9, 9), "data"
    for number, (name, kernel) in enumerate(layers):
        text += (
            f'layer {{ name: "{name}" type: "Convolution" bottom: "{before}" top: "b{number}"'
            f" convolution_param {{ num_output: 2 kernel_size: {kernel} }} }}\n"
        )
        before = f"b{number}"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("names", "changed"), [(("a", "a", "a (2)"), {1, 2}), (("a", "a", "b"), {1})]
)
def test_layers_that_share_a_name_are_told_apart(
    tmp_path: Path, names: tuple[str, ...], changed: set[int]
) -> None:
    first = convolutions(tmp_path / "1.prototxt", *((name, 1) for name in names))
    second = convolutions(
        tmp_path / "2.prototxt", *((name, 1 + 2 * (n in changed)) for n, name in enumerate(names))
    )
    page = page_of(tmp_path, "--net", first, "--against", second)
    data = data_of(page)
    assert [{int(layer) - 1 for layer in found} for found in data["differs"]] == [changed] * 2
    boxes = [each for each in data["elements"] if each["kind"] == "box" and not each["network"]]
    assert sorted(tuple(box["layers"]) for box in boxes) == [(n,) for n in range(4)]
    rows = page.read_text().partition('id="differences"')[2].partition("</section>")[0]
    links = re.findall(r'<a href="#layer-0-(\d)"><bdi>([^<]*)', rows)
    assert {int(number) - 1 for number, _ in links} == changed
    assert len(dict(links)) == len({name for _, name in links})


def test_cross_weights_tell_what_their_memory_lacks_and_what_a_network_takes_more(
    tmp_path: Path,
) -> None:
    page = page_of(tmp_path, "--variant", "x0", "--against", "xs")
    text = page.read_text().partition('id="crossing"')[2].partition("</section>")[0]
    x0, xs = (network["memory_bytes"] for network in data_of(page)["networks"])
    assert f"xs</bdi> takes <b>{xs - x0:,}</b> bytes more memory than <bdi>x0</bdi>" in text
    assert "its output and buffers, without gradients, bytes</th>" in text


def test_a_network_that_is_too_large_is_drawn_by_modules_if_that_suffices(tmp_path: Path) -> None:
    many = [(f"m{number // 100}/{number}", 1) for number in range(2_001)]
    net = convolutions(tmp_path / "net.prototxt", *many)
    words = ("page", "network", "--net", net, "--out", tmp_path / "page.html")
    said = refused(1, *words)
    assert "2,002 boxes are more than can be drawn (2,000): give --modules, with which" in said
    alone = convolutions(tmp_path / "net.prototxt", *((name[1:], 1) for name, _ in many))
    alone.write_text(alone.read_text().replace("/", "-"))
    assert "--modules" not in refused(1, *words)


def test_networks_of_two_kinds_stand_side_by_side(tmp_path: Path) -> None:
    file = ROOT / "models/caffenet-noun/deploy.prototxt"
    data = data_of(page_of(tmp_path, "--net", file, "--against", ZOO))
    boxes = [each for each in data["elements"] if each["kind"] == "box"]
    ends = [[edges(box) for box in boxes if box["network"] == n] for n in (0, 1)]
    assert max(right for _, _, right, _ in ends[0]) < min(left for left, *_ in ends[1])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "give either --variant NAME (`netgen list`) or --net FILE"),
        (("--variant", "xs", "--net", ZOO), 2, "give either --variant NAME"),
        (("--variant", "x9"), 2, "unknown variant 'x9': choose from"),
        (("--net", "nothing.prototxt"), 1, "nothing.prototxt: No such file or directory"),
        (("--net", ZOO, "--width", "8"), 2, "options for building a network do not apply to"),
        (("--net", ZOO, "--against", "x9"), 2, "for --against: unknown variant 'x9'"),
        (("--net", ZOO, "--against", "no.prototxt"), 1, "no.prototxt: No such file or directory"),
        (("--net", BAD_INPUT / "a_jpeg.prototxt"), 1, "not text: give the network's prototxt"),
    ],
)
def test_bad_input_is_one_message_with_the_next_step(
    tmp_path: Path, words: tuple[object, ...], code: int, said: str
) -> None:
    assert said in refused(code, "page", "network", *words, "--out", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_modules_of_a_network_that_is_drawn_as_in_the_paper_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    message = refused(2, "page", "network", "--variant", "xs", "--modules", "--out", out)
    assert "--modules is for networks in layers" in message
    assert not out.exists()


def test_a_page_that_no_browser_would_open_is_refused() -> None:
    message = refused(2, "page", "network", "--variant", "xs", "--out", "page.txt")
    assert "'page.txt' must end in .html, so that a browser opens it" in message


def test_a_folder_that_does_not_exist_is_made_and_a_page_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "new/folder/page.html"
    made(file, "network", "--net", ZOO)
    file.write_text("old")
    made(file, "network", "--net", ZOO)
    assert file.read_text().startswith("<!DOCTYPE html>")
    assert [each.name for each in file.parent.iterdir()] == ["page.html"]
