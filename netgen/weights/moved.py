"""Initial weights of the normalisation that moved behind res5a's sum (section 4).

The paper does not say where they come from. The default is the residual branch's (branch2c): "the
*last* […] batch normalization" moves, and "the same corresponding layer weights" (section 5.2) are
then that layer's. The fold keeps the source network's function instead: a normalisation with fixed
statistics is a gain and a shift per channel; the gains are multiplied into the convolutions, and
the shifts are added up in each task's Scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netgen.caffe.caffemodel_check import Caffemodel
from netgen.weights.weighted_layers import WeightedLayer, WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Blobs = tuple[NDArray[np.floating[Any]], ...]

BRANCHES = ("branch1", "branch2c")  # that res5a adds up, each with a normalisation
NORMS = {"BatchNorm": "bn", "Scale": "scale"}  # He's names of a normalisation's two layers
INSTEAD = "choose --moved-norm branch2c"


class MovedFrom(Enum):
    """What the moved normalisation starts from; the value describes it."""

    BRANCH2C = "the residual's normalisation, the last in the block"
    BRANCH1 = "the projection's normalisation"
    FOLD = "the identity: both normalisations go into the convolutions and the bias"
    FRESH = "its fillers, like any new layer"


class Affine(NamedTuple):
    """What a normalisation with fixed statistics does to a channel: gain * x + shift."""

    gain: NDArray[np.floating[Any]]
    shift: NDArray[np.floating[Any]]


def counterparts(layer: WeightedLayer, source: Caffemodel) -> dict[MovedFrom, str]:
    """Return the source's layers that a moved normalisation replaces; none for other layers."""
    if layer.type not in NORMS or layer.base in source.layers:
        return {}
    names = {MovedFrom[branch.upper()]: f"{layer.base}_{branch}" for branch in BRANCHES}
    return {branch: name for branch, name in names.items() if name in source.layers}


def moved_layers(layers: Iterable[WeightedLayer], source: Caffemodel) -> list[WeightedLayer]:
    """Return those of a network's layers that are of a moved normalisation of the source."""
    return [w for w in layers if w.name not in source.layers and counterparts(w, source)]


def folds(layers: Iterable[WeightedLayer], source: Caffemodel) -> dict[str, tuple[str, ...]]:
    """Find the layers that a fold changes, and the source's layers that each is made from.

    Returns
    -------
    dict
        A task's BatchNorm or Scale: (BatchNorm, Scale) of each branch. A branch's convolution: its
        own name, BatchNorm and Scale.

    Raises
    ------
    WeightsError
        Only BatchNorm or only Scale has moved, or a ReLU comes between.
    """
    by_name = {layer.name: layer for layer in layers}
    moved = moved_layers(by_name.values(), source)
    found: dict[str, tuple[str, ...]] = {}
    for place in {place_of(layer) for layer in moved}:
        here = [layer for layer in moved if place_of(layer) == place]
        pairs = _pairs(place, by_name, source)
        if not pairs or {layer.type for layer in here} != set(NORMS):
            raise WeightsError(
                f"{here[0].name}: in this reading only BatchNorm or only Scale moved, and a fold"
                f" needs both: {INSTEAD}"
            )
        _check_linear(by_name[name] for name in pairs)
        everything = tuple(name for pair in pairs.values() for name in pair)
        found |= {layer.name: everything for layer in here}
        found |= {name: (name, *pair) for name, pair in pairs.items()}
    return found


def _check_linear(convolutions: Iterable[WeightedLayer]) -> None:
    """Refuse a branch that ends in a ReLU: the shifts then cannot move behind the sum."""
    for layer in convolutions:
        if layer.rectified:
            raise WeightsError(
                f"{layer.name}: a ReLU follows it (`--reading projection-relu=yes`), and a fold"
                f" would move the shift before it behind it: {INSTEAD}"
            )


def _pairs(
    place: str, layers: Mapping[str, WeightedLayer], source: Caffemodel
) -> dict[str, tuple[str, str]]:
    """Return the convolutions without a normalisation, and the names of those in the source."""
    pairs = {f"res{place}_{b}": (f"bn{place}_{b}", f"scale{place}_{b}") for b in BRANCHES}
    return {
        convolution: pair
        for convolution, pair in pairs.items()
        if convolution in layers and not layers.keys() & set(pair) and pair[0] in source.layers
    }


def place_of(layer: WeightedLayer) -> str:
    """Return a layer's block: 5a of res5a_branch1, bn5a_noun and scale5a_noun."""
    place = layer.base.partition("_")[0]
    for prefix in ("res", *NORMS.values()):
        place = place.removeprefix(prefix)
    return place


def folded(layer: WeightedLayer, names: tuple[str, ...], source: Caffemodel, eps: float) -> Blobs:
    """Return the blobs of a layer that :func:`folds` finds, made from the layers named there.

    BatchNorm becomes the identity, Scale adds the sum of the shifts, and a convolution (out, in, H,
    W) is multiplied by the gain of its normalisation. BatchNorm adds `eps` to a variance.

    Raises
    ------
    WeightsError
        The source lacks a BatchNorm or Scale of the fold.
    """
    is_norm = layer.type in NORMS
    halves = names if is_norm else names[1:]
    norms = [_affine(source, *pair, eps) for pair in zip(halves[::2], halves[1::2], strict=True)]
    channels = norms[0].gain.size
    if layer.type == "BatchNorm":  # it divides by sqrt(variance + eps) = 1
        return np.zeros(channels), np.full(channels, 1 - eps), np.ones(1)
    if layer.type == "Scale":
        return np.ones(channels), np.sum([norm.shift for norm in norms], axis=0)
    weights, *bias = source.layers[layer.name].blobs
    gain = norms[0].gain
    scaled = weights * gain.reshape(-1, *[1] * (weights.ndim - 1))
    return (scaled, *(blob.ravel() * gain for blob in bias))


def _affine(source: Caffemodel, batch_norm: str, scale: str, eps: float) -> Affine:
    """Return the gain and shift of a BatchNorm with fixed statistics and the Scale after it.

    Caffe keeps a weighted sum of means, one of variances, and the sum of their weights.
    """
    mean, variance, weights = _blobs(source, batch_norm, 3)
    gain, bias = _blobs(source, scale, 2)
    share = 1 / weights[0] if weights[0] else 0.0
    gain = gain / np.sqrt(variance * share + eps)
    return Affine(gain, bias - gain * mean * share)


def _blobs(source: Caffemodel, name: str, count: int) -> list[NDArray[np.floating[Any]]]:
    layer = source.layers.get(name)
    if layer is None or len(layer.blobs) != count:
        raise WeightsError(
            f"{source.file}: the fold needs layer {name!r} with {count} blobs: {INSTEAD}"
        )
    return [blob.astype(np.float64).ravel() for blob in layer.blobs]
