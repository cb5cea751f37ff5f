"""Every reading of what the text leaves open, built and counted, beside the printed value.

A reading is built as `netgen build --reading` builds it; one that the generator has no field for
is built by editing the emitted network. Either way the result is parsed and counted, not reckoned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from netgen.caffe_pb2 import LayerParameter, NetParameter
from netgen.claims import CLAIMS
from netgen.claims.questions import QUESTIONS, Answer, Question
from netgen.complexity import NetCost, count
from netgen.measurements.networks import IMAGE, TASKS, emitted, read_otherwise
from netgen.variants import find, read_as

Edit = Callable[[NetParameter], None]
WITHOUT_STATISTICS = "trained-only"  # a way to count, not an edit


@dataclass(frozen=True)
class Counted:
    """Parameters of a network, and of its largest cross weight."""

    parameters: int
    each: int


@dataclass(frozen=True)
class Read:
    """A reading, counted by variant; `status` says what follows from all that is printed.

    One of "implied" (ours, and no other fits), "chosen" (ours, and others fit), "fits",
    "excluded", and "ours, excluded".
    """

    question: Question
    answer: Answer
    counts: dict[str, Counted]
    status: str

    @property
    def fits(self) -> bool:
        """Whether it is printed so: every count in Table 2, and what a cross weight has."""
        return _fits(self.question, self.counts)


def readings() -> list[Read]:
    """Return every reading of every question, built and counted."""
    return [read for question in QUESTIONS for read in _answers(question)]


def _answers(question: Question) -> list[Read]:
    counted = [
        (answer, {variant: _count(variant, answer.made) for variant in question.printed})
        for answer in question.answers
    ]
    fitting = [answer for answer, counts in counted if _fits(question, counts)]
    return [Read(question, answer, counts, _status(answer, fitting)) for answer, counts in counted]


def _fits(question: Question, counts: dict[str, Counted]) -> bool:
    (most,) = CLAIMS["cross-parameters"].numbers
    return all(
        f"{counts[name].parameters / 1e6:.2f}" == text and counts[name].each <= most.value
        for name, text in question.printed.items()
    )


def _status(answer: Answer, fitting: list[Answer]) -> str:
    """Say of ours whether the counts imply it or we chose it; of others whether they fit."""
    if answer not in fitting:
        return "ours, excluded" if answer.ours else "excluded"
    if not answer.ours:
        return "fits"
    return "implied" if len(fitting) == 1 else "chosen"


@cache
def _count(variant: str, made: str) -> Counted:
    whole = _cost(variant, [step for step in made.split(" + ") if step in EDITS or "=" in step])
    averages = [layer.parameters for layer in whole.layers if layer.type == "BatchNorm"]
    left_out = sum(averages) if made == WITHOUT_STATISTICS else 0
    crosses = [layer.parameters for layer in whole.layers if layer.name.startswith("cross")]
    return Counted(whole.parameters - left_out, max(crosses, default=0))


def _cost(variant: str, steps: list[str]) -> NetCost:
    """Build a reading, in a row's fields first, then by edits, and count it."""
    ours = read = find(variant, TASKS)
    for step in steps:
        if "=" in step:
            read = read_as(read, *step.split("="))
    edits = [step for step in steps if step in EDITS]
    if read == ours:
        return count(_edited(emitted(variant).net, edits), inputs=IMAGE)
    return count(_edited(read_otherwise(read), edits), "TEST")


def _edited(net: NetParameter, edits: list[str]) -> NetParameter:
    copy = NetParameter()
    copy.CopyFrom(net)
    for edit in edits:
        EDITS[edit](copy)
    return copy


# ---- edits of the emitted network ---------------------------------------------------------------


def _cross_bias(net: NetParameter) -> None:
    for layer in _crosses(net):
        layer.scale_param.bias_term = True


def _self_scale(net: NetParameter) -> None:
    """Scale every tower's own shortcut, which is the first that its sum adds."""
    layers = []
    for layer in net.layer:
        if layer.type == "Eltwise" and "_" in layer.name:
            name = f"self_{layer.name}"
            layers.append(
                LayerParameter(name=name, type="Scale", bottom=layer.bottom[:1], top=[name])
            )
            layer.bottom[0] = name
        layers.append(layer)
    _replace(net, layers)


def _cross_5b_only(net: NetParameter) -> None:
    """Take res5c's cross weights out, and out of its sums."""
    gone = {layer.name for layer in _crosses(net) if layer.name.startswith("cross5c")}
    kept = [layer for layer in net.layer if layer.name not in gone]
    for layer in kept:
        layer.bottom[:] = [blob for blob in layer.bottom if blob not in gone]
    _replace(net, kept)


def _cross_5a_too(net: NetParameter) -> None:
    """Cross res5a as well: its shortcuts are projections, and its sums wait for all of them."""
    sums = [layer for layer in net.layer if layer.type == "Eltwise" and "res5a_" in layer.name]
    own = {layer.name: layer.bottom[0] for layer in sums}
    crosses = []
    for layer in sums:
        for source, shortcut in own.items():
            if source != layer.name:
                name = f"cross5a_{source}_{layer.name}"
                crosses.append(
                    LayerParameter(name=name, type="Scale", bottom=[shortcut], top=[name])
                )
                layer.bottom.append(name)
    waiting = sums + [layer for layer in net.layer if layer.type == "ReLU" and layer.top[0] in own]
    names = {layer.name for layer in waiting}
    layers = [layer for layer in net.layer if layer.name not in names]
    first = next(i for i, layer in enumerate(layers) if own.keys() & set(layer.bottom))
    _replace(net, [*layers[:first], *crosses, *waiting, *layers[first:]])


def _replace(net: NetParameter, layers: list[LayerParameter]) -> None:
    replaced = NetParameter(layer=layers)  # copies them, before the originals go
    del net.layer[:]
    net.MergeFrom(replaced)


def _conv1_60(net: NetParameter) -> None:
    _conv1(net).convolution_param.num_output = 60


def _conv1_no_bias(net: NetParameter) -> None:
    _conv1(net).convolution_param.bias_term = False


def _conv1(net: NetParameter) -> LayerParameter:
    return next(layer for layer in net.layer if layer.name == "conv1")


def _crosses(net: NetParameter) -> list[LayerParameter]:
    return [layer for layer in net.layer if layer.name.startswith("cross")]


EDITS: dict[str, Edit] = {
    "cross-bias": _cross_bias,
    "self-scale": _self_scale,
    "cross-5b-only": _cross_5b_only,
    "cross-5a-too": _cross_5a_too,
    "conv1-60": _conv1_60,
    "conv1-no-bias": _conv1_no_bias,
}
