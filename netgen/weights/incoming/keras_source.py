"""Read Keras' ResNet50: He's weights, converted when they were published.

The layer names of keras.applications changed once (2019): before, they were He's. Files group the
arrays of a layer, in the order that Keras has: a convolution's kernel (H, W, in, out) and bias; a
BatchNormalization's gamma, beta, mean and variance.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgen.system.files import MODELS
from netgen.system.text import check_name, listed, shape_text
from netgen.weights.incoming.naming import FIRST_STAGE, block_name
from netgen.weights.incoming.units import (
    STEM,
    Array,
    Classifier,
    Foreign,
    ForeignError,
    Normal,
    Pixels,
    Run,
    Style,
    Unit,
    checked,
    in_halves,
    program,
)
from netgen.weights.incoming.vgg import is_keras, read_keras_vgg

# MD5 of the published files, as keras.applications states them in its sources: of 2016 and of 2019.
PUBLISHED = {
    "a7b3fe01876f51b976af0dea6bc144eb": "with the classifier, of 2016",
    "a268eb855778b3df3c7506639542a6af": "without the classifier, of 2016",
    "2cb95161c43110f7111970584f804107": "with the classifier, of 2019",
    "4d473c1dd8becc155b73f8504c6f6626": "without the classifier, of 2019",
}
MEAN = (103.939, 116.779, 123.68)  # keras.applications subtracts it, in B, G, R
# keras.applications' 1.001e-5. Before 2019 it was Keras' default, 1e-3, though He's weights are
# made for 1e-5: the statistics are theirs, so eps is the same here for both.
EPSILON = 1.001e-5
OLD_BLOCK = re.compile(r"res(\d)([a-z])_branch2a")
NEW_BLOCK = re.compile(r"conv(\d)_block(\d+)_1_conv")
NORMALS = ("gamma", "beta", "mean", "var")
NORMAL = re.compile("|".join(NORMALS))
NEW_BRANCHES = {"branch1": 0, "branch2a": 1, "branch2b": 2, "branch2c": 3}
IN_A_BLOCK = re.compile(r"conv\d_block\d+_|(res|bn)\d[a-z]_")
POOL = (
    "its weights are He's, whose first pool begins at the image's edge; Keras' network pools from a"
    " pixel outside: --prove finds both the same in a network built with `--beyond pool1=padded`"
)
Arrays = Mapping[str, Sequence[NDArray[Any]]]  # layer -> its arrays


def read_keras(file: str, content: bytes, style: Style | None) -> Foreign:
    """Read Keras' ResNet50, of either naming, or its VGG16; with or without classifier.

    Raises
    ------
    ForeignError
        It is damaged, or another network.
    """
    if style is not None:
        raise ForeignError(f"{file}: Keras' networks are of caffe's style: omit --style")
    layers = _layers(file, content)
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    published = PUBLISHED.get(digest)
    known = f"as published, {published}" if published else "not one of the published files"
    note = f"md5 {digest}: {known}"
    if is_keras(layers):
        return read_keras_vgg(file, layers, MEAN, (note,))
    naming, names = _names(file, layers)
    units = {}
    for name, (where, norm) in names.items():
        halves = name[3:5] in ("3a", "4a", "5a") and name.endswith(("branch1", "branch2a"))
        units[name] = _unit(file, layers, where, norm, 2 if halves or name == STEM else 1)
    used = {
        f"{layer} {i}": array for layer, found in layers.items() for i, array in enumerate(found)
    }
    notes = (note, POOL, *in_halves(used))
    kind = f"Keras' ResNet50 ({naming})"
    _check_all_used(file, layers, {name for pair in names.values() for name in pair})
    run = _runner(file, layers, names)
    return Foreign(file, kind, units, _classifier(layers), Pixels(True, MEAN), None, run, notes)


# ---- HDF5 ---------------------------------------------------------------------------------------


def _layers(file: str, content: bytes) -> Arrays:
    """Return the arrays of each layer, in Keras' order."""
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as root:
            top = _found(file, root, "model_weights") if "model_weights" in root else root
            if "layers" in top and "weight_names" not in top["layers"].attrs:
                raise ForeignError(
                    f"{file}: Keras 3's *.weights.h5, which numbers layers instead of naming them:"
                    ' load it in Keras, and save the model with model.save("resnet50.h5")'
                )
            found = {
                name: _arrays(file, top, name, order)
                for name in top
                if (order := _order(_found(file, top, name)))
            }
    except ForeignError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ForeignError(f"{file}: HDF5, but damaged or truncated: {error}") from None
    if not found:
        raise ForeignError(f"{file}: HDF5 without layers of Keras' (weight_names) in it")
    return found


