"""How much faster the recipe's loops are than Caffe's own, than another build, and than PyTorch.

    python benchmarks/engine.py [--rounds N] [--batches 1,8] [--torch PYTHON] [--peer PREFIX]

Run from the repository's root. Times ResNet-50 at 224 x 224 forward and backward, and the training
of the demo's network (after `./run demo`), at one thread and at all, by turns, so that a machine
that slows down slows all of them; and what reading images from raw LMDBs adds.

Peers: the same Caffe with its own loops (CAFFE_PLAIN=1); with --peer, another Caffe
(`docker/caffe/build.sh` leaves each in a folder of its own); with --torch, the same network in
PyTorch (`pip install torch` into an environment of its own).
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import lmdb
import numpy as np
from google.protobuf.text_format import MessageToString
from multitask import network

from netgen.caffe.blas_kernel import kernel_setting
from netgen.caffe.caffe_pb2 import Datum, NetParameter
from netgen.caffe.schema import layers_in, read_net

HERE = Path(sys.prefix)
DEMO = Path("demo/solvers/xs.prototxt")
AVERAGE = re.compile(r"Average Forward-Backward: ([0-9.e+]+) ms")
DISPLAY = re.compile(r"^I\d+ (\d\d:\d\d:\d\d\.\d+).*Iteration (\d+)\b.*loss =", re.MULTILINE)

# He's network as in models/resnet50-noun (stride in the first 1 x 1), without its data.
TORCH = """
import sys, time, torch
from torch import nn

def normal(channels): return nn.BatchNorm2d(channels)

class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, width, 1, stride, bias=False), normal(width), nn.ReLU(True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), normal(width), nn.ReLU(True),
            nn.Conv2d(width, 4 * width, 1, bias=False), normal(4 * width))
        self.side = nn.Sequential() if inputs == 4 * width else nn.Sequential(
            nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), normal(4 * width))
    def forward(self, x): return torch.relu(self.main(x) + self.side(x))

batch, threads, iterations = map(int, sys.argv[1:])
torch.set_num_threads(threads)
layers, inputs = [nn.Conv2d(3, 64, 7, 2, 3), normal(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)], 64
for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
    for i in range(blocks):
        layers.append(Block(inputs, width, stride if i == 0 else 1))
        inputs = 4 * width
net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 167))
image, label = torch.randn(batch, 3, 224, 224), torch.zeros(batch, dtype=torch.long)
loss = nn.CrossEntropyLoss()
def step():
    net.zero_grad(); loss(net(image), label).backward()
step()
begin = time.perf_counter()
for _ in range(iterations): step()
print((time.perf_counter() - begin) / iterations * 1000)
"""


def run(words: Sequence[str | Path], threads: int, *, plain: bool = False) -> str:
    """Run a program with some threads; return what it wrote; end where it fails."""
    env = {"OPENBLAS_NUM_THREADS": f"{threads}", "GLOG_logtostderr": "1"}
    env["CAFFE_PLAIN"] = "1" if plain else "0"
    result = subprocess.run(
        words, env=os.environ | env, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{result.stderr[-2000:]}")
    return result.stdout + result.stderr


def caffe_time(
    prefix: Path,
    net: NetParameter,
    file: Path,
    iterations: int,
    threads: int,
    *,
    plain: bool = False,
) -> float:
    """Return the milliseconds of a Caffe's pass forward and backward through a network."""
    file.write_text(MessageToString(net))
    words = (prefix / "bin/caffe", "time", "-model", file, "-phase", "TRAIN")
    found = AVERAGE.search(run((*words, f"-iterations={iterations}"), threads, plain=plain))
    assert found is not None
    return float(found[1])


Timer = Callable[[int, int], float]  # (batch, threads) -> milliseconds an iteration


def resnet(prefix: Path, folder: Path, iterations: int, *, plain: bool = False) -> Timer:
    """Time a Caffe's pass forward and backward through ResNet-50."""

    def time(batch: int, threads: int) -> float:
        net = network("resnet50-noun", "TRAIN", batch)
        return caffe_time(prefix, net, folder / "net.prototxt", iterations, threads, plain=plain)

    return time


