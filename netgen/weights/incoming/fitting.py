"""Fit another program's ResNet to a network: its pixels, its biases, its stem, its depth.

What is folded is folded exactly, but for one thing: convolutions pad with zeros, which are another
colour where another mean was subtracted. So a difference of means becomes a bias that is right
everywhere but at the border, as far as conv1's padding reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, PoolingParameter
from netgen.caffe.caffemodel import Weights, shapes_text
from netgen.caffe.caffemodel_check import EPSILON, Caffemodel
from netgen.caffe.schema import read_net
from netgen.network.description import description_in
from netgen.system.text import value_text
from netgen.weights.incoming.naming import depth
from netgen.weights.incoming.units import (
    STEM,
    Array,
    Classifier,
    Foreign,
    ForeignError,
    Normal,
    Unit,
    checked,
)
from netgen.weights.incoming.vgg import FIRST, Vgg
from netgen.weights.weighted_layers import WeightedNetwork

LENGTH = 2**0.5  # of a filter of n numbers whose variance is 2 / n
TRANSFORM = ("Data", "ImageData", "MemoryData", "WindowData")  # layers that subtract and scale
MOST_GAINS = (1e-3, 1e6)  # whose squares single precision has
FOLDED = (
    "its normalisations are folded into its convolutions: here BatchNorm undoes a gain, which"
    " computes the same in TEST and in networks built with --frozen-statistics; others normalise by"
    " the batch in training, which is another function. Where tasks branch, --moved-norm fold keeps"
    " the biases of both branches"
)
PADDED = (
    "its first pool begins a pixel outside the image, the network's at its edge: the same weights"
    " see the image two pixels apart. `--beyond pool1=padded` builds the network that computes the"
    " same"
)
OVERHANGING = (
    "its first pool begins at the image's edge, the network's a pixel outside: omit"
    " `--beyond pool1=padded`"
)


@dataclass(frozen=True)
class Converted(Caffemodel):
    """Another program's network as a caffemodel; `kind` says whose, `notes` what to know of it."""

    kind: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """What a network says of itself beside its layers with weights.

    `mean` and `scale` are those of its images, None where it does not say; `padded`: its first
    pool begins a pixel outside.
    """

    mean: tuple[float, ...] | None
    scale: float
    padded: bool | None


def read_target(path: str) -> Target:
    """Read how a network takes its images and pools them first.

    Raises
    ------
    SchemaError
        It is not a network.
    ForeignError
        Its mean or scale are such that no weights undo them.
    """
    net = read_net(path)
    pools = [layer for layer in net.layer if layer.type == "Pooling"]
    pooling = pools[0].pooling_param if pools else None
    mean, scale = _images(net, path)
    if not (np.isfinite([scale, 1 / scale] if scale else [np.nan]).all()):
        raise ForeignError(f"{path}: its images are multiplied by {scale}: correct its scale")
    if not np.isfinite(mean or ()).all():
        raise ForeignError(f"{path}: a mean of {_numbers(mean or ())}: correct its mean_value")
    return Target(mean, scale, None if pooling is None else _is_padded(pooling))


def _is_padded(pool: PoolingParameter) -> bool:
    return max(pool.pad, pool.pad_h) > 0


def _images(net: NetParameter, path: str) -> tuple[tuple[float, ...] | None, float]:
    """Return the mean and scale of a train_val's images; a deploy's are in the file beside it."""
    first: LayerParameter | None = next((y for y in net.layer if y.type in TRANSFORM), None)
    if first is not None:
        param = first.transform_param
        known = not param.mean_file
        mean = tuple(round(value, 4) for value in param.mean_value)  # in single precision there
        return (mean if known else None), param.scale
    found = description_in(Path(path).parent)
    return (tuple(found[1].images.mean) if found else None), 1.0


# ---- one network fitted to another --------------------------------------------------------------


