"""Table 1 and Figure 4, measured on the parsed prototxt: sizes, kernels, widths, repetitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from netgen.audit.measurements.measurement import Context, Found, measurement
from netgen.audit.measurements.parsed_networks import RESIDUAL, TASKS, emitted, of_type, shapes
from netgen.caffe.caffe_pb2 import LayerParameter, PoolingParameter

FILES = "models/*/train_val.prototxt"


def everywhere(measure: Callable[[str], tuple[float, ...]]) -> tuple[float, ...]:
    """Return what all six residual networks give, or nothing when they do not give the same."""
    found = {measure(name) for name in RESIDUAL}
    return found.pop() if len(found) == 1 else ()


@cache
def by_name(network: str) -> dict[str, LayerParameter]:
    """Return the layers of a network's training net."""
    return {layer.name: layer for layer in emitted(network).layers()}


def blocks(network: str, stage: str = "") -> list[LayerParameter]:
    """Return the sums that end a network's residual blocks, of one of He's stages or of all."""
    sums = of_type("Eltwise", emitted(network).layers())
    return [layer for layer in sums if layer.name.startswith(f"res{stage}")]


def convolutions(network: str, block: LayerParameter) -> list[LayerParameter]:
    """Return the three convolutions that a block's sum adds up to its shortcut."""
    place, _, task = block.name.partition("_")
    tail = f"_{task}" if task else ""
    return [
        layer
        for branch in "abc"
        if (layer := by_name(network).get(f"{place}_branch2{branch}{tail}"))
    ]


def projections(network: str) -> list[LayerParameter]:
    """Return the convolutions on shortcuts."""
    found = of_type("Convolution", emitted(network).layers())
    return [layer for layer in found if "_branch1" in layer.name]


def places(network: str, stage: str) -> list[str]:
    """Return the places of a stage's blocks that one image's way to one task passes."""
    return sorted({layer.name.partition("_")[0] for layer in blocks(network, stage)})


def height_and_width(layer: LayerParameter, network: str) -> tuple[float, ...]:
    """Return height and width of what a layer makes."""
    return shapes(network)[layer.top[0]][2:]


def _kernel(layer: LayerParameter) -> tuple[float, ...]:
    """Return a convolution's kernel and width, as Table 1 prints them: 1 x 1, 64."""
    size = layer.convolution_param.kernel_size[0]
    return (size, size, layer.convolution_param.num_output)


def words(values: tuple[float, ...]) -> str:
    """Return what all networks gave, or that they did not give the same."""
    return ", ".join(f"{value:g}" for value in values) or "not the same in all six networks"


@measurement
def stem(_: Context, name: str) -> Found:
    """Output size, kernel and stride of conv1 or pool1."""

    def one(network: str) -> tuple[float, ...]:
        layer = by_name(network)[name]
        param = layer.pooling_param if name == "pool1" else layer.convolution_param
        kernel, stride = (
            (param.kernel_size, param.stride)
            if isinstance(param, PoolingParameter)
            else (param.kernel_size[0], param.stride[0])
        )
        return (*height_and_width(layer, network), kernel, kernel, stride)

    values = everywhere(one)
    if len(values) != 5:
        return Found(words(values), f"layer {name} of {FILES}", values)
    height, width, kernel, _same, stride = (f"{value:g}" for value in values)
    shown = f"{height} × {width}; {kernel} × {kernel} /{stride}"
    return Found(shown, f"layer {name} of {FILES}", values)


@measurement
def conv1_filters(_: Context) -> Found:
    """Count the filters of the first convolution."""
    values = everywhere(lambda n: (by_name(n)["conv1"].convolution_param.num_output,))
    return Found(
        f"{words(values)} filters",
        f"layer conv1 of {FILES}; both fit Table 2's digits (readings, conv1)",
        values,
        fits="64, the width of ResNet-50 and of the stage that follows" if values == (64,) else "",
    )


@measurement
def stage(_: Context, number: str) -> Found:
    """Output size, the block's three convolutions, and how often the block is repeated."""

    def one(network: str) -> tuple[float, ...]:
        return (*_block(network, number), len(places(network, number)))

    values = everywhere(one)
    return Found(_block_words(values), f"layers res{number}* of {FILES}", values)


@measurement
def stage_shape(_: Context, number: str) -> Found:
    """Output size and the block's three convolutions."""
    values = everywhere(lambda network: _block(network, number))
    return Found(_block_words(values), f"layers res{number}* of {FILES}", values)


