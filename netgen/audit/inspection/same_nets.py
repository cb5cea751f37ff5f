"""Whether the nets of two files are one: layer by layer, whatever is spelled out in one only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from netgen.audit.finding import InspectionVerdict as Verdict
from netgen.audit.finding import Rule
from netgen.audit.inspection.data_layers import PARAMETERS, batch_of, source_of
from netgen.audit.inspection.schedule import Judged
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, NetState
from netgen.caffe.caffe_pb2 import Phase as PhaseNumber
from netgen.caffe.schema import Phase, layers_in
from netgen.system.text import listed

Layers = Sequence[LayerParameter]
LEARNS = {"BatchNorm", "Bias", "Convolution", "Deconvolution", "InnerProduct", "PReLU", "Scale"}
OF_TRAINING = ("moving_average_fraction", "use_global_stats")  # and fillers: deploys need none


@dataclass(frozen=True)
class GivenNet:
    """The net that was given beside a solver or a log: its file and content."""

    file: str
    net: NetParameter


def batch_in(layers: Layers) -> int | None:
    """Return the batch size of the first layer that reads data; None where none does."""
    return next((batch_of(layer) for layer in layers if layer.type in PARAMETERS), None)


def built(net: NetParameter, phase: Phase, state: NetState | None = None) -> list[LayerParameter]:
    """Return the layers that Caffe builds of a net in a solver's train_state or test_state."""
    state = state or NetState()
    for one in (net.state, state):
        if one.HasField("phase"):
            phase = "TRAIN" if one.phase == PhaseNumber.Value("TRAIN") else "TEST"
    return layers_in(net, phase, state.stage, state.level if state.HasField("level") else None)


def compare_nets(
    found: NetParameter, given: GivenNet, phase: Phase, printed: bool = False
) -> Judged:
    """Judge whether a net that a solver or log names is the net that was given.

    Parameters
    ----------
    found
        The net that is named.
    given
        The net that was given; a deploy network is compared in the layers that have weights.
    phase
        The phase to compare.
    printed
        Whether Caffe printed it: it leaves out what a BatchNorm says of its three blobs.
    """
    layers, wanted = built(found, phase), built(given.net, phase)
    if batch_in(wanted) is None:
        others = _different_weights(layers, wanted)
        what = f"its layers with weights are those of {given.file}"
        verdict = Verdict.EQUIVALENT
    else:
        others = different_layers(layers, wanted, printed)
        what, verdict = f"its layers are those of {given.file}", Verdict.SAME
    if others:
        what = f"another net than {given.file}: these layers are in one of them only, or not alike:"
        return Judged(f"{what} {listed(others)}", Verdict.DIFFERS, Rule.ITSELF, phase)
    other: Phase = "TEST" if phase == "TRAIN" else "TRAIN"
    return _sources(layers, wanted, built(given.net, other)) or Judged(
        what, verdict, Rule.ITSELF, phase
    )


def _sources(layers: Layers, wanted: Layers, others: Layers) -> Judged | None:
    """Judge the databases of two nets that are otherwise the same; None where they are too."""
    reads = {layer.name: source_of(layer) for layer in layers if source_of(layer)}
    ours = {layer.name: source_of(layer) for layer in wanted if source_of(layer)}
    moved = [(reads[n], ours[n]) for n in reads if ours.get(n, reads[n]) != reads[n]]
    swapped = [(a, b) for a, b in moved if not same_end(a, b)]
    if not moved:
        return None
    path, wanted_path = (swapped or moved)[0]
    what = f"reads {path} and not {wanted_path}"
    if any(same_end(a, source_of(layer)) for a, _ in swapped for layer in others):
        return Judged(f"{what}: that of the other phase", Verdict.DIFFERS, Rule.ITSELF)
    verdict = Verdict.NOT_CHECKABLE if swapped else Verdict.EQUIVALENT
    return Judged(f"{what}; otherwise the same layers", verdict, Rule.ITSELF)


def same_end(path: str, other: str) -> bool:
    """Return whether two paths end in the same folder and name: one of them may have been moved."""
    ends = [PurePosixPath(one).parts[-2:] for one in (path, other)]
    least = min(map(len, ends))
    return bool(least) and ends[0][-least:] == ends[1][-least:]


def different_layers(layers: Layers, others: Layers, printed: bool = False) -> list[str]:
    """Return the names of layers that are in one of two nets only, or differ."""
    return _unequal(*(_by_name(each, printed=printed) for each in (layers, others)))


def _different_weights(layers: Layers, deploy: Layers) -> list[str]:
    found, wanted = (_by_name(_learning(each), bare=True) for each in (layers, deploy))
    # Heads that only train are in no deploy network.
    return _unequal({key: value for key, value in found.items() if key in wanted}, wanted)


def _learning(layers: Layers) -> list[LayerParameter]:
    return [layer for layer in layers if layer.type in LEARNS]


def _unequal(one: Mapping[Any, bytes], other: Mapping[Any, bytes]) -> list[str]:
    keys = dict.fromkeys([*one, *other])
    return list(
        dict.fromkeys(name for name, n in keys if one.get((name, n)) != other.get((name, n)))
    )


def _by_name(layers: Layers, printed: bool = False, bare: bool = False) -> dict[Any, bytes]:
    """Return what each layer is, by its name and how many of that name come before it."""
    seen: Counter[str] = Counter()
    found = {}
    for layer in layers:
        found[layer.name, seen[layer.name]] = _meaning(layer, printed, bare)
        seen[layer.name] += 1
    return found


def _meaning(layer: LayerParameter, printed: bool, bare: bool) -> bytes:
    """Return a layer without what selects it, its database's path, and defaults written out."""
    copy = LayerParameter()
    copy.CopyFrom(layer)
    for field in ("include", "exclude", "phase", "blobs", *(("param",) if bare else ())):
        copy.ClearField(field)
    if printed and copy.type == "BatchNorm" and len(copy.param) == 3:
        copy.ClearField("param")
    name = PARAMETERS.get(copy.type)
    if name and hasattr(getattr(copy, name), "source"):
        getattr(copy, name).ClearField("source")
    _simplify(copy, bare)
    return copy.SerializeToString(deterministic=True)


def _simplify(message: Any, bare: bool) -> None:
    """Clear fields that have their default, and with `bare` those that only training needs."""
    for field, value in message.ListFields():
        trains = field.name.endswith("filler") or field.name in OF_TRAINING
        if bare and trains:
            message.ClearField(field.name)
        elif field.is_repeated:
            for each in value if field.message_type else ():
                _simplify(each, bare)
        elif field.message_type:
            _simplify(value, bare)
            if not value.ListFields():
                message.ClearField(field.name)
        elif value == field.default_value:
            message.ClearField(field.name)
