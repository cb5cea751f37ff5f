"""The page of trainings: its values are the journal's, no peak is lost, and it follows a run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import Window, away_and_back, serious_findings, window
from support.build_command import refused
from support.journals import write_journal
from support.pages import data_of, made

from netgen.figures.page.run_page import run_page
from netgen.figures.page.runs import read_paged_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DONE: dict[str, Any] = {"why": "converged", "what": "the rate fell below 1e-6"}
REFRESH = 'http-equiv="refresh"'


def lines_of(page: Path, chart: str) -> dict[str, list[list[float]]]:
    """The points of a chart's lines."""
    (found,) = [each for each in data_of(page)["charts"] if each["name"] == chart]
    return {line["label"]: line["points"] for line in found["lines"]}


def points(lines: list[dict[str, Any]], event: str, output: str, times: int = 1) -> list[list[Any]]:
    return [
        [line["iteration"], pytest.approx(times * line["outputs"][output])]
        for line in lines
        if line["event"] == event
    ]


def test_every_value_is_one_of_the_journal(tmp_path: Path) -> None:
    lines = write_journal(tmp_path / "xs", 60, **DONE)
    page = made(tmp_path / "page.html", "run", tmp_path / "xs")
    losses = lines_of(page, "loss")
    assert losses["loss_noun"] == points(lines, "train", "loss_noun")
    assert losses["loss"] == [
        [line["iteration"], line["loss"]] for line in lines if line["event"] == "train"
    ]
    assert lines_of(page, "accuracy")["top1_adj"] == points(lines, "test", "top1_adj", 100)
    assert {value for _, value in lines_of(page, "rate")["rate"]} == {0.001, 0.0001}
    assert {value for _, value in lines_of(page, "speed")["speed"]} == {5.0}


