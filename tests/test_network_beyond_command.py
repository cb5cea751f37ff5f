"""What goes beyond the paper at the command line: listed, counted, refused, recorded."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.networks import MULTITASK

from netgen.commands.cli import main
from netgen.network.options import EXTENSIONS


def netgen(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, [str(word) for word in arguments])


def test_list_shows_what_goes_beyond_the_paper_and_where_that_speaks_of_it() -> None:
    import json

    rows = json.loads(netgen("list", "--beyond", "--json").stdout)
    assert [row["--beyond"] for row in rows] == [
        f"{name}={value.slug}"
        for name, extension in EXTENSIONS.items()
        for value in extension.values
    ]
    assert sum(row["ours"] == "*" for row in rows) == len(EXTENSIONS)
    assert {row["place"] for row in rows} == {e.place for e in EXTENSIONS.values()}


def test_count_counts_what_build_builds(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--variant", "xs", "--width", 4, "--blocks", "1,1,2,2", "--reading",
               "moved-norm=last", "--beyond", "branch=after-res4a", "--beyond",
               "cross-form=convolution")  # fmt: skip
    assert netgen("build", *options).exit_code == 0
    file = netgen("count", "models/xs/train_val.prototxt", "--input", "data=3x224x224")
    assert netgen("count", *options).stdout == file.stdout
    assert "trainable" in file.stdout


def test_count_counts_what_no_memory_would_hold() -> None:
    assert (
        "66,512,813" in netgen("count", "--variant", "xs", "--beyond", "branch=after-res4a").stdout
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("count --variant xs --beyond x=y", 2, "unknown extension 'x'"),
        ("count --variant xs --beyond towers", 2, "unknown value '' of towers: choose from traine"),
        ("build --variant xs --beyond towers=frozen --beyond towers=trained", 2, "given twice"),
        ("build --variant xs --beyond branch=after-res4a --reading branch=after-res5a", 2, "twice"),
        ("build --variant x0 --beyond cross-start=zero", 1, "x0 has no learned cross weights"),
        ("build --variant xs --beyond crossed=all-blocks", 1, "let the tasks branch earlier"),
        ("build --all --beyond crossed=all-blocks", 1, "no network is left: nothing was written"),
        ("list --beyond --readings", 2, "not both"),
        ("figure architecture --variant x1 --beyond towers=x --out a.png", 2, "unknown value 'x'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_and_nothing_is_written(
    arguments: str, code: int, message: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = netgen(*arguments.split())
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert message in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_all_leaves_out_what_an_extension_does_not_suit(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = netgen("build", "--all", "--beyond", "self-weight=learned", "--memory", 20)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == MULTITASK
    assert "omitted resnet50-noun: resnet50-noun has no blocks of several tasks" in result.stderr


def test_a_header_says_what_goes_beyond_the_paper(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (
        "build",
        "--variant",
        "xs",
        "--beyond",
        "cross-start=zero",
        "--beyond",
        "towers=frozen",
    )
    assert "begin with weights, as `netgen init` makes" in netgen(*words).stderr
    header = (tmp_path / "models/xs/deploy.prototxt").read_text().splitlines()[2]
    assert header.endswith("--variant xs --beyond cross-start=zero --beyond towers=frozen")
