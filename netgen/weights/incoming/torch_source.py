"""Read networks of torchvision's names: torchvision's own, timm's, mmdetection's conversions."""

from __future__ import annotations

import io
import pickle
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgen.system.text import check_name, listed
from netgen.weights.incoming.naming import FIRST_STAGE, block_name
from netgen.weights.incoming.torch_numbers import check_records, from_torch, load_torch, to_torch
from netgen.weights.incoming.units import (
    STEM,
    Array,
    Classifier,
    Foreign,
    ForeignError,
    Normal,
    Run,
    Style,
    Unit,
    checked,
    in_halves,
)
from netgen.weights.incoming.vgg import is_torchs, read_torchs

EPSILON = 1e-5  # of torch's BatchNorm2d; files do not have it
NESTED = ("state_dict", "model", "model_state_dict", "state_dict_ema")  # of checkpoints
# Of TorchScript's archives alone. Torch before 2.6 runs what they hold when it loads them, whatever
# `weights_only` says. Names in archives are not compressed: these bytes are in every such file.
TORCHSCRIPT = b"constants.pkl"
PREFIX = re.compile(r"^(module\.|model\.|backbone\.|encoder\.)+")
IN_A_RESNET = re.compile(r"(layer\d+|conv\d+|bn\d+)\.")
COUNTS = "num_batches_tracked"  # of images, which no network computes with
BLOCK = re.compile(r"layer([1-4])\.(\d+)\.conv1\.weight")
BRANCHES = {  # He's branch -> torchvision's convolution and normalisation
    "branch1": ("downsample.0", "downsample.1"),
    "branch2a": ("conv1", "bn1"),
    "branch2b": ("conv2", "bn2"),
    "branch2c": ("conv3", "bn3"),
}
# What torch's reader of tensors alone says of files that are not whole, among what it refuses.
DAMAGE = re.compile("PytorchStreamReader|alloc|magic number|EOF|wrong size")
REFUSED = (
    "refused, and nothing of it was run. Load it where you trust it, and save its state_dict alone"
)
State = Mapping[str, NDArray[Any]]