def fit(source: Foreign, network: WeightedNetwork) -> Converted:
    """Return a foreign network as the caffemodel that this network can start from.

    Raises
    ------
    ForeignError
        It has another depth or width than the network.
    """
    _check_shapes(source)
    _check_plan(source, network)
    target = read_target(network.file)
    notes = tuple(_notes(source, target))
    if isinstance(source, Vgg):
        return _converted(source, _vgg_layers(source, target), notes)
    bias = any(layer.name == STEM and len(layer.blobs) == 2 for layer in network.layers)
    units = dict(source.units)
    if STEM in units:
        units[STEM] = _with_pixels(source, units[STEM], target)
    layers = [made for name, unit in units.items() for made in _layers(name, unit, bias)]
    if source.classifier is not None:
        weights, shift = source.classifier.weights, source.classifier.bias
        layers.append(Weights(f"fc{len(shift)}", "InnerProduct", (weights, shift)))
    return _converted(source, layers, notes)


def _converted(source: Foreign, layers: Iterable[Weights], notes: tuple[str, ...]) -> Converted:
    """Return the layers as a caffemodel; what was folded may be too large for it."""
    found = {layer.name: layer for layer in layers}
    for name, layer in found.items():
        checked(source.file, name, *layer.blobs)
    return Converted(source.file, found, source.kind, notes)


def _check_shapes(source: Foreign) -> None:
    """Refuse parts whose arrays are no floats, or do not belong together."""
    if source.classifier is not None:
        _check_classifier(source.file, source.classifier)
    for name, unit in source.units.items():
        n = unit.normal
        ones = [unit.bias, *((n.gamma, n.beta, n.mean, n.variance) if n else ())]
        checked(source.file, name, unit.kernel, *ones)
        shapes = {one.shape for one in ones if one is not None}
        if unit.kernel.ndim != 4 or shapes - {(len(unit.kernel),)}:
            text = shapes_text([unit.kernel.shape, *sorted(shapes)])
            raise ForeignError(
                f"{source.file}: arrays of {text} for {name}: a kernel has four axes, and all else"
                " one number for each of its outputs"
            )


def _check_classifier(file: str, classifier: Classifier) -> None:
    """Refuse a classifier of other arrays than one row of weights and one bias for each class."""
    weights, bias = classifier.weights, classifier.bias
    checked(file, "its classifier", weights, bias)
    classes = weights.shape[:1]
    if weights.ndim < 2 or bias.shape != classes or weights[:1].size != weights.shape[1]:
        text = shapes_text([weights.shape, bias.shape])
        raise ForeignError(
            f"{file}: arrays of {text} for its classifier: it has a row of weights and a bias for"
            " each class"
        )


def _vgg_layers(source: Vgg, target: Target) -> Iterator[Weights]:
    for name, (weights, bias) in source.numbers.items():
        if name == FIRST:
            first = _with_pixels(source, Unit(weights, bias, None, 1), target)
            shifted = np.zeros(len(weights)) if first.bias is None else first.bias
            yield Weights(name, "Convolution", (first.kernel, shifted), (1,))
        elif weights.ndim == 4:
            yield Weights(name, "Convolution", (weights, bias), (1,))
        else:
            yield Weights(name, "InnerProduct", (weights, bias))


def _check_plan(source: Foreign, network: WeightedNetwork) -> None:
    if isinstance(source, Vgg):
        if FIRST not in {layer.name for layer in network.layers}:
            raise ForeignError(
                f"{source.file}: {source.kind}, but {network.file} is another network: give"
                " vgg16-noun, vgg16-adj or vgg16-anp"
            )
        return
    ours, theirs = (depth(names) for names in ([w.name for w in network.layers], source.units))
    if not ours:
        raise ForeignError(
            f"{source.file}: {source.kind}, but {network.file} is not made of residual blocks with"
            " He's names: such networks start from caffemodels"
        )
    if ours != theirs:
        text = [",".join(map(str, each)) for each in (theirs, ours)]
        raise ForeignError(
            f"{source.file}: {text[0]} blocks in its stages, {text[1]} in {network.file}: give a"
            f" network as deep as it, or build one with --blocks {text[0]}"
        )
    shapes = {layer.name: layer.blobs[0] for layer in network.layers}
    inner = "res2a_branch2a"
    needs, has = (
        (shapes[STEM][0], shapes[inner][0]) if STEM in shapes and inner in shapes else (0, 0),
        (len(source.units[STEM].kernel), len(source.units[inner].kernel)),
    )
    if needs != has and all(needs):
        raise ForeignError(
            f"{source.file}: a first convolution of {has[0]} filters before stages of width"
            f" {has[1]}, {needs[0]} and {needs[1]} in {network.file}: build the network with"
            f" --width {has[0]},{has[1]}"
        )


