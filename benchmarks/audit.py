"""How long the audit of the paper's own claims takes.

    python benchmarks/audit.py [--rounds N] [--ontology DIR]

Starts `netgen audit` in a process of its own, several times: everything is built, parsed and
counted again. The target: 3 seconds from the command to its last line.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

TARGET = 3.0
COMMAND = (sys.executable, "-m", "netgen.commands.cli", "audit")


def seconds(options: list[str]) -> float:
    """Time one audit, from start to exit."""
    start = time.perf_counter()
    subprocess.run([*COMMAND, *options], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> int:
    """Print what each round took; fail when the median misses the target."""
    parser = argparse.ArgumentParser(description="Time `netgen audit`.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ontology", metavar="DIR", help="class lists, for the claims on them")
    arguments = parser.parse_args()
    options = ["--ontology", arguments.ontology] if arguments.ontology else []
    rounds = [seconds(options) for _ in range(arguments.rounds)]
    median = statistics.median(rounds)
    print(" ".join(f"{one:.2f}" for one in rounds), "s")
    print(f"median {median:.2f} s, target {TARGET:.0f} s")
    return int(median > TARGET)


if __name__ == "__main__":
    sys.exit(main())
