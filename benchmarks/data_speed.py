"""`netgen data` compared with `convert_imageset`, and with decoding and resizing alone.

    python benchmarks/data_speed.py [--images N] [--rounds N] [--memory-images N]

All read the same real photographs (500 x 375; made once, kept in the cache) and make them
224 x 224, by turns, so that a machine that slows down slows all; the ratios are what counts. Ours
is the whole command, from its start to its end, with strict decoding, a scan, a split, a mean and
lists. The limit of what it could reach is `decode_only.py`, also as a whole command. Disk, memory
and the time to Caffe's first batch are compared too. Exit code 1 when a target is missed. For a
quick look: --images 600 --memory-images 1200.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from decode_only import SETTINGS
from numpy.typing import NDArray
from photographs import PAIRS, names, photographs

from netgen.caffe.child import call

PROGRAMS = Path(sys.executable).parent
Seconds = NDArray[np.float64]  # of the clock and, for a command, of processors
SIZE = 224
BATCH = 24
MOST_MEMORY = 250e6  # bytes, anonymous
LABELS = {
    "noun": lambda pair: pair.split("_")[1],
    "adj": lambda pair: pair.split("_")[0],
    "anp": lambda pair: pair,
}


def main() -> int:
    """Measure, print results and targets; return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-images", type=int, default=50_000, help="0: omit it")
    options = parser.parse_args()
    root = photographs(options.images)
    print(f"{options.images:,} photographs, {_mean_size(root):,.0f} bytes each; {_machine()}")
    with tempfile.TemporaryDirectory(prefix="netgen-") as folder:
        bench = Bench(root, options.images, Path(folder))
        checks = bench.speed(options.rounds)
        checks += bench.first_batch(4 * options.rounds)
        if options.memory_images:
            checks += bench.memory(options.memory_images)
    print(f"\nat the end: {_machine()}")
    return 0 if all(checks) else 1


@dataclass(frozen=True)
class Bench:
    """The photographs, and a folder for what is made of them."""

    root: Path
    images: int
    work: Path

    def speed(self, rounds: int) -> list[bool]:
        """Time one task and three; and compare what the databases take on the disk."""
        one, three = Compared(), Compared()
        for _ in range(rounds):
            self.peer_round(one, ["anp"])
            one.ours.append(self.netgen("folder"))
            one.limit.append(self.decode_only())
            three.ours.append(self.netgen("mtvso"))
            self.peer_round(three, list(LABELS))
        three.limit = one.limit
        print(f"\nimages per second, median of {rounds} rounds by turns (lowest to highest)")
        for what, found in (("one task", one), ("three tasks", three)):
            print(f"  {what:11} convert_imageset  {spread(self.rates(found.peer), ',.0f')}")
            print(f"  {what:11} netgen data       {spread(self.rates(found.ours), ',.0f')}")
            print(f"  {what:11} processor time, ratio {spread(found.ratios(1), '.2f')}")
        print(f"  decoding and resizing alone   {spread(self.rates(one.limit), ',.0f')}")
        for what, found in (("one task", one), ("three tasks", three)):
            print(f"  {what:11} share of its processor time {spread(found.shares(1), '.2f')}")
        peer, ours = self.disk("peer"), self.disk("mtvso")
        print(f"\ndisk, three tasks: {peer / 1e6:,.0f} MB and {ours / 1e6:,.0f} MB\n")
        return [
            verdict("one task, times as fast", one.ratios(), at_least=2.5),
            verdict("three tasks, times as fast", three.ratios(), at_least=7),
            verdict("one task, share of the limit", one.shares(), at_least=0.85),
            verdict("three tasks, share of the limit", three.shares(), at_least=0.8),
            verdict("disk", [ours / peer], at_most=0.35),
        ]

    def rates(self, seconds: list[Seconds]) -> list[float]:
        """Return images per second."""
        return [self.images / each[0] for each in seconds]

    def peer_round(self, found: Compared, tasks: list[str]) -> None:
        """Run convert_imageset once per task, as its users must."""
        found.peer.append(np.sum([self.convert_imageset(task) for task in tasks], axis=0))

    def convert_imageset(self, task: str) -> Seconds:
        """Return the seconds that it takes for a database of images with labels of one task."""
        database = self.work / "peer" / task
        shutil.rmtree(database, ignore_errors=True)
        database.parent.mkdir(exist_ok=True)
        classes = sorted({LABELS[task](pair) for pair in PAIRS})
        listed = self.work / f"{task}.txt"
        listed.write_text(
            "".join(
                f"{name} {classes.index(LABELS[task](name.partition('/')[0]))}\n"
                for name in names(self.images)
            )
        )
        resize = (f"--resize_width={SIZE}", f"--resize_height={SIZE}")
        program = PROGRAMS / "convert_imageset"
        return seconds([program, *resize, f"{self.root}/", listed, database])

    def netgen(self, source: str, *options: str) -> Seconds:
        """Return the seconds that `netgen data` takes for all databases of a dataset."""
        shutil.rmtree(self.work / source, ignore_errors=True)
        return seconds([*self.command(source, self.root), *options])

    def decode_only(self) -> Seconds:
        """Return the seconds that decoding and resizing take."""
        program = Path(__file__).with_name("decode_only.py")
        return seconds([sys.executable, program, self.root], SETTINGS)

    def command(self, source: str, root: Path) -> list[str | Path]:
        """Return the command that makes a dataset of the images in `root`."""
        return [PROGRAMS / "netgen", "data", source, root, "--out", self.work / source]

    def disk(self, name: str) -> int:
        """Return the bytes that everything in a folder of databases takes on the disk."""
        files = (self.work / name).rglob("*")
        return sum(file.stat().st_blocks * 512 for file in files if file.name != "lock.mdb")

    def first_batch(self, rounds: int) -> list[bool]:
        """Time Caffe from the first line of a network to its first batch, with its labels."""
        ours, peer = self.work / "mtvso" / "train", self.work / "peer"
        found = {"one task": Compared(), "three tasks": Compared()}
        for compared, tasks in zip(found.values(), (["anp"], list(LABELS)), strict=True):
            theirs = {str(peer / task): ("data", "label") for task in tasks}
            mine = {str(ours / "images.lmdb"): ("data",)}
            mine |= {str(ours / f"label_{task}.lmdb"): ("label",) for task in tasks}
            for _ in range(rounds):
                compared.peer.append(np.array([call(first_batch, theirs, silence=120)]))
                compared.ours.append(np.array([call(first_batch, mine, silence=120)]))
        return [
            verdict(f"first batch, {what}, times as soon", compared.ratios(), at_least=1)
            for what, compared in found.items()
        ]

    def memory(self, many: int) -> list[bool]:
        """Compare peaks of anonymous memory for these photographs and for many more."""
        few = peak(self.command("mtvso", self.root), self.work / "mtvso")
        command = [*self.command("mtvso", self.multiplied(many)), "--split-duplicates"]
        more = peak(command, self.work / "mtvso")
        print(f"\nmost anonymous memory: {self.images:,} images {few / 1e6:,.0f} MB,", end=" ")
        print(f"{many:,} images {more / 1e6:,.0f} MB")
        return [
            verdict("memory, many more images", [more / few], at_most=1.1),
            verdict("memory, share of 250 MB", [max(few, more) / MOST_MEMORY], at_most=1),
        ]

    def multiplied(self, many: int) -> Path:
        """Make many different files from the photographs: each ends with different bytes."""
        root = self.work / "many"
        for pair in PAIRS:
            (root / pair).mkdir(parents=True)
        listed = names(self.images)
        for number in range(many):
            name = listed[number % self.images]
            content = (self.root / name).read_bytes() + number.to_bytes(4, "big")
            (root / Path(name).parent / f"{number}.jpg").write_bytes(content)
        return root


