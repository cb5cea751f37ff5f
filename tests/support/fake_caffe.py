"""Stands in for `caffe train -gpu 0,1`: logs, snapshots and stops as Caffe does, without training.

    python fake_caffe.py WORDING train -solver FILE -gpu 0,1 [-snapshot FILE]

WORDING is "2016" or "1.0": how a display is logged, and whether it ends after it was stopped: of
1.0's GPUs only the first heeds a signal, and the others wait for it.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

from netgen.caffe.caffe_pb2 import SolverState
from netgen.caffe.schema import read_solver

LOSSES = {0: 9.0, 5: 6.0, 10: 4.0}  # from 15 on, a plateau


def log(text: str) -> None:
    print(f"I1122 10:00:00.000001 123 solver.cpp:1] {text}", file=sys.stderr, flush=True)


def snapshot(prefix: str, iteration: int, step: int) -> None:
    model, state = (f"{prefix}_iter_{iteration}.{kind}" for kind in ("caffemodel", "solverstate"))
    log(f"Snapshotting to binary proto file {model}")
    Path(model).write_bytes(b"weights")
    log(f"Snapshotting solver state to binary proto file {state}")
    found = SolverState(iter=iteration, learned_net=model, current_step=step)
    Path(state).write_bytes(found.SerializeToString())


def main(wording: str, words: list[str]) -> None:
    options = dict(zip(words[1::2], words[2::2], strict=True))
    solver = read_solver(options["-solver"])
    stopped: list[int] = []

    def stop(number: int, _frame: Any) -> None:
        stopped.append(number)

    signal.signal(signal.SIGINT, stop)
    state = SolverState()
    if "-snapshot" in options:
        state.ParseFromString(Path(options["-snapshot"]).read_bytes())
    step = state.current_step
    print("no line of glog's", file=sys.stderr)
    for iteration in range(state.iter, solver.max_iter):
        time.sleep(0.02)
        if iteration in solver.stepvalue:
            step += 1
        if iteration % solver.display == 0:
            speed = " (5.2 iter/s, 1s/5 iters)" if wording == "1.0" else ""
            loss = LOSSES.get(iteration, 3.5)
            log(f"Iteration {iteration}{speed}, loss = {loss}")
            log(f"    Train net output #0: loss_item = {loss} (* 1 = {loss} loss)")
            log(f"Iteration {iteration}, lr = {solver.base_lr * 0.1**step:g}")
        if iteration + 1 == solver.max_iter or stopped or (iteration + 1) % solver.snapshot == 0:
            snapshot(solver.snapshot_prefix, iteration + 1, step)
        if stopped:
            log("Optimization stopped early.")
            while wording == "1.0":
                signal.pause()
            break
    if not stopped and solver.max_iter % solver.display == 0:  # as Caffe, and without outputs
        log(f"Iteration {solver.max_iter}, loss = 3.5")
    log("Optimization Done.")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
