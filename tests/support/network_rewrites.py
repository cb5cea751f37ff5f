"""Operators that write a network otherwise: what it computes and learns stays the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from netgen.audit.comparison.traits import MESSAGES
from netgen.caffe.caffe_pb2 import (
    TEST,
    TRAIN,
    ConvolutionParameter,
    LayerParameter,
    NetParameter,
    PoolingParameter,
    ReductionParameter,
)
from support.audit import layer, replace_layers
from support.network_mutations import TYPES, Change, Mutation, fields_of, of_type

Fill = Callable[[LayerParameter], Any]
AFTER = ("Convolution", "BatchNorm", "Scale", "ReLU", "Eltwise", "Pooling", "InnerProduct")


def _copy(each: LayerParameter) -> LayerParameter:
    return LayerParameter.FromString(each.SerializeToString())


def replaced(net: NetParameter, name: str, *made: LayerParameter) -> None:
    """Put layers in the place of one."""
    layers = []
    for each in net.layer:
        layers += list(made) if each.name == name else [each]
    replace_layers(net, layers)


def after(net: NetParameter, each: LayerParameter, made: LayerParameter) -> None:
    """Insert a layer with a blob of its own: whoever comes later uses that one."""
    place = 1 + next(i for i, x in enumerate(net.layer) if x.name == each.name)
    layers, blob = [_copy(x) for x in net.layer], each.top[0]
    made.bottom[:], new = [blob], f"{blob}/{made.name}"
    made.top[:] = [new]
    for later in layers[place:]:
        for names in (later.bottom, later.top):
            names[:] = [new if name == blob else name for name in names]
    replace_layers(net, [*layers[:place], made, *layers[place:]])


# ---- layers without effect ----------------------------------------------------------------------


def _flat(made: LayerParameter) -> None:
    made.reshape_param.shape.dim[:] = [0, -1]


def _pixel(made: LayerParameter) -> None:
    made.pooling_param.kernel_size = 1


WITHOUT_EFFECT: dict[str, tuple[Fill, tuple[str, ...]]] = {
    "Power": (lambda made: made.power_param.__setattr__("scale", 1), AFTER),
    "Dropout": (lambda made: made.dropout_param.__setattr__("dropout_ratio", 0), AFTER),
    "Concat": (lambda made: None, AFTER),
    "Slice": (lambda made: None, AFTER),
    "Split": (lambda made: None, AFTER),
    "Tile": (lambda made: made.tile_param.__setattr__("tiles", 1), AFTER),
    "Pooling": (_pixel, AFTER[:-1]),
    "Flatten": (lambda made: None, ("InnerProduct",)),
    "Reshape": (_flat, ("InnerProduct",)),
    "ReLU": (lambda made: None, ("ReLU", "Pooling")),
    "AbsVal": (lambda made: None, ("ReLU", "Pooling")),
}


def _insert(kind: str, net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    made = LayerParameter(name=f"extra{rng.randrange(10**6)}", type=kind)
    WITHOUT_EFFECT[kind][0](made)
    after(net, each, made)


def _flattened(kind: str, net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    made = LayerParameter(name=f"flat_{each.name}", type=kind)
    if kind == "Reshape":
        _flat(made)
    after(net, each, made)


def identities() -> Iterator[Mutation]:
    """Yield layers that change nothing, each after each type of layer."""
    for kind, (_, others) in WITHOUT_EFFECT.items():
        for before in others:
            yield Mutation(f"{kind} after {before}", of_type(before), partial(_insert, kind))
    # The sum at the branching point is followed by a normalisation, every other by a ReLU.
    yield Mutation("ReLU after a sum", _sum_of_a_block, partial(_insert, "ReLU"))
    last = _named("pool5")
    for kind in ("Flatten", "Reshape"):
        yield Mutation(f"{kind} before a classifier", last, partial(_flattened, kind))


def _sum_of_a_block(each: LayerParameter) -> bool:
    return each.type == "Eltwise" and each.name != "res5a"


def _named(beginning: str) -> Callable[[LayerParameter], bool]:
    return lambda each: each.name.startswith(beginning)


# ---- sums ---------------------------------------------------------------------------------------


def _nested(net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    """Add two of the terms first."""
    terms = list(each.bottom)
    rng.shuffle(terms)
    inner = LayerParameter(name=f"{each.name}/in", type="Eltwise", bottom=terms[:2],
                           top=[f"{each.name}/in"])  # fmt: skip
    outer = _copy(each)
    outer.bottom[:] = [*terms[2:], inner.top[0]] if terms[2:] else [inner.top[0], inner.top[0]]
    if not terms[2:]:
        outer.eltwise_param.coeff[:] = [0.75, 0.25]
    replaced(net, each.name, inner, outer)


def _halves(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    terms = list(each.bottom)
    each.bottom.append(terms[0])
    each.eltwise_param.coeff[:] = [0.5, *[1.0] * (len(terms) - 1), 0.5]


def _doubled(net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    """Multiply a term by a number, and take as little of it."""
    factor, place = rng.choice([2.0, -1.0, 4.0]), rng.randrange(len(each.bottom))
    made = LayerParameter(name=f"{each.name}/times", type="Power", bottom=[each.bottom[place]],
                          top=[f"{each.name}/times"])  # fmt: skip
    made.power_param.scale = factor
    outer = _copy(each)
    outer.bottom[place] = made.top[0]
    weights = [1.0] * len(each.bottom)
    weights[place] = 1 / factor
    outer.eltwise_param.coeff[:] = weights
    replaced(net, each.name, made, outer)


def _nothing_of(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    """Add nothing of a term, twice over."""
    terms = list(each.bottom)
    each.bottom.extend([terms[-1], terms[-1]])
    each.eltwise_param.coeff[:] = [*[1.0] * len(terms), 3.0, -3.0]


def _permuted(_net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    terms = list(each.bottom)
    rng.shuffle(terms)
    each.bottom[:] = terms
    each.eltwise_param.coeff[:] = [1.0] * len(terms)


SUMS = {
    "a nested sum": _nested,
    "a term in halves": _halves,
    "a multiple of a term": _doubled,
    "nothing of a term": _nothing_of,
    "another order of a sum": _permuted,
}


# ---- other layers for the same ------------------------------------------------------------------


def _bias_apart(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    kept, made = _copy(each), LayerParameter(name=f"{each.name}/bias", type="Bias")
    param = getattr(kept, MESSAGES[kept.type.lower()])
    param.bias_term = False
    made.bias_param.filler.CopyFrom(param.bias_filler)
    made.bottom[:] = made.top[:] = kept.top[:1]
    made.param.extend(kept.param[1:2])
    del kept.param[1:]
    replaced(net, each.name, kept, made)


def _has_bias(each: LayerParameter) -> bool:
    message = MESSAGES.get(each.type.lower(), "")
    takes = each.type in ("Convolution", "InnerProduct", "Scale")
    return takes and getattr(each, message).bias_term


def _as_convolution(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    old = each.inner_product_param
    new = ConvolutionParameter(num_output=old.num_output, kernel_size=[1])
    new.weight_filler.CopyFrom(old.weight_filler)
    each.convolution_param.CopyFrom(new)
    each.ClearField("inner_product_param")
    each.type = "Convolution"


def _as_depthwise(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    new = ConvolutionParameter(num_output=2048, group=2048, kernel_size=[1], bias_term=False)
    new.weight_filler.CopyFrom(each.scale_param.filler)
    each.convolution_param.CopyFrom(new)
    each.ClearField("scale_param")
    each.type = "Convolution"


def _loss_in_two(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    softmax = LayerParameter(name=f"{each.name}/softmax", type="Softmax", bottom=each.bottom[:1],
                             top=[f"{each.name}/softmax"])  # fmt: skip
    loss = _copy(each)
    loss.type, loss.bottom[0] = "MultinomialLogisticLoss", softmax.top[0]
    replaced(net, each.name, softmax, loss)


def _accuracy_of_softmax(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    softmax = LayerParameter(name=f"{each.name}/softmax", type="Softmax", bottom=each.bottom[:1],
                             top=[f"{each.name}/softmax"], include=each.include)  # fmt: skip
    accuracy = _copy(each)
    accuracy.bottom[0] = softmax.top[0]
    replaced(net, each.name, softmax, accuracy)


def _one_objective(net: NetParameter, _each: LayerParameter, rng: random.Random) -> None:
    """Sum the losses in a layer of their own, which alone has a weight."""
    losses = [each for each in net.layer if each.type == "SoftmaxWithLoss"]
    weights = [rng.choice([1.0, 0.25]) for _ in losses]
    for loss in losses:
        loss.loss_weight[:] = [0]
    terms = dict.fromkeys(loss.top[0] for loss in losses)  # each once
    total = LayerParameter(name="total", type="Eltwise", bottom=terms, top=["total"],
                           loss_weight=[1 / weights[0]])  # fmt: skip
    total.eltwise_param.coeff[:] = [weights[0]] * len(terms)
    net.layer.append(total)


def _whole(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.pooling_param.Clear()
    each.pooling_param.pool = PoolingParameter.AVE
    each.pooling_param.global_pooling = True


def _mean(_net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    param = ReductionParameter(axis=rng.choice([2, -2]), operation=ReductionParameter.MEAN)
    if rng.random() < 0.5:
        param.operation, param.coeff = ReductionParameter.SUM, 1 / 49
    each.reduction_param.CopyFrom(param)
    each.ClearField("pooling_param")
    each.type = "Reduction"


def _relu_later(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    """Move conv1's ReLU after the largest of its outputs are taken."""
    relu = _copy(each)
    relu.bottom[:] = relu.top[:] = ["pool1"]
    pool = _copy(layer(net, "pool1"))
    layers = [x for x in net.layer if x.name != each.name]
    replace_layers(net, layers)
    replaced(net, "pool1", pool, relu)