def test_a_long_training_is_thinned_and_keeps_its_peaks(tmp_path: Path) -> None:
    lines = write_journal(tmp_path / "xs", 20_000, 16, **DONE)
    kept = lines_of(made(tmp_path / "page.html", "run", tmp_path / "xs"), "loss")["loss_adj"]
    train = (line for line in lines if line["event"] == "train")
    every = [[line["iteration"], line["outputs"]["loss_adj"]] for line in train]
    assert len(kept) <= 1000
    assert (kept[0], kept[-1]) == (every[0], every[-1])
    assert [20_000 // 3 * 16, 50.0] in kept
    assert min(value for _, value in kept) == min(value for _, value in every)
    assert [at for at, _ in kept] == sorted(at for at, _ in kept)


def test_a_log_of_caffe_train_is_shown_too(real_log: Path, tmp_path: Path) -> None:
    page = made(tmp_path / "page.html", "run", real_log)
    assert [at for at, _ in lines_of(page, "accuracy")["top1_noun"]] == [4, 8]
    assert "Optimization Done" in page.read_text()


def caffe_log(file: Path, *starts: range, rate: float = 0.02) -> Path:
    """Write a log of starts of Caffe: displays, whose losses say of which start, tests and states.

    The rate falls to a tenth at iteration 60; the loss is a tenth of the iteration, and the start.
    """
    said = []
    for number, iterations in enumerate(starts):
        for at in iterations:
            if at and at % 40 == 0:
                said += [
                    f"Snapshotting to binary proto file xs_iter_{at}.caffemodel",
                    f"Snapshotting solver state to binary proto file xs_iter_{at}.solverstate",
                    f"Iteration {at}, Testing net (#0)",
                    f"    Test net output #0: top1_noun = {number}",
                ]
            said += [
                f"Iteration {at} (1 iter/s, 20s/20 iters), loss = {at / 10 + number}",
                f"    Train net output #0: loss_noun = {at / 10 + number} (* 1 = 1 loss)",
                f"Iteration {at}, lr = {rate / (10 if at >= 60 else 1):g}",
            ]
    file.write_text("".join(f"I1130 10:00:00.000001 1 solver.cpp:1] {line}\n" for line in said))
    return file


def state(page: Path) -> str:
    """The text of the table of states."""
    rows = page.read_text().partition("<tbody>")[2].partition("</tbody>")[0]
    return re.sub(r"<[^>]*>", " ", rows)


def test_a_log_of_caffe_train_tells_its_rates_drops_and_snapshots(tmp_path: Path) -> None:
    page = made(tmp_path / "page.html", "run", caffe_log(tmp_path / "xs.log", range(0, 121, 20)))
    assert lines_of(page, "rate")["rate"] == [
        [at, 0.02 if at < 60 else 0.002] for at in range(0, 121, 20)
    ]
    assert state(page).split()[-2:] == ["60", "3"]


def test_what_a_log_does_not_tell_is_not_shown_as_none(tmp_path: Path) -> None:
    file = caffe_log(tmp_path / "xs.log", range(0, 60, 20))
    file.write_text("".join(x for x in file.read_text().splitlines(True) if ", lr = " not in x))
    page = made(tmp_path / "page.html", "run", file)
    assert state(page).split()[-2:] == ["–", "1"]
    assert 'id="chart-rate"' not in page.read_text()


def test_what_a_resumed_log_tells_again_is_told_once_and_noted(tmp_path: Path) -> None:
    starts = (range(0, 121, 20), range(80, 161, 20))
    page = made(tmp_path / "page.html", "run", caffe_log(tmp_path / "xs.log", *starts))
    every = [[at, at / 10 + (at >= 80)] for at in range(0, 161, 20)]
    assert lines_of(page, "loss")["loss_noun"] == every
    assert lines_of(page, "accuracy")["top1_noun"] == [[40, 0], [80, 100], [120, 100], [160, 100]]
    assert "the log goes back to iteration 80, as where a training is resumed" in state(page)
    assert state(page).split()[-2:] == ["60", "4"]
    whole = made(tmp_path / "1.html", "run", caffe_log(tmp_path / "xs.log", range(0, 121, 20)))
    assert "goes back" not in state(whole)


def test_a_training_whose_values_are_no_numbers_is_told_to_have_diverged(tmp_path: Path) -> None:
    lines = write_journal(tmp_path / "xs", 20)
    train = [line for line in lines if line["event"] == "train"]
    bad = [{**x, "loss": None, "outputs": dict.fromkeys(x["outputs"])} for x in train]
    text = "".join(json.dumps(line) + "\n" for line in [lines[0], *bad])
    (tmp_path / "xs/log.jsonl").write_text(text)
    told = state(made(tmp_path / "page.html", "run", tmp_path / "xs"))
    assert "all 60 values are no finite numbers: it diverged" in told
    assert " 200 " in told


def test_the_rates_axis_has_the_rates_that_occur_and_says_that_it_is_logarithmic(
    tmp_path: Path,
) -> None:
    for rate, ticks in ((0.02, ["0.02", "0.01", "0.002"]), (3e-4, ["0.0003", "0.0001", "3e-05"])):
        log = caffe_log(tmp_path / "xs.log", range(0, 121, 20), rate=rate)
        page = made(tmp_path / "page.html", "run", log).read_text()
        chart = page.partition('id="chart-rate"')[2].partition("</section>")[0]
        found = re.findall(r'class="tick ends" x="58" y="([^"]*)">([^<]*)<', chart)
        assert sorted(ticks) == sorted(text for _, text in found)
        places = sorted(float(y) for y, _ in found)
        assert all(after - before >= 12 for before, after in pairwise(places))
        assert "logarithmic" in chart


def test_trainings_of_one_name_have_their_paths_and_forms_of_their_own(tmp_path: Path) -> None:
    runs = [tmp_path / part / "xs" for part in "abcdef"]
    for run in runs:
        write_journal(run, 12)
        journal = (run / "log.jsonl").read_text()
        (run / "log.jsonl").write_text(journal.replace('{"top1_', '{"loss_noun": 1.0, "top1_'))
    page = made(tmp_path / "page.html", "run", *runs)
    assert {label for label in lines_of(page, "loss") if label.startswith("loss_noun, test")} == {
        f"loss_noun, test (xs ({run.as_posix()}))" for run in runs
    }
    legend = page.read_text().partition('id="chart-loss"')[2].partition("</ul>")[0]
    samples = [
        (re.findall(r"dash-\d", sample), re.findall(r' d="[^"]*"', sample))
        for sample in legend.split("<li>")
        if "loss_noun, test" in sample
    ]
    for kind in (0, 1):
        assert len({str(sample[kind]) for sample in samples}) == len(runs)


def test_a_training_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    write_journal(tmp_path / "xs", 12)
    twice = (tmp_path / "xs", tmp_path / "xs/log.jsonl")
    said = refused(1, "page", "run", *twice, "--out", tmp_path / "page.html")
    assert "xs: the same training more than once: name it once" in said


def test_the_same_journal_gives_the_same_bytes(tmp_path: Path) -> None:
    write_journal(tmp_path / "xs", 30)
    first, second = (
        made(tmp_path / "page.html", "run", tmp_path / "xs").read_bytes() for _ in range(2)
    )
    assert first == second


def test_a_journal_that_is_being_written_is_shown_up_to_its_last_whole_line(tmp_path: Path) -> None:
    write_journal(tmp_path / "xs", 30)
    with (tmp_path / "xs/log.jsonl").open("a") as file:
        file.write('{"event": "train", "itera')
    page = made(tmp_path / "page.html", "run", tmp_path / "xs")
    assert lines_of(page, "loss")["loss"][-1][0] == 300
    assert "goes on, or was cut off" in page.read_text()
    assert REFRESH not in page.read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "a folder without log.jsonl, so no run of `netgen train`"),
        ('{"event": "start", "iteration": 0}\n', "no loss and no test in it yet: wait for"),
        ('{"event": "train"}\n{"event": "end"}\n', "damaged (line 1"),
    ],
)
def test_what_is_no_training_is_one_message(tmp_path: Path, content: str | None, said: str) -> None:
    (tmp_path / "run").mkdir()
    if content:
        (tmp_path / "run/log.jsonl").write_text(content)
    words = ("page", "run", tmp_path / "run", "--out", tmp_path / "page.html")
    assert said in refused(1, *words)
    assert not (tmp_path / "page.html").exists()


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    words = ("page", "run", tmp_path / "nowhere", "--out", tmp_path / "page.html")
    assert "does not exist" in refused(2, *words)


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not holds():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def test_how_often_to_look_is_for_watching(tmp_path: Path) -> None:
    words = ("page", "run", tmp_path, "--every", "7", "--out", tmp_path / "page.html")
    assert "--every is for --watch: add that, or omit it" in refused(2, *words)


