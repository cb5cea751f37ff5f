"""Files given at once: net, solver, weights, data and log, of one training or of several."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.audit import SOLVER, shown
from support.logs import falling, log_of_a_training
from support.networks import dataset, make_databases, order
from support.paths import ROOT
from support.trained_network import Trained

from netgen.audit.inspection import InspectionFinding, InspectionVerdict, Rule, inspect
from netgen.caffe.caffemodel import Weights, read_weights, to_caffemodel
from netgen.commands.audit import command
from netgen.network.build import network_files
from netgen.network.dataset import write_dataset
from netgen.system.files import write_all

Change = Callable[[Path], object]


@pytest.fixture
def files(trained: Trained, tmp_path: Path) -> dict[str, Any]:
    """Copies of what a training read and wrote."""
    copies = {
        "net": trained.train_val,
        "solver": trained.folder / "solvers/xs.prototxt",
        "weights": trained.weights,
        "log": trained.log,
    }
    kept = {kind: Path(shutil.copy(path, tmp_path)) for kind, path in copies.items()}
    return kept | {"data": trained.toml.parent}


def contradictions(found: list[InspectionFinding]) -> list[InspectionFinding]:
    return [f for f in found if f.rule is Rule.ITSELF and f.verdict is InspectionVerdict.DIFFERS]


def agreed(found: list[InspectionFinding]) -> str:
    fine = (InspectionVerdict.SAME, InspectionVerdict.EQUIVALENT)
    return "\n".join(f.what for f in found if f.rule is Rule.ITSELF and f.verdict in fine)


def test_what_is_of_one_training_agrees(files: dict[str, Any]) -> None:
    found = inspect(**files)
    assert not contradictions(found), shown(contradictions(found))
    said = agreed(found)
    for words in (
        "its layers are those of",
        "the layers with weights are those of this net",
        "of the solver's last iteration, 60, under its snapshot_prefix",
        "the last snapshot that the log tells of",
        "the net reads these databases",
        "test_iter 101 x batch_size 1 = 101",
        "the log's solver has the fields and the rates of this one",
    ):
        assert words in said, said


def test_a_deploy_network_agrees_too(files: dict[str, Any], trained: Trained) -> None:
    found = inspect(**files | {"net": trained.network})
    assert not contradictions(found), shown(contradictions(found))
    assert "its layers with weights are those of" in agreed(found)


@pytest.mark.parametrize("beside", ["data", "log", None])
def test_a_net_whose_databases_are_elsewhere_takes_the_size_of_its_images_from_other_files(
    files: dict[str, Any], beside: str | None
) -> None:
    text = files["net"].read_text()
    files["net"].write_text(re.sub(r'source: "[^"]*', 'source: "elsewhere', text))
    given = {kind: files[kind] for kind in ("net", "weights", beside) if kind}
    found = [f for f in inspect(**given) if f.where.startswith(f"{files['weights']}: ")]
    of_net = [f for f in found if f.where.endswith(str(files["net"]))]
    assert not contradictions(of_net), shown(of_net)
    if beside:
        assert "the layers with weights are those of this net" in agreed(of_net)
    else:
        assert "depends on the size of the images" in of_net[0].what


def rewrite(pattern: str, new: str) -> Change:
    def change(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert re.search(pattern, text)
        path.write_text(re.sub(pattern, new, text, count=1), encoding="utf-8")

    return change


def narrower(path: Path) -> None:
    """Weights in which one layer has another shape."""
    weights = read_weights(path)
    first = weights[0]
    weights[0] = Weights(first.name, first.type, tuple(blob[:1] for blob in first.blobs))
    path.write_bytes(to_caffemodel("narrower", weights))


def without_a_layer(path: Path) -> None:
    path.write_bytes(to_caffemodel("less", read_weights(path)[1:]))


@pytest.mark.parametrize(
    ("kind", "change", "what"),
    [
        ("net", rewrite(r"num_output: \d+", "num_output: 77"), "another net"),
        ("net", rewrite(r'name: "fc_item"', 'name: "fc_x"'), "another net"),
        ("net", rewrite(r"train/images\.lmdb", "test/images.lmdb"), "of the other split"),
        ("solver", rewrite(r"momentum: 0\.9", "momentum: 0.8"), "momentum 0.9, not 0.8"),
        ("solver", rewrite(r'"fixed"', '"step" gamma: 0.1 stepsize: 30'), "another schedule"),
        ("solver", rewrite(r"max_iter: 60", "max_iter: 50"), "but the solver ends at 50"),
        ("solver", rewrite(r"test_iter: 101", "test_iter: 100"), "= 100, "),
        ("solver", rewrite(r'snapshots/xs"', 'snapshots/x0"'), "the solver writes x0_iter_N"),
        ("weights", narrower, "missing or of another shape"),
        ("weights", without_a_layer, "missing or of another shape"),
        ("log", rewrite(r"(xs)_iter_60\.caffemodel", r"\1_iter_59.caffemodel"), "no snapshot that"),
        ("log", rewrite(r"Creating Layer fc_item", "Creating Layer fc_x"), "another net"),
        ("log", rewrite(r"cross5b_item_family <- \S+", "cross5b_item_family <- x"), "another net"),
        ("log", rewrite(r"Top shape: 20 10 ", "Top shape: 20 11 "), "another net"),
        ("log", rewrite(r"num_output: \d+", "num_output: 999"), "another net"),
        ("log", rewrite(r"momentum: 0\.9", "momentum: 0.7"), "momentum 0.7, not 0.9"),
    ],
)
def test_a_file_of_another_training_contradicts_the_others(
    kind: str, change: Change, what: str, files: dict[str, Any]
) -> None:
    change(files[kind])
    found = contradictions(inspect(**files))
    assert any(what in finding.what for finding in found), shown(found)


def test_other_databases_contradict_net_solver_and_log(
    files: dict[str, Any], tmp_path: Path
) -> None:
    data = dataset({"noun": 5, "adj": 3}, (3, 16, 16), records=12)
    other = tmp_path / "other"
    make_databases(data, other)
    write_dataset(dataset({"noun": 5, "adj": 3}, (3, 16, 16), 12, str(other / "data")),
                  other / "dataset.toml")  # fmt: skip
    found = contradictions(inspect(**files | {"data": other}))
    said = "\n".join(finding.what for finding in found)
    assert "the net learns family, item, season, the databases have labels of adj, noun" in said
    assert "has 12 records" in said
    assert "images of 3 x 16 x 16, in the log 1 x 28 x 28" in said


def test_other_classes_contradict_the_net(files: dict[str, Any], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(files["data"], other)
    rewrite(r"classes = 10", "classes = 11")(other / "dataset.toml")
    rewrite(r', names = "classes/item.txt"', "")(other / "dataset.toml")
    found = contradictions(inspect(net=files["net"], data=other))
    assert {f.what for f in found} == {"11 classes, and the net's classifier has 10 outputs"}


def test_an_earlier_snapshot_is_not_what_the_log_tested(files: dict[str, Any]) -> None:
    earlier = files["weights"].with_name("xs_iter_30.caffemodel")
    shutil.copy(files["weights"], earlier)
    line = "I0816 10:00:00.000001 1 solver.cpp:464] Snapshotting to binary proto file "
    rewrite(r"(?m)^.*Iteration 40.*loss.*$", rf"{line}a/xs_iter_30.caffemodel\n\g<0>")(files["log"])
    found = inspect(**files | {"weights": earlier})
    assert not contradictions(found), shown(contradictions(found))
    assert any("a snapshot that the log tells of, but the last is" in f.what for f in found)


def lowered_at_30(line: str) -> str:
    told = re.search(r"Iteration (\d+), lr = ", line)
    return line.replace("lr = 0.02", "lr = 0.002") if told and int(told[1]) >= 30 else line


def test_rates_that_a_restored_state_lowered_are_those_of_the_solver(
    files: dict[str, Any],
) -> None:
    """As `netgen train` does it: the solver of the round has no steps, the run's has them."""
    rewrite(r'"fixed"', '"multistep"\ngamma: 0.1')(files["log"])
    restoring = "I0816 10:00:00.000001 1 sgd_solver.cpp:300] SGDSolver: restoring history"
    rewrite(r"(?m)^.*Iteration 30.*loss.*$", rf"{restoring}\n\g<0>")(files["log"])
    lines = files["log"].read_text(encoding="utf-8").splitlines()
    files["log"].write_text("\n".join(map(lowered_at_30, lines)) + "\n", encoding="utf-8")
    rewrite(r'"fixed"', '"multistep" gamma: 0.1 stepvalue: 30')(files["solver"])
    found = inspect(**files)
    assert not contradictions(found), shown(contradictions(found))
    rewrite(r"stepvalue: 30", "stepvalue: 35")(files["solver"])
    told = [f.what for f in inspect(**files) if f.verdict is InspectionVerdict.NOT_CHECKABLE]
    assert any("with other rates than this solver's" in what for what in told)


