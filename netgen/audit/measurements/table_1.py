"""Table 1 and Figure 4, measured on the parsed prototxt: sizes, kernels, widths, repetitions."""

from __future__ import annotations

from collections.abc import Callable

from netgen.audit.measurements.measurement import AuditInputs, Basis, Found, measures
from netgen.audit.measurements.parsed_networks import RESIDUAL, TASKS, ParsedNetwork, of_type
from netgen.caffe.caffe_pb2 import LayerParameter, PoolingParameter
from netgen.paper.claims import Measure

FILES = "models/*/train_val.prototxt"
Values = tuple[float, ...]


def everywhere(inputs: AuditInputs, measure: Callable[[ParsedNetwork], Values]) -> Values:
    """Return what all six residual networks give, or nothing when they do not give the same."""
    found = {measure(inputs.network(name)) for name in RESIDUAL}
    return found.pop() if len(found) == 1 else ()


def blocks(network: ParsedNetwork, stage: str = "") -> list[LayerParameter]:
    """Return the sums that end a network's residual blocks, of one of He's stages or of all."""
    sums = of_type("Eltwise", network.layers())
    return [layer for layer in sums if layer.name.startswith(f"res{stage}")]


def convolutions(network: ParsedNetwork, block: LayerParameter) -> list[LayerParameter]:
    """Return the three convolutions that a block's sum adds to its shortcut."""
    place, _, task = block.name.partition("_")
    tail = f"_{task}" if task else ""
    return [
        layer
        for branch in "abc"
        if (layer := network.by_name.get(f"{place}_branch2{branch}{tail}"))
    ]


def projections(network: ParsedNetwork) -> list[LayerParameter]:
    """Return the convolutions on shortcuts."""
    found = of_type("Convolution", network.layers())
    return [layer for layer in found if "_branch1" in layer.name]


def height_and_width(network: ParsedNetwork, layer: LayerParameter) -> Values:
    """Return height and width of what a layer makes."""
    return network.shapes[layer.top[0]][2:]


def words(values: Values) -> str:
    """Return the values of all networks, or that they differ."""
    return ", ".join(f"{value:g}" for value in values) or "not the same in all six networks"


@measures(Measure.STEM, Basis.OWN_FILES)
def stem(inputs: AuditInputs, name: str) -> Found:
    """Output size, kernel and stride of conv1 or pool1."""

    def one(network: ParsedNetwork) -> Values:
        layer = network.by_name[name]
        param = layer.pooling_param if name == "pool1" else layer.convolution_param
        kernel, stride = (
            (param.kernel_size, param.stride)
            if isinstance(param, PoolingParameter)
            else (param.kernel_size[0], param.stride[0])
        )
        return (*height_and_width(network, layer), kernel, kernel, stride)

    values = everywhere(inputs, one)
    if len(values) != 5:
        return Found(words(values), f"layer {name} of {FILES}", values)
    height, width, kernel, _same, stride = (f"{value:g}" for value in values)
    shown = f"{height} × {width}; {kernel} × {kernel} /{stride}"
    return Found(shown, f"layer {name} of {FILES}", values)


@measures(Measure.CONV1_FILTERS, Basis.OWN_FILES)
def conv1_filters(inputs: AuditInputs) -> Found:
    """Count the filters of the first convolution."""
    values = everywhere(inputs, lambda n: (n.by_name["conv1"].convolution_param.num_output,))
    return Found(
        f"{words(values)} filters",
        f"layer conv1 of {FILES}; both fit Table 2's digits (readings, conv1)",
        values,
        fits="64, the width of ResNet-50 and of the stage that follows" if values == (64,) else "",
    )


@measures(Measure.STAGE, Basis.OWN_FILES)
def stage(inputs: AuditInputs, number: str) -> Found:
    """Output size, the block's three convolutions, and how often the block is repeated."""

    def one(network: ParsedNetwork) -> Values:
        places = {layer.name.partition("_")[0] for layer in blocks(network, number)}
        return (*_block(network, number), len(places))

    values = everywhere(inputs, one)
    return Found(_block_words(values), f"layers res{number}* of {FILES}", values)


@measures(Measure.STAGE_SHAPE, Basis.OWN_FILES)
def stage_shape(inputs: AuditInputs, number: str) -> Found:
    """Output size and the block's three convolutions."""
    values = everywhere(inputs, lambda network: _block(network, number))
    return Found(_block_words(values), f"layers res{number}* of {FILES}", values)


def _block_words(values: Values) -> str:
    """Return a stage as Table 1 writes it: size, three kernels with their widths, repetitions."""
    if len(values) < 11:
        return words(values)
    height, width, *rest = (f"{value:g}" for value in values)
    kernels = "; ".join(f"{h} × {w}, {n}" for h, w, n in (rest[0:3], rest[3:6], rest[6:9]))
    return f"{height} × {width}; {kernels}" + "".join(f"; ×{times}" for times in rest[9:])


