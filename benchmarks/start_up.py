"""Time the most common commands: the whole process, from start to end.

    python benchmarks/start_up.py [--rounds N]

The commands run by turns, so that a machine that slows down slows all; `python -c pass` is timed
too, since no command can be faster. The targets are those of the first release.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NETGEN = str(Path(sys.executable).parent / "netgen")
# command, and at most how many seconds
COMMANDS = {
    "python -c pass": ([sys.executable, "-c", "pass"], None),
    "netgen --help": ([NETGEN, "--help"], 0.2),
    "netgen build --variant xs": ([NETGEN, "build", "--variant", "xs"], 0.35),
    "netgen build --all": ([NETGEN, "build", "--all"], 1.0),
}


def seconds(command: list[str], folder: str) -> float:
    """Run `command` in `folder` and return the seconds that it took."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Time every command, and print medians, spreads and targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, (command, _) in COMMANDS.items():
                times[name].append(seconds(command, folder))
    for name, (_, target) in COMMANDS.items():
        spread = f"{min(times[name]):.3f} to {max(times[name]):.3f}"
        goal = f"  (at most {target} s)" if target else ""
        print(f"{name:27} {statistics.median(times[name]):.3f} s, {spread}{goal}")


if __name__ == "__main__":
    main()
