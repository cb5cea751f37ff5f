"""What the tests of inspections share: changing one thing of a network, and asking for findings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.text_format import MessageToString

from netgen.audit.inspection import InspectionFinding as Finding
from netgen.audit.inspection import InspectionVerdict as Verdict
from netgen.audit.inspection import inspect
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import read_net
from support.paths import ROOT

XS = ROOT / "models/xs/train_val.prototxt"
DEPLOY = ROOT / "models/xs/deploy.prototxt"
SOLVER = ROOT / "solvers/xs.prototxt"


def network(path: Path = XS) -> NetParameter:
    """A network to be changed."""
    return read_net(path)


def layer(net: NetParameter, name: str, phase: int | None = None) -> LayerParameter:
    """The layer of that name; the one that exists in `phase` only, where there are two."""
    for each in net.layer:
        if each.name == name and (phase is None or each.include[0].phase == phase):
            return each
    raise KeyError(name)


def add(net: NetParameter, after: str, **fields: Any) -> None:
    """Add a layer after the one of that name."""
    layers = list(net.layer)
    place = next(index for index, each in enumerate(layers) if each.name == after) + 1
    layers.insert(place, LayerParameter(**fields))
    replace_layers(net, layers)


def remove(net: NetParameter, name: str) -> None:
    """Take out a layer; who read its top reads its bottom."""
    gone = layer(net, name)
    replace_layers(net, [each for each in net.layer if each is not gone and each.name != name])
    for each in net.layer:
        for index, bottom in enumerate(each.bottom):
            if bottom == gone.top[0] and gone.top[0] != gone.bottom[0]:
                each.bottom[index] = gone.bottom[0]


def replace_layers(net: NetParameter, layers: Iterable[LayerParameter]) -> None:
    """Put these layers in the place of all there are."""
    kept = [LayerParameter.FromString(each.SerializeToString()) for each in layers]
    del net.layer[:]
    net.layer.extend(kept)


def batch_cut_and_joined(
    blob: str, parts: list[str], order: list[str]
) -> tuple[LayerParameter, LayerParameter]:
    """Cut a batch into parts, and join them in an order."""
    cut = LayerParameter(name="cut", type="Slice", bottom=[blob], top=parts)
    join = LayerParameter(name="join", type="Concat", bottom=order, top=["joined"])
    cut.slice_param.axis = join.concat_param.axis = 0
    return cut, join


def written(net: NetParameter, folder: Path, name: str = "net.prototxt") -> Path:
    """Write a network as prototxt."""
    path = folder / name
    path.write_text(MessageToString(net), encoding="utf-8")
    return path


def findings(folder: Path, net: NetParameter) -> list[Finding]:
    """What the inspection of a network finds."""
    return inspect(net=written(net, folder))


def differing(found: Iterable[Finding]) -> list[Finding]:
    """Those that differ from the paper."""
    return [finding for finding in found if finding.verdict is Verdict.DIFFERS]


def shown(found: Iterable[Finding]) -> str:
    """Findings as text, for a failing test."""
    return "\n".join(f"{f.verdict.value}: {f.where} | {f.what}" for f in found)
