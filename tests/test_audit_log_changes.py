"""Logs changed by operators, beside their net and solver: the paper's, and a real one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.audit import shown
from support.logs import CHANGES, REWRITES, LogChange, falling, log_of_a_training
from support.networks import MULTITASK
from support.paths import ROOT
from support.solver_changes import Draw

from netgen.audit.inspection import InspectionFinding, InspectionVerdict
from netgen.audit.inspection import inspect_log as log_inspection
from netgen.audit.inspection.inspect_log import inspect_log
from netgen.audit.inspection.inspect_network import Inspected, inspect_parsed
from netgen.audit.inspection.same_nets import GivenNet
from netgen.audit.inspection.solver_nets import nets_of
from netgen.audit.inspection.together import Given, check_together
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import read_net, read_solver

FEW = settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow])
OPEN, DIFFERS = InspectionVerdict.NOT_CHECKABLE, InspectionVerdict.DIFFERS
LOGS = {"paper": st.sampled_from(MULTITASK), "real": st.just("real")}


class Training:
    """A log with the net and the solver that it is of."""

    def __init__(self, folder: Path, text: str, net: Path, solver: str) -> None:
        self.text, self.log = text, folder / "train.log"
        self.solver_file = folder / "solver.prototxt"
        self.solver_file.write_text(solver, encoding="utf-8")
        shutil.copy(net, folder / "net.prototxt")
        self.net = GivenNet(str(folder / "net.prototxt"), read_net(net))
        self.before = self.told(text)

    def told(self, text: str) -> list[InspectionFinding]:
        """What the audit tells of a log's text, beside its net and solver."""
        self.log.write_bytes(text.encode())
        inspected = inspect_log(self.log, given=self.net)
        nets = nets_of(read_solver(self.solver_file), self.solver_file, self.net)
        together = Given(self.net, nets, str(self.solver_file), log=inspected)
        return [*inspected.findings, *check_together(together)]

    def news(self, text: str) -> list[InspectionFinding]:
        """The findings that are not fine, and were not there before the change."""
        found = self.told(text)
        return [f for f in found if f.verdict in (OPEN, DIFFERS) and f not in self.before]


@pytest.fixture(scope="module")
def trainings(
    real_log: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Training]]:
    """The training of that name, read once."""
    made: dict[str, Training] = {}
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("elsewhere"))
    patch.setattr(log_inspection, "inspect_parsed", once_a_net(inspect_parsed))

    def get(name: str) -> Training:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            root, variant = (real_log.parent, "xs") if name == "real" else (ROOT, name)
            solver = (root / f"solvers/{variant}.prototxt").read_text(encoding="utf-8")
            if name == "real":
                text = real_log.read_text(encoding="utf-8")
            else:
                solver = falling(solver)
                text = log_of_a_training(variant)
            made[name] = Training(
                folder, text, root / f"models/{variant}/train_val.prototxt", solver
            )
        return made[name]

    yield get
    patch.undo()


def once_a_net(compare: Callable[[NetParameter, str], Inspected]) -> Any:
    """Most operators leave the nets as they are: each is compared with the paper's once."""
    known: dict[tuple[bytes, str], Inspected] = {}

    def inspect(net: NetParameter, file: str) -> Inspected:
        key = net.SerializeToString(deterministic=True), file
        if key not in known:
            known[key] = compare(net, file)
        return known[key]

    return inspect


def test_there_are_enough_changes() -> None:
    assert len({str(change) for change in CHANGES}) == len(CHANGES) >= 10


@pytest.mark.parametrize("name", [*MULTITASK, "real"])
def test_a_training_does_not_contradict_itself(
    trainings: Callable[[str], Training], name: str
) -> None:
    found = [f for f in trainings(name).before if f.verdict is DIFFERS]
    assert not [f for f in found if name != "real" or f.rule.value == "itself"], shown(found)


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("change", CHANGES, ids=str)
@FEW
@given(data=st.data())
def test_a_log_of_another_training_is_told(
    trainings: Callable[[str], Training], change: LogChange, name: str, data: st.DataObject
) -> None:
    training = trainings(data.draw(LOGS[name]))
    found = training.news(change.operator(data.draw, training.text))
    wanted = (OPEN, DIFFERS) if change.is_open else (DIFFERS,)
    of_place = [f for f in found if f.where.endswith(change.named) and f.verdict in wanted]
    assert of_place, shown(found)


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda rewrite: rewrite.__name__)
@FEW
@given(data=st.data())
def test_a_log_that_is_only_written_otherwise_does_not_differ(
    trainings: Callable[[str], Training],
    rewrite: Callable[[Draw, str], str],
    name: str,
    data: st.DataObject,
) -> None:
    training = trainings(data.draw(LOGS[name]))
    found = [f for f in training.news(rewrite(data.draw, training.text)) if f.verdict is DIFFERS]
    assert not found, shown(found)