@dataclass
class Compared:
    """Seconds that each took, round by round."""

    peer: list[Seconds] = field(default_factory=list)
    ours: list[Seconds] = field(default_factory=list)
    limit: list[Seconds] = field(default_factory=list)

    def ratios(self, which: int = 0) -> list[float]:
        """Return how many times as fast ours was, round by round."""
        pairs = zip(self.peer, self.ours, strict=True)
        return [float(peer[which] / ours[which]) for peer, ours in pairs]

    def shares(self, which: int = 0) -> list[float]:
        """Return how much of the limit's speed ours reached, round by round."""
        pairs = zip(self.limit, self.ours, strict=True)
        return [float(limit[which] / ours[which]) for limit, ours in pairs]


def first_batch(databases: Mapping[str, tuple[str, ...]]) -> float:
    """Return the seconds from a network's prototxt to its first batch; in a child process."""
    import caffe

    layers = []
    for number, (database, tops) in enumerate(databases.items()):
        named = " ".join(f'top: "{top}{number}"' for top in tops)
        read = f'data_param {{ source: "{database}" backend: LMDB batch_size: {BATCH} }}'
        layers.append(f'layer {{ name: "data{number}" type: "Data" {named} {read} }}')
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write("\n".join(layers))
        file.flush()
        start = time.perf_counter()
        net = caffe.Net(file.name, caffe.TRAIN)
        net.forward()
        return time.perf_counter() - start


def seconds(command: Iterable[str | Path], settings: Mapping[str, str] | None = None) -> Seconds:
    """Run a command, which must succeed, and return the seconds that it took."""
    words, environment = list(map(str, command)), os.environ | (settings or {})
    start, before = time.perf_counter(), os.times()
    run = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if run.returncode != 0:
        raise SystemExit(f"{run.args}\n{run.stderr[-2000:]}")
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user
    return np.array((time.perf_counter() - start, busy - before.children_system))


def peak(command: list[str | Path], out: Path) -> int:
    """Run a command; return the largest number of bytes of anonymous memory it used."""
    shutil.rmtree(out, ignore_errors=True)
    highest = 0
    run = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while run.poll() is None:
        highest = max(highest, anonymous(run.pid))
        time.sleep(0.01)
    if run.returncode != 0:
        raise SystemExit(f"{command} failed")
    return highest


def anonymous(pid: int) -> int:
    """Return the bytes of anonymous memory that a process has now (0: it is gone)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def verdict(
    what: str, found: list[float], at_least: float = 0, at_most: float = float("inf")
) -> bool:
    """Print a ratio and its target; return whether it is reached."""
    middle = statistics.median(found)
    passed = at_least <= middle <= at_most
    goal = f"at least {at_least:g}" if at_least else f"at most {at_most:g}"
    print(f"{'passed' if passed else 'MISSED':7} {what}: {spread(found, '.2f')} ({goal})")
    return passed


def spread(values: list[float], form: str) -> str:
    """Write a median with the lowest and the highest."""
    middle, low, high = statistics.median(values), min(values), max(values)
    alone = f"{middle:{form}}"
    return alone if len(values) == 1 else f"{alone} ({low:{form}} to {high:{form}})"


def _mean_size(root: Path) -> float:
    return statistics.mean(file.stat().st_size for file in root.rglob("*.jpg"))


def _machine() -> str:
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{len(os.sched_getaffinity(0))} cores, load {load}"


if __name__ == "__main__":
    sys.exit(main())
