"""How much faster than a plain build of Caffe the recipe's optimised one is.

    python benchmarks/caffe_build.py [--model FILE] [--rounds N] [--iterations N]

Builds, once, the same source as the recipe's but with -O2 and without its replacements (5 minutes;
kept in the cache), then lets both engines time the same network with `caffe time`, by turns, so
that a machine that slows down slows both. Run from the repository's root after `./run demo`, which
makes the default network and its data. The target: 1.25 times as fast.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENV = Path(sys.prefix)
BUILD = ROOT / "docker/caffe/build.sh"
TARGET = 1.25

# The recipe's own steps, with other flags and without the replacements. Renamed when whole.
PLAIN_BUILD = """
set -euo pipefail
. "$1"
compiler_flags() { echo "-O2 -DNDEBUG"; }
plain=$(prefix_of "$2")-plain
if [[ ! -d $plain ]]; then
  echo "building the plain engine: about 5 minutes on 2 cores" >&2
  rm -rf "$plain.partial"
  unpack_source "$2" "$plain.partial/source"
  compile "$2" "$plain.partial" >"$plain.log" 2>&1 || explain_failure "$plain.log"
  mv -T "$plain.partial/prefix" "$plain"
  rm -rf "$plain.partial"
fi
echo "$plain"
"""


@dataclass(frozen=True)
class Engine:
    """A built Caffe to time."""

    name: str
    prefix: Path

    def milliseconds(self, model: Path, iterations: int) -> float:
        """Time one forward and backward pass, the mean over ``iterations`` in a new process."""
        options = ("-phase", "TRAIN", "-model", str(model), "-iterations", str(iterations))
        result = subprocess.run(
            [self.prefix / "bin/caffe", "time", *options],
            # One thread each: with more, OpenBLAS is slower on small images, and less steady.
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "GLOG_logtostderr": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"Average Forward-Backward: ([0-9.e+]+) ms", result.stderr)
        if result.returncode != 0 or found is None:
            raise SystemExit(f"{self.name}: caffe time failed:\n{result.stderr[-2000:]}")
        return float(found[1])


def output_of(*command: str | Path) -> str:
    """Give what a command prints, with its errors on the screen; end when it fails."""
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(result.returncode)
    return result.stdout.strip()


def find_engines() -> tuple[Engine, Engine]:
    """Give the plain engine, built if need be, and the optimised one."""
    plain = output_of("bash", "-c", PLAIN_BUILD, "bash", BUILD, VENV)
    optimised = output_of(BUILD, "--prefix", VENV)
    return Engine("plain", Path(plain)), Engine("optimised", Path(optimised))


def spread(values: list[float]) -> str:
    """Write a median with the lowest and the highest."""
    return f"{statistics.median(values):.4g} (from {min(values):.4g} to {max(values):.4g})"


def main() -> int:
    """Time both engines by turns and print the ratio; exit code 1 below the target."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path("demo/models/xs/train_val.prototxt"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=10)
    options = parser.parse_args()
    if not options.model.exists():
        parser.error(f"{options.model} does not exist: ./run demo makes the default network")

    engines = find_engines()
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for _ in range(options.rounds):
        for engine in engines:
            times[engine.name].append(engine.milliseconds(options.model, options.iterations))
    ratios = [plain / fast for plain, fast in zip(times["plain"], times["optimised"], strict=True)]

    print(f"{options.model}: ms per iteration, median of {options.rounds} alternating rounds")
    for name, values in times.items():
        print(f"  {name:<10} {spread(values)}")
    print(f"  ratio      {spread(ratios)}; target {TARGET}")
    return 0 if statistics.median(ratios) >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
