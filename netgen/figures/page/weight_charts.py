"""Figure 5 as charts of a page: the cross weights of networks, sorted, each with its channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgen.evaluation.results import ResultError
from netgen.figures.cross_weights import Curves, channel_weights
from netgen.figures.page.charts import COLORS, DASHES, Chart, Line
from netgen.figures.page.paged_results import PagedResult
from netgen.figures.page.thinning import thinned
from netgen.system.files import digest


@dataclass(frozen=True)
class PagedWeights:
    """A network's cross weights, in the order of the channels; `name` is the network's."""

    name: str
    curves: Curves


@dataclass(frozen=True)
class WeightChart:
    """A layer's cross weights.

    Attributes
    ----------
    chart
        What is drawn.
    data
        What a page's program reads: of each line every ``[place, weight, channel]``.
    rows
        For each connection its lowest, middle and highest weight, and the share below zero.
    """

    chart: Chart
    data: dict[str, Any]
    rows: Sequence[tuple[str, float, float, float, float]]


def read_paged_weights(files: Sequence[Path], results: Sequence[PagedResult]) -> list[PagedWeights]:
    """Read the cross weights with which the networks of `results` were tested.

    Raises
    ------
    ResultError
        No result is of these weights.
    ValueError
        A network without cross weights: see `channel_weights`.
    """
    names = {one.result.weights.sha256: one.name for one in reversed(results)}
    found = []
    for file in files:
        curves = channel_weights(file)
        name = names.get(digest(file))
        if name is None:
            tested = ", ".join(f"{one.name}: {one.result.weights.path}" for one in results)
            raise ResultError(
                f"{file}: none of the results is of these weights ({tested}): give the weights that"
                f" were tested, or test these (`netgen eval --weights {file} --out NAME.json`)"
            )
        found.append(PagedWeights(name, curves))
    return found


def weight_charts(weights: Sequence[PagedWeights]) -> list[WeightChart]:
    """Return a chart for each layer of each network; those of a network share their limits."""
    return [
        _chart(f"weights-{number}-{place}", one, layer, place, _limits(one.curves))
        for number, one in enumerate(weights)
        for place, layer in enumerate(one.curves)
    ]


def _limits(curves: Curves) -> tuple[float, float]:
    every = [values for layer in curves.values() for values in layer.values()]
    low, high = min(map(np.min, every)), max(map(np.max, every))
    return min(0.0, float(low)), max(0.0, float(high))


def _chart(
    name: str, of: PagedWeights, layer: str, place: int, limits: tuple[float, float]
) -> WeightChart:
    lines, told, rows = [], [], []
    for index, (connection, values) in enumerate(of.curves[layer].items()):
        points = list(_points(values))
        drawn = thinned([(at, value) for at, value, _ in points])
        dash = index // COLORS % DASHES
        lines.append(Line(connection, "", drawn, index % COLORS, dash))
        told.append({"label": connection, "points": [list(point) for point in points]})
        least, middle, most = (float(x) for x in np.percentile(values, (0, 50, 100)))
        rows.append((connection, least, middle, most, 100 * float((values < 0).mean())))
    chart = Chart(
        name,
        f"{of.name}: res{layer}, cross-residual layer {place + 1}",
        "cross weight, not normalised",
        lines,
        max(values.size for values in of.curves[layer].values()) - 1,
        limits=limits,
        axis="place",
    )
    return WeightChart(chart, {**chart.data(told), "numbered": "channel"}, rows)


def _points(values: NDArray[np.floating]) -> Iterator[tuple[int, float, int]]:
    """Yield place, weight and channel, the largest weight first; equal ones by channel."""
    for at, channel in enumerate(np.argsort(-values, kind="stable").tolist()):
        yield at, float(str(values[channel])), channel  # its digits, as float32
