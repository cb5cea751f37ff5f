"""Time weights in and out: `netgen init --from` a ResNet-50 of 100 MB, `netgen export` of X_S.

    python benchmarks/exchange.py [--rounds N]

Numbers are random. The files to read are written here: ONNX by `netgen export`, safetensors under
torchvision's names and HDF5 under Keras' from that network's own numbers. Targets: an import takes
at most 5 s, an export 3 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import save_file

from netgen.caffe.caffemodel import Weights, read_weights

NETGEN = str(Path(sys.executable).parent / "netgen")
TORCHS = {"branch1": "downsample.{}", "branch2a": "{}1", "branch2b": "{}2", "branch2c": "{}3"}
KERAS = {"branch1": 0, "branch2a": 1, "branch2b": 2, "branch2c": 3}


def run(folder: Path, *words: str) -> float:
    """Run netgen in `folder`; return the seconds that it took."""
    start = time.perf_counter()
    subprocess.run([NETGEN, *words], cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - start


def random_weights(folder: Path, variant: str) -> None:
    """Leave random weights of a variant of the paper's size in its folder."""
    net = f"models/{variant}/deploy.prototxt"
    made = f"import caffe; n = caffe.Net({net!r}, caffe.TEST); n.save('{variant}.caffemodel')"
    run(folder, "build", "--variant", variant)
    subprocess.run([sys.executable, "-c", made], cwd=folder, capture_output=True, check=True)


def other_files(folder: Path) -> None:
    """Write the single-task network's numbers as torchvision and Keras have them."""
    layers = {layer.name: layer for layer in read_weights(folder / "resnet50-noun.caffemodel")}
    state: dict[str, np.ndarray] = {}
    with h5py.File(folder / "keras.bin", "w") as root:
        for name, layer in layers.items():
            if name == "conv1" or name.startswith("res"):
                channels = len(layer.blobs[0])
                norm = np.ones((4, channels), np.float32)
                _torch(state, name, layer, norm)
                _keras(root, name, layer, norm)
    save_file(state, folder / "torch.bin")


def _torch(state: dict[str, np.ndarray], name: str, layer: Weights, norm: np.ndarray) -> None:
    at = ("conv1", "bn1")
    if name != "conv1":
        halves = ("0", "1") if name.endswith("branch1") else ("conv", "bn")
        place = f"layer{int(name[3]) - 1}.{ord(name[4]) - ord('a')}."
        at = (
            place + TORCHS[name[6:]].format(halves[0]),
            place + TORCHS[name[6:]].format(halves[1]),
        )
    state[f"{at[0]}.weight"] = layer.blobs[0]
    for part, values in zip(("weight", "bias", "running_mean", "running_var"), norm, strict=True):
        state[f"{at[1]}.{part}"] = values


def _keras(root: h5py.File, name: str, layer: Weights, norm: np.ndarray) -> None:
    stem = f"conv{name[3]}_block{ord(name[4]) - ord('a') + 1}_{KERAS.get(name[6:])}"
    stem = "conv1" if name == "conv1" else stem
    kernel = layer.blobs[0].transpose(2, 3, 1, 0)
    arrays: Mapping[str, list[np.ndarray]] = {"conv": [kernel, norm[1]], "bn": list(norm)}
    for kind, each in arrays.items():
        group = root.create_group(f"{stem}_{kind}")
        for index, array in enumerate(each):
            group[str(index)] = array
        group.attrs["weight_names"] = [str(index) for index in range(len(each))]


def main() -> None:
    """Time every import and export, and print medians, spreads and targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for variant in ("resnet50-noun", "xs"):
            random_weights(folder, variant)
        other_files(folder)
        noun = ("--net", "models/resnet50-noun/deploy.prototxt", "--variant", "resnet50-noun")
        net = ("--net", "models/xs/deploy.prototxt", "--variant", "xs")
        xs = ("export", *net, "--weights", "xs.caffemodel")
        run(folder, "export", *noun, "--weights", "resnet50-noun.caffemodel", "--onnx", "onnx.bin")
        into = ("init", "--variant", "resnet50-noun", "--force", "--from")
        commands = {
            "init --from a caffemodel": ((*into, "resnet50-noun.caffemodel"), 5),
            "init --from ONNX": ((*into, "onnx.bin"), 5),
            "init --from safetensors": ((*into, "torch.bin", "--style", "caffe"), 5),
            "init --from Keras' HDF5": ((*into, "keras.bin"), 5),
            "export --onnx": ((*xs, "--onnx", "xs.onnx"), 3),
            "export --safetensors": ((*xs, "--safetensors", "xs.safetensors"), 3),
        }
        times: dict[str, list[float]] = {each: [] for each in commands}
        for _ in range(rounds):
            for each, (words, _) in commands.items():
                times[each].append(run(folder, *words))
    for each, (_, target) in commands.items():
        spread = f"{min(times[each]):.2f} to {max(times[each]):.2f}"
        print(f"{each:25} {statistics.median(times[each]):.2f} s, {spread}  (at most {target} s)")


if __name__ == "__main__":
    main()
