"""Figure 4 shows what the architecture has, legibly; its file is written whole or not at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from html import unescape
from itertools import combinations, groupby, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox
from msgspec.structs import replace
from support.paths import ROOT

from netgen.commands.cli import main
from netgen.figures.drawing import draw_picture, picture_figure
from netgen.figures.layout import network_picture
from netgen.figures.shapes import Box, Edges, Label, Picture, Wire, WireKind
from netgen.figures.style import TASK_COLORS
from netgen.network.dataset import MTVSO, RESERVED_NAMES, Dataset, Images, Task, split_in
from netgen.network.options import (
    EXTENSIONS,
    READINGS,
    Branch,
    BranchStage,
    Choice,
    Crossed,
    SelfWeight,
)
from netgen.network.residual import RESNET50, Backbone, ResidualNetwork, Stem, network
from netgen.network.variants import find, go_beyond, read_as, variants

FIGURE_4 = ("x0", "xs", "resnet50-noun", "resnet50-adj", "resnet50-anp")
SMALL = Backbone(width=16, blocks=(1, 2, 1, 3), stem=Stem.SMALL)

names = st.lists(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True).filter(
        lambda name: name not in RESERVED_NAMES
    ),
    min_size=1,
    max_size=6,
    unique=True,
)
backbones = st.builds(
    Backbone,
    width=st.sampled_from([8, 64, 256]),
    blocks=st.tuples(*[st.integers(1, 4)] * 3, st.integers(2, 4)),
    stem=st.sampled_from(Stem),
)
sides = st.integers(33, 320)


def dataset(tasks: list[str], height: int = 224, width: int = 224) -> Dataset:
    return replace(
        MTVSO,
        images=Images(3, height, width, (0.0, 0.0, 0.0)),
        tasks=tuple(Task(name, 11 * number) for number, name in enumerate(tasks, start=1)),
        train=split_in("train", tasks, 10),
        test=split_in("test", tasks, 10),
    )


def networks(data: Dataset, backbone: Backbone = RESNET50) -> list[ResidualNetwork]:
    """Every network there is for a dataset, those of one task last."""
    known = sorted(
        (of for of in variants([task.name for task in data.tasks]).values() if of.row.is_residual),
        key=lambda variant: variant.row.branch is Branch.NEVER,
    )
    return [network(variant, data, backbone) for variant in known]


# What goes beyond the paper and changes the picture: fields of a row, of those that it has.
BEYOND: list[dict[str, Choice]] = [
    {"branch": BranchStage.AFTER_RES4A},
    {"branch": BranchStage.AFTER_RES4A, "crossed": Crossed.ALL_BLOCKS},
    {"branch": BranchStage.AFTER_RES4A, "crossed": Crossed.FIRST_BLOCK},
    {"self-weight": SelfWeight.LEARNED},
    {"branch": BranchStage.AFTER_RES4A, "self-weight": SelfWeight.LEARNED},
]


def beyond(name: str, choices: dict[str, Choice], backbone: Backbone) -> ResidualNetwork:
    """A network of three tasks that goes beyond the paper."""
    variant = find(name, ["a", "b", "c"])
    for field, choice in choices.items():
        if variant.row.has(EXTENSIONS[field].needs):
            variant = go_beyond(variant, field, choice.slug)
    return network(variant, dataset(["a", "b", "c"]), backbone)


def wires(drawn: Picture, *lines: WireKind) -> list[Wire]:
    return [w for w in drawn.elements if isinstance(w, Wire) and w.line in lines and w.count]


def boxes(drawn: Picture) -> list[Box]:
    return [box for box in drawn.elements if isinstance(box, Box)]


def labels(drawn: Picture) -> list[Label]:
    return [label for label in drawn.elements if isinstance(label, Label)]


def convolutions(net: ResidualNetwork) -> set[tuple[str, ...]]:
    """The texts of its boxes of convolutions."""
    return {box.lines for box in boxes(network_picture([net])) if "×" in box.lines[0]}


def framed(drawn: Picture) -> list[Box | Label]:
    return [*boxes(drawn), *labels(drawn)]


def overlap(one: Edges, other: Edges) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["figure", "architecture", *map(str, arguments)])


@pytest.fixture(scope="module")
def figure_4() -> Picture:
    tasks = [task.name for task in MTVSO.tasks]
    return network_picture([network(find(name, tasks), MTVSO) for name in FIGURE_4])


@pytest.mark.parametrize("tasks", [2, 3, 4, 5])
@pytest.mark.parametrize("backbone", [RESNET50, SMALL], ids=["resnet50", "small"])
def test_every_connection_of_the_networks_is_drawn_once(tasks: int, backbone: Backbone) -> None:
    for net in networks(dataset([f"task{i}" for i in range(tasks)]), backbone):
        drawn, blocks = network_picture([net]), [*net.trunk, *net.towers]
        projections = sum(block.projection is not None for block in blocks)
        crossing = sum(len(block.addends) - 2 for block in blocks)
        weighted = sum(len(block.cross) for block in blocks)

        assert sum(w.count for w in wires(drawn, WireKind.PROJECTION)) == projections
        assert sum(w.count for w in wires(drawn, WireKind.IDENTITY)) == len(blocks) - projections
        assert len(wires(drawn, WireKind.CROSS)) == weighted
        assert len(wires(drawn, WireKind.CROSS, WireKind.CROSS_IDENTITY)) == crossing


@pytest.mark.parametrize("name", ["x0", "x1", "xs"])
@pytest.mark.parametrize("backbone", [RESNET50, SMALL], ids=["resnet50", "small"])
def test_every_connection_beyond_the_paper_is_drawn_once(name: str, backbone: Backbone) -> None:
    for choices in BEYOND:
        net = beyond(name, choices, backbone)
        drawn, blocks = network_picture([net]), [*net.trunk, *net.towers]
        crossed = [block for block in net.towers if len(block.addends) > 2]
        projected = [block for block in crossed if block.projection]
        crossing = sum(len(block.addends) - 2 for block in crossed)
        own = sum(block.self_weight is not None for block in blocks)

        lines = (WireKind.CROSS, WireKind.CROSS_IDENTITY, WireKind.CROSS_PROJECTION)
        assert len(wires(drawn, *lines)) == crossing
        assert len(wires(drawn, WireKind.CROSS_PROJECTION)) == 2 * len(projected)
        assert sum(w.count for w in wires(drawn, WireKind.WEIGHTED)) == own
        shortcuts = wires(drawn, WireKind.WEIGHTED, WireKind.IDENTITY, WireKind.PROJECTION)
        assert sum(w.count for w in shortcuts) == len(blocks)
        assert not [
            pair for pair in combinations(framed(drawn), 2) if overlap(*(e.edges for e in pair))
        ]
        if own:
            assert WireKind.WEIGHTED.value in {label.text for label in labels(drawn)}


@pytest.mark.parametrize("tasks", [2, 3, 4, 5])
def test_each_cross_connection_leaves_its_source_and_ends_at_its_target(tasks: int) -> None:
    data = dataset([f"task{i}" for i in range(tasks)])
    drawn = network_picture([network(find("xs", [task.name for task in data.tasks]), data)])
    columns = {label.text: label.x for label in labels(drawn) if label.task}
    crossing = wires(drawn, WireKind.CROSS)

    pairs = Counter((wire.source, wire.target) for wire in crossing)
    assert pairs == {(j, t): 2 for j in columns for t in columns if j != t}  # res5b and res5c
    for wire in crossing:
        assert wire.points[0][0] == columns[str(wire.source)]
        assert abs(wire.points[-1][0] - columns[str(wire.target)]) < 10


VALUES = [(name, value.slug) for name, option in READINGS.items() for value in option.values]


@pytest.mark.parametrize(("field", "value"), VALUES)
def test_every_reading_can_be_drawn(field: str, value: str) -> None:
    tasks = [task.name for task in MTVSO.tasks]
    other = network(read_as(find("xs", tasks), field, value), MTVSO)
    own = network_picture([other])
    assert len(wires(own, WireKind.CROSS)) == sum(len(b.addends) - 2 for b in other.towers)
    assert sum(box.lines[0].endswith("ReLU") for box in boxes(own)) == len(other.branching)
    kind = WireKind.PROJECTION_RELU if value == "yes" and "relu" in field else WireKind.PROJECTION
    projected = [block for block in (*other.trunk, *other.towers) if block.projection]
    assert sum(wire.count for wire in wires(own, kind)) == len(projected)
    assert kind.value in {label.text for label in labels(own)}


@pytest.mark.parametrize(("field", "value"), VALUES)
def test_a_reading_is_drawn_beside_ours_unless_its_boxes_differ(field: str, value: str) -> None:
    ours = find("xs", [task.name for task in MTVSO.tasks])
    both = [network(row, MTVSO) for row in (ours, read_as(ours, field, value))]
    if convolutions(both[0]) != convolutions(both[1]):
        with pytest.raises(ValueError, match="draw the others in a picture of their own"):
            network_picture(both)
        return
    crossed = sum(len(wires(network_picture([net]), WireKind.CROSS)) for net in both)
    assert len(wires(network_picture(both), WireKind.CROSS)) == crossed


@settings(deadline=None, max_examples=40)
@given(tasks=names, backbone=backbones, height=sides, width=sides)
def test_no_boxes_or_labels_overlap_or_leave_the_picture(
    tasks: list[str], backbone: Backbone, height: int, width: int
) -> None:
    drawn = network_picture(networks(dataset(tasks, height, width), backbone))
    edges = [element.edges for element in framed(drawn)]

    assert not [pair for pair in combinations(edges, 2) if overlap(*pair)]
    for left, top, right, bottom in edges:
        assert 0 <= left < right <= drawn.width
        assert 0 <= top < bottom <= drawn.height


@settings(deadline=None, max_examples=20)
@given(tasks=names, backbone=backbones)
def test_no_connection_runs_through_a_box_or_a_label(tasks: list[str], backbone: Backbone) -> None:
    drawn = network_picture(networks(dataset(tasks), backbone))
    segments = np.array(
        [pair for wire in wires(drawn, *WireKind) for pair in pairwise(wire.points)]
    )
    shares = np.linspace(0, 1, 21).reshape(-1, 1, 1)
    x, y = np.moveaxis(segments[:, 0] + shares * (segments[:, 1] - segments[:, 0]), -1, 0)
    for left, top, right, bottom in (element.edges for element in framed(drawn)):
        within = (left + 0.1 < x) & (x < right - 0.1) & (top + 0.1 < y) & (y < bottom - 0.1)
        assert not within.any()


@settings(deadline=None, max_examples=20)
@given(tasks=names, backbone=backbones)
def test_the_text_of_a_box_fits_into_it(tasks: list[str], backbone: Backbone) -> None:
    for box in boxes(network_picture(networks(dataset(tasks), backbone))):
        assert all(Label(box.x, box.y, line).width <= box.width - 6 for line in box.lines)


def test_text_is_as_large_on_paper_as_in_the_layout(figure_4: Picture) -> None:
    figure = picture_figure(figure_4)
    FigureCanvasAgg(figure)  # gives the figure what measures text
    extents = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]

    assert len(extents) == len(labels(figure_4)) + sum(
        bool(line) for box in boxes(figure_4) for line in box.lines
    )
    assert not [pair for pair in combinations(extents, 2) if Bbox.intersection(*pair)]


def test_rows_are_the_same_in_every_panel(figure_4: Picture) -> None:
    """A place of the backbone is as high in one column as in the next."""
    heads = sorted(box.y for box in boxes(figure_4) if box.lines[0] == "avg pool")
    assert len(heads) == 9
    assert len(set(heads)) == 1
    res5c = {box.y for box in boxes(figure_4) if box.lines[-1] == "1×1, 2048"}
    assert len(res5c) == 3


def test_every_task_has_a_colour_of_its_own(figure_4: Picture) -> None:
    assert figure_4.tasks == tuple(task.name for task in MTVSO.tasks)
    assert len(set(TASK_COLORS)) == len(TASK_COLORS) >= 5


def test_networks_of_different_backbones_are_no_picture() -> None:
    nets = [network(find("x0", ["a", "b"]), dataset(["a", "b"]), b) for b in (RESNET50, SMALL)]
    for wrong in (nets, []):
        with pytest.raises(ValueError, match="networks of one backbone"):
            network_picture(wrong)


def test_networks_that_branch_at_different_stages_are_no_picture() -> None:
    nets = [network(find("x0", ["a", "b", "c"]), dataset(["a", "b", "c"]))]
    nets.append(beyond("x0", {"branch": BranchStage.AFTER_RES4A}, RESNET50))
    with pytest.raises(ValueError, match="draw the others in a picture of their own"):
        network_picture(nets)


def svg_texts(file: Path) -> list[str]:
    """Texts as in the file; mathematics is a letter a piece there, and read as one word."""
    found = re.findall(r"<text[^>]*>(.*?)</text>", file.read_text(encoding="utf-8"), re.DOTALL)
    return ["".join(unescape(re.sub(r"<[^>]*>", "", text)).split("\n")).strip() for text in found]


def test_the_svg_says_every_task_its_classes_and_output_sizes(tmp_path: Path) -> None:
    tasks = ["color", "material", "season", "brand", "price-segment"]
    draw_picture(network_picture(networks(dataset(tasks))), tmp_path / "five.svg")
    texts = Counter(svg_texts(tmp_path / "five.svg"))
    for number, task in enumerate(tasks, start=1):
        assert texts[task] == texts[f"{11 * number}-d fc"] == 4  # x0, x1, xs and its own network
    assert all(texts[f"{side} × {side}"] == 1 for side in (224, 112, 56, 28, 14, 7, 1))


def test_the_picture_in_docs_is_of_the_networks_of_today(tmp_path: Path) -> None:
    """Texts and size are compared: lines may differ from one matplotlib to the next."""
    assert run("--out", tmp_path / "figure4.svg").exit_code == 0
    assert run("--out", tmp_path / "figure4.png").exit_code == 0
    renew = "renew it: netgen figure architecture --out docs/figure4.png; and tests/figure4.txt"
    expected = (ROOT / "tests/figure4.txt").read_text(encoding="utf-8").splitlines()
    assert svg_texts(tmp_path / "figure4.svg") == expected, renew
    committed, drawn = (cv2.imread(str(file / "figure4.png")) for file in (ROOT / "docs", tmp_path))
    assert committed is not None
    assert drawn is not None
    assert committed.shape == drawn.shape, renew


def test_the_png_opens_and_shows_every_colour(tmp_path: Path, figure_4: Picture) -> None:
    draw_picture(figure_4, tmp_path / "figure4.png")
    image = cv2.imread(str(tmp_path / "figure4.png"))
    assert image is not None
    assert abs(image.shape[1] - 2 * figure_4.width) <= 1
    assert (image[0, 0] == 255).all()
    for color in TASK_COLORS[:3]:
        bgr = np.array([*bytes.fromhex(color[1:])][::-1])
        assert np.count_nonzero(cv2.inRange(image, bgr - 8, bgr + 8)) > 1000


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from netgen.commands import figure\n"
        "for out in sys.argv[1:]: CliRunner().invoke(figure.command,\n"
        "    ['architecture', '--variant', 'xs', '--out', out], catch_exceptions=False)"
    )
    suffixes = ("png", "svg", "pdf")
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, *(f"{seed}.{suffix}" for suffix in suffixes)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
    for suffix in suffixes:
        one, two = ((tmp_path / f"{seed}.{suffix}").read_bytes() for seed in ("1", "2"))
        assert one == two
        assert os.fspath(tmp_path).encode() not in one


def test_variants_are_drawn_in_the_order_given(tmp_path: Path) -> None:
    file = tmp_path / "two.svg"
    result = run("--variant", "resnet50-anp", "--variant", "x1", "--out", file)
    assert result.exit_code == 0
    assert result.output.strip() == file.as_posix()
    titles = [text for text in svg_texts(file) if "task" in text and text != "shared by the tasks"]
    assert titles == ["single-task", "multitask, cross-residual (identity)"]


def assert_one_message(result: Result, code: int, *parts: str) -> None:
    assert result.exit_code == code
    assert [key for key, _ in groupby(result.output.split()) if key == "Error:"] == ["Error:"]
    assert "Traceback" not in result.output
    for part in parts:
        assert part in " ".join(result.output.split())


@pytest.mark.parametrize("name", ["figure4.gif", "figure4", "figure4.prototxt"])
def test_another_suffix_is_refused_with_those_accepted(name: str, tmp_path: Path) -> None:
    result = run("--out", tmp_path / name)
    assert_one_message(result, 2, "--out", name, ".png, .svg or .pdf")
    assert not list(tmp_path.iterdir())


def test_an_unknown_variant_is_refused_with_those_known(tmp_path: Path) -> None:
    result = run("--variant", "x2", "--out", tmp_path / "a.png")
    assert_one_message(result, 2, "--variant", "'x2'", "resnet50-noun, ")


def test_a_file_where_a_folder_is_needed_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "docs").write_text("a file")
    result = run("--variant", "x0", "--out", tmp_path / "docs" / "a.svg")
    assert_one_message(result, 1, str(tmp_path / "docs"))


def test_help_does_not_wait_for_matplotlib() -> None:
    code = (
        "import sys; from netgen.commands import figure;"
        "from click.testing import CliRunner; CliRunner().invoke(figure.command, ['--help']);"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_network_that_is_not_residual_is_refused(tmp_path: Path) -> None:
    result = run("--variant", "vgg16-noun", "--out", tmp_path / "figure.png")
    assert result.exit_code == 2
    assert "vgg16-noun is not a residual network: only those can be drawn by block" in (
        result.output
    )
    assert not (tmp_path / "figure.png").exists()