def _order(group: Any) -> list[str]:
    """Return the names of a layer's arrays, in order."""
    names = group.attrs.get("weight_names", ())
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _arrays(file: str, group: Any, layer: str, order: Sequence[str]) -> list[NDArray[Any]]:
    """Return a layer's arrays; names that say what they are stand in Keras' order."""
    check_name(layer, file, ForeignError)
    said = [NORMAL.search(name.rsplit("/")[-1]) for name in order]
    if (places := [NORMALS.index(match[0]) for match in said if match]) != sorted(places):
        raise ForeignError(
            f"{file}: {layer}: {listed(order)}, where Keras has {', '.join(NORMALS)}: save it anew"
        )
    return [_array(file, group, f"{layer}/{name}") for name in order]


def _found(file: str, group: Any, path: str) -> Any:
    """Return what a path leads to in this file without links, which can lead to others."""
    import h5py

    at = group
    for part in path.split("/"):
        link = at.get(part, getlink=True) if part and isinstance(at, h5py.Group) else None
        if link is None:
            raise ForeignError(f"{file}: it says that it has {path!r}, but has not: is it whole?")
        if not isinstance(link, h5py.HardLink):
            raise ForeignError(f"{file}: {path!r} is a link, which is not followed")
        at = at[part]
    return at


def _array(file: str, group: Any, path: str) -> NDArray[Any]:
    """Return an array that is stored in this file: HDF5 can refer to others, or omit numbers."""
    import h5py

    at = _found(file, group, path)
    if not isinstance(at, h5py.Dataset) or at.shape is None:
        raise ForeignError(f"{file}: {path!r} is no array: is it whole?")
    if at.external or at.is_virtual:
        raise ForeignError(f"{file}: the numbers of {path!r} are in another file: not opened")
    if at.nbytes > MODELS:  # which a small file can be: stored are those that were written
        raise ForeignError(
            f"{file}: {path!r} has {shape_text(at.shape)} numbers, more than any network"
        )
    filters = at.id.get_create_plist()
    coded = [filters.get_filter(place) for place in range(filters.get_nfilters())]
    if lacking := [code for code, *_ in coded if not h5py.h5z.filter_avail(code)]:
        raise ForeignError(
            f"{file}: {path!r} is compressed by HDF5's filter {lacking[0]}, which is not here: save"
            " it without compression"
        )
    if at.id.get_storage_size() < (min(1, at.nbytes) if coded else at.nbytes):
        raise ForeignError(f"{file}: {path!r}: not all of its numbers were written: is it whole?")
    return np.asarray(at)


# ---- names --------------------------------------------------------------------------------------


def _names(file: str, layers: Arrays) -> tuple[str, dict[str, tuple[str, str]]]:
    """Return the naming, and for He's name of a convolution its layer and its normalisation's."""
    names: dict[str, tuple[str, str]] = {}
    if old := sorted(m[0] for name in layers if (m := OLD_BLOCK.fullmatch(name))):
        names[STEM] = ("conv1", "bn_conv1")
        for first in old:
            block = first.removesuffix("_branch2a")
            for branch in NEW_BRANCHES:
                name = f"{block}_{branch}"
                if branch != "branch1" or name in layers:
                    names[name] = (name, name.replace("res", "bn", 1))
        return "names of 2016", names
    found = [(int(m[1]), int(m[2])) for name in layers if (m := NEW_BLOCK.fullmatch(name))]
    if not found or "conv1_conv" not in layers:
        raise ForeignError(
            f"{file}: neither Keras' ResNet50 nor its VGG16: it has {listed(list(layers))}, neither"
            " res2a_branch2a nor conv2_block1_1_conv"
        )
    if "conv1_bn" not in layers or "conv2_block1_3_bn" not in layers:
        raise ForeignError(f"{file}: Keras' ResNet V2, which normalises before it convolves")
    names[STEM] = ("conv1_conv", "conv1_bn")
    for stage, number in sorted(found):
        he = block_name(stage - 2 + FIRST_STAGE, number - 1, file)
        for branch, part in NEW_BRANCHES.items():
            layer = f"conv{stage}_block{number}_{part}"
            if branch != "branch1" or f"{layer}_conv" in layers:
                names[f"{he}_{branch}"] = (f"{layer}_conv", f"{layer}_bn")
    return "names since 2019", names


