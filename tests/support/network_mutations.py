"""Operators that change what a network computes or learns: each a kind of change, at any place.

An operator takes a network and a layer that it applies to, and changes the network. A test draws
the variant, the operator's layer and, where it needs one, another blob.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from netgen.audit.comparison.traits import MESSAGES
from netgen.caffe.caffe_pb2 import TEST, TRAIN, LayerParameter, NetParameter, ParamSpec
from netgen.cost.complexity import count
from netgen.paper import IMAGE_SHAPE
from support.audit import layer, remove, replace_layers

Change = Callable[[NetParameter, LayerParameter, random.Random], None]


@dataclass(frozen=True)
class Mutation:
    """A kind of change, and the layers that it can be made at.

    Attributes
    ----------
    name
        What is changed, as the id of a test.
    applies
        Whether it can be made at a layer.
    change
        Makes it.
    """

    name: str
    applies: Callable[[LayerParameter], bool]
    change: Change


TYPES = (
    "Convolution", "BatchNorm", "Scale", "ReLU", "Eltwise", "Pooling", "InnerProduct",
    "SoftmaxWithLoss", "Accuracy",
)  # fmt: skip
LEARN = ("Convolution", "Scale", "InnerProduct")


def of_type(*types: str) -> Callable[[LayerParameter], bool]:
    """Return the test whether a layer is of one of these types."""
    return lambda each: each.type in types


# ---- fields: every field of every type's message, changed by what its kind allows ---------------

# Changes that Caffe does not see, or that change no number, with the reason.
NO_CHANGE = {
    "engine": "which code computes it",
    "force_nd_im2col": "which code computes it",
    "InnerProduct.transpose": "how the same weights are stored",
    "Pooling.round_mode": "of no effect where the window fits",
    "SoftmaxWithLoss.normalization=VALID": "every image has one label",
    "SoftmaxWithLoss.normalization=BATCH_SIZE": "every image has one label",
    "SoftmaxWithLoss.normalization=FULL": "every image has one label",
    "SoftmaxWithLoss.normalize=True": "every image has one label",
    "Eltwise.stable_prod_grad": "of products only",
    "Pooling.global_pooling": "of pool5, whose window is the whole image",
    "weight_filler": "left open by the paper where weights are copied over it",
    "bias_filler": "left open by the paper",
    "coeff": "a coefficient per bottom: see `weighted`",
}

# Where only some layers of a type change by it: pool5's window is the whole image, and a pixel has
# no gaps.
ONLY: dict[str, Callable[[LayerParameter], bool]] = {
    "Pooling.stride": lambda each: each.name == "pool1",
    "Pooling.pool": lambda each: each.name == "pool1",
    "Convolution.dilation": lambda each: (
        each.type == "Convolution" and each.convolution_param.kernel_size[0] > 1
    ),
}


def fields_of(message: str) -> list[FieldDescriptor]:
    """Return the fields of one of a layer's messages."""
    found: Any = LayerParameter.DESCRIPTOR.fields_by_name[message].message_type
    return list(found.fields)


def field_mutations() -> Iterator[Mutation]:
    """Yield one mutation per field of a message, and per value that its kind allows."""
    for kind in TYPES:
        names = [MESSAGES[kind.lower()]] if kind.lower() in MESSAGES else []
        names += ["loss_param"] if kind == "SoftmaxWithLoss" else []
        for name in names:
            for field in fields_of(name):
                for value, change in _values(name, field):
                    told, named = f"{kind}.{field.name}{value}", f"{kind}.{field.name}"
                    if not {field.name, named, told} & NO_CHANGE.keys():
                        yield Mutation(told, ONLY.get(named, of_type(kind)), change)


def _values(message: str, field: FieldDescriptor) -> Iterator[tuple[str, Change]]:
    change = partial(_set, message, field)
    if field.message_type:
        if field.name == "filler":
            yield "=zeros", partial(_refill, message)
    elif field.enum_type:
        for value in field.enum_type.values:
            if value.number != field.default_value:
                yield f"={value.name}", partial(change, lambda _, number=value.number: number)
    elif field.type == FieldDescriptor.TYPE_BOOL:
        yield f"={not field.default_value}", partial(change, lambda old: not old)
    elif field.type == FieldDescriptor.TYPE_FLOAT:
        yield "+0.1", partial(change, lambda old: old + 0.1)
    else:
        yield "+1", partial(change, lambda old: old + 1)
        yield "x2", partial(change, lambda old: 2 * old or 2)


