"""VGG-16 of other programs: Oxford's layers in another order of axes, colours and inputs.

Torchvision numbers the layers of two sequences; Keras names blocks, and its first fully connected
layer reads the last maps by row, column and channel where Caffe's reads channel, row and column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgen.caffe.caffemodel import shapes_text
from netgen.weights.incoming.torch_numbers import from_torch, load_torch, to_torch
from netgen.weights.incoming.units import (
    Array,
    Foreign,
    ForeignError,
    Pixels,
    Style,
    checked,
    in_halves,
)

STAGES = (2, 2, 3, 3, 3)  # convolutions between pools
CONVOLUTIONS = tuple(f"conv{s}_{i}" for s, n in enumerate(STAGES, 1) for i in range(1, n + 1))
FULL = ("fc6", "fc7", "fc8")
FIRST = CONVOLUTIONS[0]
# Torchvision's convolutions among the ReLUs and pools of `features`; its `classifier`.
TORCH = dict(
    zip(
        (*CONVOLUTIONS, *FULL),
        (
            *(f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
            *(f"classifier.{i}" for i in (0, 3, 6)),
        ),
        strict=True,
    )
)
KERAS = {name: re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", name) for name in CONVOLUTIONS}
KERAS |= dict(zip(FULL, ("fc1", "fc2", "predictions"), strict=True))
AXES = {4: (3, 2, 0, 1), 2: (1, 0)}  # Keras' kernels H x W x in x out and in x out, to Caffe's

Numbers = tuple[Array, Array]  # a layer's weights, as Caffe has them, and its bias
Take = Callable[[str], "tuple[NDArray[Any], NDArray[Any]] | None"]


@dataclass(frozen=True, eq=False)
class Vgg(Foreign):
    """A VGG-16; `numbers` are its layers' under Oxford's names."""

    numbers: Mapping[str, Numbers] = field(default_factory=dict)


def is_torchs(names: Mapping[str, object]) -> bool:
    """Return whether a state_dict's names are those of torchvision's VGG-16."""
    return {f"{TORCH[name]}.weight" for name in CONVOLUTIONS} <= names.keys()


def is_keras(names: Mapping[str, object]) -> bool:
    """Return whether layers are named as those of Keras' VGG16."""
    return {KERAS[name] for name in CONVOLUTIONS} <= names.keys()


def read_torchs(
    file: str, state: Mapping[str, NDArray[Any]], style: Style, notes: tuple[str, ...]
) -> Vgg:
    """Read torchvision's VGG-16, or a conversion of Oxford's with its names.

    Raises
    ------
    ForeignError
        Numbers are missing, or are none; or it normalises by batches, as Oxford's does not.
    """
    if any(name.endswith("running_mean") for name in state):
        raise ForeignError(f"{file}: a VGG-16 with batch normalisation, which Oxford's has not")

    def take(name: str) -> tuple[NDArray[Any], NDArray[Any]] | None:
        parts = [state.get(f"{TORCH[name]}.{part}") for part in ("weight", "bias")]
        return None if parts[0] is None or parts[1] is None else (parts[0], parts[1])

    kind = f"VGG-16 with torchvision's names, read as of {style.name.lower()}'s style"
    return _vgg(file, kind, take, style.pixels, notes)


def read_keras_vgg(
    file: str, layers: Mapping[str, Any], mean: tuple[float, ...], notes: tuple[str, ...]
) -> Vgg:
    """Read Keras' VGG16: Oxford's weights, converted; raises as `read_torchs`."""

    def take(name: str) -> tuple[NDArray[Any], NDArray[Any]] | None:
        found = layers.get(KERAS[name], ())
        if len(found) != 2 or found[0].ndim not in AXES:
            return None
        weights, bias = found
        last = layers[KERAS[CONVOLUTIONS[-1]]][0]
        if name == "fc6" and weights.ndim == 2 and last.ndim == 4 and last.size:
            maps = last.shape[-1]
            side = round((len(weights) / maps) ** 0.5)
            if side * side * maps != len(weights):
                raise ForeignError(
                    f"{file}: fc1 reads {len(weights):,} numbers, no square of {maps} maps"
                )
            weights = weights.reshape(side, side, maps, -1).transpose(2, 0, 1, 3)
            weights = weights.reshape(side * side * maps, -1)
        return weights.transpose(AXES[weights.ndim]), bias

    return _vgg(file, "Keras' VGG16", take, Pixels(True, mean), notes)


def _vgg(file: str, kind: str, take: Take, pixels: Pixels, notes: tuple[str, ...]) -> Vgg:
    numbers = {name: found for name in (*CONVOLUTIONS, *FULL) if (found := take(name))}
    missing = [name for name in CONVOLUTIONS if name not in numbers]
    if missing:
        raise ForeignError(f"{file}: no weights and bias of {missing[0]}: is it cut off?")
    for name, (weights, bias) in numbers.items():
        checked(file, name, weights, bias)
        axes = 4 if name in CONVOLUTIONS else 2
        if weights.ndim != axes or bias.shape != weights.shape[:1]:
            text = shapes_text([weights.shape, bias.shape])
            raise ForeignError(
                f"{file}: arrays of {text} for {name}: weights of {axes} axes and a bias for each"
                " output"
            )
    flat = {f"{name} {i}": array for name, each in numbers.items() for i, array in enumerate(each)}
    run = _runner(file, numbers)
    notes = (*notes, *in_halves(flat))
    return Vgg(file, kind, {}, None, pixels, None, run, notes, numbers)


def _runner(
    file: str, numbers: Mapping[str, Numbers]
) -> Callable[[NDArray[np.float32]], dict[str, Array]]:
    """Return what runs the network in torch; the stages are named as Caffe's blobs."""

    def run(images: NDArray[np.float32]) -> dict[str, Array]:
        torch = load_torch(file)
        functional = torch.nn.functional

        def parts(name: str) -> Iterator[Any]:
            return (to_torch(torch, part) for part in numbers[name])

        found = {}
        with torch.inference_mode():
            x = to_torch(torch, images)
            for stage, count in enumerate(STAGES, 1):
                for index in range(1, count + 1):
                    x = functional.relu(
                        functional.conv2d(x, *parts(f"conv{stage}_{index}"), padding=1)
                    )
                x = found[f"pool{stage}"] = functional.max_pool2d(x, 2)
            x = x.flatten(1)
            for name in (name for name in FULL[:2] if name in numbers):
                x = found[name] = functional.relu(functional.linear(x, *parts(name)))
        return {name: from_torch(torch, values) for name, values in found.items()}

    return run
