"""Figure 5 from any caffemodel: its cross weights, sorted, one chart per layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from netgen.caffe.caffemodel import read_weights
from netgen.figures.style import (
    INK,
    TASK_COLORS,
    add_legend,
    chart_row,
    in_legend,
    line_color,
    line_style,
    save_figure,
    set_titles,
)

NAME = "[a-z][a-z0-9-]*"
CROSS = re.compile(rf"cross(?P<layer>\d[a-z]+)_(?P<source>{NAME})(_(?P<target>{NAME}))?")
SELF = re.compile(rf"self(?P<layer>\d[a-z]+)_(?P<source>(?P<target>{NAME}))")  # beyond the paper
Curves = dict[str, dict[str, NDArray[np.floating]]]  # layer -> connection -> weights


class NoCrossWeightsError(ValueError):
    """A caffemodel without learned cross weights; the message says which networks have them."""


def cross_weights(file: Path, own: bool = True) -> Curves:
    """Read a caffemodel's cross weights: layer by layer, "source-target" -> sorted, falling.

    As `channel_weights`, which also says what it raises.
    """
    return {
        layer: {name: np.sort(values)[::-1] for name, values in connections.items()}
        for layer, connections in channel_weights(file, own).items()
    }


def channel_weights(file: Path, own: bool = True) -> Curves:
    """Read a caffemodel's cross weights: layer by layer, "source-target" -> channel by channel.

    With `own`, also a network's learned self weights.

    Raises
    ------
    ValueError
        It is not a caffemodel, or not of a network with channelwise scale (X_S): it has no cross
        weights, or convolutions as cross weights.
    """
    found: Curves = {}
    for layer in read_weights(file):
        if match := CROSS.fullmatch(layer.name) or (own and SELF.fullmatch(layer.name)):
            if layer.blobs[0].squeeze().ndim > 1:
                raise NoCrossWeightsError(
                    f"{file}: {layer.name} is a convolution, with one weight per pair of channels:"
                    " Figure 5 sorts weights of which there is one per channel (cross-form=scale)"
                )
            # Without a target: the reading in which every other task uses the same weight.
            connection = f"{match['source']}-{match['target'] or 'others'}"
            found.setdefault(match["layer"], {})[connection] = layer.blobs[0].ravel()
    if not found:
        raise NoCrossWeightsError(
            f"{file}: no layers named cross<block>_<source>_<target> in it: only X_S learns cross"
            " weights (`netgen build --variant xs`)"
        )
    return found


def draw_cross_weights(file: Path, out: Path) -> None:
    """Draw the cross weights of a caffemodel, as in Figure 5; `out` is a .png, .svg or .pdf.

    Raises
    ------
    ValueError
        As `cross_weights`.
    OSError
        `out` could not be written.
    """
    curves = cross_weights(file)
    save_figure(lambda: cross_weights_figure(curves), out)


def cross_weights_figure(curves: Mapping[str, Mapping[str, NDArray[np.floating]]]) -> Figure:
    """Return one chart per layer with a common y axis: weights over the channels, sorted."""
    figure, axes = chart_row(len(curves))
    for place, (panel, (layer, connections)) in enumerate(zip(axes, curves.items(), strict=True)):
        panel.axhline(0, color=INK, linewidth=0.7, zorder=1.5)
        for index, (connection, weights) in enumerate(connections.items()):
            style = line_style(index // len(TASK_COLORS))
            panel.plot(
                weights,
                color=line_color(index),
                linestyle=style,
                linewidth=1.4,
                label=in_legend(connection),
            )
        panel.margins(x=0)
        name = f"res{layer}: cross-residual layer {place + 1}"
        set_titles(panel, name, "channel, sorted by weight", "" if place else "cross weight")
        panel.sharey(axes[0])
        add_legend(panel, 1 + len(connections) // 7)
    return figure