def test_a_watched_page_follows_the_training_to_its_end(tmp_path: Path) -> None:
    lines = write_journal(tmp_path / "xs", 3)
    page = tmp_path / "page.html"
    words = ["page", "run", "xs", "--watch", "--every", "1", "--out", "page.html"]
    with subprocess.Popen(
        [sys.executable, "-m", "netgen.commands.cli", *words],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        wait_until(page.exists, process)
        assert REFRESH in page.read_text()
        train = next(line for line in reversed(lines) if line["event"] == "train")
        with (tmp_path / "xs/log.jsonl").open("a") as file:
            file.write(json.dumps({**train, "iteration": 77}) + "\n")
        wait_until(lambda: lines_of(page, "loss")["loss"][-1][0] == 77, process)
        assert REFRESH in page.read_text()
        with (tmp_path / "xs/log.jsonl").open("a") as file:
            file.write(json.dumps({"event": "end", "iteration": 77, **DONE}) + "\n")
        assert process.wait() == 0
    assert REFRESH not in page.read_text()
    assert "converged: the rate fell below 1e-6" in page.read_text()


def test_a_training_is_read_at_an_iteration_by_pointer_and_by_keyboard(
    shown: Window, tmp_path: Path
) -> None:
    for name in ("xs", "x0"):
        write_journal(tmp_path / name, 30, **DONE)
    page = shown.open(made(tmp_path / "page.html", "run", tmp_path / "xs", tmp_path / "x0"))
    chart = page.locator("#chart-loss")
    chart.locator(".plot").focus()
    page.keyboard.press("End")
    assert chart.locator(".readout").inner_text().startswith("Iteration 300: loss (xs) 2.73576;")
    chart.locator(".plot").hover(position={"x": 100, "y": 50})
    assert not chart.locator(".readout").inner_text().startswith("Iteration 300")
    chart.get_by_label("loss_adj (x0)").uncheck()
    assert "loss_adj (x0)" not in chart.locator(".readout").inner_text()
    assert "loss_adj (xs)" in chart.locator(".readout").inner_text()


def watched(tmp_path: Path, displays: int, every: int) -> Path:
    """The page of a training that goes on, as `--watch` writes it."""
    write_journal(tmp_path / "xs", displays)
    file = tmp_path / "page.html"
    file.write_text(run_page([read_paged_run(tmp_path / "xs")], refresh=every), encoding="utf-8")
    return file


def test_a_watched_page_leaves_its_reader_where_he_is(shown: Window, tmp_path: Path) -> None:
    shown.page.clock.install()
    page = shown.open(watched(tmp_path, 30, 300))
    chart = page.locator("#chart-loss")
    chart.get_by_label("loss_adj").uncheck()
    chart.locator(".plot").focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)

    def expect_iterations(count: str) -> None:
        page.locator("#summary td", has_text=re.compile(rf"^{count}$")).wait_for()
        chart.locator(".plot:focus").wait_for()
        assert not chart.get_by_label("loss_adj").is_checked()
        assert chart.locator(".curve[hidden]").count() == 1
        assert chart.locator(".readout").inner_text().startswith("Iteration 30: ")

    expect_iterations("300")
    for displays in (60, 90):
        watched(tmp_path, displays, 300)
        page.clock.fast_forward(300_000)
        expect_iterations(f"{10 * displays}")
    page.get_by_role("button", name="Pause").click()
    watched(tmp_path, 30, 300)
    page.clock.fast_forward(300_000)
    assert page.locator("#summary td").nth(1).inner_text() == "900"
    page.get_by_role("button", name="Go on").press("Enter")
    page.clock.fast_forward(300_000)
    page.locator("#summary td", has_text=re.compile("^300$")).wait_for()
    assert page.get_by_role("button", name="Pause").evaluate("(e) => e.matches(':focus')")


