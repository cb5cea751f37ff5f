"""Caffemodels as training might leave them, and operators that change their weights, or only words.

A mutation changes a model, and returns a layer that has to be named; a rewrite changes how the same
weights are written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from msgspec.structs import replace

from netgen import paper
from netgen.audit.comparison.references import Reference
from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.caffemodel import _net_class
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import count
from netgen.network.dataset import MTVSO, Images
from netgen.network.variants import find
from support.networks import order, text

Model = dict[str, tuple[str, list[np.ndarray]]]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Mutation = Callable[[Model, Draw], str]
Rewrite = Callable[[Any, Draw], object]
MUTATIONS: dict[str, Mutation] = {}
CROSSED: set[str] = set()  # mutations of cross weights, which only X_S has
UNCLEAR: set[str] = set()  # mutations that a sound training could leave
REWRITES: dict[str, Rewrite] = {}


class Narrow(Reference):
    """A network for the paper's tasks, narrow enough to be written in milliseconds."""

    def net(self) -> NetParameter:
        return _narrow(self.variant.name)


@cache
def _narrow(variant: str) -> NetParameter:
    ordered = order(variant, replace(MTVSO, images=Images(3, 32, 32, (0.0, 0.0, 0.0))))
    return parse_net(text(ordered, "deploy"))


def narrow(variant: str) -> Narrow:
    return Narrow(find(variant, list(paper.TASKS)), "deploy")


def trained(net: NetParameter) -> Model:
    """A network's layers with weights, as training might leave them: parts of one buffer."""
    rng = np.random.default_rng(3)
    pool = rng.normal(0, 0.01, 2**23).astype(np.float32)
    layers: Model = {}
    for number, layer in enumerate(count(net, "TEST").layers):
        starts = [(1009 * number + 37 * blob) % 2**22 for blob in range(len(layer.blobs))]
        sizes = [int(np.prod(shape)) for shape in layer.blobs]
        blobs = [pool[a : a + n].reshape(s) for a, n, s in zip(starts, sizes, layer.blobs)]  # noqa: B905
        if layer.type == "BatchNorm":
            blobs = [
                1e5 * blobs[0],
                np.abs(1e5 * blobs[1]) + np.float32(1),
                np.full(1, 999.98, np.float32),
            ]
        if layer.name.startswith("cross"):
            blobs[0] = rng.normal(0.05, 0.044, layer.blobs[0]).astype(np.float32)
        if blobs:
            layers[layer.name] = (layer.type, blobs)
    return layers


def message(model: Model) -> Any:
    """A model as the message that its file holds."""
    net = _net_class()()
    for name, (kind, blobs) in model.items():
        layer = net.layer.add(name=name, type=kind)
        for blob in blobs:
            made = layer.blobs.add(data=blob.astype(np.float32).tobytes())
            made.shape.dim.extend(blob.shape)
    return net


def write(path: Path, model: Model) -> Path:
    path.write_bytes(message(model).SerializeToString())
    return path


# ---- mutations ----------------------------------------------------------------------------------


def mutation(function: Mutation) -> Mutation:
    """Register a mutation of any network's weights."""
    MUTATIONS[function.__name__] = function
    return function


def of_cross_weights(function: Mutation) -> Mutation:
    """Register a mutation of cross weights."""
    CROSSED.add(function.__name__)
    return mutation(function)


def unclear(function: Mutation) -> Mutation:
    """Register a mutation that a sound training could leave."""
    UNCLEAR.add(function.__name__)
    return mutation(function)


def _some(model: Model, draw: Draw, kind: str, start: str = "") -> str:
    names = [name for name, (type_, _) in model.items() if type_ == kind and start in name]
    return str(draw(st.sampled_from([name for name in names if start or "cross" not in name])))


def _cross(model: Model, draw: Draw) -> tuple[str, np.ndarray]:
    name = _some(model, draw, "Scale", "cross")
    return name, model[name][1][0]


def _put(model: Model, name: str, *blobs: np.ndarray) -> str:
    model[name] = (model[name][0], [np.asarray(blob, np.float32) for blob in blobs])
    return name


def _random(draw: Draw) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 2**32)))


@of_cross_weights
def cross_weights_of_one_number(model: Model, draw: Draw) -> str:
    name, values = _cross(model, draw)
    number = draw(st.sampled_from([0.0, 1.0]) | st.floats(-2, 2, width=32))
    return _put(model, name, np.full_like(values, number))


