"""No verdict is fixed: nearly each turns when something that its measurement reads is changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as with_fields
from support.class_lists import list_changes
from support.evaluation import RESULT, task
from support.mutations import Change, changes_of, printed_changes
from support.paths import SHARED

from netgen import paper
from netgen.audit.measurements import AuditInputs
from netgen.audit.measurements.parsed_networks import TRAINED, ParsedNetwork, emitted
from netgen.audit.measurements.public_lists import LISTS
from netgen.audit.verdicts import ClaimVerdict, audit, judge
from netgen.evaluation.results import Competition, accuracy, write_result
from netgen.paper.claims import CLAIMS, ROWS, Measure

REAL = SHARED / "data"
NETWORKS = (*reversed(TRAINED), "deepsentibank")  # those first that most claims read
LEAST_SHARE = 0.95
PATIENCE = 250  # changes of a network in a row that turn no verdict, before the next network
# The verdicts that no generated change has turned, and why.
FIXED: dict[str, str] = {}


class Turning:
    """The claims whose verdicts have not turned yet, and what turned the others."""

    def __init__(self, lists: Path | None) -> None:
        self.lists = lists
        self.before = {j.claim.id: j.verdict for j in audit(AuditInputs(lists))}
        self.by: dict[str, str] = {}

    @property
    def left(self) -> list[str]:
        return [name for name in self.before if name not in self.by]

    def judge(self, what: str, inputs: AuditInputs, names: list[str]) -> bool:
        """Judge claims by changed inputs; return whether one came out otherwise."""
        before = len(self.by)
        for name in names:
            with suppress(Exception):
                if judge("", CLAIMS[name], inputs).verdict is not self.before[name]:
                    self.by[name] = what
        return len(self.by) > before

    def readers(self) -> dict[str, list[str]]:
        """The claims that read each network."""
        found = defaultdict(list)
        for name, claim in CLAIMS.items():
            for network in networks_read_by(claim.id, self.lists):
                found[network].append(name)
        return found


def networks_read_by(name: str, lists: Path | None) -> set[str]:
    asked = set()

    def network(variant: str) -> ParsedNetwork:
        asked.add(variant)
        return emitted(variant)

    judge("", CLAIMS[name], AuditInputs(lists, network=network))
    return asked


def changed(change: Change, variants: set[str]) -> AuditInputs:
    """Inputs whose networks are changed, each once; the others are as they are committed."""
    made: dict[str, ParsedNetwork] = {}

    def network(variant: str) -> ParsedNetwork:
        if variant not in variants:
            return emitted(variant)
        if variant not in made:
            made[variant] = change.of(emitted(variant))
        return made[variant]

    return AuditInputs(network=network)


def turn_by_networks(turning: Turning) -> None:
    """Change one network after the other, then all of them in the same way."""
    readers = turning.readers()
    for seed, variant in enumerate(NETWORKS):
        patience = PATIENCE
        for change in changes_of(emitted(variant), seed):
            names = [name for name in turning.left if name in readers[variant]]
            if not names or not patience:
                break
            inputs = replace(changed(change, {variant}), ontology=turning.lists)
            found = turning.judge(f"{variant}: {change.what}", inputs, names)
            patience = PATIENCE if found else patience - 1
    turn_by_all_networks(turning, readers)


def turn_by_all_networks(turning: Turning, readers: dict[str, list[str]]) -> None:
    """Change all layers of a type in every network, for what compares networks or adds them up."""
    several = Counter(name for names in readers.values() for name in names)
    made = {variant: {c.what: c for c in _wide(emitted(variant))} for variant in NETWORKS}
    for what in dict.fromkeys(what for changes in made.values() for what in changes):
        names = [name for name in turning.left if several[name] > 1]
        if not names:
            break

        def network(variant: str, what: str = what) -> ParsedNetwork:
            change = made.get(variant, {}).get(what)
            return change.of(emitted(variant)) if change else emitted(variant)

        turning.judge(f"all: {what}", AuditInputs(turning.lists, network=network), names)


def _wide(network: ParsedNetwork) -> Iterator[Change]:
    for change in changes_of(network, 0):
        if change.what.startswith("one "):
            return
        yield change


def results(folder: Path, factor: float) -> Path:
    """Results of every network of Table 2: the printed accuracies, times a factor."""
    total = paper.TEST_IMAGES
    for variant in {row.variant for row in ROWS.values() if row.network != "Chance"}:
        tasks = []
        for row in (one for one in ROWS.values() if one.variant == variant):
            first, fifth = (round(float(x) / 100 * factor * total) for x in (row.top1, row.top5))
            found = task(row.task, paper.TASKS[row.task], accuracy(first, fifth, total))
            every = Competition(2_089, accuracy(1, 2, total))
            tasks.append(with_fields(found, competing=every))
        made = with_fields(RESULT, variant=variant, tasks=tuple(tasks))
        write_result(made, folder / f"{variant}.json")
    return folder


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Turning:
    """Every generated change made, until each verdict has turned or no change is left."""
    found = Turning(REAL if REAL.is_dir() else None)
    folder = tmp_path_factory.mktemp("changes")
    for factor in (1.0, 0.5):
        inputs = AuditInputs(found.lists, results(folder / f"results {factor}", factor))
        found.judge(f"results, printed x {factor}", inputs, found.left)
    if found.lists:
        of_lists = [x for x in found.left if any(y.file in _evidence(x) for y in LISTS.values())]
        for what, lists in list_changes(found.lists, folder):
            names = [name for name in of_lists if name in found.left]
            found.judge(f"lists: {what}", AuditInputs(lists), names)
    turn_by_networks(found)
    for what, patch in printed_changes():
        with patch:
            found.judge(what, AuditInputs(found.lists), found.left)
    return found


def _evidence(name: str) -> str:
    return judge("", CLAIMS[name], AuditInputs(REAL)).evidence


# ---- the tests ----------------------------------------------------------------------------------


def test_nearly_every_verdict_turns_when_what_it_rests_on_is_changed(turning: Turning) -> None:
    able = {name for name in turning.before if _has_inputs(turning, name)}
    assert len(able) > 150  # so that it is nearly all of the page
    assert len(able & turning.by.keys()) >= LEAST_SHARE * len(able)


def test_the_verdicts_that_do_not_turn_are_those_listed(turning: Turning) -> None:
    assert {name for name in turning.left if _has_inputs(turning, name)} == set(FIXED)


def _has_inputs(turning: Turning, name: str) -> bool:
    """Whether its class lists are here: without them, its verdict has nothing to turn by."""
    waits = turning.before[name] is ClaimVerdict.NEEDS_DATA
    return turning.lists is not None or not (waits and "--ontology" in _without_lists(name))


def _without_lists(name: str) -> str:
    return judge("", CLAIMS[name], AuditInputs()).evidence


def test_a_change_of_what_is_printed_leaves_nothing_behind() -> None:
    """Nor another order of Table 2's rows, in which measurements name the tasks."""
    before = list(ROWS.items())
    for _, patch in printed_changes():
        with patch:
            pass
        assert list(ROWS.items()) == before


def test_what_waits_for_training_is_reproduced_by_results_as_printed_and_not_by_others(
    tmp_path: Path,
) -> None:
    expected = {1.0: ClaimVerdict.REPRODUCED, 0.5: ClaimVerdict.NOT_REPRODUCED}
    for factor, verdict in expected.items():
        inputs = AuditInputs(results=results(tmp_path / str(factor), factor))
        accuracies = [claim for claim in CLAIMS.values() if claim.measure is Measure.ACCURACY]
        assert {judge("", claim, inputs).verdict for claim in accuracies} == {verdict}
