"""What the tests of `netgen init` share: networks on disk, weights to start from, real images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from click.testing import CliRunner, Result

from netgen.caffe.caffemodel import Weights, read_weights, to_caffemodel
from netgen.caffe.schema import read_net
from netgen.commands.cli import main
from netgen.cost import complexity
from netgen.network.build import BuildSpec, network_files
from netgen.network.options import Choice
from netgen.network.residual import Backbone
from netgen.paper import Recipe
from netgen.system.files import write_all
from support.caffe_child import in_caffe
from support.fashion_mnist import read
from support.networks import ANY_CARD, NARROW, dataset, order
from support.once import Once

GREY = (1, 28, 28)  # Fashion-MNIST's images
TASKS = {"noun": 7, "adj": 3, "anp": 11}
SOURCE = "source.caffemodel"
Layers = dict[str, Weights]


def netgen(*arguments: object) -> Result:
    """Run netgen in this process."""
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, [str(word) for word in arguments])


def init(*arguments: object) -> Result:
    """Run `netgen init`, which is to succeed."""
    result = netgen("init", *arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: object) -> str:
    """Run `netgen init`, expecting one line and no traceback; return it."""
    result = netgen("init", *arguments)
    assert result.exit_code in (1, 2), result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    message: str = result.stderr[result.stderr.index("Error: ") :].rstrip("\n")
    assert "\n" not in message
    return message


def build(
    folder: Path,
    variant: str,
    tasks: Mapping[str, int] = TASKS,
    size: tuple[int, int, int] = GREY,
    backbone: Backbone = NARROW,
    recipe: Recipe = ANY_CARD,
    **choices: Choice,
) -> BuildSpec:
    """Write a network's files below `folder`, in paths relative to it."""
    ordered = order(variant, dataset(tasks, size), backbone, recipe, Path(), **choices)
    write_all({folder / path: text for path, text in network_files(ordered).items()})
    return ordered


def deploy(ordered: BuildSpec) -> str:
    """The path of a network's deploy.prototxt."""
    return str(ordered.folder / "deploy.prototxt")


def train_val(ordered: BuildSpec) -> str:
    """The path of a network's train_val.prototxt."""
    return str(ordered.folder / "train_val.prototxt")


def make_random(net: str, weights: str, seed: int = 1) -> None:
    """In Caffe: leave in `weights` what a training might have left of `net`."""
    import caffe

    from support.networks_in_caffe import fill_all

    made = caffe.Net(net, caffe.TEST)
    fill_all(made, np.random.default_rng(seed))
    made.save(weights)


def make_source(folder: Path, backbone: Backbone = NARROW, **sizes: Any) -> Path:
    """Write `SOURCE` in `folder`: a single-task network's weights, as training might leave them."""
    ordered = build(folder / "pretrained", "resnet50-noun", {"noun": 5}, backbone=backbone, **sizes)
    net = folder / "pretrained" / deploy(ordered)
    in_caffe(make_random, str(net), str(folder / SOURCE))
    return folder / SOURCE


def narrow_source(once: Once, folder: Path) -> Layers:
    """Write `SOURCE` in `folder`, narrow and for grey images; return its layers."""

    def make() -> bytes:
        with TemporaryDirectory() as elsewhere:
            return make_source(Path(elsewhere)).read_bytes()

    (folder / SOURCE).write_bytes(once("init_source", make))
    return layers_of(folder / SOURCE)


def layers_of(path: Path) -> Layers:
    """The layers of a caffemodel, by name."""
    return {layer.name: layer for layer in read_weights(path)}


def save(path: Path, layers: Layers) -> Path:
    """Write layers as a caffemodel."""
    path.write_bytes(to_caffemodel("changed", layers.values()))
    return path


def with_blobs(layers: Layers, name: str, *blobs: np.ndarray, type_: str | None = None) -> Layers:
    """`layers`, one of them with other blobs or of another type."""
    changed = replace(layers[name], blobs=blobs or layers[name].blobs)
    return layers | {name: replace(changed, type=type_ or changed.type)}


def same(one: Weights, other: Weights) -> bool:
    """Whether two layers have the same numbers, bit for bit."""
    pairs = zip(one.blobs, other.blobs, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def real_images(count: int, size: tuple[int, int, int]) -> np.ndarray:
    """Photographs of Fashion-MNIST's test set, (count, C, H, W), less a mean."""
    channels, height, width = size
    large = [
        cv2.resize(pixels, (width, height)).reshape(1, height, width)
        for pixels, _ in read("test", count)
    ]
    return np.repeat(np.array(large, np.float32) - 73, channels, axis=1)


def pools(nets: Sequence[tuple[str, str]], images: np.ndarray) -> list[dict[str, np.ndarray]]:
    """In Caffe: the last pools in TEST of networks, each with its weights."""
    import caffe

    found = []
    for net, weights in nets:
        made = caffe.Net(net, caffe.TEST)
        made.copy_from(weights)
        made.blobs["data"].reshape(*images.shape)
        made.blobs["data"].data[...] = images
        made.forward()
        found.append({name: b.data.copy() for name, b in made.blobs.items() if "pool5" in name})
    return found


INITIAL = "models/{}/initial.caffemodel"


def initial(variant: str, *options: object) -> Layers:
    """The layers that `netgen init` writes for a variant in the current folder."""
    init("--variant", variant, "--from", SOURCE, *options)
    return layers_of(Path(INITIAL.format(variant)))


def wanted(net: str) -> dict[str, list[tuple[int, ...]]]:
    """Every layer with blobs of a network, and their shapes."""
    counted = complexity.count(read_net(net), "TEST").layers
    return {layer.name: list(layer.blobs) for layer in counted if layer.blobs}
