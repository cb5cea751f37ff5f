"""Learning curves of several networks, each trained with several seeds: a chart a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from netgen.figures.charts import color, entitle, legend, panels
from netgen.figures.saving import save

Curves = Mapping[str, Sequence[tuple[int, float]]]  # task -> iteration, accuracy in percent


def draw(networks: Mapping[str, Sequence[Curves]], tasks: Sequence[str], out: Path) -> None:
    """Draw the mean accuracy of each network over its trainings, and their range.

    Parameters
    ----------
    networks
        Title -> the curves of each of its trainings; one may have some of the tasks only.
    tasks
        A chart each, in this order.
    out
        A .png, .svg or .pdf.

    Raises
    ------
    OSError
        `out` could not be written.
    """
    save(lambda: chart(networks, tasks), out)


def chart(networks: Mapping[str, Sequence[Curves]], tasks: Sequence[str]) -> Figure:
    """Return a chart a task, a line a network."""
    figure, axes = panels(len(tasks), (3.6, 3.2))
    for panel, task in zip(axes, tasks, strict=True):
        for index, (title, trainings) in enumerate(networks.items()):
            curves = [of[task] for of in trainings if task in of]
            at = [iteration for iteration, _ in curves[0]]
            values = np.array([[value for _, value in curve] for curve in curves])
            panel.fill_between(
                at, values.min(0), values.max(0), color=color(index), alpha=0.15, linewidth=0
            )
            panel.plot(at, values.mean(0), color=color(index), marker="o", markersize=3,
                       linewidth=1.5, label=title)  # fmt: skip
        panel.set_ylim(bottom=0)
        entitle(panel, task, "iteration", "test accuracy, top-1, %" if panel is axes[0] else "")
    legend(axes[0])
    return figure