def reading(prefix: Path, folder: Path, iterations: int) -> Timer:
    """Time the same pass where images of 224 x 224 and labels come from raw LMDBs."""
    images, labels = folder / "images", folder / "labels"
    records = 64
    with lmdb.open(str(images), map_size=2**30) as env, env.begin(write=True) as put:
        rng = np.random.default_rng(1)
        for i in range(records):
            data = rng.integers(0, 256, 3 * 224 * 224, np.uint8).tobytes()
            datum = Datum(channels=3, height=224, width=224, data=data)
            put.put(b"%08d" % i, datum.SerializeToString())
    with lmdb.open(str(labels), map_size=2**20) as env, env.begin(write=True) as put:
        for i in range(records):
            datum = Datum(channels=1, height=1, width=1, float_data=[i % 167])
            put.put(b"%08d" % i, datum.SerializeToString())

    def time(batch: int, threads: int) -> float:
        net = read_net(Path("models/resnet50-noun/train_val.prototxt"))
        layers = layers_in(net, "TRAIN")
        for layer in layers:
            if layer.type == "Data":
                layer.data_param.batch_size = batch
                layer.data_param.source = str(images if layer.name == "data" else labels)
        fed = NetParameter(name=net.name, layer=layers)
        return caffe_time(prefix, fed, folder / "net.prototxt", iterations, threads)

    return time


def torch(python: Path, iterations: int) -> Timer:
    """Time PyTorch's pass forward and backward."""
    return lambda batch, threads: float(
        run((python, "-c", TORCH, f"{batch}", f"{threads}", f"{iterations}"), threads)
    )


def demo(prefix: Path, folder: Path, *, plain: bool = False) -> Timer:
    """Time an iteration of the demo's training, data and solver included."""

    def time(_: int, threads: int) -> float:
        solver = folder / "solver.prototxt"
        text = re.sub(
            r"^(max_iter|display|snapshot|test_i\w+):.*\n", "", DEMO.read_text(), flags=re.M
        )
        more = f"max_iter: 61 display: 30 snapshot_after_train: false test_interval: {10**6}"
        solver.write_text(f"{text}\ntest_iter: 1 test_initialization: false {more}\n")
        told = run((prefix / "bin/caffe", "train", "-solver", solver), threads, plain=plain)
        when = {int(i): datetime.strptime(at, "%H:%M:%S.%f") for at, i in DISPLAY.findall(told)}
        return (when[60] - when[30]).total_seconds() / 30 * 1000

    return time


def compare(what: str, peers: dict[str, Timer], batch: int, threads: int, rounds: int) -> None:
    """Time all by turns; print each with how many times as long as the first it takes."""
    times: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, timer in peers.items():
            times[name].append(timer(batch, threads))
    ours = next(iter(times.values()))
    print(f"{what}, {threads} thread{'s' if threads > 1 else ''}:")
    for name, values in times.items():
        ratios = sorted(other / our for other, our in zip(values, ours, strict=True))
        print(
            f"  {name:<22} {statistics.median(values):8.1f} ms,"
            f" {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) times as long",
            flush=True,
        )


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--torch", type=Path, help="a Python that has PyTorch")
    parser.add_argument("--peer", type=Path, help="the folder of another built Caffe")
    options = parser.parse_args()
    os.environ.update(kernel_setting())  # as netgen's commands do
    threads = sorted({1, os.cpu_count() or 1})
    n = options.iterations
    with TemporaryDirectory() as name:
        folder = Path(name)
        peers = {"ours": resnet(HERE, folder, n), "plain": resnet(HERE, folder, n, plain=True)}
        if options.peer:
            peers["the other build"] = resnet(options.peer, folder, n)
        if options.torch:
            peers["PyTorch"] = torch(options.torch, n)
        for batch in map(int, options.batches.split(",")):
            for count in threads:
                compare(f"ResNet-50, batch {batch}", peers, batch, count, options.rounds)
        peers = {"without data": peers["ours"], "raw LMDBs": reading(HERE, folder, 3 * n)}
        compare("ResNet-50, batch 8", peers, 8, threads[-1], options.rounds)
        if not DEMO.exists():
            print(f"{DEMO} does not exist: ./run demo makes it, for the time of its training")
            return 0
        peers = {"ours": demo(HERE, folder), "plain": demo(HERE, folder, plain=True)}
        if options.peer:
            peers["the other build"] = demo(options.peer, folder)
        for count in threads:
            compare("the demo's training", peers, 0, count, options.rounds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