def read_torch(file: str, content: bytes, style: Style | None) -> Foreign:
    """Read what torch.save wrote; nothing in it is executed.

    Raises
    ------
    ForeignError
        It is damaged, holds other objects than tensors, or is another network.
    """
    if TORCHSCRIPT in content:
        raise ForeignError(f"{file}: TorchScript, a program: {REFUSED}")
    torch = load_torch(file)
    try:
        with warnings.catch_warnings():  # about pickles that others wrote
            warnings.simplefilter("ignore")
            loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refuses = "weights_only" in str(error) or "Unsupported" in str(error)
        if refuses and not DAMAGE.search(str(error)):
            raise ForeignError(
                f"{file}: a pickle with other objects than tensors, which could execute anything:"
                f" {REFUSED}"
            ) from None
        raise _damaged(file) from None
    except Exception:  # whatever its pickle's stack is short of, or has too much of
        raise _damaged(file) from None
    try:
        check_records(torch, content)
    except ValueError:
        raise _damaged(file) from None
    for name in NESTED:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    tensors = (
        {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
        if isinstance(loaded, Mapping)
        else {}
    )
    if not tensors:
        raise ForeignError(f"{file}: no tensors by name in it: give a state_dict")
    brain = [name for name, value in tensors.items() if value.dtype == torch.bfloat16]
    state = {}
    for name, value in tensors.items():
        try:
            state[str(name)] = from_torch(torch, value)
        except ValueError as error:
            raise ForeignError(f"{file}: {name}: {error}: save it in float32") from None
    notes = (f"{len(brain)} of its arrays are bfloat16: no digit is won",) if brain else ()
    return _read(file, state, style, notes)


def read_safetensors(file: str, content: bytes, style: Style | None) -> Foreign:
    """Read safetensors.

    Raises
    ------
    ForeignError
        It is damaged, or another network.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        state = load(content)
    except (SafetensorError, ValueError) as error:  # NumPy's, of a shape larger than memory
        raise ForeignError(f"{file}: damaged or truncated: {error}") from None
    except KeyError as error:
        raise ForeignError(
            f"{file}: numbers of type {error}, which numpy has not: save it in float32"
        ) from None
    return _read(file, state, style, ())


def _damaged(file: str) -> ForeignError:
    return ForeignError(
        f"{file}: begins like a file of torch's, but is damaged or truncated: fetch it again"
    )


def _read(file: str, state: State, style: Style | None, notes: tuple[str, ...]) -> Foreign:
    state = _without_prefixes(file, state)
    is_vgg = is_torchs(state)
    if not is_vgg:
        _check_names(file, state)
    if style is None:
        raise ForeignError(
            f"{file}: its names are torchvision's, which does not say what a pixel is, nor which"
            " convolution has the stride: give --style pytorch (torchvision, timm) or --style caffe"
            " (mmdetection's resnet50_caffe and msra)"
        )
    if is_vgg:
        return read_torchs(file, state, style, notes)
    used: dict[str, NDArray[Any]] = {}
    units = {STEM: _unit(file, state, "conv1", "bn1", 2, used)}
    blocks = sorted((int(m[1]), int(m[2])) for name in state if (m := BLOCK.fullmatch(name)))
    for layer, block in blocks:
        name = block_name(layer - 1 + FIRST_STAGE, block, file)
        for branch, (convolution, norm) in BRANCHES.items():
            if branch == "branch1" and block:
                continue
            halves = layer > 1 and not block
            stride = style.stride(branch) if halves else 1
            at = f"layer{layer}.{block}."
            units[f"{name}_{branch}"] = _unit(
                file, state, at + convolution, at + norm, stride, used
            )
    _check_all_used(file, state, used)
    classifier = None
    if {"fc.weight", "fc.bias"} <= state.keys():
        classifier = Classifier(state["fc.weight"], state["fc.bias"])
    notes = (*notes, *in_halves(used))
    padded = True if style is Style.PYTORCH else None
    run = _runner(file, units, padded)
    kind = f"torchvision's names, read as of {style.name.lower()}'s style"
    return Foreign(file, kind, units, classifier, style.pixels, padded, run, notes)


def _without_prefixes(file: str, state: State) -> State:
    """Return arrays by torchvision's names, without what checkpoints have before them."""
    found: dict[str, str] = {}
    for name in state:
        check_name(name, file, ForeignError)
        other = found.setdefault(PREFIX.sub("", name), name)
        if other != name:
            raise ForeignError(
                f"{file}: {other} and {name} are the same array of two networks: save the"
                " state_dict of the one that is meant"
            )
    return {plain: state[name] for plain, name in found.items()}


def _check_all_used(file: str, state: State, used: Mapping[str, object]) -> None:
    """Refuse a network that computes with more than a ResNet-50 has, such as one with SE blocks."""
    parts = (name for name in state if IN_A_RESNET.match(name) and not name.endswith(COUNTS))
    if more := [name for name in parts if name not in used]:
        raise ForeignError(
            f"{file}: a ResNet with other parts: it also has {listed(more)}, which no ResNet-50 has"
        )


def _check_names(file: str, state: State) -> None:
    if any(name.startswith(("features.", "classifier.")) for name in state):
        raise ForeignError(
            f"{file}: torchvision's AlexNet, or a VGG of another depth: AlexNet is not CaffeNet (it"
            " has no groups, and other widths), and only VGG-16 is read; start from the caffemodel"
        )
    if "inception3a.branch1.conv.weight" in state:
        raise ForeignError(
            f"{file}: torchvision's GoogLeNet, which normalises by batches and has other filters"
            " than Inception-v1's: start from BVLC's caffemodel"
        )
    if "conv1.0.weight" in state:
        raise ForeignError(f"{file}: a stem of three convolutions (timm's resnet50d): not He's")
    first = [name for name in state if BLOCK.fullmatch(name)]
    if "conv1.weight" not in state or not first:
        raise ForeignError(
            f"{file}: no ResNet of torchvision's names: it has {listed(list(state))}, not"
            " conv1.weight, bn1.weight, layer1.0.conv1.weight and so on"
        )
    if "layer1.0.conv3.weight" not in state:
        raise ForeignError(f"{file}: blocks of two convolutions (ResNet-18, -34): give a ResNet-50")


def _unit(
    file: str, state: State, convolution: str, norm: str, stride: int, used: dict[str, NDArray[Any]]
) -> Unit:
    def take(name: str) -> Array:
        if name not in state:
            what = "BatchNorm's statistics" if "running" in name else "the parts"
            raise ForeignError(f"{file}: {name} is not in it: {what} of every layer are needed")
        return known(name)

    def known(name: str) -> Array:
        checked(file, name, state[name])
        used[name] = state[name]
        return state[name]

    kernel = take(f"{convolution}.weight")
    parts = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, mean, variance = (take(f"{norm}.{part}") for part in parts)
    if (variance.astype(np.float64) + EPSILON <= 0).any():
        raise ForeignError(f"{file}: {norm}.running_var: a negative variance")
    bias = known(f"{convolution}.bias") if f"{convolution}.bias" in state else None
    return Unit(kernel, bias, Normal(gamma, beta, mean, variance, EPSILON), stride)


def _runner(file: str, units: Mapping[str, Unit], padded: bool | None) -> Run:
    """Return what runs the network in torch, from the numbers as the file has them."""

    def run(images: NDArray[np.float32]) -> dict[str, Array]:
        torch = load_torch(file)
        functional = torch.nn.functional

        def unit(x: Any, name: str) -> Any:
            one = units[name]
            numbers = (one.kernel, one.bias)
            kernel, bias = (None if n is None else to_torch(torch, n) for n in numbers)
            x = functional.conv2d(x, kernel, bias, one.stride, one.kernel.shape[-1] // 2)
            n = one.normal
            if n is None:
                return x
            mean, variance, gamma, beta = (
                to_torch(torch, part) for part in (n.mean, n.variance, n.gamma, n.beta)
            )
            return functional.batch_norm(x, mean, variance, gamma, beta, eps=n.eps)

        with torch.inference_mode():
            x = functional.relu(unit(to_torch(torch, images), STEM))
            found = {STEM: x}
            x = functional.max_pool2d(x, 3, 2, int(bool(padded)), ceil_mode=not padded)
            for name in (name[:5] for name in units if name.endswith("_branch2a")):
                shortcut = unit(x, f"{name}_branch1") if f"{name}_branch1" in units else x
                x = functional.relu(unit(x, f"{name}_branch2a"))
                x = functional.relu(unit(x, f"{name}_branch2b"))
                x = functional.relu(unit(x, f"{name}_branch2c") + shortcut)
                found[name[:4]] = x
            found["pool5"] = x.mean((2, 3), keepdim=True)
        return {name: from_torch(torch, values) for name, values in found.items()}

    return run
