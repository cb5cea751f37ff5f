"""Counting the networks of tests, and measuring what they take in Caffe."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from netgen.caffe.schema import Phase, parse_net
from netgen.cost.complexity import LayerCost, NetCost, count


def counted(prototxt: str, phase: Phase = "TEST", **options: Any) -> NetCost:
    return count(parse_net(prototxt), phase, **options)


def layer(cost: NetCost, name: str) -> LayerCost:
    return next(layer for layer in cost.layers if layer.name == name)


def shapes(cost: NetCost) -> dict[str, tuple[int, ...] | None]:
    return {top.name: top.shape for layer in cost.layers for top in layer.tops}


def resident(prototxt: str, folder: str) -> list[int]:
    """Bytes that a solver with this network adds to a process, trained.

    By Caffe's own loops, which keep what a GPU keeps: the recipe's for the CPU take less.
    """
    import caffe

    os.environ["CAFFE_PLAIN"] = "1"

    def anonymous() -> int:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"RssAnon:\s+(\d+)", status)[1])  # type: ignore[index]

    (Path(folder) / "net.prototxt").write_text(prototxt)
    solver = Path(folder) / "solver.prototxt"
    solver.write_text(
        f'train_net: "{folder}/net.prototxt" base_lr: 1e-6 lr_policy: "fixed" momentum: 0.9 '
        "max_iter: 9 solver_mode: CPU snapshot_after_train: false random_seed: 1"
    )
    caffe.set_mode_cpu()
    before = anonymous()
    training = caffe.SGDSolver(str(solver))
    training.step(2)
    trained = anonymous() - before
    return [trained]
