"""`netgen data --scheduler` with two Dask workers of this machine, compared with its two threads.

    python benchmarks/data_cluster.py [--images N] [--rounds N]

By turns. What crosses between the processes here would cross a network elsewhere: this shows what
packing and sending records costs, not how fast a network is.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from data_speed import PROGRAMS, Bench, Seconds, spread
from photographs import photographs

WORKERS = 2


def main() -> None:
    """Measure, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2_500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    threads: list[Seconds] = []
    cluster: list[Seconds] = []
    with tempfile.TemporaryDirectory(prefix="netgen-") as folder, scheduler(folder) as address:
        bench = Bench(photographs(options.images), options.images, Path(folder))
        for _ in range(options.rounds):
            threads.append(bench.netgen("folder"))
            cluster.append(bench.netgen("folder", "--scheduler", address))
    rates = [[options.images / each[0] for each in found] for found in (threads, cluster)]
    ratios = [float(here[0] / there[0]) for here, there in zip(threads, cluster, strict=True)]
    print(f"two threads  {spread(rates[0], ',.0f')} images a second")
    print(f"two workers  {spread(rates[1], ',.0f')}, {spread(ratios, '.2f')} times as fast")


@contextmanager
def scheduler(folder: str) -> Iterator[str]:
    """Give the address of a scheduler with `WORKERS` processes of one thread."""
    with ExitStack() as stack:
        address = stack.enter_context(started("scheduler", "--port", "0", until="Scheduler at"))
        for number in range(WORKERS):
            options = ("--nthreads", "1", "--no-nanny", "--local-directory", f"{folder}/{number}")
            stack.enter_context(started("worker", address, *options, until="Registered to"))
        yield address


@contextmanager
def started(*command: str, until: str) -> Iterator[str]:
    """Run a program of Dask's; give the last word of the line that says that it is ready."""
    program = [str(PROGRAMS / "dask"), *command, "--host", "127.0.0.1", "--no-dashboard"]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield next(line for line in process.stderr or () if until in line).split()[-1]
        finally:
            process.kill()


if __name__ == "__main__":
    main()
