"""Compare the time of one X_S network with that of the three ResNet-50s that it replaces.

    python benchmarks/multitask.py [--batches 1,8] [--rounds N] [--iterations N]

Run from the repository's root. Times the committed networks at 224 x 224 with `caffe time`, by
turns, on images and labels that Caffe makes (DummyData): forward as deployed, and forward and
backward as trained. Each ratio of times is printed with the ratio of multiply-adds, also for the
layers that X_S shares, where the three networks do the same work three times, and for the towers
after them, where they do the work of X_S without its cross weights. The towers' share of time is
printed with their share of multiply-adds. The difference comes from normalisations, ReLUs and sums:
they take time but have almost no multiply-adds, and most of their time is before the towers, where
the maps are larger.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.text_format import MessageToString

from netgen import paper
from netgen.caffe.caffe_pb2 import BlobShape, LayerParameter, NetParameter
from netgen.caffe.schema import Phase, layers_in, read_net
from netgen.cost.complexity import count

SINGLE = [f"resnet50-{task}" for task in paper.TASKS]
TOWER = re.compile(r"(res|bn|scale|cross)5[bc]|pool5|fc")
LAYER = re.compile(r"\] +(\S+)\s+(forward|backward): (\S+) ms")
KINDS: dict[str, Phase] = {"forward": "TEST", "forward and backward": "TRAIN"}


@dataclass(frozen=True)
class Cost:
    """Milliseconds, or multiply-adds, of a pass: of its layers before the towers, and in them."""

    shared: float
    towers: float

    @property
    def total(self) -> float:
        """The whole pass."""
        return self.shared + self.towers


def network(variant: str, phase: Phase, batch: int) -> NetParameter:
    """Return a committed network that needs no data: as deployed, or as trained."""
    kind = "deploy" if phase == "TEST" else "train_val"
    net = read_net(Path("models") / variant / f"{kind}.prototxt")
    layers = [_fed(layer, batch) for layer in layers_in(net, phase)]
    return NetParameter(name=net.name, layer=layers)


def _fed(layer: LayerParameter, batch: int) -> LayerParameter:
    """Return a layer, or, in place of one that reads data, one that makes some."""
    if layer.type == "Input":
        layer.input_param.shape[0].dim[0] = batch
        return layer
    if layer.type != "Data":
        return layer
    image = (3, paper.IMAGE_SIZE, paper.IMAGE_SIZE) if layer.name == "data" else (1, 1, 1)
    fed = LayerParameter(name=layer.name, type="DummyData", top=layer.top)
    fed.dummy_data_param.shape.append(BlobShape(dim=(batch, *image)))
    fed.dummy_data_param.data_filler.add(type="gaussian" if layer.name == "data" else "constant")
    return fed


def work(net: NetParameter, phase: Phase) -> Cost:
    """Count a network's multiply-adds."""
    layers = count(net, phase).layers
    towers = sum(layer.multiply_adds for layer in layers if TOWER.match(layer.name))
    return Cost(sum(layer.multiply_adds for layer in layers) - towers, towers)


def timed(net: NetParameter, phase: Phase, iterations: int) -> Cost:
    """Run a network with `caffe time` in a new process; add up the times of its layers."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "net.prototxt"
        file.write_text(MessageToString(net))
        words = ("-model", file, "-phase", phase, "-iterations", str(iterations))
        run = subprocess.run(
            [Path(sys.prefix) / "bin/caffe", "time", *words],
            env=os.environ | {"GLOG_logtostderr": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if run.returncode != 0:
        raise SystemExit(f"caffe time failed:\n{run.stderr[-2000:]}")
    wanted = ("forward",) if phase == "TEST" else ("forward", "backward")
    sums = {True: 0.0, False: 0.0}
    for name, direction, milliseconds in LAYER.findall(run.stderr):
        if direction in wanted:
            sums[bool(TOWER.match(name))] += float(milliseconds)
    return Cost(sums[False], sums[True])


def spread(values: list[float]) -> str:
    """Write a median with the lowest and the highest."""
    return f"{statistics.median(values):.3g} (from {min(values):.3g} to {max(values):.3g})"


def together(costs: Sequence[Cost]) -> Cost:
    """Add up what several networks cost."""
    return Cost(sum(cost.shared for cost in costs), sum(cost.towers for cost in costs))


def compare(kind: str, batch: int, rounds: int, iterations: int) -> Iterator[str]:
    """Time X_S and the three by turns; yield the lines to print."""
    phase = KINDS[kind]
    nets = {name: network(name, phase, batch) for name in ("xs", *SINGLE)}
    works = {name: work(net, phase) for name, net in nets.items()}
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(timed(nets["xs"], phase, iterations))
        theirs.append(together([timed(nets[name], phase, iterations) for name in SINGLE]))
    x_s, three = works["xs"], together([works[name] for name in SINGLE])
    pairs = list(zip(theirs, ours, strict=True))
    yield (
        f"{kind}, batch {batch}: three ResNet-50s take"
        f" {spread([b.total / a.total for b, a in pairs])} times as long as one X_S;"
        f" by multiply-adds {three.total / x_s.total:.2f}"
    )
    yield (
        f"  before the towers {spread([b.shared / a.shared for b, a in pairs])} times; by"
        f" multiply-adds {three.shared / x_s.shared:.2f}"
    )
    yield (
        f"  in the towers     {spread([b.towers / a.towers for b, a in pairs])} times; by"
        f" multiply-adds {three.towers / x_s.towers:.2f}"
    )
    yield (
        f"  of X_S's time, towers take {spread([a.towers / a.total for a in ours])}; of its"
        f" multiply-adds {x_s.towers / x_s.total:.3g}"
    )
    yield f"  X_S {spread([a.total for a in ours])} ms"
    yield f"  the three {spread([b.total for b in theirs])} ms"


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=3)
    options = parser.parse_args()
    for batch in map(int, options.batches.split(",")):
        for kind in KINDS:
            for line in compare(kind, batch, options.rounds, options.iterations):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
