"""The page of trainings: losses, accuracies, rates and speed over the iterations; their logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netgen.figures.page.charts import COLORS, DASHES, Chart, Line, Mark
from netgen.figures.page.document import page
from netgen.figures.page.runs import PagedRun
from netgen.figures.page.thinning import thinned

KINDS = ("loss_", "top1_", "top5_")  # prefixes of netgen's names of outputs, before the task


def run_page(runs: Sequence[PagedRun], command: str = "", refresh: int | None = None) -> str:
    """Return the page of trainings.

    Parameters
    ----------
    runs
        They share the charts: a colour for each task, dashes for each run.
    command
        The command line that makes the page again.
    refresh
        After how many seconds a browser reads the page again; None: it is not made again.
    """
    charts = [chart for chart in _charts(runs) if chart.lines]
    names = [run.name for run in runs]
    data = {
        "charts": [chart.data([_line_data(x) for x in chart.lines]) for chart in charts],
        "refresh": refresh,
    }
    return page(
        "run",
        f"Training: {', '.join(names)}" if len(names) < 4 else f"{len(names)} trainings",
        data,
        ("charts", "run"),
        runs=runs,
        charts=charts,
        best=[_best(run) for run in runs],
        command=command,
        refresh=refresh,
    )


def _line_data(line: Line) -> dict[str, Any]:
    name = f"{line.label} ({line.run})" if line.run else line.label
    return {"label": name, "points": [list(point) for point in line.points]}


def _charts(runs: Sequence[PagedRun]) -> list[Chart]:
    end = max((run.iteration for run in runs), default=0)
    outputs = [output for run in runs for output in (*run.train, *run.test)]
    tasks = list(dict.fromkeys(_task(output) for output in outputs if output != "loss"))
    losses = {output for run in runs for output in run.train}
    named = len(runs) > 1
    marks = [mark for run in runs for mark in _marks(run, named)]
    loss: list[Line] = []
    accuracy: list[Line] = []
    rate: list[Line] = []
    speed: list[Line] = []
    for dash, run in enumerate(runs):
        name = run.name if named else ""

        def color(output: str) -> int:
            return (tasks.index(_task(output)) if output != "loss" else len(tasks)) % COLORS

        for output, points in run.train.items():
            loss.append(Line(output, name, thinned(points), color(output), dash % DASHES))
        for output, points in run.test.items():
            if output in losses:
                loss.append(
                    Line(
                        f"{output}, test",
                        name,
                        thinned(points),
                        color(output),
                        dash % DASHES,
                        dots=True,
                    )
                )
            else:
                percent = [(at, round(100 * value, 6)) for at, value in points]
                thin = output.startswith("top5_")
                accuracy.append(
                    Line(output, name, thinned(percent), color(output), dash % DASHES, thin=thin)
                )
        above = [(at, value) for at, value in run.rate if value > 0]
        rate += [Line("rate", name, thinned(above), dash % COLORS, dash % DASHES)] * bool(above)
        speed += [Line("speed", name, thinned(run.speed), dash % COLORS, dash % DASHES)] * bool(
            run.speed
        )
    return [
        Chart("loss", "Loss", "loss", loss, end, marks),
        Chart("accuracy", "Test accuracy", "%", accuracy, end, marks, limits=(0, 100)),
        Chart(
            "rate",
            "Learning rate",
            "rate, on a logarithmic axis",
            rate,
            end,
            marks,
            by_factors=True,
        ),
        Chart("speed", "Speed", "iterations a second", speed, end),
    ]


def _marks(run: PagedRun, named: bool) -> list[Mark]:
    of = f"{run.name}: " if named else ""
    drops = [
        Mark(e["iteration"], "drop", f"{of}rate {_given(e['lr'])}: {e.get('why', '')}")
        for e in run.drops or ()
    ]
    kept = [
        Mark(e["iteration"], "best" if e.get("best") else "snapshot", f"{of}{e['model']}")
        for e in run.snapshots or ()
    ]
    return [*drops, *kept]


def _given(value: float | None) -> str:
    return "by the solver's policy" if value is None else f"{value:g}"


def _best(run: PagedRun) -> list[tuple[str, float, int, float]]:
    """Return of each accuracy the best value, its iteration, and the last value, in percent."""
    found = []
    for output, points in run.test.items():
        if output not in run.train and not output.startswith("loss"):
            at, value = max(points, key=lambda point: (point[1], -point[0]))
            found.append((output, 100 * value, at, 100 * points[-1][1]))
    return found


def _task(output: str) -> str:
    return next((output.removeprefix(k) for k in KINDS if output.startswith(k)), output)
