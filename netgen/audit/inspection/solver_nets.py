"""The nets that Caffe builds for a solver, and whether two files' nets are one."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netgen.audit.finding import InspectionVerdict as Verdict
from netgen.audit.finding import Rule
from netgen.audit.inspection.same_nets import (
    GivenNet,
    batch_in,
    built,
    compare_nets,
    different_layers,
)
from netgen.audit.inspection.schedule import Judged
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, NetState, SolverParameter
from netgen.caffe.caffe_pb2 import Phase as PhaseNumber
from netgen.caffe.schema import Phase, SchemaError, SchemaWarning, read_net
from netgen.system.text import listed

Layers = Sequence[LayerParameter]
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
