"""The page that says what a GPU showed, from the results that are kept as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gpu_proof.agreement import KINDS
from gpu_proof.workspace import TRAINED

Found = dict[str, Any]


def disagreements(found: Found) -> list[str]:
    """Return what could not be done or does not agree, a line each."""
    return [f"{title}: {why}" for title, why in found["failed"].items()] + [
        line for _, stage in found["stages"].items() for line in _disagrees(stage)
    ]


def _disagrees(stage: Any) -> Iterator[str]:
    for part in stage if isinstance(stage, list) else [stage]:
        if not isinstance(part, dict):
            continue
        for way, row in part.get("apart", {}).items() if "arrays" in part else ():
            if row.get("agrees") is False:
                yield f"{way}: farther from the CPU than allowed"
        if part.get("agrees") is False:
            yield f"{part['network']}, {part['engine']}: losses are farther apart than allowed"
        for problem in part.get("problems", ()):
            yield f"{part['engine']}: {problem}"
        if late := part.get("not in time"):
            yield f"{part['engine']}: not run to their end, for want of time: {', '.join(late)}"


def write(found: Found) -> str:
    """Write the page, in Markdown."""
    lines = [
        f"# {found['card']}: what it showed",
        "",
        f"Written by `./run gpu-proof` on {found['when']}, of commit {found['commit'][:10]}.",
        f"Driver {found['driver']}, compute capability {found['architecture'] / 10:.1f},"
        f" {found['memory'] / 2**30:.0f} GiB; {found['machine']}.",
        "",
    ]
    if found["small"]:
        lines += [
            "**A rehearsal: the networks are narrow, so no time or memory below is the paper's.**",
            "",
        ]
    for name, build in found["engines"].items():
        lines.append(f"- Caffe {name}: {build['from']}; {build['gpu']}.")
    for part in (_suites, _agreement, _speed, _memory, _resuming, _driver, _problems):
        lines += ["", *part(found)]
    return "\n".join(lines).rstrip() + "\n"


def _stages(found: Found, prefix: str) -> list[Any]:
    return [stage for title, stage in found["stages"].items() if title.startswith(prefix)]


def _table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    rows = list(rows)
    if not rows:
        return ["Not done."]
    lines = [heads, tuple("---" for _ in heads), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def _suites(found: Found) -> list[str]:
    """Caffe's own tests."""
    rows = (
        (s["engine"], s["suites"], s["run"], s["passed"], s["explained"], len(s["problems"]))
        for s in _stages(found, "suites")
        if "run" in s
    )
    heads = ("Caffe", "suites", "GPU tests run", "passed", "explained", "failed")
    return ["## Caffe's own tests, on this card", "", *_table(heads, rows)]


def _agreement(found: Found) -> list[str]:
    """Outputs and gradients against the CPU's."""
    lines = [
        "## X_S against the CPU",
        "",
        "The largest difference of an array from the CPU's, relative to its norm: every score and"
        " loss, and each layer's gradients, of one pass on the same weights and images.",
    ]
    for stage in _stages(found, "agreement"):
        what = "with ELUs for its ReLUs and no maximum" if stage["smooth"] else "as it is"
        lines += ["", f"X_S {what}, batch {stage['batch']}:", ""]
        rows = (
            (way, *(f"{row[kind]:.1e}" for kind in KINDS.values()), _verdict(way, row))
            for way, row in stage["apart"].items()
        )
        lines += _table(("computed by", *KINDS.values(), "within the bound"), rows)
    return lines


def _verdict(way: str, row: Found) -> str:
    if "agrees" in row:
        return "yes" if row["agrees"] else "**no**"
    return "sets it" if way.startswith("the CPU") else "not asked"


def _speed(found: Found) -> list[str]:
    """Images per second, and the three networks that X_S replaces."""
    rows, lines = [], []
    for stage in _stages(found, "training") + _stages(found, "without data"):
        speeds = {run["network"]: run["seconds per iteration"] for run in stage}
        for run in stage:
            source = "databases" if run["from databases"] else "nothing (DummyData)"
            rows.append(_speed_row(run, source))
        if all(name in speeds for name in TRAINED):
            three = sum(speeds[name] for name in TRAINED[1:])
            lines.append(
                f"- Three ResNet-50s take {three / speeds['xs']:.2f} times as long as one X_S"
                f" ({stage[0]['engine']})."
            )
    heads = (
        "network",
        "batch",
        "Caffe",
        "fed from",
        "images/s",
        "s/iteration (fastest, slowest)",
        "GPU busy",
    )
    return ["## Speed, in training", "", *_table(heads, rows), "", *lines]


def _speed_row(run: Found, source: str) -> tuple[object, ...]:
    busy = run["busy per cent"]
    low, high = run["spread"]
    return (
        run["network"], run["batch"], run["engine"], source, f"{run['images per second']:.1f}",
        f"{run['seconds per iteration']:.3f} ({low:.3f}, {high:.3f})",
        "not told" if busy is None else f"{busy:.0f}%",
    )  # fmt: skip


def _memory(found: Found) -> list[str]:
    """Measured against what the solver's comment estimates."""
    contexts = {
        title.removeprefix("context "): value
        for title, value in found["stages"].items()
        if title.startswith("context ")
    }
    rows = [
        (
            run["network"], run["engine"], f"{run['GiB']:.2f}",
            f"{contexts.get(run['engine'], float('nan')):.2f}", run["GiB estimated"],
            f"{(run['GiB'] - contexts.get(run['engine'], 0)) / run['GiB estimated']:.2f}",
        )
        for stage in _stages(found, "training")
        for run in stage
    ]  # fmt: skip
    heads = (
        "network", "Caffe", "GiB, most", "of them the context", "estimated in the solver",
        "(most - context) / estimate",
    )  # fmt: skip
    return ["## Memory, training and testing", "", *_table(heads, rows)]


def _resuming(found: Found) -> list[str]:
    """Whether runs repeat, and resume."""
    rows = (
        (s["engine"], s["iterations"], s["stopped at"], _same(s["repeated"]), _same(s["resumed"]))
        for s in _stages(found, "resuming")
    )
    heads = ("Caffe", "iterations", "stopped at", "the same run twice", "stopped and resumed")
    return ["## Weights of `netgen train`: X_S", "", *_table(heads, rows)]


def _same(how: Found) -> str:
    return "the same bytes" if how["same bytes"] else f"{how['apart']:.1e} apart (a layer's norm)"


def _driver(found: Found) -> list[str]:
    """Small networks on both devices."""
    rows = (
        (
            run["network"], run["engine"], run["iterations"],
            f"{run['losses apart, first ten']:.1e}", f"{run['losses apart']:.1e}",
            "yes" if run["agrees"] else "**no**",
        )
        for stage in _stages(found, "driver")
        for run in stage
    )  # fmt: skip
    heads = (
        "small network", "Caffe", "iterations", "losses apart, first ten", "losses apart, all",
        "within the bounds",
    )  # fmt: skip
    return ["## `netgen train --gpu 0` against the CPU", "", *_table(heads, rows)]


def _problems(found: Found) -> list[str]:
    lines = disagreements(found)
    return (
        ["## What disagrees or could not be done", "", *(f"- {line}" for line in lines)]
        if lines
        else []
    )
