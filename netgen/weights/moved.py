"""The normalisation that moved behind res5a's sum (section 4), and what it starts from.

The paper leaves that open. Ours is the residual's (branch2c): "the *last* […] batch normalization"
is what moves, and "the same corresponding layer weights" (section 5.2) are then that layer's. The
fold starts from the source's own function instead: a normalisation with fixed statistics is a gain
and a shift a channel; gains go into the convolutions, and shifts are added in each task's Scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netgen.weights.source import Source, SurgeryError
from netgen.weights.weighted_layers import Wanted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Blobs = tuple[NDArray[np.floating[Any]], ...]

BRANCHES = ("branch1", "branch2c")  # those that res5a adds up, each with its normalisation
NORMS = {"BatchNorm": "bn", "Scale": "scale"}  # how He names the halves of a normalisation
INSTEAD = "choose --moved-norm branch2c"


class MovedFrom(Enum):
    """What the moved normalisation starts from; the value says it in words."""

    BRANCH2C = "the residual's normalisation, the last in the block"
    BRANCH1 = "the projection's normalisation"
    FOLD = "the identity: both normalisations go into the convolutions and the bias"
    FRESH = "nothing, as any new layer"


class Affine(NamedTuple):
    """What a normalisation with fixed statistics does to a channel: gain * x + shift."""

    gain: NDArray[np.floating[Any]]
    shift: NDArray[np.floating[Any]]


def counterparts(wanted: Wanted, source: Source) -> dict[MovedFrom, str]:
    """Return the layers of the source that gave way to a moved normalisation, else none."""
    if wanted.type not in NORMS or wanted.base in source.layers:
        return {}
    names = {MovedFrom[branch.upper()]: f"{wanted.base}_{branch}" for branch in BRANCHES}
    return {branch: name for branch, name in names.items() if name in source.layers}


def folds(layers: Iterable[Wanted], source: Source) -> dict[str, tuple[str, ...]]:
    """Find the layers that a fold concerns, and the source's layers that go into each.

    Returns
    -------
    dict
        A task's BatchNorm or Scale: (BatchNorm, Scale) of each branch. A branch's convolution: its
        own name, BatchNorm and Scale.

    Raises
    ------
    SurgeryError
        Only a half of the normalisation has moved.
    """
    by_name = {wanted.name: wanted for wanted in layers}
    moved = [w for w in by_name.values() if w.name not in source.layers and counterparts(w, source)]
    found: dict[str, tuple[str, ...]] = {}
    for place in {place_of(wanted) for wanted in moved}:
        here = [wanted for wanted in moved if place_of(wanted) == place]
        pairs = _pairs(place, by_name, source)
        if not pairs or {wanted.type for wanted in here} != set(NORMS):
            raise SurgeryError(
                f"{here[0].name}: in this reading only a half of the normalisation has moved, and"
                f" a fold needs BatchNorm and Scale: {INSTEAD}"
            )
        everything = tuple(name for pair in pairs.values() for name in pair)
        found |= {wanted.name: everything for wanted in here}
        found |= {name: (name, *pair) for name, pair in pairs.items()}
    return found


def _pairs(place: str, wanted: Mapping[str, Wanted], source: Source) -> dict[str, tuple[str, str]]:
    """Return the convolutions that lost their whole normalisation, with its two halves' names."""
    pairs = {f"res{place}_{b}": (f"bn{place}_{b}", f"scale{place}_{b}") for b in BRANCHES}
    return {
        convolution: pair
        for convolution, pair in pairs.items()
        if convolution in wanted and not wanted.keys() & set(pair) and pair[0] in source.layers
    }


def place_of(wanted: Wanted) -> str:
    """Return where a block's layer stands: 5a of res5a_branch1, bn5a_noun and scale5a_noun."""
    place = wanted.base.partition("_")[0]
    for prefix in ("res", *NORMS.values()):
        place = place.removeprefix(prefix)
    return place


def folded(wanted: Wanted, names: tuple[str, ...], source: Source, eps: float) -> Blobs:
    """Return the blobs of one of the layers that :func:`folds` finds, from those named there.

    A BatchNorm becomes the identity, a Scale the sum of the shifts, a convolution (out, in, H, W)
    takes the gain of its normalisation. `eps` is what BatchNorm adds to a variance.

    Raises
    ------
    SurgeryError
        The source's normalisations are not whole.
    """
    is_norm = wanted.type in NORMS
    halves = names if is_norm else names[1:]
    norms = [_affine(source, *pair, eps) for pair in zip(halves[::2], halves[1::2], strict=True)]
    channels = norms[0].gain.size
    if wanted.type == "BatchNorm":  # it divides by the root of variance + eps: 1
        return np.zeros(channels), np.full(channels, 1 - eps), np.ones(1)
    if wanted.type == "Scale":
        return np.ones(channels), np.sum([norm.shift for norm in norms], axis=0)
    weights, *bias = source.layers[wanted.name].blobs
    gain = norms[0].gain
    scaled = weights * gain.reshape(-1, *[1] * (weights.ndim - 1))
    return (scaled, *(blob.ravel() * gain for blob in bias))


def _affine(source: Source, batch_norm: str, scale: str, eps: float) -> Affine:
    """Return what a BatchNorm of fixed statistics and the Scale after it do together.

    Caffe keeps a weighted sum of means, one of variances, and the sum of their weights.
    """
    mean, variance, weights = _blobs(source, batch_norm, 3)
    gain, bias = _blobs(source, scale, 2)
    share = 1 / weights[0] if weights[0] else 0.0
    gain = gain / np.sqrt(variance * share + eps)
    return Affine(gain, bias - gain * mean * share)


def _blobs(source: Source, name: str, count: int) -> list[NDArray[np.floating[Any]]]:
    layer = source.layers.get(name)
    if layer is None or len(layer.blobs) != count:
        raise SurgeryError(
            f"{source.file}: the fold needs layer {name!r} with {count} blobs: {INSTEAD}"
        )
    return [blob.astype(np.float64).ravel() for blob in layer.blobs]
