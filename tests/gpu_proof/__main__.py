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


def engine(text: str) -> Engine:
    """Read ``NAME=PYTHON[,TESTS]``."""
    name, _, rest = text.partition("=")
    python, _, tests = rest.partition(",")
    return Engine(name, Path(python).absolute(), Path(tests).absolute() if tests else None)


def stages(
    folder: Path, engines: list[Engine], minutes: float, *, small: bool
) -> Iterator[tuple[str, Stage]]:
    """Yield all stages, what matters most first."""
    scale = workspace.SMALL if small else workspace.FULL
    yield "agreement", lambda: agreement.compare(folder, engines, smooth=False)
    yield "agreement without kinks", lambda: agreement.compare(folder, engines, smooth=True)
    for one in engines:
        yield f"training {one.name}", partial(_train_all, folder, one)
        yield (
            f"without data {one.name}",
            partial(_train_all, folder, one, only=("xs",), feeds=False),
        )
        yield f"context {one.name}", partial(training.context, folder, one)
    for one in engines:
        yield f"resuming {one.name}", partial(resuming.prove, folder, one, scale)
    for one in engines:
        yield f"suites {one.name}", partial(suites.run, one, int(minutes * 20))
    for one in engines:
        yield f"driver {one.name}", partial(driver.prove, folder, one)
    yield "doctor", lambda: engines[0].netgen(folder, "doctor", "--gpu")


def _train_all(
    folder: Path, one: Engine, only: tuple[str, ...] = workspace.TRAINED, *, feeds: bool = True
) -> list[dict[str, Any]]:
    return [training.train(folder, one, variant, ITERATIONS, feeds=feeds) for variant in only]


def main() -> int:
    """Run the stages, write their results, and print a page of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", type=engine, action="append", required=True)
    parser.add_argument("--only", default="", metavar="STAGE[,STAGE]", help="those that begin so")
    parser.add_argument("--minutes", type=float, default=9.0, help="begin no stage after these")
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
        "engines": {one.name: one.build for one in options.engine}, "stages": {}, "failed": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="gpu-proof-") as scratch:
        folder = workspace.make(Path(scratch))
        if options.small:
            workspace.make_narrow(folder, options.engine[0])
        print(f"{time.monotonic() - started:5.0f} s  the data is made", flush=True)
        for title, stage in stages(folder, options.engine, options.minutes, small=options.small):
            if options.only and not any(title.startswith(word) for word in options.only.split(",")):
                continue
            if time.monotonic() - started > options.minutes * 60:
                found["failed"][title] = "not begun: the time was up"
                continue
            begun = time.monotonic()
            try:
                found["stages"][title] = stage()
                print(f"{time.monotonic() - started:5.0f} s  {title}", flush=True)
            except Exception as error:
                traceback.print_exc()
                found["failed"][title] = f"{type(error).__name__}: {error}"
                print(f"{time.monotonic() - started:5.0f} s  {title}: FAILED", flush=True)
            found.setdefault("seconds", {})[title] = round(time.monotonic() - begun, 1)
            write_all({options.out / f"{name}.json": json.dumps(found, indent=1) + "\n"})
    text = page.write(found)
    write_all({options.out / f"{name}.md": text})
    print(text)
    return 1 if found["failed"] or page.disagreements(found) else 0


if __name__ == "__main__":
    sys.exit(main())