def _kernel(layer: LayerParameter) -> Values:
    """Return a convolution's kernel and width, as Table 1 prints them: 1 x 1, 64."""
    size = layer.convolution_param.kernel_size[0]
    return (size, size, layer.convolution_param.num_output)


def _block(network: ParsedNetwork, number: str) -> Values:
    """Return what all blocks of a stage have in common; nothing when they differ."""
    found = {
        (
            *height_and_width(network, block),
            *(value for layer in convolutions(network, block) for value in _kernel(layer)),
        )
        for block in blocks(network, number)
    }
    return found.pop() if len(found) == 1 else ()


@measures(Measure.POOL5, Basis.OWN_FILES)
def pool5(inputs: AuditInputs) -> Found:
    """Output size of the average pools."""
    network = inputs.network("x0")
    names = [f"pool5_{task}" for task in TASKS]
    kinds = {network.by_name[name].pooling_param.pool for name in names}
    sizes = {network.shapes[name][2:] for name in names}
    return Found(
        f"{len(names)} average pools to {' or '.join(f'{h} x {w}' for h, w in sizes)}",
        f"layers {', '.join(names)} of models/x0/train_val.prototxt",
        sizes.pop() if len(sizes) == 1 else (),
        holds=kinds == {PoolingParameter.AVE},
    )


@measures(Measure.HEADS, Basis.OWN_FILES)
def heads(inputs: AuditInputs, *tasks: str) -> Found:
    """Count the outputs of the classifiers, in that order."""
    layers = inputs.network("x0").by_name
    values = tuple(layers[f"fc_{t}"].inner_product_param.num_output for t in tasks)
    return Found(words(values), "layers fc_* of models/x0/train_val.prototxt", values)


@measures(Measure.SOFTMAXES, Basis.OWN_FILES)
def softmaxes(inputs: AuditInputs) -> Found:
    """Whether every head ends in a softmax."""
    losses = of_type("SoftmaxWithLoss", inputs.network("x0").layers())
    return Found(
        f"{len(losses)} SoftmaxWithLoss", "layers loss_* of models/x0/train_val.prototxt",
        holds=[layer.bottom[0] for layer in losses] == [f"fc_{task}" for task in TASKS],
    )  # fmt: skip


@measures(Measure.WEIGHT_LAYERS, Basis.OWN_FILES)
def weight_layers(inputs: AuditInputs) -> Found:
    """Convolutions and classifier on the way to one task; projections do not count."""

    def one(network: ParsedNetwork) -> Values:
        tails = [t for t in TASKS if f"fc_{t}" in network.by_name]
        passed = [sum(len(convolutions(network, b)) for b in _way(network, t)) for t in tails]
        return (passed[0] + 2,) if len(set(passed)) == 1 else ()  # and conv1 and the classifier

    values = everywhere(inputs, one)
    return Found(f"{words(values)} on the way to each task", f"{FILES}, no projections", values)


def _way(network: ParsedNetwork, task: str) -> list[LayerParameter]:
    return [b for b in blocks(network) if "_" not in b.name or b.name.endswith(f"_{task}")]


@measures(Measure.CONVOLUTIONS_A_BLOCK, Basis.OWN_FILES)
def convolutions_a_block(inputs: AuditInputs) -> Found:
    """Convolutions in a residual block."""

    def one(network: ParsedNetwork) -> Values:
        return tuple({len(convolutions(network, block)) for block in blocks(network)})

    values = everywhere(inputs, one)
    return Found(f"{words(values)} per block", f"layers *_branch2{{a,b,c}} of {FILES}", values)


@measures(Measure.DOWNSAMPLING, Basis.OWN_FILES)
def downsampling(inputs: AuditInputs) -> Found:
    """Stride of the blocks that reduce the size: the first of each stage but the first."""

    def one(network: ParsedNetwork) -> Values:
        convs = [layer for b in blocks(network) for layer in convolutions(network, b)]
        strides = {layer.name: layer.convolution_param.stride[0] for layer in convs}
        reducing = {name: stride for name, stride in strides.items() if stride != 1}
        first = {f"res{stage}a_branch2a" for stage in "345"}
        return tuple(set(reducing.values())) if set(reducing) == first else ()

    values = everywhere(inputs, one)
    return Found(
        f"stride {words(values)} in the first block of stages 3, 4 and 5",
        f"layers res{{3,4,5}}a_branch2a of {FILES}: the only place that gives Table 1's sizes",
        values,
    )


@measures(Measure.IMAGE_SIZE, Basis.OWN_FILES)
def image_size(inputs: AuditInputs) -> Found:
    """Height and width of the input."""
    net = inputs.network("xs").cost("TEST")
    size = next(top.shape for layer in net.layers for top in layer.tops if top.name == "data")
    deploy = (size or ())[2:]
    return Found(" × ".join(map(str, deploy)), "blob data of models/xs/train_val.prototxt", deploy)
