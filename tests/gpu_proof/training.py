"""`caffe train` of the committed networks at the paper's batch: speed, memory, utilisation.

Speed is read from the times of Caffe's displays, from the second on. Memory is the most that the
driver reports while it trains and tests, less what it reported before; of that, what a process has
that computes nothing (the context, and the code of the libraries) is measured by itself.
"""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from google.protobuf.text_format import MessageToString

from gpu_proof.engines import Engine, StageError
from gpu_proof.workspace import short_solver
from netgen import paper
from netgen.caffe.caffe_pb2 import BlobShape, LayerParameter, NetParameter
from netgen.caffe.schema import read_net
from netgen.system.text import MIB

DISPLAYED = re.compile(
    r"^I\d+ (\d\d:\d\d:\d\d\.\d+) .*\] Iteration (\d+)(?: \(|, (?:lr|loss) )", re.M
)
ESTIMATE = re.compile(r"take ([\d.]+) GiB of")
EVERY = 100  # milliseconds between two looks at the GPU
GIB = 2**30


@dataclass(frozen=True)
class Look:
    """What the driver said at a moment: seconds, MiB in use, per cent of the time busy."""

    at: float
    used: int
    busy: int | None


class Watch:
    """Looks at a GPU while something runs on it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "watch.csv"

    def __enter__(self) -> Watch:
        self._log = self._file.open("w")
        command = ["nvidia-smi", "--id=0", "--query-gpu=timestamp,memory.used,utilization.gpu"]
        self._process = subprocess.Popen(
            [*command, "--format=csv,noheader,nounits", f"--loop-ms={EVERY}"], stdout=self._log
        )
        deadline = time.monotonic() + 5
        while not self.looks() and time.monotonic() < deadline:
            time.sleep(0.02)  # the first look tells what was in use before
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def looks(self) -> list[Look]:
        """Everything seen so far."""
        found = []
        for line in self._file.read_text().splitlines():
            words = line.split(", ")
            if len(words) == 3 and words[1].isdecimal():
                at = datetime.strptime(words[0], "%Y/%m/%d %H:%M:%S.%f").timestamp()
                found.append(
                    Look(at, int(words[1]), int(words[2]) if words[2].isdecimal() else None)
                )
        return found

    def most(self) -> float:
        """The most memory in use, in GiB, less what was in use at the first look."""
        used = [look.used for look in self.looks()]
        return (max(used) - used[0]) * MIB / GIB if used else float("nan")


def train(
    folder: Path, engine: Engine, variant: str, iterations: int, *, feeds: bool = True
) -> dict[str, object]:
    """Train a committed network for some iterations and test it; `feeds`: from the databases."""
    changes = {}
    if not feeds:
        changes = {"net": str(_without_data(folder, variant))}
    solver = short_solver(folder, variant, iterations, **changes)
    command = [str(engine.caffe), "train", "-solver", str(solver), "-gpu", "0"]
    with Watch(folder) as watch:
        log = engine.run(folder, command, seconds=170)
    times = _times(log)
    if len(times) < 4:
        raise StageError(
            f"{variant}, {engine.name}: {len(times)} displays in the log: {log[-800:]}"
        )
    (first, start), (last, end) = times[1], times[-1]
    looks = watch.looks()
    during = [look.busy for look in looks if start <= look.at <= end and look.busy is not None]
    batch = _batch(folder, variant)
    steps = [(b - a) / (n - m) for (m, a), (n, b) in pairwise(times[1:])]
    return {
        "network": variant, "engine": engine.name, "from databases": feeds, "batch": batch,
        "iterations timed": last - first, "seconds per iteration": (end - start) / (last - first),
        "spread": [min(steps), max(steps)],
        "images per second": batch * (last - first) / (end - start),
        "GiB": watch.most(),
        "GiB estimated": _estimate(folder, variant),
        "busy per cent": statistics.mean(during) if during else None,
        "looks": len(during), "losses": re.findall(r"Iteration \d+.*, loss = (\S+)", log)[-1:],
        "test": re.findall(r"Test net output #\d+: (\w+ = \S+)", log),
    }  # fmt: skip


def context(folder: Path, engine: Engine) -> float:
    """GiB of a process that has computed one small product on the GPU."""
    code = (
        "import time, caffe, numpy; caffe.set_device(0); caffe.set_mode_gpu();"
        'open(\'tiny.prototxt\',\'w\').write(\'layer { name: "a" type: "Input" top: "a" input_param'
        ' { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } } layer { name: "b" type: "Convolution" bottom:'
        ' "a" top: "b" convolution_param { num_output: 2 kernel_size: 3 } }\');'
        "net = caffe.Net('tiny.prototxt', caffe.TEST); net.forward(); time.sleep(3)"
    )
    with Watch(folder) as watch:
        engine.run(folder, [str(engine.python), "-c", code], GLOG_minloglevel="2")
    return watch.most()


def _without_data(folder: Path, variant: str) -> Path:
    """Write the network with images and labels that are made once (DummyData)."""
    net = read_net(folder / f"models/{variant}/train_val.prototxt")
    made = NetParameter(name=net.name)
    for layer in net.layer:
        made.layer.append(_made(layer) if layer.type == "Data" else layer)
    path = folder / f"{variant}-without-data.prototxt"
    path.write_text(MessageToString(made), encoding="utf-8")
    return path


def _made(layer: LayerParameter) -> LayerParameter:
    image = (3, paper.IMAGE_SIZE, paper.IMAGE_SIZE) if layer.name == "data" else (1, 1, 1)
    made = LayerParameter(name=layer.name, type="DummyData", top=layer.top, include=layer.include)
    made.dummy_data_param.shape.append(BlobShape(dim=(layer.data_param.batch_size, *image)))
    made.dummy_data_param.data_filler.add(type="constant", value=1)
    return made


def _times(log: str) -> list[tuple[int, float]]:
    """Return iterations that Caffe displayed, and the time of day of each as seconds."""
    today = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    found: dict[int, float] = {}
    for text, number in DISPLAYED.findall(log):
        at = datetime.strptime(text, "%H:%M:%S.%f")
        seconds = at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6
        found.setdefault(int(number), today + seconds)
    return sorted(found.items())


def _batch(folder: Path, variant: str) -> int:
    """Images per iteration."""
    layers = read_net(folder / f"models/{variant}/train_val.prototxt").layer
    return next(int(layer.data_param.batch_size) for layer in layers if layer.type == "Data")


def _estimate(folder: Path, variant: str) -> float | None:
    """GiB that the committed solver's comment states."""
    said = ESTIMATE.search((folder / f"solvers/{variant}.prototxt").read_text(encoding="utf-8"))
    return float(said[1]) if said else None
