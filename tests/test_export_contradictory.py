"""Exported networks that were changed since: what they say is compared with their graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper, numpy_helper
from support.trained_network import Trained

from netgen.commands.cli import main

DESCRIPTION = "netgen.description"
Change = Callable[[Any], object]


@pytest.fixture
def alone(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> onnx.ModelProto:
    """An exported network; the current folder has nothing else but an image."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.png", trained.images[0])
    words = ["export", "--weights", str(trained.folder / "models/xs"), "--onnx", "xs.onnx"]
    assert CliRunner().invoke(main, words).exit_code == 0
    return onnx.load("xs.onnx")


def refused(model: onnx.ModelProto) -> str:
    """Predict with a changed network, which is to fail by one line."""
    Path("xs.onnx").write_bytes(model.SerializeToString())
    told = CliRunner().invoke(main, ["predict", "photo.png", "--weights", "xs.onnx"])
    assert told.exit_code == 1, told.output
    assert isinstance(told.exception, SystemExit)
    assert told.stdout == ""
    assert told.stderr.count("\n") == 1
    return told.stderr


def said(model: onnx.ModelProto, key: str, change: Change) -> onnx.ModelProto:
    """The network, one of its metadata changed."""
    known = {each.key: each.value for each in model.metadata_props}
    entry = json.loads(known[key])
    change(entry)
    helper.set_model_props(model, known | {key: json.dumps(entry)})
    return model


def classes(count: int) -> Change:
    """Let the description name fewer classes of the first task."""

    def change(entry: Any) -> None:
        first = entry["outputs"][0]
        first.update(classes=count, names=first["names"][:count])

    return change


@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        ("netgen", lambda d: d.update(mean=[0.0]), "what it says of its mean contradicts itself"),
        ("netgen", lambda d: d.update(mean=[]), "what it says of its mean contradicts itself"),
        (DESCRIPTION, lambda d: d["images"].update(mean=[0.0]), "of its mean contradicts itself"),
        ("netgen", lambda d: d["tasks"].reverse(), "of its tasks contradicts itself"),
        ("netgen", lambda d: d["tasks"][0].update(scores="fc_family"), "not the scores of item"),
        ("netgen", lambda d: d["tasks"][0].update(scores="prob_item"), "not the scores of item"),
        (DESCRIPTION, classes(5), "10 scores of item, which has 5 classes"),
    ],
    ids=["mean", "no mean", "another mean", "tasks", "scores", "probabilities", "classes"],
)
def test_metadata_that_do_not_tell_of_the_graph_are_refused(
    alone: onnx.ModelProto, key: str, change: Change, told: str
) -> None:
    message = refused(said(alone, key, change))
    assert "xs.onnx: changed after `netgen export` wrote it" in message
    assert told in message
    assert "export it again" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(parameters=float("inf")),
        lambda d: d.update(mean=None),
        lambda d: d["tasks"][0].update(scores=None),
        lambda d: d["tasks"][0].update(scores=["fc_item"]),
    ],
    ids=["parameters", "mean", "scores", "list of scores"],
)
def test_metadata_of_other_types_are_none(alone: onnx.ModelProto, change: Change) -> None:
    message = refused(said(alone, "netgen", change))
    assert "ONNX that does not say what it takes and gives, as netgen's does" in message


def test_metadata_without_end_are_none(alone: onnx.ModelProto) -> None:
    known = {each.key: each.value for each in alone.metadata_props}
    helper.set_model_props(alone, known | {"netgen": "[" * 10**5})
    assert "xs.onnx: ONNX that does not say what it takes and gives" in refused(alone)


@pytest.mark.parametrize("field", ["variant", "dataset"])
def test_names_in_metadata_are_not_obeyed(alone: onnx.ModelProto, field: str) -> None:
    named = said(alone, DESCRIPTION, lambda d: d.update({field: "a\x1b[2J\nError: done"}))
    assert r"the name 'a\x1b[2J\nError: done' has characters that are not shown" in refused(named)


def test_a_class_name_in_metadata_is_not_obeyed(alone: onnx.ModelProto) -> None:
    names = ["\x1b[31m", *"abcdefghi"]
    named = said(alone, DESCRIPTION, lambda d: d["outputs"][0].update(names=names))
    assert r"the name '\x1b[31m' has characters that are not shown" in refused(named)


def test_scores_of_another_shape_than_the_file_says_are_refused(alone: onnx.ModelProto) -> None:
    graph = alone.graph
    last = next(node for node in graph.node if node.output[0] == "fc_item")
    last.output[0] = "inner"
    for node in graph.node:
        node.input[:] = ["inner" if name == "fc_item" else name for name in node.input]
    doubled = helper.make_node("Concat", ["inner", "inner"], ["fc_item"], axis=1)
    softmax = next(node for node in graph.node if node.op_type == "Softmax")
    assert softmax.input[0] == "inner"
    softmax.input[0] = "fc_item"
    graph.node.insert(list(graph.node).index(softmax), doubled)
    assert "1 x 20 scores of item for 1 images, where it should give 10 for each" in refused(alone)


def test_a_loop_is_not_run(alone: onnx.ModelProto) -> None:
    body = helper.make_graph([helper.make_node("Identity", ["c"], ["d"])], "body", [], [])
    alone.graph.node.append(helper.make_node("Loop", ["", "c"], ["x"], body=body))
    assert "an operator Loop, which no network of netgen's has" in refused(alone)


def test_numbers_of_a_constant_that_are_elsewhere_are_not_opened(alone: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.ones(4, np.float32))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    node = helper.make_node("Constant", [], ["elsewhere"], value=tensor)
    alone.graph.node.append(node)
    assert "are in another file ('../../etc/passwd'), which is not opened" in refused(alone)


def test_probabilities_that_are_no_numbers_are_not_told(alone: onnx.ModelProto) -> None:
    kernel = next(each for each in alone.graph.initializer if len(each.dims) == 4)
    kernel.raw_data = np.full(kernel.dims, np.nan, np.float32).tobytes()
    assert "its scores for item are not finite: did the training diverge?" in refused(alone)


def test_what_onnxruntime_says_is_one_line(
    alone: onnx.ModelProto, capfd: pytest.CaptureFixture[str]
) -> None:
    alone.graph.node[3].op_type = "Other\x1b\nError: done"
    message = refused(alone)
    assert "onnxruntime cannot run it" in message
    assert r"Other\x1b Error: done" in message
    assert capfd.readouterr().err == ""
