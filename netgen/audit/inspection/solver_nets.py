"""The nets that Caffe builds for a solver, and whether two files' nets are one."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from netgen.audit.finding import InspectionVerdict as Verdict
from netgen.audit.finding import Rule
from netgen.audit.inspection.data_layers import PARAMETERS, batch_of, source_of
from netgen.audit.inspection.schedule import Judged
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, NetState, SolverParameter
from netgen.caffe.caffe_pb2 import Phase as PhaseNumber
from netgen.caffe.schema import Phase, SchemaError, SchemaWarning, layers_in, read_net
from netgen.system.text import listed

Layers = Sequence[LayerParameter]
LEARNS = {"BatchNorm", "Bias", "Convolution", "Deconvolution", "InnerProduct", "PReLU", "Scale"}
OF_TRAINING = ("moving_average_fraction", "use_global_stats")  # and fillers: deploys need none
TRAIN_FIELDS = ("train_net_param", "train_net", "net_param", "net")


@dataclass(frozen=True)
class NamedNet:
    """A net as a solver names it.

    Attributes
    ----------
    field
        The solver's field that names it.
    path
        Its file, as the solver spells it; "" for a net in place.
    net
        The net; None where the file is not found.
    found
        The file that was found.
    """

    field: str
    path: str = ""
    net: NetParameter | None = None
    found: Path | None = None


@dataclass(frozen=True)
class GivenNet:
    """The net that was given beside a solver or a log: its file and content."""

    file: str
    net: NetParameter


@dataclass(frozen=True)
class SolverNets:
    """The nets that Caffe builds for a solver.

    Attributes
    ----------
    solver
        The solver.
    train, tests
        The net that it trains, and those that it tests.
    given
        The net that was given beside it, or that a log has.
    fed
        Images per batch by phase, where a log tells them.
    """

    solver: SolverParameter
    train: NamedNet | None
    tests: tuple[NamedNet, ...]
    given: GivenNet | None = None
    fed: Mapping[Phase, int] = dataclasses.field(default_factory=dict)

    @property
    def train_batch(self) -> int | None:
        """Images per batch of the training net; None where unknown."""
        return self._batch(self.train, "TRAIN", self.solver.train_state)

    @property
    def test_batches(self) -> list[int | None]:
        """Images per batch of each test net; None where unknown."""
        states = _states(self.solver, len(self.tests))
        pairs = zip(self.tests, states, strict=True)
        return [self._batch(named, "TEST", state) for named, state in pairs]

    def _batch(self, named: NamedNet | None, phase: Phase, state: NetState) -> int | None:
        if phase in self.fed:
            return self.fed[phase]
        nets = [self.given.net if self.given else None, named.net if named else None]
        if named and named.field.startswith("test_"):  # it has a file of its own
            nets.reverse()
        batches = (batch_in(built(net, phase, state)) for net in nets if net)
        return next((batch for batch in batches if batch is not None), None)


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


def nets_of(
    solver: SolverParameter,
    near: str | os.PathLike[str] | None = None,
    given: GivenNet | None = None,
) -> SolverNets:
    """Find the nets that Caffe builds for a solver: one to train, and those to test.

    Parameters
    ----------
    solver
        A parsed solver.
    near
        Its file: paths start where Caffe runs, which is taken to be the current folder, or else one
        above this file. None: their content is not asked for.
    given
        The net that was given beside it.
    """
    read: dict[str, NamedNet] = {}

    def by_file(field: str, path: str) -> NamedNet:
        if path not in read:
            found = _found(path, Path(near)) if near is not None else None
            read[path] = NamedNet(field, path, _net(found, given) if found else None, found)
        return read[path]

    def named(field: str) -> NamedNet:
        value = getattr(solver, field)
        return by_file(field, value) if isinstance(value, str) else NamedNet(field, net=value)

    train = next((field for field in TRAIN_FIELDS if solver.HasField(field)), None)
    generic = next((field for field in ("net_param", "net") if solver.HasField(field)), None)
    tests = [NamedNet("test_net_param", net=net) for net in solver.test_net_param]
    tests += [by_file("test_net", path) for path in solver.test_net]
    rest = max(len(solver.test_iter) - len(tests), 0) if generic else 0
    tests += [named(generic)] * rest if generic else []
    return SolverNets(solver, named(train) if train else None, tuple(tests), given)


def _found(path: str, near: Path) -> Path | None:
    """Return the file of a path: from the current folder, or from one above the solver."""
    starts = [Path(), *near.absolute().parents] if not Path(path).is_absolute() else [Path()]
    with suppress(OSError):  # a name that is too long
        return next((start / path for start in starts if (start / path).is_file()), None)
    return None


def _net(path: Path, given: GivenNet | None) -> NetParameter | None:
    if given and _is_file(path, given):
        return given.net
    with suppress(SchemaError), warnings.catch_warnings():
        warnings.simplefilter("ignore", SchemaWarning)
        return read_net(path)
    return None


def _states(solver: SolverParameter, tests: int) -> list[NetState]:
    states = list(solver.test_state)
    return states if len(states) == tests else [NetState()] * tests


# ---- a solver's nets ----------------------------------------------------------------------------


def judge_nets(solver: SolverParameter, nets: SolverNets) -> Iterator[tuple[str, Judged]]:
    """Yield, by field, what Caffe refuses of its nets, and whether they are the given one."""
    yield from _refusals(solver, nets)
    states = _states(solver, len(nets.tests))
    uses: list[tuple[NamedNet, Phase, NetState | None]] = []
    if nets.train:
        state = solver.train_state if solver.HasField("train_state") else None
        uses.append((nets.train, "TRAIN", state))
    for named, state in zip(nets.tests, states, strict=True):
        uses.append((named, "TEST", state if solver.test_state else None))
    told: set[tuple[str, Judged]] = set()
    for named, phase, state in uses:
        judged = {(named.field, _identity(nets, named, phase))}
        if state is not None:
            judged.add((f"{phase.lower()}_state", _selection(nets, named, phase, state)))
        yield from sorted(judged - told)
        told |= judged


def _refusals(solver: SolverParameter, nets: SolverNets) -> Iterator[tuple[str, Judged]]:
    named = [field for field in TRAIN_FIELDS if solver.HasField(field)]
    if len(named) > 1:
        what = f"{' and '.join(named)}: Caffe stops, since more than one net is to be trained"
        yield named[-1], Judged(what, Verdict.DIFFERS, Rule.CAFFE)
    tests, counts = len(nets.tests), len(solver.test_iter)
    if tests != counts:
        what = f"{counts} test_iter for {tests} test nets: Caffe stops, since it wants one for each"
        yield "test_iter", Judged(what, Verdict.DIFFERS, Rule.CAFFE)
    states = len(solver.test_state)
    if states and states != tests:
        what = (
            f"{states} test_state for {tests} test nets: Caffe stops, since it wants one for each"
        )
        yield "test_state", Judged(what, Verdict.DIFFERS, Rule.CAFFE, "TEST")


def _identity(nets: SolverNets, named: NamedNet, phase: Phase) -> Judged:
    """Judge whether a net that a solver names is the net that was given."""
    said = f'{named.field} "{named.path}"' if named.path else f"{named.field}, in place"
    given = nets.given
    if given is None:
        what = "give that file too (--net)" if named.found or not named.path else "it is not there"
        return Judged(f"{said}: {what}", Verdict.NOT_CHECKABLE, Rule.ITSELF)
    if named.net is None:
        return _by_path(said, named.path, given)
    if named.net is given.net or (named.found and _is_file(named.found, given)):
        return Judged(f"{said}: the net that is inspected", Verdict.SAME, Rule.ITSELF)
    if named.field.startswith("test_") and _is_of_one_phase(given):
        what = f"{given.file} has no layers of its own for tests: give this file, too, by itself"
        return Judged(f"{said}: {what}", Verdict.NOT_CHECKABLE, Rule.ITSELF, phase)
    judged = compare_nets(named.net, given, phase)
    return judged._replace(what=f"{said}: {judged.what}")


def _is_file(path: Path, given: GivenNet) -> bool:
    return Path(given.file).is_file() and path.samefile(given.file)


def _is_of_one_phase(given: GivenNet) -> bool:
    """Return whether a net that reads data has the same layers in both phases."""
    train, test = built(given.net, "TRAIN"), built(given.net, "TEST")
    return batch_in(train) is not None and not different_layers(train, test)


def _by_path(said: str, path: str, given: GivenNet) -> Judged:
    """Judge by their paths whether two nets are one."""
    if Path(given.file).absolute().as_posix().endswith(f"/{path}"):
        what = f"the path that is given, {given.file}, ends so"
        return Judged(f"{said}: {what}", Verdict.EQUIVALENT, Rule.ITSELF)
    what = (
        f"it is not there, so whether it is {given.file} is not known: change to the folder where"
    )
    return Judged(f"{said}: {what} Caffe runs", Verdict.NOT_CHECKABLE, Rule.ITSELF)


def _selection(nets: SolverNets, named: NamedNet, phase: Phase, state: NetState) -> Judged:
    """Judge whether a state selects other layers than those that are inspected."""
    net = named.net or (nets.given.net if nets.given else None)
    said = f"{phase.lower()}_state {{ {' '.join(str(state).split())} }}"
    if net is None:
        what = f"{said} may select other layers; the network is not given"
        return Judged(what, Verdict.NOT_CHECKABLE, Rule.CAFFE, phase)
    if state.HasField("phase") and state.phase != PhaseNumber.Value(phase):
        what = f"{said}: this net is built as for the other phase"
        return Judged(what, Verdict.DIFFERS, Rule.CAFFE, phase)
    others = different_layers(built(net, phase, state), built(net, phase))
    if not others:
        what = f"{said} selects the same layers"
        return Judged(what, Verdict.EQUIVALENT, Rule.CAFFE, phase)
    what = f"{said} selects other layers than those of the net as it is: {listed(others)}"
    return Judged(what, Verdict.DIFFERS, Rule.CAFFE, phase)


# ---- two nets -----------------------------------------------------------------------------------


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