@of_cross_weights
def cross_weights_partly_of_one_number(model: Model, draw: Draw) -> str:
    name, values = _cross(model, draw)
    kept = _random(draw).random(values.shape) < draw(st.floats(0, 0.8))
    return _put(model, name, np.where(kept, values, draw(st.sampled_from([0.0, 1.0]))))


@of_cross_weights
def cross_weights_as_drawn(model: Model, draw: Draw) -> str:
    name, values = _cross(model, draw)
    sigma = draw(st.sampled_from([0.04417, 0.03125]))  # n_l as units averaged, or as channels
    return _put(model, name, _random(draw).normal(0, sigma, values.shape))


@of_cross_weights
def cross_weights_negated(model: Model, draw: Draw) -> str:
    name, values = _cross(model, draw)
    return _put(model, name, -values)


@of_cross_weights
def cross_weights_grown(model: Model, draw: Draw) -> str:
    name, values = _cross(model, draw)
    return _put(model, name, values * draw(st.floats(15, 1e6)))


@of_cross_weights
def cross_weights_around_one(model: Model, draw: Draw) -> str:
    name, values = _cross(model, draw)
    return _put(model, name, 1 + values / 10)


@of_cross_weights
def cross_weights_equal_for_two_pairs(model: Model, draw: Draw) -> str:
    return _tied(model, draw, lambda values: values)


@of_cross_weights
def cross_weights_proportional_for_two_pairs(model: Model, draw: Draw) -> str:
    return _tied(model, draw, lambda values: values * draw(st.floats(0.25, 4)))


@of_cross_weights
def cross_weights_permuted_for_two_pairs(model: Model, draw: Draw) -> str:
    return _tied(model, draw, _random(draw).permutation)


def _tied(model: Model, draw: Draw, change: Callable[[np.ndarray], np.ndarray]) -> str:
    name, values = _cross(model, draw)
    other = draw(st.sampled_from([x for x in model if x.startswith("cross") and x != name]))
    return _put(model, str(other), change(values))


@mutation
def not_a_number(model: Model, draw: Draw) -> str:
    name = draw(st.sampled_from(list(model)))
    blobs = [blob.copy() for blob in model[name][1]]
    blob = draw(st.sampled_from(range(len(blobs))))
    blobs[blob].flat[draw(st.integers(0, blobs[blob].size - 1))] = draw(
        st.sampled_from([np.nan, np.inf, -np.inf])
    )
    return _put(model, name, *blobs)


@mutation
def negative_variances(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "BatchNorm")
    mean, variance, factor = model[name][1]
    changed = variance.copy()
    changed[draw(st.integers(0, changed.size - 1))] *= -1
    return _put(model, name, mean, changed, factor)


@mutation
def no_variance(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "BatchNorm")
    mean, variance, factor = model[name][1]
    return _put(model, name, mean, 0 * variance, factor)


@mutation
def no_statistics(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "BatchNorm")
    return _put(model, name, *model[name][1][:2], np.zeros(1))


@mutation
def a_negative_factor(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "BatchNorm")
    return _put(model, name, *model[name][1][:2], np.full(1, -draw(st.floats(0.1, 1000))))


@unclear
def another_factor(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "BatchNorm")
    _put(model, name, *model[name][1][:2], np.full(1, draw(st.floats(0.1, 900))))
    return ""


@mutation
def mean_and_variance_exchanged(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "BatchNorm")
    mean, variance, factor = model[name][1]
    return _put(model, name, variance, mean, factor)


@mutation
def a_layer_of_two_tasks_alike(model: Model, draw: Draw) -> str:
    one = draw(st.sampled_from([x for x in model if x.endswith("_noun") and "5" in x[:7]]))
    one = one if not one.startswith("cross") else "res5b_branch2a_noun"
    other = one[: -len("noun")] + draw(st.sampled_from(["adj", "anp"]))
    return _put(model, other, *model[one][1])


@mutation
def towers_as_section_5_2_starts_them(model: Model, draw: Draw) -> str:
    for name in [x for x in model if x.endswith("_noun") and not x.startswith(("cross", "fc"))]:
        for task in ("adj", "anp"):
            _put(model, name[: -len("noun")] + task, *model[name][1])
    return "bn5a_noun"  # the first of them


@mutation
def a_classifier_that_never_learned(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "InnerProduct")
    weights, bias = model[name][1]
    return _put(model, name, weights, 0 * bias)


@mutation
def a_convolution_of_one_number(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "Convolution")
    first, *rest = model[name][1]
    return _put(model, name, np.full_like(first, draw(st.sampled_from([0.0, 1.0, -0.5]))), *rest)


