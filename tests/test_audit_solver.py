"""Solvers inspected: each field of section 5.2, alone and with the network that is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.audit import SOLVER, XS, differing, shown
from support.networks import TRAINED
from support.paths import ROOT

from netgen.audit.inspection import InspectionFinding, InspectionVerdict, Rule, inspect
from netgen.audit.inspection.inspect_solver import inspect_solver
from netgen.audit.inspection.same_nets import GivenNet
from netgen.caffe.schema import read_net

TEXT = SOLVER.read_text(encoding="utf-8")

# What stands in solvers/xs.prototxt, what is put there, the field named, what is told of it.
CHANGES = [
    ("momentum: 0.9\n", "momentum: 0.95\n", "momentum", "momentum 0.95, the paper's is 0.9"),
    ("momentum: 0.9\n", "", "momentum", "momentum 0, the paper's is 0.9"),
    ("base_lr: 0.001\n", "base_lr: 0.01\n", "base_lr", "base_lr 0.01, the paper's is 0.001"),
    ("0.0001\n", "0.0005\n", "weight_decay", "weight_decay 0.0005, the paper's is 0.0001"),
    ('type: "SGD"', 'type: "Adam"', "type", 'type "Adam", the paper\'s is "SGD"'),
    ('type: "SGD"', "solver_type: NESTEROV", "type", 'type "Nesterov"'),
    (
        "max_iter",
        "iter_size: 2\nmax_iter",
        "iter_size",
        "2 x batch_size 24 = 48, the paper's is 24",
    ),
    ("25691", "3000", "test_iter", "3,000 x batch_size 3 = 9,000, the test set is 77,073"),
    ('"fixed"', '"poly" power: 1', "lr_policy", "the rate is changed a little at iteration"),
    (
        '"fixed"',
        '"step" gamma: 0.5 stepsize: 9',
        "lr_policy",
        "the rate is divided by 2 at iteration 9",
    ),
    ("max_iter", 'regularization_type: "L1"\nmax_iter', "regularization_type", '"L1"'),
    ("max_iter", "clip_gradients: 35\nmax_iter", "clip_gradients", "names no such thing"),
    ('"fixed"', '"step" gamma: nan stepsize: 99999', "lr_policy", "gamma nan is not at least 0"),
    ('"fixed"', '"sigmoid" gamma: -1 stepsize: 9', "lr_policy", "Check failed: gamma() >= 0"),
]

HARMLESS = [
    ('type: "SGD"', "solver_type: SGD"),
    ('type: "SGD"\n', ""),
    ("test_initialization: false", "test_initialization: true"),
    ("display: 100", "display: 20 average_loss: 20"),
    ('"fixed"', '"multistep" gamma: 0.1 stepvalue: 128000 stepvalue: 256000'),
    ("momentum: 0.9", "momentum: 9e-1 # as ever"),
    ("solver_mode: GPU", "solver_mode: CPU device_id: 1 snapshot_format: HDF5"),
    ("max_iter", "clip_gradients: inf max_iter"),
]


def inspected(folder: Path, old: str, new: str, net: Path | None = XS) -> list[InspectionFinding]:
    assert TEXT.count(old) >= 1
    path = folder / "solver.prototxt"
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    return [finding for finding in inspect(net=net, solver=path) if str(path) in finding.where]


@pytest.mark.parametrize(("old", "new", "field", "what"), CHANGES)
def test_a_changed_field_is_named(
    old: str, new: str, field: str, what: str, tmp_path: Path
) -> None:
    found = differing(inspected(tmp_path, old, new))
    assert [finding.where.rpartition(": ")[2] for finding in found] == [field], shown(found)
    assert what in found[0].what


@pytest.mark.parametrize("policy", ['"fixed"', '"step" gamma: 0.1 stepsize: 128000'])
def test_a_rate_that_is_no_number_is_told_as_such(policy: str, tmp_path: Path) -> None:
    text = f"base_lr: nan\nlr_policy: {policy}"
    found = differing(inspected(tmp_path, 'base_lr: 0.001\nlr_policy: "fixed"', text))
    said = {finding.where.rpartition(": ")[2]: finding.what for finding in found}
    assert said["base_lr"] == "base_lr nan, the paper's is 0.001 (section 5.2)"
    assert "no rate is a finite number, since base_lr is nan" in said["lr_policy"]


@pytest.mark.parametrize(
    ("field", "verdict"),
    [
        ("moment: 0.9", InspectionVerdict.DIFFERS),
        ("early_stop { patience: 3 }", InspectionVerdict.DIFFERS),
        ("plateau_winsize: 3", InspectionVerdict.NOT_CHECKABLE),  # of SSD
    ],
)
def test_a_field_that_bvlcs_caffe_refuses_is_told_so(
    field: str, verdict: InspectionVerdict, tmp_path: Path
) -> None:
    found = inspected(tmp_path, "max_iter", f"{field}\nmax_iter")
    name = field.partition(" ")[0].rstrip(":")
    told = next(finding for finding in found if f"SolverParameter.{name}" in finding.what)
    assert (told.verdict, told.rule) == (verdict, Rule.CAFFE)
    assert "BVLC's Caffe has no such field, and stops" in told.what


@pytest.mark.parametrize(("old", "new"), HARMLESS)
def test_a_harmless_field_is_no_difference(old: str, new: str, tmp_path: Path) -> None:
    found = differing(inspected(tmp_path, old, new))
    assert not found, shown(found)


@pytest.mark.parametrize("name", TRAINED)
def test_the_committed_solvers_are_the_papers(name: str) -> None:
    solver, net = ROOT / f"solvers/{name}.prototxt", ROOT / f"models/{name}/train_val.prototxt"
    found = inspect(net=net, solver=solver)
    assert not differing(found), shown(found)


def test_half_the_batch_twice_is_the_papers_batch(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    text = XS.read_text(encoding="utf-8")
    net.write_text(text.replace("batch_size: 24", "batch_size: 12"), encoding="utf-8")
    found = inspected(tmp_path, "max_iter", "iter_size: 2\nmax_iter", net)
    told = next(finding for finding in found if finding.where.endswith("iter_size"))
    assert told.verdict is InspectionVerdict.EQUIVALENT
    assert "BatchNorm normalises over 12 images at a time" in told.what


def test_without_the_network_batches_cannot_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = inspected(tmp_path, "display: 100", "display: 10", net=None)
    open_ends = {
        f.where.rpartition(": ")[2] for f in found if f.verdict is InspectionVerdict.NOT_CHECKABLE
    }
    assert {"iter_size", "test_iter"} <= open_ends
    assert not differing(found)


def test_the_network_that_the_solver_names_is_read_where_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    found = inspected(tmp_path, "25691", "3000", net=None)
    assert any("9,000" in finding.what for finding in differing(found))


def test_a_baselines_rates_are_left_open_by_the_paper(tmp_path: Path) -> None:
    net = ROOT / "models/resnet50-noun/train_val.prototxt"
    found = inspected(tmp_path, "base_lr: 0.001\n", "base_lr: 0.01\n", net)
    told = next(finding for finding in found if finding.where.endswith("base_lr"))
    assert told.verdict is InspectionVerdict.NOT_CHECKABLE
    assert "the baselines' is open" in told.what


@pytest.mark.parametrize("name", ["caffenet-adj", "resnet50-noun"])
def test_a_baselines_rates_are_left_open_by_the_paper_of_its_solver_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    path = tmp_path / "solver.prototxt"
    text = Path(f"solvers/{name}.prototxt").read_text(encoding="utf-8")
    path.write_text(text.replace("base_lr: 0.001", "base_lr: 0.01"), encoding="utf-8")
    found = inspect(solver=path)
    assert not differing(found), shown(found)
    assert any("the baselines' is open" in finding.what for finding in found)
    path.write_text(text.replace(f"models/{name}/", "models/xs/"), encoding="utf-8")
    assert not any("the baselines' is open" in finding.what for finding in inspect(solver=path))


@pytest.mark.parametrize(
    ("state", "rule"),
    [
        ('train_state { stage: "more" }', 'stage: "more"'),
        ("train_state { level: 2 }", "min_level: 2"),
        ('test_state { stage: "more" }', 'stage: "more"'),
    ],
)
def test_a_state_that_selects_other_layers_is_told(state: str, rule: str, tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    more = f'layer {{ name: "more" type: "Silence" bottom: "data" include {{ {rule} }} }}\n'
    net.write_text(XS.read_text(encoding="utf-8") + more, encoding="utf-8")
    path = tmp_path / "solver.prototxt"
    text = TEXT.replace("models/xs/train_val.prototxt", str(net))
    path.write_text(f"{text}\n{state}\n", encoding="utf-8")
    found = inspect_solver(path, GivenNet(str(net), read_net(net)))
    field = state.partition(" ")[0]
    told = next(finding for finding in found if finding.where.endswith(f": {field}"))
    assert told.verdict is InspectionVerdict.DIFFERS
    assert told.what.endswith("selects other layers than those of the net as it is: more")
    assert told.phase == field.partition("_")[0].upper()


def test_a_net_that_is_nowhere_is_told(tmp_path: Path) -> None:
    found = inspected(tmp_path, "models/xs/train_val.prototxt", "nowhere.prototxt", net=None)
    told = next(finding for finding in found if finding.where.endswith(": net"))
    assert told.verdict is InspectionVerdict.NOT_CHECKABLE
    assert told.what == 'net "nowhere.prototxt": it is not there'
