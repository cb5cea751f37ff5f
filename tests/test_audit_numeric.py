"""`--numeric`: what algebra does not show to be the same is run in Caffe, on the same weights."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support.audit import DEPLOY, XS, add, differing, layer, network, shown, written
from support.network_mutations import weighted
from support.network_rewrites import after

from netgen.audit.inspection import InspectionVerdict as Verdict
from netgen.audit.inspection import inspect
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter


def cut_and_joined(net: NetParameter) -> None:
    """Cut the channels of res5c_noun apart, and join them in the same order."""
    after(net, layer(net, "res5c_relu_noun"), LayerParameter(name="join", type="Concat"))
    join = layer(net, "join")
    parts = LayerParameter(name="cut", type="Slice", bottom=join.bottom, top=["left", "right"])
    join.bottom[:] = parts.top
    layers = []
    for each in net.layer:
        layers += [parts, each] if each.name == "join" else [each]
    kept = [LayerParameter.FromString(each.SerializeToString()) for each in layers]
    del net.layer[:]
    net.layer.extend(kept)


@pytest.mark.parametrize("path", [DEPLOY, XS], ids=["deploy", "train_val"])
def test_what_computes_the_same_for_a_reason_unknown_to_us_is_equivalent(
    path: Path, tmp_path: Path
) -> None:
    net = network(path)
    cut_and_joined(net)
    file = written(net, tmp_path)
    assert differing(inspect(net=file)), "algebra knows it: choose another rewrite"
    found = inspect(net=file, numeric=True)
    assert not differing(found), shown(found)
    assert any("the same but for rounding" in finding.what for finding in found), shown(found)


def test_what_computes_something_else_is_told_by_how_much(tmp_path: Path) -> None:
    net = network()
    weighted(net, layer(net, "res4c"), random.Random(1))
    found = inspect(net=written(net, tmp_path), numeric=True)
    runs = [finding for finding in differing(found) if "outputs differ from xs by" in finding.what]
    assert {finding.phase for finding in runs} == {"TRAIN", "TEST"}, shown(found)
    assert any("res4c" in finding.where for finding in differing(found))


def test_a_program_in_a_network_is_not_run(tmp_path: Path) -> None:
    net = network(DEPLOY)
    add(net, "res5c_relu_noun", name="mine", type="Python", bottom=["res5c_noun"],
        top=["res5c_noun"])  # fmt: skip
    layer(net, "mine").python_param.module = "mine"
    (tmp_path / "mine.py").write_text("raise SystemExit('it was run')\n")
    found = inspect(net=written(net, tmp_path), numeric=True)
    refusal = [finding for finding in found if "which an audit does not run" in finding.what]
    assert [finding.verdict for finding in refusal] == [Verdict.NOT_CHECKABLE], shown(found)


def test_weights_without_a_counterpart_cannot_be_the_same(tmp_path: Path) -> None:
    net = network(DEPLOY)
    add(net, "res3c_relu", name="more", type="Scale", bottom=["res3c"], top=["res3c"])
    found = inspect(net=written(net, tmp_path), numeric=True)
    assert any("has weights and no counterpart" in finding.what for finding in found)
    assert differing(found)
