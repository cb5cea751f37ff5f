"""X_S's outputs and gradients on the GPU, against those of a CPU on the same weights and images.

How far rounding alone may carry them apart is measured too: the same pass on a CPU, each pixel one
unit in its last place larger. A GPU rounds otherwise in every layer, not in the first alone, so it
may differ by `ALLOWED` times that. Gradients jump where a rounding moves an activation across a
ReLU's kink or to another maximum, which the square root of errors tells: they have less room. So a
second network is compared more closely: X_S with ELUs for its ReLUs and no maximum.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.text_format import MessageToString

from gpu_proof.engines import Engine
from netgen import paper
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, PoolingParameter
from netgen.caffe.engine import FLOAT32
from netgen.caffe.schema import layers_in, read_net

KINDS = {"output": "training outputs", "gradient": "gradients", "deployed": "test outputs"}
ALLOWED = {"training outputs": 30, "gradients": 6, "test outputs": 30}
ALLOWED_SMOOTH = dict.fromkeys(ALLOWED, 30)
SMALL = 1e-5  # relative to an array's norm: what float32 rounds away in sums of thousands
BATCH = 4
TF32 = dict.fromkeys(FLOAT32)  # what netgen's commands set is not set


@dataclass(frozen=True)
class Way:
    """A way to compute the pass."""

    name: str
    engine: Engine
    words: tuple[str, ...]
    judged: bool = True
    more: tuple[tuple[str, str | None], ...] = ()


def compare(folder: Path, engines: list[Engine], *, smooth: bool) -> dict[str, object]:
    """Run the pass in every way, and return how far each is from the CPU's, by kind of array."""
    variant, allowed = "xs", ALLOWED_SMOOTH if smooth else ALLOWED
    fed = folder / f"fed-{variant}.prototxt"
    net = _fed(folder / f"models/{variant}/train_val.prototxt")
    if smooth:
        _make_smooth(net)
    fed.write_text(MessageToString(net))
    cpu = Way("the CPU", engines[0], ("--device", "cpu", "--first"))
    nudged = Way("the CPU, pixels one unit in the last place larger", engines[0],
                 ("--device", "cpu", "--nudge"))  # fmt: skip
    others = [nudged]
    for engine in engines:
        others.append(Way(f"the GPU, {engine.name}", engine, ("--device", "gpu")))
        if "cuDNN yes" in engine.build.get("gpu", ""):
            others.append(Way(f"the GPU, {engine.name}, TF32", engine, ("--device", "gpu"),
                              judged=False, more=tuple(TF32.items())))  # fmt: skip
    reference = _run(folder, fed, cpu)
    with ThreadPoolExecutor(len(others)) as pool:
        found = list(pool.map(lambda way: _run(folder, fed, way), others))
    rows = {way.name: apart(reference, arrays) for way, arrays in zip(others, found, strict=True)}
    usual = rows[nudged.name]
    for way in filter(lambda way: way.judged, others[1:]):
        judge(rows[way.name], usual, allowed)
    return {
        "network": variant, "batch": BATCH, "smooth": smooth, "allowed": allowed, "small": SMALL,
        "arrays": len(reference), "apart": rows,
    }  # fmt: skip


def judge(row: dict[str, Any], usual: dict[str, Any], allowed: dict[str, int]) -> None:
    """Add to a row whether it agrees with the CPU, as far as rounding alone lets it."""
    row["agrees"] = all(
        row[kind] <= max(SMALL, allowed[kind] * usual[kind]) for kind in KINDS.values()
    )


def _fed(file: Path) -> NetParameter:
    """The training network, its Data layers replaced by Inputs of a smaller batch."""
    net = read_net(file)
    fed = NetParameter(name=net.name)
    for layer in layers_in(net, "TRAIN"):
        layer.ClearField("include")
        fed.layer.append(_input(layer) if layer.type == "Data" else layer)
    return fed


def _input(layer: LayerParameter) -> LayerParameter:
    size = (BATCH, *paper.IMAGE_SHAPE) if layer.name == "data" else (BATCH,)
    made = LayerParameter(name=layer.name, type="Input", top=layer.top)
    made.input_param.shape.add(dim=size)
    return made


def _make_smooth(net: NetParameter) -> None:
    for layer in net.layer:
        if layer.type == "ReLU":
            layer.type = "ELU"
        elif layer.type == "Pooling":
            layer.pooling_param.pool = PoolingParameter.AVE


def _run(folder: Path, fed: Path, way: Way) -> dict[str, np.ndarray]:
    out = folder / f"{abs(hash(way.name))}.npz"
    words = [str(fed), str(folder / "first.caffemodel"), str(folder / "after.caffemodel"), str(out)]
    command = [str(way.engine.python), "-m", "gpu_proof.passes", *words, *way.words]
    way.engine.run(folder, command, seconds=150, GLOG_minloglevel="2", **dict(way.more))
    with np.load(out) as arrays:
        return dict(arrays)


def apart(reference: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the largest relative difference of each kind of array, and where the largest is.

    All gradients of a layer are one array: that of a bias which only a BatchNorm reads is 0, and
    rounding is all that is seen of it.
    """
    row: dict[str, Any] = {}
    for prefix, kind in KINDS.items():
        names: dict[str, list[str]] = {}
        for name in reference:
            if name.startswith(prefix):
                names.setdefault(name.split(" ")[1], []).append(name)
        errors = {
            layer: _relative(_joined(reference, own), _joined(found, own))
            for layer, own in names.items()
        }
        worst = max(errors, key=lambda layer: errors[layer])
        row |= {
            kind: errors[worst], f"{kind}, where": worst,
            f"{kind}, median": float(np.median(list(errors.values()))),
        }  # fmt: skip
    return row


def _joined(arrays: dict[str, np.ndarray], names: list[str]) -> np.ndarray:
    return np.concatenate([arrays[name].astype(np.float64).ravel() for name in names])


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))
