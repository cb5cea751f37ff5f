"""Every test that comes with Caffe, run against built Caffes; `./run engine-tests` runs it.

python tests/engine_tests.py FOLDER...

Each folder is one that docker/caffe/tests/build.sh made. Ends with a table of numbers; with exit
status 1 if anything failed that engine_failures.toml does not explain, or passed that it explains.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from support.engine_suites import Built, Ran, Verdict, judge, read_table, run_suite
from support.network_gradients import NETWORKS, check_network

# A suite's seconds. On a GPU in software, the tests of N-d im2col take 12 minutes for each
# precision: the threads of its kernels take turns at every barrier.
LONGEST = 3600
HEADINGS = ("source", "suites", "run", "passed", "explained", "failed")


def gradients(built: Built) -> Ran:
    """The checks of whole networks' gradients, as one more suite."""
    ran = Ran("gradients of networks")
    for name in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            checked = check_network(built, name, Path(folder))
        ran.states[name] = "failed" if checked.wrong else "passed"
        ran.output += "".join(f"{name} {blob}: {by}\n" for blob, by in checked.wrong.items())
    return ran


def run_all(built: Built) -> list[Ran]:
    """Run everything, two suites at a time, and say what each did."""
    print(f"\n{built.source}: {built.record['from']}\n  {built.folder}", flush=True)
    started, runs = time.monotonic(), []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(gradients, built)]
        waiting += [pool.submit(run_suite, built, suite, LONGEST) for suite in built.suites()]
        for done in as_completed(waiting):
            ran = done.result()
            runs.append(ran)
            failed = [f"{test} {state}" for test, state in ran.states.items() if state != "passed"]
            seconds = time.monotonic() - started
            print(f"  {seconds:4.0f} s  {ran.suite}: {ran.passed} passed", flush=True)
            if ran.late:
                print(f"            ended: it took over {LONGEST} s", flush=True)
            for line in failed:
                print(f"            {line}", flush=True)
    return runs


def numbers(built: Built, runs: list[Ran], verdict: Verdict) -> tuple[str, ...]:
    """A row of the closing table."""
    failed = verdict.run - verdict.passed - verdict.explained
    counts = (len(runs), verdict.run, verdict.passed, verdict.explained, failed)
    return (built.source, *(f"{count:,}" for count in counts))


def main() -> None:
    """Run the tests of each folder named on the command line."""
    table, problems = read_table(), []
    rows: list[tuple[str, ...]] = [HEADINGS]
    for folder in sys.argv[1:]:
        built = Built(Path(folder))
        runs = run_all(built)
        verdict = judge(runs, table, built.source, every_row=built.is_known, build=built.build)
        rows.append(numbers(built, runs, verdict))
        problems += [f"{built.source}: {problem}" for problem in verdict.problems]
        if verdict.problems:
            log = built.folder / "output.txt"
            log.write_text("\n".join(f"== {ran.suite}\n{ran.output}" for ran in runs))
            problems.append(f"{built.source}: what the tests printed is in {log}")
    print()
    for row in rows:
        print("".join(f"{cell:<10}" for cell in row))
    if problems:
        sys.exit("\n" + "\n".join(problems))


if __name__ == "__main__":
    main()
