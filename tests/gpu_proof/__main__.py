"""Prove on a GPU what only a GPU can prove, and write it down: `./run gpu-proof` runs this.

    python -m gpu_proof --out FOLDER --engine NAME=PYTHON[,TESTS] ... [--only STAGE,...]

Each stage's result is written as soon as it is there, so that it outlives a machine that is taken
away. Exit status 1 if anything disagrees or could not be done.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from gpu_proof import agreement, driver, page, resuming, suites, training, workspace
from gpu_proof.engines import Engine
from netgen.system.files import write_all
from netgen.system.machine import GpuError, commit, gpus, machine

Stage = Callable[[], object]
ITERATIONS = 40  # of a training whose speed is measured
AT_ONCE = max(1, (os.cpu_count() or 1) // 4)  # stages, of those that may run so


def engine(text: str) -> Engine:
    """Read ``NAME=PYTHON[,TESTS]``."""
    name, _, rest = text.partition("=")
    python, _, tests = rest.partition(",")
    return Engine(name, Path(python).absolute(), Path(tests).absolute() if tests else None)


def stages(
    folder: Path, engines: list[Engine], left: Callable[[], float], *, small: bool
) -> Iterator[dict[str, Stage]]:
    """Yield all stages, what matters most first; those of one dictionary may run at once.

    What is measured has the card to itself. `left` tells how many seconds remain for all.
    """
    scale = workspace.SMALL if small else workspace.FULL
    yield {"agreement": lambda: agreement.compare(folder, engines, smooth=False)}
    yield {"agreement without kinks": lambda: agreement.compare(folder, engines, smooth=True)}
    for one in engines:
        yield {f"training {one.name}": partial(_train_all, folder, one)}
        yield {
            f"without data {one.name}": partial(_train_all, folder, one, only=("xs",), feeds=False)
        }
        yield {f"context {one.name}": partial(training.context, folder, one)}
    whole: dict[str, Stage] = {}
    for one in engines:
        whole[f"resuming {one.name}"] = partial(resuming.prove, folder, one, scale)
        whole[f"driver {one.name}"] = partial(driver.prove, folder, one)
    yield whole
    for count, one in enumerate(engines):
        yield {f"suites {one.name}": partial(_run_suites, one, left, len(engines) - count)}


def _run_suites(one: Engine, left: Callable[[], float], waiting: int) -> dict[str, object]:
    """Run the suites of one of the engines that wait, in its share of the time that is left."""
    return suites.run(one, left() / waiting)


def _train_all(
    folder: Path, one: Engine, only: tuple[str, ...] = workspace.TRAINED, *, feeds: bool = True
) -> list[dict[str, Any]]:
    return [training.train(folder, one, variant, ITERATIONS, feeds=feeds) for variant in only]


def _chosen(title: str, only: str) -> bool:
    return not only or any(title.startswith(word) for word in only.split(","))


def main() -> int:
    """Run the stages, write their results, and print a page of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", type=engine, action="append", required=True)
    parser.add_argument("--only", default="", metavar="STAGE[,STAGE]", help="those that begin so")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all stages together")
    parser.add_argument("--small", action="store_true", help="narrow networks: for a rehearsal")
    options = parser.parse_args()
    try:
        cards = gpus()
    except GpuError as error:
        sys.exit(f"gpu-proof: no GPU here: {error}. Next: run it on a machine with an NVIDIA GPU")
    started = time.monotonic()
    name = re.sub(r"[^a-z0-9]+", "-", cards[0].name.lower()).strip("-")
    found: dict[str, Any] = {
        "card": cards[0].name, "gpus": len(cards), "driver": cards[0].driver,
        "architecture": cards[0].architecture, "memory": cards[0].memory, "machine": machine(),
        "system": platform.platform(), "commit": os.environ.get("NETGEN_COMMIT") or commit(),
        "small": options.small, "when": datetime.now(timezone.utc).date().isoformat(),
        "engines": {one.name: one.build for one in options.engine},
        "stages": {}, "failed": {}, "seconds": {},
    }  # fmt: skip

    def left() -> float:
        return float(options.minutes) * 60 - (time.monotonic() - started)

    with tempfile.TemporaryDirectory(prefix="gpu-proof-") as scratch:
        folder = workspace.make(Path(scratch))
        if options.small:
            workspace.make_narrow(folder, options.engine[0])
        print(f"{time.monotonic() - started:5.0f} s  the data is made", flush=True)

        def do(title: str, stage: Stage) -> None:
            begun = time.monotonic()
            if left() <= 0:
                found["failed"][title] = "not begun: the time was up"
                return
            try:
                found["stages"][title] = stage()
                print(f"{time.monotonic() - started:5.0f} s  {title}", flush=True)
            except Exception as error:
                traceback.print_exc()
                found["failed"][title] = f"{type(error).__name__}: {error}"
                print(f"{time.monotonic() - started:5.0f} s  {title}: FAILED", flush=True)
            found["seconds"][title] = round(time.monotonic() - begun, 1)

        for together in stages(folder, options.engine, left, small=options.small):
            chosen = [item for item in together.items() if _chosen(item[0], options.only)]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda item: do(*item), chosen))
            write_all({options.out / f"{name}.json": json.dumps(found, indent=1) + "\n"})
    text = page.write(found)
    write_all({options.out / f"{name}.md": text})
    print(text)
    return 1 if found["failed"] or page.disagreements(found) else 0


if __name__ == "__main__":
    sys.exit(main())
