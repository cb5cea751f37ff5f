r"""Names that come from outside: which are refused, with one line that shows them escaped."""

from __future__ import annotations

import codecs
import html
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from support.photographs import photograph, saved
from support.sources import write

from data_prep.class_folders import class_folders
from data_prep.class_lists import read_classes
from data_prep.csv_file import csv_file
from data_prep.listings import read_list
from netgen.caffe.schema import read_net, read_solver
from netgen.commands.cli import main
from netgen.evaluation.output_names import read_outputs
from netgen.figures.curves import RunCurves, curves_figure
from netgen.figures.style import as_drawn, chart_row, figure_bytes, set_titles
from netgen.network.dataset import Task, class_names, read_dataset
from netgen.system.text import REFUSED as REFUSED_SIGNS
from netgen.system.text import cell, from_cell
from netgen.training.journal import read_journal

NET = 'layer {{ name: "{name}" type: "Input" top: "data" }}'
SOLVER = 'net: "net.prototxt"'
TOML = 'name = "{name}"'
REFUSED = {  # a name, and as the message shows it
    "terminal escape": ("a\x1b[31mb", r"a\x1b[31mb"),
    "bell": ("a\x07b", r"a\x07b"),
    "C1 control sequence": ("a\x9bb", r"a\x9bb"),
    "override": ("a\u202eb", r"a\u202eb"),
    "isolate": ("a\u2066b", r"a\u2066b"),
    "byte order mark": ("a\ufeffb", r"a\ufeffb"),
}


def invoke(*words: str | Path) -> Result:
    """Run a command of netgen's."""
    return CliRunner().invoke(main, [str(word) for word in words])


def _folder(where: Path, name: str) -> None:
    for each in (name, "other"):
        write(where / "images" / each / "1.jpg")
    class_folders(where / "images")


def _csv(where: Path, name: str) -> None:
    file = where / "list.csv"
    file.write_text(f"path,animal\n1.jpg,{name}\n2.jpg,dog\n", encoding="utf-8")
    csv_file(file)


def _column(where: Path, name: str) -> None:
    file = where / "list.csv"
    file.write_text(f"path,{name}\n1.jpg,cat\n2.jpg,dog\n", encoding="utf-8")
    csv_file(file)


def _list(where: Path, name: str) -> None:
    (where / "classes.txt").write_text(f"cat\n{name}\n", encoding="utf-8")
    read_classes(where / "classes.txt")


def _classes_of_a_dataset(where: Path, name: str) -> None:
    (where / "classes.txt").write_text(f"cat\n{name}\n", encoding="utf-8")
    class_names(Task("animal", 2, str(where / "classes.txt")))


def _outputs(where: Path, name: str) -> None:
    (where / "outputs.json").write_text(json.dumps(["cat", name]), encoding="utf-8")
    read_outputs(where / "outputs.json")


def _prototxt(where: Path, name: str) -> None:
    (where / "net.prototxt").write_text(NET.format(name=name), encoding="utf-8")
    read_net(where / "net.prototxt")


def _toml(where: Path, name: str) -> None:
    written = name.encode("unicode_escape").decode().replace("\\x", "\\u00")
    (where / "dataset.toml").write_text(TOML.format(name=written), encoding="utf-8")
    read_dataset(where / "dataset.toml")


WAYS_IN = (_folder, _csv, _column, _list, _classes_of_a_dataset, _outputs, _prototxt, _toml)


@pytest.mark.parametrize("way_in", WAYS_IN)
@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)
def test_a_name_that_a_terminal_obeys_is_refused_where_it_comes_in(
    way_in: Callable[[Path, str], None], name: tuple[str, str], tmp_path: Path
) -> None:
    raw, shown = name
    with pytest.raises(ValueError, match="has characters that are not shown") as caught:
        way_in(tmp_path, raw)
    assert f"the name '{shown}'" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["$x_1$", r"\alpha", "a_b^c", "猫", "👩\u200d🔬", "naïve", "=1+1"])
