"""Where each layer's initial weights come from, as rows of a table and as data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from netgen.system.text import listed, shape_text
from netgen.weights.incoming.fitting import Converted
from netgen.weights.origins import Origin, OriginKind
from netgen.weights.weighted_layers import WeightedLayer

if TYPE_CHECKING:
    from netgen.weights.initial import InitialWeights

STAGE = re.compile(r"(?:res|bn|scale|cross|self)_?(conv1|\d)")  # He's names
NOT_HES = "not the ResNet-50 that He published"


def notes(made: InitialWeights) -> Iterator[str]:
    """Yield notes on the source, on what was assumed, and on a fold."""
    source = made.source
    if isinstance(source, Converted):
        yield f"{source.file}: sha1 {source.sha1}, {source.kind}"
        yield from source.notes
    else:
        origin = "the ResNet-50 that He published" if source.is_hes else NOT_HES
        yield f"{source.file}: sha1 {source.sha1}, {origin}"
    yield from made.network.notices
    rectified = [y.name for y in made.network.layers if y.rectified and y.type == "Convolution"]
    projections = [name for name in rectified if "_branch1" in name]
    if source.is_hes and projections:
        yield f"{listed(projections)}: a ReLU follows, which He's network does not have there"
    if any(origin.start is OriginKind.FOLDED for origin in made.origins):
        yield (
            "folded: as the source with BatchNorm's averages (in TEST, or built with"
            " --frozen-statistics); without them, training normalises the sum by its batch"
        )


def layers(made: InitialWeights) -> list[dict[str, str]]:
    """Return one row per layer."""
    return [
        {
            "layer": origin.layer.name,
            "type": origin.layer.type,
            "blobs": ", ".join(shape_text(shape).replace(" ", "") for shape in origin.layer.blobs),
            "start": origin.start.value,
            "from": ", ".join(origin.sources),
        }
        for origin in made.origins
    ]


def stages(made: InitialWeights) -> list[dict[str, str]]:
    """Return one row per stage, and one for all: how many layers start how, and parameters."""
    parts: dict[str, list[Origin]] = {}
    for origin in made.origins:
        parts.setdefault(_stage(origin.layer), []).append(origin)
    parts["all"] = list(made.origins)
    return [
        {
            "stage": stage,
            **{start.value: _count(start, here) for start in OriginKind},
            "parameters": f"{sum(_parameters(origin.layer) for origin in here):,}",
        }
        for stage, here in parts.items()
    ]


def as_data(made: InitialWeights) -> dict[str, Any]:
    """Return the result as JSON has it."""
    return {
        "network": made.network.file,
        "source": {
            "file": made.source.file,
            "sha1": made.source.sha1,
            "published_by_he": made.source.is_hes,
            "kind": made.source.kind if isinstance(made.source, Converted) else "caffemodel",
        },
        "layers": [
            {
                "name": origin.layer.name,
                "type": origin.layer.type,
                "blobs": origin.layer.blobs,
                "start": origin.start.value,
                "from": origin.sources,
            }
            for origin in made.origins
        ],
        "left_over": made.left_over,
    }


def _stage(layer: WeightedLayer) -> str:
    if match := STAGE.match(layer.base):
        return match[1] if match[1] == "conv1" else f"res{match[1]}"
    return layer.name if layer.is_head else layer.base.partition("/")[0]


def _count(start: OriginKind, origins: Iterable[Origin]) -> str:
    """Return how many layers start so; of cloned ones, also the number of source layers."""
    here = [origin for origin in origins if origin.start is start]
    if start is not OriginKind.CLONED or not here:
        return f"{len(here) or '-'}"
    sources = {name for origin in here for name in origin.sources}
    times, rest = divmod(len(here), len(sources))
    return f"{len(here)} from {len(sources)}" if rest else f"{len(sources)} to {times} tasks"


def _parameters(layer: WeightedLayer) -> int:
    return sum(prod(shape) for shape in layer.blobs)