def _set(
    message: str,
    field: FieldDescriptor,
    new: Callable[[Any], Any],
    _net: NetParameter,
    each: LayerParameter,
    _rng: random.Random,
) -> None:
    param = getattr(each, message)
    if field.is_repeated:
        values = getattr(param, field.name)
        values[:] = [new(values[0] if values else NEUTRAL.get(field.name, 0))]
    else:
        setattr(param, field.name, new(getattr(param, field.name)))


NEUTRAL = {"stride": 1, "dilation": 1}  # of repeated fields, where unset


def _refill(message: str, _net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    filler = getattr(each, message).filler
    filler.Clear()
    filler.type = "constant"


def crosses(each: LayerParameter) -> bool:
    """Whether a layer is a cross weight."""
    return each.name.startswith("cross")


# ---- learning -----------------------------------------------------------------------------------


def learning_mutations() -> Iterator[Mutation]:
    """Yield changes of what a layer learns, and from what."""
    for kind in LEARN:
        for rate in ("lr_mult", "decay_mult"):
            for value in (0, 10):
                yield Mutation(f"{kind} {rate}={value}", of_type(kind), partial(_rate, rate, value))
        if kind != "InnerProduct":  # each has another number of classes
            yield Mutation(f"{kind} shared", of_type(kind), _share)
    for kind in ("Convolution", "ReLU", "Eltwise", "InnerProduct"):
        yield Mutation(f"{kind} stops gradients", of_type(kind), _stop)
    for value in (0, 2):
        change = partial(_weigh, value)
        yield Mutation(f"loss_weight={value}", of_type("SoftmaxWithLoss"), change)
    yield Mutation("loss_weight on scores", of_type("InnerProduct"), partial(_weigh, 1))
    yield Mutation("BatchNorm learns unevenly", of_type("BatchNorm"), _uneven)


def _rate(
    field: str, value: float, _net: NetParameter, each: LayerParameter, _rng: random.Random
) -> None:
    if not each.param:
        each.param.add()
    setattr(each.param[0], field, value)


def _share(net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    """Give a layer the weights of another of its shape: the same branch in another block."""
    branch = each.name.rpartition("_branch")[2] if "_branch" in each.name else each.name[:5]
    alike = [x for x in net.layer if x.type == each.type and x is not each and branch in x.name]
    other = rng.choice([x for x in alike if x.name[:4] == each.name[:4]] or alike or [each])
    for layer_ in (each, other):
        if not layer_.param:
            layer_.param.append(ParamSpec())
        layer_.param[0].name = "shared"


def _stop(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.propagate_down[:] = [False] * len(each.bottom)


def _weigh(value: float, _net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.loss_weight[:] = [value]


def _uneven(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.param[1].lr_mult = 1


# ---- the graph ----------------------------------------------------------------------------------

INSERTED: dict[str, Callable[[LayerParameter], Any]] = {
    "AbsVal": lambda _: None,
    "BatchNorm": lambda _: None,
    "Bias": lambda made: made.bias_param.filler.__setattr__("value", 1),
    "BNLL": lambda _: None,
    "Dropout": lambda _: None,
    "ELU": lambda _: None,
    "LRN": lambda _: None,
    "Power": lambda made: made.power_param.__setattr__("scale", 2),
    "ReLU": lambda _: None,
    "Scale": lambda _: None,
    "Sigmoid": lambda _: None,
    "Softmax": lambda _: None,
    "TanH": lambda _: None,
}
AFTER = ("Convolution", "BatchNorm", "Scale", "ReLU", "Eltwise", "Pooling", "InnerProduct")
# After a layer without negative numbers, these change nothing.
NO_INSERTION = {(x, y) for x in ("AbsVal", "ReLU") for y in ("ReLU", "Pooling")}
REPLACED = {
    "ReLU": ("Sigmoid", "TanH", "ELU", "PReLU", "BNLL", "AbsVal"),
    "BatchNorm": ("MVN", "LRN"),
    "Eltwise": ("Concat",),
    "SoftmaxWithLoss": ("SigmoidCrossEntropyLoss", "HingeLoss", "MultinomialLogisticLoss"),
    "Convolution": ("Deconvolution",),
}


def graph_mutations() -> Iterator[Mutation]:
    """Yield changes of layers and of what they read."""
    for kind in TYPES:
        yield Mutation(f"{kind} removed", of_type(kind), _remove)
    for kind in ("BatchNorm", "Scale", "ReLU"):
        yield Mutation(f"{kind} in one phase", partial(_in_place, kind), _one_phase)
    for made in INSERTED:
        for before in AFTER:
            if (made, before) not in NO_INSERTION:
                at = RELU_AFTER[before] if made == "ReLU" else of_type(before)
                yield Mutation(f"{made} after {before}", at, partial(_insert, made))
    for kind, others in REPLACED.items():
        for other in others:
            yield Mutation(f"{kind} as {other}", of_type(kind), partial(_retype, other))
    for kind in ("Convolution", "BatchNorm", "Scale", "Eltwise", "Pooling", "InnerProduct"):
        yield Mutation(f"{kind} reads another blob", of_type(kind), _rewire)
    yield Mutation("a sum of one term fewer", partial(_adds, 3), _drop_term)
    yield Mutation("a sum of one term more", of_type("Eltwise"), _add_term)
    yield Mutation("a sum with a term twice", of_type("Eltwise"), _repeat_term)
    yield Mutation("a sum with a weight", of_type("Eltwise"), weighted)
    for name, (applies, change) in HIDDEN.items():
        yield Mutation(name, applies, change)
    yield Mutation("another start of cross weights", crosses, partial(_refill, "scale_param"))


def _before_a_sum(each: LayerParameter) -> bool:
    return each.type == "Scale" and each.name.endswith(("branch1", "branch2c"))


# Nor does a ReLU before another one.
RELU_AFTER: dict[str, Callable[[LayerParameter], bool]] = {
    "Convolution": of_type("Convolution"),
    "BatchNorm": of_type("BatchNorm"),
    "Scale": _before_a_sum,
    "Eltwise": lambda each: each.name == "res5a",
    "InnerProduct": of_type("InnerProduct"),
}


def _in_place(kind: str, each: LayerParameter) -> bool:
    return each.type == kind and list(each.bottom) == list(each.top)


def _stopped_copy(net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    """Insert a layer without effect that stops the gradient."""
    _insert("Power", net, each, rng)
    made = layer(net, "inserted")
    made.power_param.scale = 1
    made.propagate_down[:] = [False]


def _of_test(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.phase = TEST


def _weighed_split(net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    made = LayerParameter(name="inserted", type="Split", bottom=each.top, loss_weight=[1])
    made.top.append("copy")
    place = 1 + next(i for i, x in enumerate(net.layer) if x.name == each.name)
    layers = list(net.layer)
    replace_layers(net, [*layers[:place], made, *layers[place:]])


def _summed(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    """Sum the losses, whose own weights stay, once more in a sum of all and a part of them."""
    losses = [x.top[0] for x in net.layer if x.type == "SoftmaxWithLoss"]
    net.layer.add(name="part", type="Eltwise", bottom=losses[:2], top=["part"], loss_weight=[1])
    rest = [*losses[2:], "part"]
    net.layer.add(name="all", type="Eltwise", bottom=rest, top=["all"], loss_weight=[1])


def _mixed(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    """Mix each image with another one."""
    second = LayerParameter.FromString(each.SerializeToString())
    second.name = second.top[0] = "second"
    second.data_param.source += "_2"
    mix = LayerParameter(name="mix", type="Eltwise", bottom=["data", "second"], top=["mix"])
    mix.eltwise_param.coeff[:] = [0.5, 0.5]
    mix.include.extend(each.include)
    others = LayerParameter(name="mix", type="Split", bottom=["data"], top=["mix"])
    others.include.add(phase=TEST if each.include[0].phase == TRAIN else TRAIN)
    layer(net, "conv1").bottom[0] = "mix"
    sources = [x for x in net.layer if x.type == "Data"]
    rest = [x for x in net.layer if x.type != "Data"]
    replace_layers(net, [*sources, second, mix, others, *rest])


def _filled(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    blob = each.blobs.add()
    blob.shape.dim.append(2048)
    blob.data.extend([1.0] * 2048)


def _over_the_batch(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    """Rank an image's score among those of the batch."""
    softmax = LayerParameter(name="inserted", type="Softmax", bottom=each.bottom[:1],
                             top=["inserted"], include=each.include)  # fmt: skip
    softmax.softmax_param.axis = 0
    each.bottom[0] = "inserted"
    place = next(i for i, x in enumerate(net.layer) if x.name == each.name)
    layers = list(net.layer)
    replace_layers(net, [*layers[:place], softmax, *layers[place:]])


HIDDEN: dict[str, tuple[Callable[[LayerParameter], bool], Change]] = {
    "a layer without effect stops gradients": (of_type("InnerProduct", "Pooling"), _stopped_copy),
    "BatchNorm of another phase": (of_type("BatchNorm"), _of_test),
    "a Split is a part of the objective": (of_type("InnerProduct"), _weighed_split),
    "losses summed twice": (lambda each: each.name == "loss_noun", _summed),
    "two images mixed": (lambda each: each.name == "data", _mixed),
    "cross weights in the prototxt": (crosses, _filled),
    "probabilities over the batch": (of_type("Accuracy"), _over_the_batch),
}


def _adds(least: int, each: LayerParameter) -> bool:
    return each.type == "Eltwise" and len(each.bottom) >= least


def _remove(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    if each.type in ("SoftmaxWithLoss", "Accuracy"):
        replace_layers(net, [x for x in net.layer if x.name != each.name])
    else:
        remove(net, each.name)


def _one_phase(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.include.add(phase=TRAIN)


def _insert(kind: str, net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    """Insert a layer after another: whoever reads that one then reads the new layer."""
    made = LayerParameter(name="inserted", type=kind, bottom=each.top[:1], top=each.top[:1])
    INSERTED[kind](made)
    place = 1 + next(i for i, x in enumerate(net.layer) if x.name == each.name)
    layers = list(net.layer)
    replace_layers(net, [*layers[:place], made, *layers[place:]])


def _retype(kind: str, _net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.type = kind


def _rewire(net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    """Let a layer read another blob of the same shape that is made before it."""
    place = rng.randrange(len(each.bottom))
    each.bottom[place] = rng.choice(_others(net, each, each.bottom[place]))


def _others(net: NetParameter, each: LayerParameter, blob: str) -> list[str]:
    """Return the blobs of a blob's shape that are made before a layer and that it does not read."""
    shapes: dict[str, object] = {}
    costs = count(net, "TRAIN", inputs={"data": IMAGE_SHAPE}).layers
    for cost in costs:
        if cost.name == each.name:
            break
        shapes |= {top.name: top.shape for top in cost.tops}
    others = [name for name, shape in shapes.items() if shape == shapes[blob]]
    return [name for name in others if name not in {*each.bottom, *each.top}] or ["pool1"]


def _drop_term(_net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    del each.bottom[rng.randrange(len(each.bottom))]


def _add_term(net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    each.bottom.append(rng.choice(_others(net, each, each.bottom[0])))


def _repeat_term(_net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    each.bottom.append(rng.choice(list(each.bottom)))


def weighted(_net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    """Weigh one of a sum's terms."""
    weights = [1.0] * len(each.bottom)
    weights[rng.randrange(len(weights))] = rng.choice([-1.0, 0.5, 2.0])
    each.eltwise_param.coeff[:] = weights


MUTATIONS = {
    one.name: one for one in (*field_mutations(), *learning_mutations(), *graph_mutations())
}


def mutated(net: NetParameter, mutation: Mutation, rng: random.Random) -> str | None:
    """Make a mutation at a drawn layer; return the layer's name, None where it applies to none."""
    names = [each.name for each in net.layer if mutation.applies(each)]
    if not names:
        return None
    name = rng.choice(names)
    mutation.change(net, layer(net, name), rng)
    return name