@pytest.mark.parametrize("way_in", [_folder, _csv, _list, _classes_of_a_dataset, _outputs])
def test_other_names_are_taken_as_they_are(
    way_in: Callable[[Path, str], None], name: str, tmp_path: Path
) -> None:
    way_in(tmp_path, name)


def test_the_refusal_is_one_line_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rename it"):
        _folder(tmp_path, "a\x1bb")
    found = invoke("data", "folder", tmp_path / "images", "--out", tmp_path / "out")
    assert found.exit_code == 1
    assert found.stderr.count("\n") == 1
    assert r"'a\x1bb'" in found.stderr
    assert not (tmp_path / "out").exists()


# Byte order marks ---------------------------------------------------------------------------------


def with_mark(file: Path, text: str) -> Path:
    """Write a text as Windows' editors do."""
    file.write_bytes(codecs.BOM_UTF8 + text.encode())
    return file


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    file = with_mark(tmp_path / "names.txt", "cat\ndog\n")
    assert read_classes(file) == ("cat", "dog")
    assert class_names(Task("animal", 2, str(file))) == ["cat", "dog"]
    assert read_outputs(file) == ["cat", "dog"]
    assert read_outputs(with_mark(tmp_path / "names.json", '["cat"]')) == ["cat"]
    listed = with_mark(tmp_path / "list.csv", "path,animal\n1.jpg,cat\n2.jpg,dog\n")
    assert csv_file(listed).tasks == {"animal": ("cat", "dog")}


def test_a_byte_order_mark_is_no_part_of_a_text_that_caffe_reads(tmp_path: Path) -> None:
    net = read_net(with_mark(tmp_path / "net.prototxt", NET.format(name="data")))
    assert net.layer[0].name == "data"
    assert read_solver(with_mark(tmp_path / "solver.prototxt", SOLVER)).net == "net.prototxt"


def test_a_byte_order_mark_is_no_part_of_toml_and_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'images' is missing"):  # so it is TOML
        read_dataset(with_mark(tmp_path / "dataset.toml", TOML.format(name="d")))
    entry = {"event": "end", "iteration": 1, "why": "max_iter", "what": "", "seconds": 1.0}
    assert read_journal(with_mark(tmp_path / "log.jsonl", json.dumps(entry) + "\n")) == [entry]


# Spreadsheets -------------------------------------------------------------------------------------


@given(st.text() | st.text("'=+-@\t\r\n", max_size=4).map(lambda start: f"{start}cmd"))
def test_no_cell_is_a_formula_and_every_cell_can_be_read_back(text: str) -> None:
    written = cell(text)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert from_cell(written) == text


def test_a_dataset_of_names_that_spreadsheets_run_passes_its_verification(tmp_path: Path) -> None:
    names = ("=1+1", "@cat", "-2", "'=dog")
    for place, name in enumerate(names):
        for number in range(5):
            image = saved(photograph(5 * place + number))
            write(tmp_path / "images" / name / f"={number}.jpg", image)
    made = invoke("data", "folder", tmp_path / "images", "--out", tmp_path / "out")
    assert made.exit_code == 0, made.output
    text = (tmp_path / "out/records.csv").read_text(encoding="utf-8")
    assert '"\'=1+1"' in text
    assert '"=' not in text
    assert {row["class:class"] for row in read_list(tmp_path / "out/records.csv")} == set(names)
    verified = invoke("data", "verify", tmp_path / "out")
    assert verified.exit_code == 0, verified.output