def test_a_watched_page_reads_itself_again_without_javascript(
    browser: Browser, tmp_path: Path
) -> None:
    with window(browser, java_script_enabled=False) as plain:
        page = plain.open(watched(tmp_path, 30, 1))
        watched(tmp_path, 60, 1)
        page.locator("#summary td", has_text="600").wait_for()
        assert not page.locator("#pause:visible").count()


def test_after_back_the_lines_are_those_that_are_ticked(shown: Window, tmp_path: Path) -> None:
    write_journal(tmp_path / "xs", 30, **DONE)
    page = shown.open(made(tmp_path / "page.html", "run", tmp_path / "xs"))
    chart = page.locator("#chart-loss")
    chart.get_by_label("loss_adj").uncheck()
    away_and_back(page)
    assert not chart.get_by_label("loss_adj").is_checked()
    assert chart.locator(".curve[hidden]").count() == 1


def test_hostile_names_of_outputs_and_hostile_logs_are_text(shown: Window, tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script>\u202e\u0007" + "x" * 10_000
    lines = [{"event": "train", "iteration": at, "outputs": {name: 1.0, "b": 2.0}} for at in (1, 2)]
    run = tmp_path / "<b>run"
    run.mkdir()
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "caffe.log").write_bytes(b"</pre><script>alert(2)</script>\x1b[31m\xff\n")
    page = shown.open(made(tmp_path / "page.html", "run", run))
    label = page.locator("#chart-loss .legend bdi").first.text_content() or ""
    assert label == name.replace("\u202e", "\\u202e").replace("\u0007", "\\x07")
    assert "</pre><script>alert(2)</script>\\x1b[31m" in (page.locator("pre").text_content() or "")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1400


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_of_a_training(browser: Browser, tmp_path: Path, scheme: str) -> None:
    write_journal(tmp_path / "xs", 30, **DONE)
    file = made(tmp_path / "page.html", "run", tmp_path / "xs")
    with window(browser, color_scheme=scheme, viewport={"width": 360, "height": 700}) as narrow:
        page = narrow.open(file)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        tick = page.locator("#chart-loss .tick").first.bounding_box()
        assert tick is not None
        assert tick["height"] >= 9
        assert serious_findings(page) == []
