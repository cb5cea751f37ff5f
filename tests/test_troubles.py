"""Every command that writes, in trouble: one message, nothing half-written, and then as always.

A few of the pairs at each `./run test`; `./run faults` tries all of them.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from faults.changes import run
from faults.troubles import TROUBLES, into
from faults.writers import MOMENTS, WRITERS, Writer, fresh, tree

NAMESPACES = subprocess.run(
    ["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False
).returncode
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or NAMESPACES != 0, reason="only root may mount a small disk, and only here"
)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_a_command_in_trouble_says_so_and_ends_as_always_when_it_is_over(
    writer: Writer, inputs: Path
) -> None:
    work = fresh(inputs)
    whole = run(writer.words, work)
    before = Path(shutil.copytree(work, inputs.with_name("whole"), dirs_exist_ok=True))
    made = tree(work / "out")
    chance = random.Random(writer.name)
    for kind in chance.sample(sorted(TROUBLES), min(MOMENTS, len(TROUBLES))):
        trouble = TROUBLES[kind](writer, before, chance)
        at = chance.randint(1, len(whole.changes))
        way, again = chance.choice(sorted(writer.again.items()))
        outcome = into(trouble, writer, again, fresh(inputs), at)
        where = f"{trouble.name} (change {at}, then {way}): {outcome}"
        for status, said in zip(outcome.statuses, outcome.said, strict=True):
            assert status in (0, 1, 2), where
            assert "Traceback" not in said, where
            assert said.count("Error: ") == (status != 0), where
        if 0 in outcome.statuses:
            assert outcome.left == made, where
            continue
        if not writer.resume:
            assert not any(outcome.left.values()), where
        assert outcome.again == 0, where
        assert outcome.made == made, where
    shutil.rmtree(before)