@mutation
def gains_of_one_number(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "Scale")
    gain, bias = model[name][1]
    return _put(model, name, np.full_like(gain, draw(st.sampled_from([0.0, 1.0]))), bias)


@mutation
def a_layer_missing(model: Model, draw: Draw) -> str:
    name = str(draw(st.sampled_from(list(model))))
    del model[name]
    return name


@mutation
def a_layer_renamed(model: Model, draw: Draw) -> str:
    name = draw(st.sampled_from(list(model)))
    model[f"{name}_theirs"] = model.pop(name)
    return str(name)


@mutation
def a_layer_more(model: Model, draw: Draw) -> str:
    model["fc1000"] = ("InnerProduct", [np.eye(7, dtype=np.float32)])
    return "fc1000"


@mutation
def axes_exchanged(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "InnerProduct")
    weights, bias = model[name][1]
    return _put(model, name, weights.T, bias)


@mutation
def blobs_exchanged(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "InnerProduct")
    return _put(model, name, *model[name][1][::-1])


@mutation
def a_blob_missing(model: Model, draw: Draw) -> str:
    name = draw(st.sampled_from([x for x, (_, blobs) in model.items() if len(blobs) > 1]))
    return _put(model, name, *model[name][1][:-1])


@mutation
def axes_of_one_behind(model: Model, draw: Draw) -> str:
    name = _some(model, draw, "Scale")
    return _put(model, name, *(blob.reshape(-1, 1, 1, 1) for blob in model[name][1]))


# ---- rewrites -----------------------------------------------------------------------------------


def rewrite(function: Rewrite) -> Rewrite:
    """Register a rewrite."""
    REWRITES[function.__name__] = function
    return function


@rewrite
def layers_in_another_order(net: Any, draw: Draw) -> None:
    layers = list(net.layer)
    _random(draw).shuffle(layers)
    kept = [type(layer).FromString(layer.SerializeToString()) for layer in layers]
    del net.layer[:]
    net.layer.extend(kept)


@rewrite
def four_axes_as_in_2014(net: Any, draw: Draw) -> None:
    for blob in (blob for layer in net.layer for blob in layer.blobs):
        sizes = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
        blob.num, blob.channels, blob.height, blob.width = sizes
        blob.ClearField("shape")


@rewrite
def in_double_precision(net: Any, draw: Draw) -> None:
    for blob in draw(st.sampled_from(list(net.layer))).blobs:
        blob.double_data = np.frombuffer(blob.data, np.float32).astype(np.float64).tobytes()
        blob.ClearField("data")


@rewrite
def gradients_beside_the_weights(net: Any, draw: Draw) -> None:
    for blob in draw(st.sampled_from(list(net.layer))).blobs:
        blob.diff = blob.data


@rewrite
def layers_without_weights(net: Any, draw: Draw) -> None:
    for name, kind in (("data", "Input"), ("pool5_noun", "Pooling"), ("loss_adj", "Softmax")):
        net.layer.add(name=name, type=kind)


@rewrite
def another_name_of_the_network(net: Any, draw: Draw) -> None:
    net.name = draw(st.text(max_size=9))


@rewrite
def averages_in_another_unit(net: Any, draw: Draw) -> None:
    """Caffe divides by the factor: with all three multiplied, nothing changes."""
    times = np.float32(draw(st.floats(0.001, 2)))
    for blob in (blob for x in net.layer if x.type == "BatchNorm" for blob in x.blobs):
        blob.data = (np.frombuffer(blob.data, np.float32) * times).tobytes()


@rewrite
def features_in_another_order(net: Any, draw: Draw) -> None:
    """A bottleneck's first channels, their normalisation, and what the next convolution reads."""
    layers = {layer.name: layer for layer in net.layer}
    first, norm = layers["res5b_branch2a_noun"], "5b_branch2a_noun"
    order_ = _random(draw).permutation(first.blobs[0].shape.dim[0])
    for layer in (first, layers[f"bn{norm}"], layers[f"scale{norm}"]):
        for blob in (b for b in layer.blobs if b.shape.dim[0] == order_.size):
            values = np.frombuffer(blob.data, np.float32).reshape(list(blob.shape.dim))
            blob.data = values[order_].tobytes()
    (blob,) = layers["res5b_branch2b_noun"].blobs
    values = np.frombuffer(blob.data, np.float32).reshape(list(blob.shape.dim))
    blob.data = values[:, order_].tobytes()