def _block_words(values: tuple[float, ...]) -> str:
    """Return a stage as Table 1 writes it: size, three kernels with their widths, repetitions."""
    if len(values) < 11:
        return words(values)
    height, width, *rest = (f"{value:g}" for value in values)
    kernels = "; ".join(f"{h} × {w}, {n}" for h, w, n in (rest[0:3], rest[3:6], rest[6:9]))
    return f"{height} × {width}; {kernels}" + "".join(f"; ×{times}" for times in rest[9:])


def _block(network: str, number: str) -> tuple[float, ...]:
    """Return what all blocks of a stage have in common; nothing when they differ."""
    found = {
        (
            *height_and_width(block, network),
            *(value for layer in convolutions(network, block) for value in _kernel(layer)),
        )
        for block in blocks(network, number)
    }
    return found.pop() if len(found) == 1 else ()


@measurement
def pool5(_: Context) -> Found:
    """Output size of the average pools."""
    names = [f"pool5_{task}" for task in TASKS]
    kinds = {by_name("x0")[name].pooling_param.pool for name in names}
    sizes = {shapes("x0")[name][2:] for name in names}
    return Found(
        f"{len(names)} average pools to {' or '.join(f'{h} x {w}' for h, w in sizes)}",
        f"layers {', '.join(names)} of models/x0/train_val.prototxt",
        sizes.pop() if len(sizes) == 1 else (),
        holds=kinds == {PoolingParameter.AVE},
    )


@measurement
def heads(_: Context, *tasks: str) -> Found:
    """Count the outputs of the classifiers, in that order."""
    values = tuple(by_name("x0")[f"fc_{t}"].inner_product_param.num_output for t in tasks)
    return Found(words(values), "layers fc_* of models/x0/train_val.prototxt", values)


@measurement
def softmaxes(_: Context) -> Found:
    """Whether every head ends in a softmax."""
    losses = of_type("SoftmaxWithLoss", emitted("x0").layers())
    return Found(
        f"{len(losses)} SoftmaxWithLoss", "layers loss_* of models/x0/train_val.prototxt",
        holds=[layer.bottom[0] for layer in losses] == [f"fc_{task}" for task in TASKS],
    )  # fmt: skip


@measurement
def weight_layers(_: Context) -> Found:
    """Convolutions and classifier on the way to one task; projections are beside it."""

    def one(network: str) -> tuple[float, ...]:
        tails = [t for t in TASKS if f"fc_{t}" in by_name(network)]
        passed = [sum(len(convolutions(network, b)) for b in _way(network, t)) for t in tails]
        return (passed[0] + 2,) if len(set(passed)) == 1 else ()  # and conv1 and the classifier

    values = everywhere(one)
    return Found(f"{words(values)} on the way to each task", f"{FILES}, less projections", values)


def _way(network: str, task: str) -> list[LayerParameter]:
    return [b for b in blocks(network) if "_" not in b.name or b.name.endswith(f"_{task}")]


@measurement
def convolutions_a_block(_: Context) -> Found:
    """Convolutions in a residual block."""

    def one(network: str) -> tuple[float, ...]:
        return tuple({len(convolutions(network, block)) for block in blocks(network)})

    values = everywhere(one)
    return Found(f"{words(values)} a block", f"layers *_branch2{{a,b,c}} of {FILES}", values)


@measurement
def downsampling(_: Context) -> Found:
    """Stride of the blocks that reduce the size: the first of each stage but the first."""

    def one(network: str) -> tuple[float, ...]:
        convs = [layer for b in blocks(network) for layer in convolutions(network, b)]
        strides = {layer.name: layer.convolution_param.stride[0] for layer in convs}
        reducing = {name: stride for name, stride in strides.items() if stride != 1}
        first = {f"res{stage}a_branch2a" for stage in "345"}
        return tuple(set(reducing.values())) if set(reducing) == first else ()

    values = everywhere(one)
    return Found(
        f"stride {words(values)} in the first block of stages 3, 4 and 5",
        f"layers res{{3,4,5}}a_branch2a of {FILES}: the only place that gives Table 1's sizes",
        values,
    )


@measurement
def image_size(_: Context) -> Found:
    """Height and width of the input."""
    net = emitted("xs").cost("TEST")
    size = next(top.shape for layer in net.layers for top in layer.tops if top.name == "data")
    deploy = (size or ())[2:]
    return Found(" × ".join(map(str, deploy)), "blob data of models/xs/train_val.prototxt", deploy)
