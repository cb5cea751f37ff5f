"""The blobs of each layer, from its origin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netgen.inspection.blobs import Weights
from netgen.surgery.moved import folded, place_of
from netgen.surgery.network import Wanted
from netgen.surgery.plan import Origin, Start
from netgen.surgery.source import Source, SurgeryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Blobs = tuple[NDArray[np.floating[Any]], ...]


def assemble(
    origins: Sequence[Origin], source: Source, drawn: Mapping[str, Blobs]
) -> Iterator[Weights]:
    """Yield each layer's weights, in single precision and in the network's shapes.

    `drawn` has those of the layers that start fresh.

    Raises
    ------
    SurgeryError
        A fold of layers that do not fit.
    """
    eps = _eps(origin.wanted for origin in origins if origin.start is Start.FOLDED)
    for origin in origins:
        wanted, names = origin.wanted, origin.sources
        if origin.start is Start.FRESH:
            blobs = drawn[wanted.name]
        elif origin.start is Start.FOLDED:
            blobs = folded(wanted, names, source, eps[place_of(wanted)])
        else:
            blobs = source.layers[names[0]].blobs
        yield Weights(wanted.name, wanted.type, _shaped(wanted, blobs))


def _eps(folded_layers: Iterable[Wanted]) -> dict[str, float]:
    """Return what the network's BatchNorm adds to a variance, by place; the file does not tell."""
    return {
        place_of(wanted): wanted.layer.batch_norm_param.eps
        for wanted in folded_layers
        if wanted.type == "BatchNorm"
    }


def _shaped(wanted: Wanted, blobs: Blobs) -> Blobs:
    """Give blobs the network's shapes: older files have four axes a blob."""
    try:
        return tuple(
            np.asarray(blob, np.float32).reshape(shape)
            for blob, shape in zip(blobs, wanted.blobs, strict=True)
        )
    except ValueError:
        raise SurgeryError(
            f"layer {wanted.name!r}: what was made for it is not of its shape"
        ) from None