ALIKE: dict[str, tuple[Callable[[LayerParameter], bool], Change]] = {
    "a bias apart": (_has_bias, _bias_apart),
    "a classifier as a convolution": (of_type("InnerProduct"), _as_convolution),
    "a cross weight as a convolution of each channel": (_named("cross"), _as_depthwise),
    "a loss in two layers": (of_type("SoftmaxWithLoss"), _loss_in_two),
    "an accuracy of probabilities": (of_type("Accuracy"), _accuracy_of_softmax),
    "one objective": (_named("loss_noun"), _one_objective),
    "an average of the whole image": (_named("pool5"), _whole),
    "an average as a reduction": (_named("pool5"), _mean),
    "a ReLU after pooling": (_named("conv1_relu"), _relu_later),
}


# ---- spelling -----------------------------------------------------------------------------------


def _written_out(
    message: str, field: FieldDescriptor, _net: NetParameter, each: LayerParameter, _: random.Random
) -> None:
    param = getattr(each, message)
    setattr(param, field.name, getattr(param, field.name))


NOT_SPELLED = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"}  # beside the other
NOT_DEFAULT = {"use_global_stats", "normalize", "ignore_label", "kernel_size", "global_pooling"}


def defaults() -> Iterator[Mutation]:
    """Yield fields written out that have the value that Caffe takes without them."""
    for kind in TYPES:
        for name in [MESSAGES[kind.lower()]] if kind.lower() in MESSAGES else []:
            for field in fields_of(name):
                plain = not (field.is_repeated or field.message_type)
                if plain and field.name not in NOT_SPELLED | NOT_DEFAULT:
                    change = partial(_written_out, name, field)
                    yield Mutation(f"{kind}.{field.name} written out", of_type(kind), change)


