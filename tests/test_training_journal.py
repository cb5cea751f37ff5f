"""Journals that are damaged: the message has the file, the line and the field."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from support.journals import write_journal

from netgen.commands.cli import main
from netgen.training.journal import Journal, JournalError, read_journal

START = '{"event": "start", "iteration": 0}\n'
DAMAGED = {
    "a field is missing": ('{"event": "train", "iteration": 1}', "required field `outputs`"),
    "no event": ('{"version": 1}', "required field `event`"),
    "another type": ('{"event": "start", "iteration": "1"}', r"got `str` - at `\$.iteration`"),
    "a value of another type": (
        '{"event": "test", "iteration": 1, "outputs": {"top1_a": "high"}}', r"at `\$.outputs",
    ),
    "a loss of another type": (
        '{"event": "train", "iteration": 1, "outputs": {"loss_a": 1}, "loss": "high"}', "`str`",
    ),
    "no losses": ('{"event": "train", "iteration": 1, "outputs": {}}', "neither a loss nor"),
    "an iteration that Caffe cannot count": (
        '{"event": "end", "iteration": 2147483648, "why": "max_iter"}', "<= 2147483647",
    ),
    "an accuracy in percent": (
        '{"event": "test", "iteration": 1, "outputs": {"top1_a": 37.5}}',
        "top1_a is 37.5, and an accuracy is between 0 and 1",
    ),
    "an accuracy below 0": (
        '{"event": "test", "iteration": 1, "outputs": {"top5_a": -0.5}}', "between 0 and 1",
    ),
    "an end of another kind": (
        '{"event": "end", "iteration": 1, "why": "done", "what": ""}', "'done'",
    ),
    "an end without words": (
        '{"event": "end", "iteration": 1, "why": "stopped"}', "required field `what`",
    ),
    "no object": ("[1]", "Expected `object`"),
    "an unknown event": ('{"event": "party", "iteration": 1}', "Invalid value 'party'"),
    "cut off": ('{"event": "tr', "truncated"),
    "nested deeply": ("[" * 100_000, "recursion"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_line_is_named_with_its_field(tmp_path: Path, what: str) -> None:
    line, said = DAMAGED[what]
    journal = tmp_path / "log.jsonl"
    journal.write_text(START + line + "\n" + START)
    with pytest.raises(JournalError, match=f"^{journal}: .*line 2: .*{said}"):
        read_journal(journal)


def test_lines_of_two_runs_in_one_file_are_refused(tmp_path: Path) -> None:
    """A verdict on the training would compare one run's first losses with the other's last."""
    write_journal(tmp_path, 20)
    journal = tmp_path / "log.jsonl"
    assert len(read_journal(journal)) > 20
    journal.write_text(journal.read_text() * 2)
    with pytest.raises(JournalError, match="iteration 0 after 200"):
        read_journal(journal)


TRAINED = '{"event": "train", "iteration": 1, "outputs": {"loss_a": 1}}\n'
TESTED = '{"event": "test", "iteration": 1, "outputs": {"top1_a": 0.5, "top1_b": null}}\n'
ENDED = '{"event": "end", "iteration": 1, "why": "max_iter", "what": ""}\n'


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (START + START, "line 2: a second start"),
        (START + ENDED + TRAINED, "line 3: the run had ended"),
        (TESTED + TESTED.replace("top1_b", "top1_c"), "line 2: the output 'top1_c', which"),
        (TRAINED + TRAINED.replace("_a", "_b"), "line 2: the output 'loss_b', which"),
    ],
)
def test_lines_that_contradict_those_above_are_refused(
    tmp_path: Path, lines: str, said: str
) -> None:
    """Else another run's numbers, or another task's, would be told as this one's."""
    journal = tmp_path / "log.jsonl"
    journal.write_text(lines)
    with pytest.raises(JournalError, match=said):
        read_journal(journal)


def test_a_resume_after_an_end_and_a_test_that_was_cut_off_are_none(tmp_path: Path) -> None:
    journal = tmp_path / "log.jsonl"
    resumed = '{"event": "resume", "iteration": 1}\n'
    cut_off = TESTED.replace(', "top1_b": null', "").replace("0.5", "1.00001")
    journal.write_text(START + TRAINED + TESTED + ENDED + resumed + cut_off + ENDED)
    assert len(read_journal(journal)) == 7


def test_a_test_without_outputs_and_a_drop_to_no_rate_are_shown(tmp_path: Path) -> None:
    """A network may have no output in its test, and Caffe's policy may hide the rate."""
    drop = '{"event": "drop", "iteration": 1, "lr": null, "why": ""}\n'
    empty = '{"event": "test", "iteration": 1, "outputs": {}}\n'
    (tmp_path / "log.jsonl").write_text(START + TRAINED + drop + empty)
    told = CliRunner().invoke(main, ["log", str(tmp_path)])
    assert "Test, iteration 1: without a result." in told.output
    for words in (("figure", "curves"), ("page", "run")):
        out = tmp_path / f"{words[0]}.{'png' if words[0] == 'figure' else 'html'}"
        done = CliRunner().invoke(main, [*words, str(tmp_path), "--out", str(out)])
        assert (done.exit_code, out.exists()) == (0, True), done.output


def test_only_a_last_line_may_be_cut_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.write("train", 1, outputs={"loss_a": float("nan")})
    with journal.path.open("a") as file:
        file.write('{"event": "tra')
    assert [line["outputs"] for line in read_journal(journal.path)] == [{"loss_a": None}]


def test_a_separator_of_unicode_within_a_line_does_not_end_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.write("end", 1, why="failed", what="a\u2028b\x85c")
    journal.write("resume", 1)
    assert [line["event"] for line in read_journal(journal.path)] == ["end", "resume"]


def test_commands_say_it_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "log.jsonl").write_text(START + "[1]\n")
    for words in (("log",), ("figure", "curves", "--out", str(tmp_path / "a.png"))):
        result = CliRunner().invoke(main, [*words, str(tmp_path)])
        assert result.exit_code == 1, result.output
        assert result.output.count("Error: ") == 1
        assert f"{tmp_path / 'log.jsonl'}: " in result.output
        assert "line 2" in result.output