def _with_pixels(source: Foreign, stem: Unit, target: Target) -> Unit:
    """Return the first convolution for the network's pixels: B, G, R, less its mean, scaled."""
    pixels, kernel = source.pixels, stem.kernel.astype(np.float64)
    colours = kernel.shape[1]
    if not pixels.bgr:
        kernel = kernel[:, ::-1]
    deviation = np.array(pixels.deviation)
    if (deviation == 1).all():  # caffe's style, of any number of colours
        deviation = np.ones(colours)
    for what, count in (("deviations", len(deviation)), ("means", len(pixels.mean or deviation))):
        if count != colours:
            raise ForeignError(
                f"{source.file}: its first convolution reads {colours} colours, but its pixels have"
                f" {count} {what}: give a network of that many"
            )
    shift = np.zeros(colours)
    if pixels.mean is not None and target.mean is not None:
        if len(target.mean) not in (0, 1, colours):
            raise ForeignError(
                f"{source.file}: {colours} colours, where the network's mean has"
                f" {len(target.mean)}: give one for each"
            )
        shift[:] = np.round(np.array(target.mean or [0.0]) - pixels.mean, 4)
    kernel = kernel / deviation[:, None, None]
    bias = kernel.sum((2, 3)) @ shift + (0 if stem.bias is None else stem.bias)
    return Unit(kernel / target.scale, bias, stem.normal, stem.stride)


def _layers(name: str, unit: Unit, stem_bias: bool) -> Iterator[Weights]:
    """Yield Convolution, BatchNorm and Scale; the bias goes into BatchNorm's mean or into Scale."""
    channels = len(unit.kernel)
    bias = np.zeros(channels) if unit.bias is None else unit.bias.astype(np.float64)
    if unit.normal is None:
        unit = _unfolded(unit, bias)
        bias = np.zeros(channels)
    blobs = (unit.kernel, np.zeros(channels)) if name == STEM and stem_bias else (unit.kernel,)
    yield Weights(name, "Convolution", blobs, (unit.stride,))
    place = "_conv1" if name == STEM else name.removeprefix("res")
    normal = unit.normal
    assert normal is not None
    mean = normal.mean.astype(np.float64) - bias
    variance = normal.variance.astype(np.float64) + normal.eps - EPSILON
    yield Weights(f"bn{place}", "BatchNorm", (mean, variance, np.ones(1)))
    yield Weights(f"scale{place}", "Scale", (normal.gamma, normal.beta))


def _unfolded(unit: Unit, bias: Array) -> Unit:
    """Return a folded convolution with a normalisation that computes the same.

    What was folded is not known. But a kernel that is divided by the deviations of its outputs
    learns faster by their square, the first one, of pixels up to 255, a thousand times too fast. So
    each filter gets the length that the msra filler gives one, and the variance undoes that.
    """
    kernel = unit.kernel.astype(np.float64)
    lengths = np.sqrt((kernel**2).sum((1, 2, 3)))
    gains = np.clip(LENGTH / np.maximum(lengths, 1e-30), *MOST_GAINS)
    zeros, ones = np.zeros(len(bias)), np.ones(len(bias))
    normal = Normal(gamma=ones, beta=bias, mean=zeros, variance=gains**2, eps=0)
    return Unit(kernel * gains[:, None, None, None], None, normal, unit.stride)


def _notes(source: Foreign, target: Target) -> Iterator[str]:
    yield from source.notes
    if source.units and all(unit.normal is None for unit in source.units.values()):
        yield FOLDED
    if source.padded and target.padded is False:
        yield PADDED
    if source.padded is False and target.padded:
        yield OVERHANGING
    theirs, ours = source.pixels.mean, target.mean
    if theirs is None:
        yield "its mean is not stated: taken to be the network's"
    elif ours is None:
        yield f"the network's mean is not stated: taken to be the file's, {_numbers(theirs)}"
    elif ours != tuple(round(value, 4) for value in theirs):
        yield (
            f"its mean is {_numbers(theirs)} in B, G, R, the network's {_numbers(ours)}: the"
            " difference is in the first layer's biases, which is exact but for the image's border"
        )


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(value_text(round(value, 3)) for value in values)
