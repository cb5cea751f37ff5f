"""Every command that writes is stopped at a change of the disk; given again, it ends as always.

A few of the moments at each `./run test`; `./run faults` tries more.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM, Signals

import pytest
from faults.changes import Ended, run
from faults.writers import MOMENTS, NEVER_BEGUN, WRITERS, Writer, fresh, tree

POLITE = (SIGTERM, SIGINT, SIGHUP)


@pytest.fixture(scope="module")
def undisturbed(inputs: Path) -> dict[str, tuple[Ended, dict[str, str]]]:
    """By writer: how it ended undisturbed, and the tree that it left; filled when it is needed."""
    return {}


def reference(
    writer: Writer, inputs: Path, undisturbed: dict[str, tuple[Ended, dict[str, str]]]
) -> tuple[Ended, dict[str, str]]:
    if writer.name not in undisturbed:
        work = fresh(inputs)
        ended = run(writer.words, work)
        assert ended.status == 0, ended.said
        undisturbed[writer.name] = ended, tree(work)
    return undisturbed[writer.name]


@pytest.mark.parametrize("signals", [[SIGKILL], POLITE], ids=["killed", "asked to stop"])
@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_a_command_that_was_stopped_anywhere_ends_as_always_when_it_is_given_again(
    writer: Writer,
    signals: Sequence[Signals],
    inputs: Path,
    undisturbed: dict[str, tuple[Ended, dict[str, str]]],
) -> None:
    whole, left = reference(writer, inputs, undisturbed)
    chance = random.Random(f"{writer.name} {signals}")
    before = tree(inputs)
    for turn in range(MOMENTS):
        work, at = fresh(inputs), chance.randint(1, len(whole.changes))
        number = chance.choice(signals)
        how, again = chance.choice(sorted(writer.again.items()))
        where = f"{number.name} at change {at} of {len(whole.changes)}, then {how} (turn {turn})"

        stopped = run(writer.words, work, at, number)
        assert stopped.status in ended_by(number), f"{where}: {stopped.status}: {stopped.said}"
        assert "Traceback" not in stopped.said, where
        if tree(work) == left:
            continue
        assert stopped.status, f"{where}: exit 0, but not all was made"
        if number != SIGKILL and not writer.resume:
            assert tree(work) == before, f"{where}: something stayed"

        ended = run(again, work)
        if NEVER_BEGUN in ended.said:
            ended = run(writer.words, work)
        assert ended.status == 0, f"{where}: {ended.said}"
        assert tree(work) == left, where


def ended_by(number: Signals) -> tuple[int, ...]:
    """The statuses that a signal may end a command with; 0 when it came after all was done."""
    return (-SIGKILL,) if number == SIGKILL else (0, 128 + number)
