"""Layers of random shapes, computed by the recipe's loops and by Caffe's own.

    python -m support.kernels CHECK

in a process of its own, because Caffe ends the process at what it dislikes. Prints nothing if all
is well.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

Array = npt.NDArray[np.float32]
Results = dict[str, Array]

# Only the order of sums differs: of the largest number, or of what a sum of so many random numbers
# usually is, if the largest happens to be less.
SUM_BOUND = 1e-5
ROUNDING = 1e-6  # a few units in the last place
EXAMPLES = 60


@dataclass(frozen=True)
class Case:
    """A layer, its inputs, and a seed for their numbers and its parameters."""

    layer: str
    shapes: tuple[tuple[int, ...], ...]
    seed: int
    special: bool = False  # whether some numbers are NaN, infinite or -0
    added: bool = True  # whether a pass is to add to gradients that are there already


def compute(
    case: Case, *, plain: bool = False, by_layer: tuple[bool, bool] = (False, False)
) -> Results:
    """Return a layer's outputs, its parameters after a pass, and all gradients.

    `by_layer`: whether the passes forward and backward call one layer after the other.
    """
    import caffe

    inputs = [f"x{i}" for i in range(len(case.shapes))]
    text = "force_backward: true\n" + "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{'
        f" {' '.join(f'dim: {n}' for n in shape)} }} }} }}\n"
        for name, shape in zip(inputs, case.shapes, strict=True)
    )
    with TemporaryDirectory() as folder:
        file = Path(folder) / "net.prototxt"
        file.write_text(text + case.layer)
        net = caffe.Net(str(file), caffe.TRAIN)
    random = np.random.default_rng(case.seed)
    for name in inputs:
        net.blobs[name].data[...] = _numbers(random, net.blobs[name].shape, case.special)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = np.abs(random.normal(1, 0.3, blob.data.shape))
            blob.diff[...] = random.normal(size=blob.diff.shape) if case.added else 0
    os.environ["CAFFE_PLAIN"] = "1" if plain else "0"
    layers = [*net._layer_names]
    for name in layers if by_layer[0] else []:
        net.forward(start=name, end=name)
    if not by_layer[0]:
        net.forward()
    top = [*net.blobs][-1]
    found = {f"{top} data": net.blobs[top].data.copy()}
    net.blobs[top].diff[...] = random.normal(size=net.blobs[top].shape)
    for name in reversed(layers[len(inputs) :]) if by_layer[1] else []:
        net.backward(start=name, end=name)
    if not by_layer[1]:
        net.backward()
    found |= {f"{name} diff": net.blobs[name].diff.copy() for name in inputs}
    for name, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            found[f"{name} {i}"], found[f"{name} {i} diff"] = blob.data.copy(), blob.diff.copy()
    return found


def _numbers(random: np.random.Generator, shape: Any, special: bool) -> Array:
    numbers = random.normal(size=tuple(shape)).astype(np.float32)
    if special:
        flat = numbers.ravel()
        values = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], np.float32)
        flat[random.integers(0, flat.size, 5)] = values
    return numbers


def assert_close(case: Case) -> None:
    """Check that both loops agree to `SUM_BOUND`, and that ours repeat to the bit."""
    ours, again = compute(case), compute(case)
    for name, repeated in again.items():
        assert np.array_equal(ours[name], repeated, equal_nan=True), (name, case)
    _assert_close(ours, compute(case, plain=True), case)


def _assert_close(ours: Results, theirs: Results, case: Case) -> None:
    for name, expected in theirs.items():
        terms = sum(map(math.prod, case.shapes)) / expected.size  # of a gradient's sum, or a mean's
        usual = terms**0.5 if "diff" in name else min(1, terms**-0.5)
        most = float(np.abs(expected).max(initial=max(usual, 1e-3)))
        worst = float(np.abs(ours[name] - expected).max(initial=0))
        assert worst <= SUM_BOUND * most, (name, worst / most, case)


def assert_rounded(case: Case) -> None:
    """Check that both loops agree but for rounding: some BLAS round a product before adding it."""
    ours, theirs = compute(case), compute(case, plain=True)
    for name, expected in theirs.items():
        most = np.abs(expected[np.isfinite(expected)]).max(initial=1)
        np.testing.assert_allclose(
            ours[name], expected, rtol=ROUNDING, atol=ROUNDING * most, err_msg=f"{name} {case}"
        )


def assert_same_by_layer(case: Case) -> None:
    """Check that layers computed together give what they give one after the other.

    Not compared with Caffe's own: where a number is all but 0, ReLU may let one through and not the
    other.
    """
    together = compute(case)
    for by_layer in ((True, True), (False, True), (True, False)):
        apart = compute(case, by_layer=by_layer)
        for name in (name for name in together if "diff" not in name):
            assert np.array_equal(together[name], apart[name]), (name, by_layer, case)
        _assert_close(together, apart, case)


def assert_same(case: Case) -> None:
    """Check that both loops give the same bits."""
    ours, theirs = compute(case), compute(case, plain=True)
    for name, expected in theirs.items():
        assert np.array_equal(ours[name], expected, equal_nan=True), (name, case)
        assert np.array_equal(np.signbit(ours[name]), np.signbit(expected)), (name, case)


# ---- the layers ---------------------------------------------------------------------------------

SEEDS = st.integers(0, 2**32 - 1)
MAPS = st.tuples(
    st.integers(1, 5), st.integers(1, 9), st.integers(1, 70), st.integers(1, 70)
)  # some are worth two threads


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    """Any convolution in two dimensions: groups, strides, padding, dilation, one image or some."""
    number, height, width = (
        draw(st.integers(1, 5)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 40)),
    )
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    kernel = {axis: draw(st.integers(1, 5)) for axis in "hw"}
    dilation = draw(st.sampled_from([1, 1, 2]))
    pad = {axis: draw(st.integers(0, 3)) for axis in "hw"}
    for axis, size in (("h", height), ("w", width)):
        while dilation * (kernel[axis] - 1) + 1 > size + 2 * pad[axis]:
            kernel[axis] -= 1
    words = " ".join(
        f"{what}_{axis}: {value}"
        for what, values in (
            ("kernel", kernel),
            ("pad", pad),
            ("stride", {axis: draw(st.integers(1, 3)) for axis in "hw"}),
        )
        for axis, value in values.items()
    )
    layer = (
        'layer { name: "conv" type: "Convolution" bottom: "x0" top: "y" convolution_param {'
        f" num_output: {groups * draw(st.integers(1, 9))} group: {groups} dilation: {dilation}"
        f" bias_term: {draw(st.sampled_from(['true', 'false']))} {words} }} }}"
    )
    channels = groups * draw(st.integers(1, 9))
    return Case(layer, ((number, channels, height, width),), draw(SEEDS))


@st.composite
def wide_convolutions(draw: st.DrawFn) -> Case:
    """Convolutions as in a ResNet's last stages: many channels, small maps, images put together."""
    kernel = draw(st.sampled_from([1, 3]))
    size = draw(st.integers(2, 15))
    layer = (
        'layer { name: "conv" type: "Convolution" bottom: "x0" top: "y" convolution_param {'
        f" num_output: {draw(st.integers(32, 96))} kernel_size: {kernel} pad: {kernel // 2}"
        f" stride: {draw(st.integers(1, 2))} }} }}"
    )
    shape = (draw(st.integers(1, 9)), draw(st.integers(64, 160)), size, size)
    return Case(layer, (shape,), draw(SEEDS))


