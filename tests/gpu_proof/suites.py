"""Caffe's own tests, those that run on a GPU."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from support.engine_suites import ON_GPU, Built, judge, read_table, run_suite

from gpu_proof.engines import Engine


def run(engine: Engine, seconds: int) -> dict[str, object]:
    """Run the tests of what Table 2's networks use, several suites at once."""
    if engine.tests is None:
        return {"engine": engine.name, "why": "its tests are not here"}
    built = Built(engine.tests)
    names = sorted(file.name for file in (engine.tests / "bin").glob("test_*"))
    with ThreadPoolExecutor(max(2, (os.cpu_count() or 2) // 2)) as pool:
        runs = list(
            pool.map(lambda name: run_suite(built, name, seconds, f"{ON_GPU}:CuDNN*"), names)
        )
    runs = [ran for ran in runs if ran.states]
    verdict = judge(runs, read_table(), built.source, every_row=False)
    return {
        "engine": engine.name, "suites": len(runs), "run": verdict.run, "passed": verdict.passed,
        "explained": verdict.explained, "problems": verdict.problems,
        "by suite": {ran.suite: [ran.passed, len(ran.states)] for ran in runs},
        "output": {ran.suite: ran.output[-3000:] for ran in runs if ran.passed < len(ran.states)},
    }  # fmt: skip