def test_a_net_that_the_log_cuts_off_between_layers_is_no_other_net(
    files: dict[str, Any],
) -> None:
    text = files["log"].read_text(encoding="utf-8")
    start = text.index("Initializing net from parameters")
    end = text.rindex("\nlayer {", start, text.index("Creating layer", start))
    rest = re.compile(r"^I\d+ .*Creating layer", re.MULTILINE).search(text, end)
    assert rest
    files["log"].write_text(text[: end + 1] + text[rest.start() :], encoding="utf-8")
    found = inspect(**files)
    assert not contradictions(found), shown(contradictions(found))
    assert not [f for f in found if "the net in it" in f.where]


def test_weights_of_another_name_may_be_of_any_training(files: dict[str, Any]) -> None:
    renamed = files["weights"].with_name("final.caffemodel")
    files["weights"].rename(renamed)
    found = inspect(**files | {"weights": renamed})
    assert not contradictions(found), shown(contradictions(found))
    told = [f.what for f in found if f.verdict is InspectionVerdict.NOT_CHECKABLE]
    assert any("by its name it may be of any solver" in what for what in told)


@pytest.mark.parametrize("name", ["x0", "x1"])
def test_another_network_of_the_paper_contradicts_the_training(
    name: str, files: dict[str, Any], trained: Trained, tmp_path: Path
) -> None:
    ordered = order(name, trained.dataset, out=tmp_path / "built")
    write_all(network_files(ordered))
    net = tmp_path / f"built/models/{name}/train_val.prototxt"
    found = contradictions(inspect(**files | {"net": net}))
    of = {finding.where.partition(":")[0] for finding in found}
    assert {str(files["solver"]), str(files["log"])} <= of, shown(found)