def one_input(layer: str, parameters: str = "", *, added: bool = True) -> Callable[..., Case]:
    """A layer of a type that has one input, apart from its output or in place."""

    def make(shape: tuple[int, ...], in_place: bool, seed: int, special: bool = False) -> Case:
        # In place of a copy: a net's inputs keep their own numbers.
        top = "copy" if in_place else "y"
        copied = (
            'layer { name: "copy" type: "Power" bottom: "x0" top: "copy" }\n' if in_place else ""
        )
        text = (
            f'{copied}layer {{ name: "layer" type: "{layer}"'
            f' bottom: "{"copy" if in_place else "x0"}" top: "{top}" {parameters} }}'
        )
        return Case(text, (shape,), seed, special, added)

    return make


BATCH_NORMS = st.one_of(
    *(
        st.builds(
            one_input("BatchNorm", f"batch_norm_param {{ use_global_stats: {stats} }}"),
            MAPS.filter(lambda s: s[0] * s[2] * s[3] > 3), st.booleans(), SEEDS,
        )
        for stats in ("true", "false")
    )
)  # fmt: skip
SCALES = st.one_of(
    *(
        st.builds(
            # Caffe's own loop does not add to gradients where no axis lies before the scaled ones.
            one_input("Scale", f"scale_param {{ {words} }}", added=False),
            MAPS, st.booleans(), SEEDS,
        )
        for words in ("", "bias_term: true", "axis: 0 num_axes: 2", "num_axes: -1 bias_term: true")
    )
)  # fmt: skip