def _check_all_used(file: str, layers: Arrays, used: set[str]) -> None:
    """Refuse a network that computes with more than a ResNet-50 has, such as one with SE blocks."""
    if more := [name for name in layers if IN_A_BLOCK.match(name) and name not in used]:
        raise ForeignError(
            f"{file}: a ResNet with other parts: it also has {listed(more)}, which no ResNet-50 has"
        )


def _unit(file: str, layers: Arrays, convolution: str, norm: str, stride: int) -> Unit:
    for name, least, what in ((convolution, 1, "kernel"), (norm, 4, "gamma, beta, mean, variance")):
        if len(layers.get(name, ())) < least:
            raise ForeignError(
                f"{file}: {name}: {len(layers.get(name, ()))} arrays, where it has {what}: the"
                " statistics and weights of every layer are needed"
            )
        checked(file, name, *layers[name])
    kernel, *bias = layers[convolution]
    gamma, beta, mean, variance = layers[norm]
    if kernel.ndim != 4:
        raise ForeignError(f"{file}: {convolution}: a kernel of {kernel.ndim} axes")
    if (variance.astype(np.float64) + EPSILON <= 0).any():
        raise ForeignError(f"{file}: {norm}: a negative variance")
    normal = Normal(gamma, beta, mean, variance, EPSILON)
    return Unit(kernel.transpose(3, 2, 0, 1), bias[0] if bias else None, normal, stride)


def _classifier(layers: Arrays) -> Classifier | None:
    last = next((name for name in ("fc1000", "predictions", "probs") if name in layers), None)
    if last is None or len(layers[last]) != 2:
        return None
    weights, bias = layers[last]
    return Classifier(weights.T, bias)


# ---- Keras --------------------------------------------------------------------------------------


def _runner(file: str, layers: Arrays, names: Mapping[str, tuple[str, str]]) -> Run:
    """Return what runs keras.applications' own network with the file's numbers."""

    def run(images: NDArray[np.float32]) -> dict[str, Array]:
        keras = program(file, "keras")
        model = keras.applications.ResNet50(
            include_top=False, weights=None, input_shape=(*images.shape[2:], 3)
        )
        new = {he: _new_name(he) for he in names}
        for he, (convolution, norm) in names.items():
            bias = np.zeros(layers[convolution][0].shape[-1], np.float32)
            model.get_layer(f"{new[he]}_conv").set_weights([*layers[convolution], bias][:2])
            model.get_layer(f"{new[he]}_bn").set_weights(layers[norm])
        last = {he[:4]: f"{_new_name(he).rsplit('_', 1)[0]}_out" for he in names if he != STEM}
        stages = {STEM: "conv1_relu", **last}
        outputs = [model.get_layer(name).output for name in stages.values()]
        fed = images.transpose(0, 2, 3, 1)
        made = keras.Model(model.input, outputs).predict(fed, verbose=0)
        found = {
            name: np.asarray(values).transpose(0, 3, 1, 2)
            for name, values in zip(stages, made, strict=True)
        }
        return found | {"pool5": found["res5"].mean((2, 3), keepdims=True)}

    return run


def _new_name(he: str) -> str:
    """Return keras.applications' name of a part: conv1, conv2_block1_1."""
    if he == STEM:
        return STEM
    block, branch = he.split("_")
    return f"conv{block[3]}_block{ord(block[4]) - ord('a') + 1}_{NEW_BRANCHES[branch]}"