@settings(deadline=None, max_examples=40)
@given(names=st.lists(
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1,
            max_size=20)
    | st.sampled_from([".hidden", "CON", " ", "a ", "~", "#x", '"', "a,b", "{x}", "%s", "-o"]),
    min_size=2, max_size=3, unique=True,
))  # fmt: skip
def test_folders_of_any_name_become_classes_of_that_name_or_are_refused_in_one_line(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assume(not {".", ".."} & set(names))
    where = tmp_path_factory.mktemp("any")
    for number, name in enumerate(names):
        for copy in range(2):
            write(where / "images" / name / f"{copy}.jpg", saved(photograph(2 * number + copy)))
    made = invoke("data", "folder", where / "images", "--out", where / "out")
    if made.exit_code == 0:
        rows = read_list(where / "out/records.csv")
        shown = {row["class:class"] for row in rows}
        assert shown == {name for name in names if not name.startswith(".")}
    else:
        assert isinstance(made.exception, SystemExit), made.exception
        assert made.stderr.startswith("Error: ")
        assert made.stderr.count("\n") == 1, made.stderr
        assert not (where / "out").exists()


# Figures ------------------------------------------------------------------------------------------

STRANGE = (
    "$x_1$",
    r"\alpha",
    "a_b^c",
    "$",
    "$$",
    r"$\frac{1}{0$",
    "猫",
    "👩\u200d🔬",
    "naïve",
    "\u0378",
)


def _drawn(*names: str) -> str:
    """Return a figure's SVG with these names as titles and as the names of an axis' places."""

    def make() -> Figure:
        figure, (axes,) = chart_row(1)
        set_titles(axes, "".join(names), names[0])
        axes.set_xticks(range(len(names)), [as_drawn(name) for name in names])
        return figure

    figure_bytes(make, ".png")
    return html.unescape(figure_bytes(make, ".svg").decode())


@pytest.mark.parametrize("name", STRANGE)
def test_a_name_is_drawn_as_it_is_written_or_escaped_without_a_warning(name: str) -> None:
    picture = _drawn(name)  # a warning is an error in tests
    assert as_drawn(name) in picture
    if name.isascii():
        assert as_drawn(name) == name


def test_a_character_that_no_font_has_is_drawn_as_its_escape() -> None:
    assert as_drawn("a\u0378b") == r"a\u0378b"


@settings(deadline=None, max_examples=25)
@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=8))
def test_every_name_that_is_taken_can_be_drawn(name: str) -> None:
    assume(not REFUSED_SIGNS.search(name))
    _drawn(name)


def test_a_curve_whose_name_begins_with_an_underscore_is_in_the_legend() -> None:
    figure = curves_figure([RunCurves("run", {"_loss": [(1, 2.0), (2, 1.0)]}, {}, ())])
    (legend,) = (each for each in figure.findobj(Legend) if isinstance(each, Legend))
    assert [text.get_text().strip() for text in legend.get_texts()] == ["_loss"]


# Terminals ----------------------------------------------------------------------------------------


def in_ascii(*words: str | Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command on a terminal without any other character."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "FORCE_COLOR": "1"}
    plain |= more
    command = [sys.executable, "-m", "netgen.commands.cli", *map(str, words)]
    return subprocess.run(command, env=os.environ | plain, capture_output=True, check=False)


@pytest.mark.parametrize(
    "words",
    [("list",), ("count", "--variant", "x1"), ("--help",), ("data", "--help")],
    ids=" ".join,
)
def test_a_terminal_without_other_characters_is_written_to_in_ascii(words: tuple[str, ...]) -> None:
    found = in_ascii(*words)
    assert found.returncode == 0, found.stderr.decode()
    assert found.stdout.isascii()
    assert found.stderr.isascii()


def test_a_file_of_the_audit_is_the_same_whatever_the_terminal_can_show() -> None:
    words = ("audit", "--markdown", "--only", "reproduced")
    plain, usual = in_ascii(*words), in_ascii(*words, LC_ALL="C.UTF-8")
    assert not usual.stdout.isascii()
    assert plain.stdout == usual.stdout


def test_a_message_shows_a_terminals_commands_in_a_file_name_escaped(tmp_path: Path) -> None:
    found = invoke("log", tmp_path / "a\x1b[31m\u202eb.log")
    assert found.exit_code != 0
    assert r"a\x1b[31m\u202eb.log" in found.stderr
    assert "\x1b" not in found.output
