"""Caffe's own tests, those that run on a GPU."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from support.engine_suites import ON_GPU, Built, Ran, judge, read_table, run_suite

from gpu_proof.engines import Engine

# A GPU serves one process at a time, and tests wait for it after each small computation: more at
# once wait for one another. Two, so that one computes while the other begins.
AT_ONCE = 2


def run(engine: Engine, seconds: float) -> dict[str, object]:
    """Run the tests of what Table 2's networks use; those not done after `seconds` are named."""
    if engine.tests is None:
        return {"engine": engine.name, "why": "its tests are not here"}
    built, until, took = Built(engine.tests), time.monotonic() + seconds, dict[str, float]()

    def one(name: str) -> Ran | None:
        begun = time.monotonic()
        left = until - begun
        if left <= 0:
            return None
        ran = run_suite(built, name, max(1, int(left)), f"{ON_GPU}:CuDNN*")
        took[name] = round(time.monotonic() - begun, 1)
        return ran

    names = sorted(file.name for file in (engine.tests / "bin").glob("test_*"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = dict(zip(names, pool.map(one, names), strict=True))
    late = [name for name, ran in done.items() if ran is None or ran.late]
    runs = [_ended(ran) for ran in done.values() if ran is not None]
    runs = [ran for ran in runs if ran.states]
    verdict = judge(runs, read_table(), built.source, every_row=False)
    return {
        "engine": engine.name, "suites": len(runs), "run": verdict.run, "passed": verdict.passed,
        "explained": verdict.explained, "problems": verdict.problems, "not in time": late,
        "by suite": {ran.suite: [ran.passed, len(ran.states)] for ran in runs}, "seconds": took,
        "output": {ran.suite: ran.output[-3000:] for ran in runs if ran.passed < len(ran.states)},
    }  # fmt: skip


def _ended(ran: Ran) -> Ran:
    """Leave out the test that a suite was at when its time was up."""
    if ran.late:
        ran.states = {test: state for test, state in ran.states.items() if state != "crashed"}
    return ran