def _by_axis(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    param = each.convolution_param
    [size], [stride], [pad] = param.kernel_size, param.stride or [1], param.pad or [0]
    del param.kernel_size[:], param.stride[:], param.pad[:]
    param.kernel_h = param.kernel_w = size
    param.stride_h = param.stride_w = stride
    param.pad_h = param.pad_w = pad


def _from_behind(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    axes = {"Scale": -3, "InnerProduct": -3, "SoftmaxWithLoss": -1, "Accuracy": -1}
    getattr(each, MESSAGES[each.type.lower()]).axis = axes[each.type]


def _engine(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    getattr(each, MESSAGES[each.type.lower()]).engine = 1


def _a_copy_a_phase(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    copies = [_copy(each), _copy(each)]
    for made, phase in zip(copies, (TRAIN, TEST), strict=True):
        made.include.add(phase=phase)
    replaced(net, each.name, *copies)


def _excluded(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    phase = each.include[0].phase
    each.ClearField("include")
    each.exclude.add(phase=TEST if phase == TRAIN else TRAIN)


def _reported(kind: str, net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    net.layer.add(name=f"report_{each.name}", type=kind, bottom=each.top[:1],
                  top=[f"report_{each.name}"])  # fmt: skip


def _rates(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    for rates in each.param or [each.param.add()]:
        rates.lr_mult, rates.decay_mult = rates.lr_mult, rates.decay_mult


def _weight_of_one(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.loss_weight[:] = [1]


def _no_gradient(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    """Say that no gradient goes to labels, or to the image: none does."""
    labelled = each.type in ("SoftmaxWithLoss", "Accuracy")
    each.propagate_down[:] = [True, False] if labelled else [False]


def _probabilities_too(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.top.append(f"{each.name}/probabilities")


def _own_names(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    for number, rates in enumerate(each.param or [each.param.add()]):
        rates.name = f"{each.name}/{number}"


def _when_training(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.include.add(phase=TRAIN)


def _no_class(_net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    each.loss_param.ignore_label = -1


def _chain(net: NetParameter, each: LayerParameter, rng: random.Random) -> None:
    for number, scale in enumerate((4.0, 0.5, 0.5)):
        made = LayerParameter(name=f"{each.name}/x{number}", type="Power")
        made.power_param.scale = scale
        after(net, each if number == 0 else layer(net, f"{each.name}/x{number - 1}"), made)


def _total(net: NetParameter, each: LayerParameter, _rng: random.Random) -> None:
    """Report the sum of the losses: it is no part of the objective."""
    losses = [x.top[0] for x in net.layer if x.type == "SoftmaxWithLoss"]
    net.layer.add(name="reported", type="Eltwise", bottom=losses, top=["reported"])


SPELLED: dict[str, tuple[Callable[[LayerParameter], bool], Change]] = {
    "sizes by axis": (of_type("Convolution"), _by_axis),
    **{
        f"the axis of {kind} from behind": (of_type(kind), _from_behind)
        for kind in ("Scale", "InnerProduct", "SoftmaxWithLoss", "Accuracy")
    },
    **{
        f"the engine of {kind}": (of_type(kind), _engine)
        for kind in ("Convolution", "Pooling", "ReLU", "SoftmaxWithLoss")
    },
    **{
        f"a copy of {kind} for each phase": (of_type(kind), _a_copy_a_phase)
        for kind in ("Convolution", "BatchNorm", "Scale", "ReLU", "Eltwise", "SoftmaxWithLoss")
    },
    "excluded from the other phase": (of_type("Data", "Accuracy"), _excluded),
    **{
        f"{kind} of scores reported": (of_type("InnerProduct"), partial(_reported, kind))
        for kind in ("Softmax", "ArgMax")
    },
    "rates written out": (of_type("Convolution", "InnerProduct"), _rates),
    "no gradient to labels and images": (
        lambda each: each.type in ("SoftmaxWithLoss", "Accuracy") or each.name == "conv1",
        _no_gradient,
    ),
    "a loss that gives probabilities too": (of_type("SoftmaxWithLoss"), _probabilities_too),
    "names of weights that nobody shares": (of_type("Convolution", "Scale"), _own_names),
    "a loss when training only": (of_type("SoftmaxWithLoss"), _when_training),
    "no class is ignored": (of_type("SoftmaxWithLoss"), _no_class),
    "multiples that cancel": (of_type("Pooling", "InnerProduct"), _chain),
    "the sum of losses reported": (_named("loss_noun"), _total),
    "a weight of one": (of_type("SoftmaxWithLoss"), _weight_of_one),
}

REWRITES = {
    one.name: one
    for one in (
        *identities(),
        *(Mutation(name, of_type("Eltwise"), change) for name, change in SUMS.items()),
        *(Mutation(name, *rest) for name, rest in (ALIKE | SPELLED).items()),
        *defaults(),
    )
}
