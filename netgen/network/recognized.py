"""A prototxt of a residual network that netgen built, recognised as what it was built from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import parse_net
from netgen.network.build import BuildSpec, NetKind, prototxt
from netgen.network.dataset import MTVSO, Dataset, Images, Split, Task, check_dataset, split_in
from netgen.network.residual import RESNET50, Backbone, ResidualNetwork, Stem, network
from netgen.network.variants import variants

BLOCK = re.compile(r"res(\d)([a-z])_branch2a(?:_.+)?")
HEAD = "fc_"
KINDS: tuple[NetKind, ...] = ("train_val", "deploy")
Wiring = tuple[str, str, tuple[str, ...], tuple[str, ...]]  # name, type, bottoms, tops


def recognized(net: NetParameter, image: Sequence[int]) -> ResidualNetwork | None:
    """Return the network of `netgen list` that has the layers of `net`, in our readings.

    Parameters
    ----------
    net
        Its layers of all phases; what they learn and read from is not compared.
    image
        The shape of its images: channels, height, width.

    Returns
    -------
    ResidualNetwork or None
        None for a network with other layers, names or wires.
    """
    wanted = _wiring(net.layer)
    try:
        backbone, dataset = _backbone(net.layer), _dataset(net.layer, image)
        for variant in variants([task.name for task in dataset.tasks]).values():
            if not variant.row.is_residual:
                continue
            spec = BuildSpec(variant, dataset, backbone)
            for kind in KINDS:
                if _wiring(parse_net(prototxt(spec, kind, test_batch=1)).layer) == wanted:
                    return network(variant, dataset, backbone)
    except ValueError:  # no such network can be built
        pass
    return None


def _wiring(layers: Sequence[LayerParameter]) -> set[Wiring]:
    """Return who reads what, without the sources, which are as many as the phases."""
    return {(x.name, x.type, tuple(x.bottom), tuple(x.top)) for x in layers if x.bottom}


def _backbone(layers: Sequence[LayerParameter]) -> Backbone:
    named = {layer.name: layer for layer in layers}
    blocks: dict[str, set[str]] = {}
    for name in named:
        if found := BLOCK.fullmatch(name):
            blocks.setdefault(found[1], set()).add(found[2])
    first = named.get("res2a_branch2a")
    stem = named.get("conv1")
    if first is None or stem is None or not stem.convolution_param.kernel_size:
        raise ValueError("no residual network")
    width, conv1 = first.convolution_param.num_output, stem.convolution_param.num_output
    small = stem.convolution_param.kernel_size[0] == 3
    return Backbone(
        width,
        tuple(len(blocks.get(str(stage), ())) for stage in range(2, 2 + len(RESNET50.blocks))),
        Stem.SMALL if small else Stem.IMAGENET,
        None if conv1 == width else conv1,
    )


def _dataset(layers: Sequence[LayerParameter], image: Sequence[int]) -> Dataset:
    """Return a dataset with the tasks of the heads; nobody reads its databases."""
    tasks = tuple(
        Task(layer.name.removeprefix(HEAD), layer.inner_product_param.num_output)
        for layer in layers
        if layer.name.startswith(HEAD) and layer.type == "InnerProduct"
    )
    channels, height, width = image
    split: Split = split_in("data", [task.name for task in tasks], 1)
    dataset = replace(
        MTVSO,
        images=Images(channels, height, width, (0.0,) * channels),
        tasks=tasks,
        train=split,
        test=split,
    )
    check_dataset(dataset)
    return dataset