@pytest.mark.parametrize(("name", "agrees"), [("xs", True), ("x0", False)])
def test_a_log_is_compared_with_the_net_that_the_solver_names(
    name: str, agrees: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    log = tmp_path / "xs.log"
    log.write_text(log_of_a_training(), encoding="utf-8")
    solver = tmp_path / "solver.prototxt"
    text = Path(f"solvers/{name}.prototxt").read_text(encoding="utf-8")
    solver.write_text(falling(text), encoding="utf-8")
    found = inspect(log=log, solver=solver)
    assert bool(contradictions(found)) is not agrees, shown(found)
    net = f"models/{name}/train_val.prototxt"
    said = agreed(found) if agrees else shown(contradictions(found))
    assert (f"its layers are those of {net}" if agrees else f"another net than {net}") in said


@pytest.mark.parametrize(("name", "agrees"), [("xs", True), ("x0", False)])
def test_a_net_that_is_not_there_is_compared_by_its_path(
    name: str, agrees: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("xs.log").write_text(log_of_a_training(), encoding="utf-8")
    text = falling(SOLVER.read_text(encoding="utf-8"))
    Path("solver.prototxt").write_text(text.replace("models/xs/train", f"models/{name}/train"))
    found = inspect(log="xs.log", solver="solver.prototxt")
    assert not contradictions(found), shown(found)
    words = "the log's solver has the fields and the rates of this one"
    assert (words in agreed(found)) is agrees
    if not agrees:
        other = f'{words}, but the net "models/xs/train_val.prototxt", here "models/x0/'
        assert any(other in finding.what for finding in found), shown(found)


@pytest.mark.parametrize(("solver", "status"), [("xs", 0), ("x0", 1)])
def test_a_contradiction_is_exit_code_1(
    solver: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    words = ("--net", "models/xs/train_val.prototxt", "--solver", f"solvers/{solver}.prototxt")
    result = CliRunner().invoke(command, [*words, "--json"])
    assert result.exit_code == status, result.output
    rules = {x["rule"] for x in json.loads(result.stdout) if x["verdict"] == "differs"}
    assert rules == ({"itself"} if status else set())
