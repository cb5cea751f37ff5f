"""Solvers changed by operators: what trains otherwise is told, another spelling is not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from google.protobuf.text_format import MessageToString
from hypothesis import given, settings
from hypothesis import strategies as st
from support.audit import shown
from support.networks import MULTITASK
from support.paths import ROOT
from support.solver_changes import CHANGES, Change, Draw
from support.solver_rewrites import REWRITES, in_equal_steps

from netgen.audit.inspection import InspectionFinding, InspectionVerdict
from netgen.audit.inspection.inspect_solver import NO_EFFECT, RULES, inspect_solver
from netgen.audit.inspection.same_nets import GivenNet
from netgen.audit.inspection.schedule import judge_policy, same_schedule
from netgen.caffe.caffe_pb2 import SolverParameter
from netgen.caffe.schema import SchemaError, parse_solver, read_net

FEW = settings(max_examples=6)
VARIANTS = st.sampled_from(MULTITASK)
OPEN = InspectionVerdict.NOT_CHECKABLE
DIFFERS = InspectionVerdict.DIFFERS


@pytest.fixture(scope="module", autouse=True)
def in_the_repository() -> Iterator[None]:
    """Run where the solvers' nets are found."""
    before = Path.cwd()
    os.chdir(ROOT)
    yield
    os.chdir(before)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], list[InspectionFinding]]:
    """What the audit tells of a solver's text, given the net of a variant."""
    path = tmp_path_factory.mktemp("solvers") / "solver.prototxt"

    def tell(text: str, variant: str) -> list[InspectionFinding]:
        path.write_text(text, encoding="utf-8")
        return inspect_solver(path, net_of(variant))

    return tell


Told = Callable[[str, str], list[InspectionFinding]]


def committed(variant: str) -> str:
    return Path(f"solvers/{variant}.prototxt").read_text(encoding="utf-8")


@cache
def net_of(variant: str) -> GivenNet:
    file = f"models/{variant}/train_val.prototxt"
    return GivenNet(file, read_net(file))


def news(
    found: list[InspectionFinding], before: list[InspectionFinding]
) -> list[InspectionFinding]:
    """The findings that are not fine, and were not there before."""
    return [f for f in found if f.verdict in (OPEN, DIFFERS) and f not in before]


def test_there_are_enough_changes() -> None:
    assert len({str(change) for change in CHANGES}) == len(CHANGES) >= 60
    assert len(REWRITES) >= 15


@pytest.mark.parametrize("change", CHANGES, ids=str)
@FEW
@given(variant=VARIANTS, data=st.data())
def test_what_is_trained_otherwise_is_told(
    told: Told, change: Change, variant: str, data: st.DataObject
) -> None:
    solver = parse_solver(committed(variant))
    change(data.draw, solver)
    text = MessageToString(solver)
    found = news(told(text, variant), told(committed(variant), variant))
    wanted = DIFFERS if change.verdict == "differs" else OPEN
    of_field = [f for f in found if f.where.endswith(f": {change.named}") and f.verdict is wanted]
    assert of_field, f"{text}\n{shown(found)}"
    if wanted is OPEN:
        assert not [f for f in found if f.verdict is DIFFERS], shown(found)


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda rewrite: rewrite.__name__)
@FEW
@given(variant=VARIANTS, data=st.data())
def test_what_is_only_written_otherwise_does_not_differ(
    told: Told, rewrite: Callable[[Draw, str], str], variant: str, data: st.DataObject
) -> None:
    text = rewrite(data.draw, committed(variant))
    found = [f for f in told(text, variant) if f.verdict is DIFFERS]
    assert not found, f"{text}\n{shown(found)}"


@given(data=st.data())
def test_a_schedule_is_judged_alike_in_both_spellings(data: st.DataObject) -> None:
    step, multistep = in_equal_steps(data.draw)
    judged = [[(j.verdict, j.rule) for j in judge_policy(one, 12_799)] for one in (step, multistep)]
    assert judged[0] == judged[1]
    assert same_schedule(step, multistep)


@given(variant=VARIANTS, data=st.data())
def test_a_misspelled_field_is_named(told: Told, variant: str, data: st.DataObject) -> None:
    fields = [field.name for field, _ in parse_solver(committed(variant)).ListFields()]
    field = data.draw(st.sampled_from(fields))
    letter = data.draw(st.integers(0, len(field) - 1))
    wrong = field[:letter] + "x" + field[letter:]
    text = "\n".join(
        wrong + line[len(field) :] if line.startswith(f"{field}:") else line
        for line in committed(variant).splitlines()
    )
    if field == "net":
        with pytest.raises(SchemaError, match="names no network"):
            told(text, variant)
        return
    found = news(told(text, variant), told(committed(variant), variant))
    assert any(f"SolverParameter.{wrong} " in finding.what for finding in found), shown(found)


def test_every_field_of_caffes_has_a_rule_or_a_reason() -> None:
    judged = {name.partition(" ")[0] for name in RULES} | NO_EFFECT.keys()
    of_nets = {field.name for field in SolverParameter.DESCRIPTOR.fields} - judged
    assert of_nets == {
        "net", "net_param", "train_net", "train_net_param", "test_net", "test_net_param",
        "train_state", "test_state",  # which solver_nets judges
        "solver_type",  # which read_solver turns into `type`
    }  # fmt: skip
