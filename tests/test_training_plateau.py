"""The plateau rule, the loss's health, the journal: what resumes rely on, without Caffe."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgen.training.health import Health
from netgen.training.journal import Journal, journal_log, read_journal
from netgen.training.plateau import Decision, Plateau, PlateauRule

RULES = st.builds(
    PlateauRule,
    window=st.integers(1, 5), patience=st.integers(1, 3),
    gain=st.floats(0, 0.5), drops=st.integers(0, 3),
)  # fmt: skip
LOSSES = st.lists(st.floats(0.001, 100), max_size=80)


def decisions(rule: PlateauRule, losses: list[float], plateau: Plateau) -> list[Decision | None]:
    found = []
    for iteration, loss in enumerate(losses, 1):
        found.append(plateau.observe(rule, iteration, loss))
        if found[-1] is Decision.CONVERGED:
            break
    return found


def test_a_falling_loss_never_drops_the_rate() -> None:
    rule = PlateauRule(window=2, patience=1, gain=0.01, drops=3)
    assert set(decisions(rule, [0.9**i for i in range(60)], Plateau())) == {None}


def test_a_flat_loss_drops_the_rate_once_and_has_then_converged() -> None:
    rule = PlateauRule(window=5, patience=2, gain=0.01, drops=3)
    plateau = Plateau()
    found = decisions(rule, [1.0] * 100, plateau)
    # The first window is the best, two without a gain are a plateau: 15; two more: 25.
    assert plateau.drops == [15]
    assert found[14] is Decision.DROP
    assert len(found) == 25
    assert found[-1] is Decision.CONVERGED


def test_drops_that_each_bring_a_gain_go_on_to_the_most() -> None:
    rule = PlateauRule(window=1, patience=2, gain=0.1, drops=2)
    plateau = Plateau()
    found = decisions(rule, [8, 8, 8, 4, 4, 4, 2, 2, 2, 1], plateau)
    assert plateau.drops == [3, 6]
    assert found[-1] is Decision.CONVERGED
    assert len(found) == 9


@pytest.mark.parametrize(
    ("patience", "said"),
    [
        (1, "the last window of 2 gained less than 2.5% on the best (4; the last is 3.95)"),
        (2, "the last 2 windows of 2 gained less than 2.5% on the best (4; the last is 3.95)"),
    ],
)
def test_a_plateau_says_by_which_numbers_it_is_one(patience: int, said: str) -> None:
    rule = PlateauRule(window=2, patience=patience, gain=0.025, drops=1)
    plateau = Plateau()
    decisions(rule, [4, 4] + [3.95] * 2 * patience, plateau)
    assert plateau.drops == [2 + 2 * patience]
    assert plateau.reason(rule) == said


@pytest.mark.parametrize(
    ("changed", "allowed"),
    [
        ({}, True),
        ({"drops": 0}, True),
        ({"gain": 0.999}, True),
        ({"gain": 1}, False),
        ({"gain": -0.001}, False),
        ({"drops": -1}, False),
        ({"window": 0}, False),
        ({"patience": 0}, False),
        ({"gains": 0.1}, False),
    ],
)
def test_a_rule_in_a_manifest_has_the_limits_that_make_sense(
    changed: dict[str, float], allowed: bool
) -> None:
    written = {"window": 5, "patience": 2, "gain": 0, "drops": 3} | changed
    with nullcontext() if allowed else pytest.raises(msgspec.ValidationError):
        msgspec.convert(written, PlateauRule)


def test_a_gain_too_small_is_none() -> None:
    rule = PlateauRule(window=1, patience=3, gain=0.01, drops=1)
    assert decisions(rule, [1, 0.995, 0.992, 0.991], Plateau())[-1] is Decision.DROP
    assert decisions(rule, [1, 0.995, 0.98, 0.975], Plateau())[-1] is None


@given(RULES, LOSSES, st.integers(0, 80))
def test_a_plateau_that_went_through_a_manifest_decides_the_same(
    rule: PlateauRule, losses: list[float], cut: int
) -> None:
    whole, first = Plateau(), Plateau()
    expected = decisions(rule, losses, whole)
    before = decisions(rule, losses[:cut], first)
    if Decision.CONVERGED in before:
        return
    second = msgspec.json.decode(msgspec.json.encode(first), type=Plateau)
    after = []
    for iteration, loss in enumerate(losses[cut:], cut + 1):
        after.append(second.observe(rule, iteration, loss))
        if after[-1] is Decision.CONVERGED:
            break
    assert before + after == expected
    assert second == whole


@given(RULES, LOSSES)
def test_the_rate_never_drops_more_often_than_allowed(
    rule: PlateauRule, losses: list[float]
) -> None:
    plateau = Plateau()
    decisions(rule, losses, plateau)
    assert len(plateau.drops) <= rule.drops
    assert plateau.drops == sorted(set(plateau.drops))


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_told_at_once(loss: float) -> None:
    health = Health()
    assert health.check(3.0, 10) is None
    assert str(loss) in str(health.check(loss, 10))


def test_one_bad_batch_is_no_explosion_but_a_few_are() -> None:
    health = Health()
    assert all(health.check(loss, 10) is None for loss in (3, 3, 60, 3, 3, 3))
    complaints = [health.check(60, 10) for _ in range(12)]
    assert complaints[0] is None
    assert "10 times the first (3)" in str(complaints[-1])


def test_going_back_takes_away_what_will_be_written_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    for event, iteration in (
        ("start", 0), ("round", 0), ("train", 0), ("test", 5), ("snapshot", 5), ("train", 5),
        ("test", 10),
    ):  # fmt: skip
        journal.write(
            event, iteration, outputs={"loss": 1.0}, model="snapshots/xs_iter_5.caffemodel"
        )
    with journal.path.open("a") as file:
        file.write('{"event": "snap')
    journal.rewind_to(5)
    kept = [(entry["event"], entry["iteration"]) for entry in read_journal(journal.path)]
    assert kept == [("start", 0), ("round", 0), ("train", 0), ("test", 5), ("snapshot", 5)]
    journal.rewind_to(5, test_pending=True)
    assert len(read_journal(journal.path)) == 3
    assert journal.path.read_text().count("\n") == 3


@pytest.mark.parametrize(
    ("why", "finished"), [("converged", True), ("max_iter", True), ("stopped", False)]
)
def test_only_a_training_that_came_to_its_end_has_finished(
    tmp_path: Path, why: str, finished: bool
) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.write("start", 0)
    journal.write("train", 20, outputs={"loss": 1.0})
    assert not journal_log(journal.path, tmp_path / "no net").finished
    journal.write("end", 20, why=why, what="")
    assert journal_log(journal.path, tmp_path / "no net").finished is finished
    journal.write("resume", 20)
    assert not journal_log(journal.path, tmp_path / "no net").finished


def test_numbers_that_are_not_finite_are_null_in_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.write("test", 5, outputs={"loss": math.nan})
    assert json.loads(journal.path.read_text())["outputs"] == {"loss": None}
