"""Journals of trainings that never were, with known values."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

TASKS = ("noun", "adj")


def write_journal(folder: Path, displays: int, step: int = 10, **end: Any) -> list[dict[str, Any]]:
    """Write a run's ``log.jsonl`` with so many displays, a test at every tenth; return its lines.

    At two thirds the rate drops, and one loss has a peak of 50. With `end`, the last line's fields.
    """
    lines: list[dict[str, Any]] = [{"event": "start", "iteration": 0, "seconds": 0.0, "epoch": 9.0}]
    rate, drop = 0.001, displays * 2 // 3
    for number in range(1, displays + 1):
        at = {"iteration": number * step, "seconds": number * 2.0}
        losses = {f"loss_{task}": 1 + math.exp(-number / displays) for task in TASKS}
        if number == displays // 3:
            losses["loss_adj"] = 50.0
        if number == drop:
            rate /= 10
            lines.append({"event": "drop", **at, "lr": rate, "why": "no better loss"})
        total = sum(losses.values())
        lines.append(
            {"event": "train", **at, "epoch": 1.0, "loss": total, "outputs": losses, "lr": rate}
        )
        if number % max(displays // 10, 1) == 0:
            tested = {f"top1_{task}": number / displays / 2 for task in TASKS}
            lines.append({"event": "test", **at, "outputs": tested})
            model = f"snapshots/x_iter_{number * step}.caffemodel"
            lines.append({"event": "snapshot", **at, "model": model, "best": True})
    if end:
        lines.append({"event": "end", "iteration": displays * step, **end})
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "log.jsonl").write_text(text)
    return lines