@st.composite
def chains(draw: st.DrawFn) -> Case:
    """BatchNorm, Scale and perhaps ReLU, each in place: one loop for all of them."""
    stats, bias = (
        draw(st.sampled_from(["true", "false"])),
        draw(st.sampled_from(["true", "true", "false"])),
    )
    top = draw(st.sampled_from(["copy", "y"]))
    text = (
        'layer { name: "copy" type: "Power" bottom: "x0" top: "copy" }\n'
        f'layer {{ name: "bn" type: "BatchNorm" bottom: "copy" top: "{top}"'
        f" batch_norm_param {{ use_global_stats: {stats} }} }}\n"
        f'layer {{ name: "scale" type: "Scale" bottom: "{top}" top: "{top}"'
        f" scale_param {{ bias_term: {bias} }} }}\n"
    )
    if draw(st.booleans()):
        text += f'layer {{ name: "relu" type: "ReLU" bottom: "{top}" top: "{top}" }}'
    shape = draw(MAPS.filter(lambda s: s[0] * s[2] * s[3] > 3))
    return Case(text, (shape,), draw(SEEDS), added=shape[0] > 1)


RELUS = st.one_of(
    *(
        st.builds(
            one_input("ReLU", f"relu_param {{ negative_slope: {slope} }}"),
            MAPS, st.booleans(), SEEDS, st.booleans(),
        )
        for slope in (0, 0.1)
    )
)  # fmt: skip
POOLINGS = st.one_of(
    *(
        st.builds(
            one_input("Pooling", f"pooling_param {{ pool: MAX kernel_size: {k} {words} }}"),
            MAPS.filter(lambda s: s[2] > 2 and s[3] > 2), st.just(value=False), SEEDS,
        )
        for k, words in (
            (2, "stride: 2"), (3, "stride: 2"), (3, "stride: 1 pad: 1"), (3, "stride: 3"),
        )
    )
)  # fmt: skip


AVERAGES = st.builds(
    one_input("Pooling", "pooling_param { pool: AVE global_pooling: true }"),
    MAPS, st.just(value=False), SEEDS,
)  # fmt: skip


@st.composite
def sums(draw: st.DrawFn) -> Case:
    """Eltwise sums, plain and weighted, of the numbers of up to four blobs."""
    count, shape = draw(st.integers(2, 4)), draw(MAPS)
    weights = draw(st.sampled_from(["", "coeff: 0.5 " * count, "coeff: -1.7 " * count]))
    bottoms = " ".join(f'bottom: "x{i}"' for i in range(count))
    text = (
        f'layer {{ name: "sum" type: "Eltwise" {bottoms} top: "y" eltwise_param {{'
        f" operation: SUM {weights} }} }}"
    )
    return Case(text, (shape,) * count, draw(SEEDS), draw(st.booleans()))


@st.composite
def splits(draw: st.DrawFn) -> Case:
    """A blob that several layers read: its gradient is the sum of theirs."""
    readers = draw(st.integers(2, 4))
    text = "".join(
        f'layer {{ name: "r{i}" type: "Power" bottom: "x0" top: "r{i}" power_param {{'
        f" scale: {i + 0.3} }} }}\n"
        for i in range(readers)
    )
    bottoms = " ".join(f'bottom: "r{i}"' for i in range(readers))
    text += f'layer {{ name: "join" type: "Concat" {bottoms} top: "y" }}'
    return Case(text, (draw(MAPS),), draw(SEEDS))


CHECKS: dict[str, tuple[st.SearchStrategy[Case], Callable[[Case], None]]] = {
    "convolution": (convolutions(), assert_close),
    "wide convolution": (wide_convolutions(), assert_close),
    "batch norm": (BATCH_NORMS, assert_close),
    "scale": (SCALES, assert_close),
    "chain": (chains(), assert_same_by_layer),
    "global average pooling": (AVERAGES, assert_close),
    "relu": (RELUS, assert_same),
    "max pooling": (POOLINGS, assert_same),
    "sum": (sums(), assert_rounded),
    "split": (splits(), assert_same),
}


def main() -> None:
    """Run the check that the command line names."""
    cases, check = CHECKS[sys.argv[1]]
    settings(max_examples=EXAMPLES, deadline=None)(given(cases)(check))()


if __name__ == "__main__":
    main()
