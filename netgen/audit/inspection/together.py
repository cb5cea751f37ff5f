"""Check the files that are given at once against each other: which came from which.

What two files contradict each other in differs; what cannot be seen is not checkable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from netgen.audit.finding import InspectionFinding as Finding
from netgen.audit.finding import InspectionVerdict as Verdict
from netgen.audit.finding import Rule
from netgen.audit.inspection import databases_together
from netgen.audit.inspection.inspect_log import InspectedLog
from netgen.audit.inspection.inspect_solver import NO_EFFECT
from netgen.audit.inspection.learned_layers import PHASES, learned_layers
from netgen.audit.inspection.log_runs import Run
from netgen.audit.inspection.same_nets import (
    LEARNS,
    GivenNet,
    batch_in,
    built,
    compare_nets,
    different_layers,
    same_end,
)
from netgen.audit.inspection.schedule import (
    OF_POLICIES,
    PRINTED,
    same_rate,
    same_schedule,
    schedule_of,
)
from netgen.audit.inspection.solver_nets import SolverNets
from netgen.audit.inspection.told_layers import unlike
from netgen.caffe.caffe_pb2 import NetParameter, SolverParameter
from netgen.caffe.caffemodel import published_by_he, read_weights, sha1
from netgen.caffe.caffemodel_check import compare, shapes_of
from netgen.caffe.schema import Phase
from netgen.cost.layers.sources import PAPERS_IMAGE
from netgen.system.text import listed, shape_text, value_text

SNAPSHOT = re.compile(r"(?P<prefix>.*)_iter_(?P<iteration>\d{1,10})\.caffemodel(\.h5)?$")
# Two solvers may differ in these and be one: paths, what tests do, and how the rates are spelled.
NOT_COMPARED = {
    *NO_EFFECT, *OF_POLICIES, "base_lr", "lr_policy", "net", "net_param", "train_net", "test_net",
    "train_net_param", "test_net_param", "train_state", "test_state", "weights", "test_interval",
    "test_initialization", "average_loss", "random_seed", "solver_type",
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """The files that were given at once, as far as they were read; None or "" for the others."""

    net: GivenNet | None = None
    solver: SolverNets | None = None
    solver_file: str = ""
    weights: str = ""
    data: str = ""
    log: InspectedLog | None = None


def check_together(given: Given) -> Iterator[Finding]:
    """Yield where the files that were given contradict each other, and where they agree.

    The solver and the net are compared when the solver is inspected.

    Raises
    ------
    ValueError
        When the weights or the databases cannot be read as such.
    """
    if given.weights:
        yield from _weights(given, given.weights)
    if given.data and given.net:
        yield from databases_together.of_net(given.data, given.net)
    if given.data and given.solver:
        yield from databases_together.of_solver(given.data, given.solver_file, given.solver)
    if given.log and given.net:
        yield from _log_of_net(given.log, given.net)
    if given.log and given.solver:
        yield from _log_of_solver(given.log, given.solver_file, given.solver)
    if given.data and given.log:
        yield from databases_together.of_log(given.data, given.log)


# ---- weights: of that net, solver and run -------------------------------------------------------


def _weights(given: Given, file: str) -> Iterator[Finding]:
    if not (given.net or given.solver or given.log):
        return
    if published_by_he(sha1(Path(file))):
        what = "He's weights are what a training starts from: nothing else here can have made them"
        yield Finding(file, what, Verdict.NOT_CHECKABLE, Rule.ITSELF)
        return
    if given.net:
        for what, verdict in _of_net(file, given.net.net, given):
            yield Finding(f"{file}: {given.net.file}", what, verdict, Rule.ITSELF)
    if given.solver:
        named = _of_solver(file, given.solver.solver)
        yield Finding(f"{file}: {given.solver_file}", *named, Rule.ITSELF)
    if given.log:
        yield Finding(f"{file}: {given.log.file}", *_of_run(file, given.log), Rule.ITSELF)


def _of_net(file: str, net: NetParameter, given: Given) -> Iterator[tuple[str, Verdict]]:
    """Judge whether the weights are those of the net that was given."""
    wanted = learned_layers(net, given.data, given.log)
    trains = batch_in(built(net, "TRAIN")) is not None
    if not wanted.shapes:
        yield "its layers with weights could not be counted", Verdict.NOT_CHECKABLE
        return
    found = compare(shapes_of(read_weights(file)), wanted.shapes)
    unsure = [name for name in found.shapes if name in wanted.assumed]
    missing = [*found.missing, *(name for name in found.shapes if name not in unsure)]
    if unsure:
        size = shape_text(PAPERS_IMAGE)
        what = f"the shape of {listed(unsure)} depends on the size of the images, which neither the"
        what += f" net nor another file tells, and is not that for {size}: give the databases"
        yield f"{what} (--data) or the log, too", Verdict.NOT_CHECKABLE
    if missing:
        what = f"not the weights of this net: {listed(missing)} are missing or of another shape"
        yield what, Verdict.DIFFERS
    if found.extra and (trains or missing):
        yield f"layers that this net does not have: {listed(found.extra)}", Verdict.DIFFERS
    elif found.extra:
        what = f"layers that this net does not have, as for training only: {listed(found.extra)}"
        yield what, Verdict.NOT_CHECKABLE
    elif not missing and not unsure:
        yield "the layers with weights are those of this net", Verdict.SAME


def _of_solver(file: str, solver: SolverParameter) -> tuple[str, Verdict]:
    """Judge by its name whether a file is a snapshot of a solver."""
    match, prefix = SNAPSHOT.match(Path(file).name), Path(solver.snapshot_prefix).name
    if not match or not prefix:
        what = "by its name it may be of any solver: it is not PREFIX_iter_N.caffemodel"
        return what, Verdict.NOT_CHECKABLE
    iteration, last = int(match["iteration"]), solver.max_iter
    if match["prefix"] != prefix:
        what = f'the solver writes {prefix}_iter_N (snapshot_prefix "{solver.snapshot_prefix}")'
        return f"{what}, not {match['prefix']}_iter_N", Verdict.DIFFERS
    if iteration > last:
        what = f"written at iteration {iteration:,}, but the solver ends at {last:,}"
        return what, Verdict.DIFFERS
    if iteration < last:
        what = f"written at iteration {iteration:,} of {last:,}: before the solver's end"
        return what, Verdict.NOT_CHECKABLE
    return f"of the solver's last iteration, {last:,}, under its snapshot_prefix", Verdict.SAME


def _of_run(file: str, log: InspectedLog) -> tuple[str, Verdict]:
    """Judge whether a run wrote a file: Caffe's log names its snapshots."""
    name, written = Path(file).name, [Path(path).name for path in log.snapshots]
    if written and name == written[-1]:
        return "the last snapshot that the log tells of", Verdict.SAME
    if name in written:
        what = f"a snapshot that the log tells of, but the last is {written[-1]}: the log's last"
        return f"{what} test is of other weights", Verdict.NOT_CHECKABLE
    if name in {Path(path).name for path in log.initial}:
        what = "the run started from it: what the log tells is of weights trained after it"
        return what, Verdict.NOT_CHECKABLE
    if not written:
        return "the log tells of no snapshot", Verdict.NOT_CHECKABLE
    sure = bool(SNAPSHOT.match(name)) and log.is_whole
    what = f"no snapshot that the log tells of: these are {listed(written)}"
    return what, Verdict.DIFFERS if sure else Verdict.NOT_CHECKABLE


# ---- a log: of that net and solver --------------------------------------------------------------


def _log_of_net(
    log: InspectedLog, given: GivenNet, phases: Sequence[Phase] = PHASES
) -> Iterator[Finding]:
    """Judge whether the net of the log is the net that was given."""
    where, run = f"{log.file}: {given.file}", log.runs[0]
    for phase in phases:
        if run.net and built(run.net, phase):
            yield Finding(where, *compare_nets(run.net, given, phase, printed=True))
        if phase in run.created or phase in run.printed:
            yield _as_told(where, phase, run, given)
    if not run.net and not run.created and not run.printed:
        what = "the log does not tell which layers its net has"
        yield Finding(where, what, Verdict.NOT_CHECKABLE, Rule.ITSELF)


def _as_told(where: str, phase: Phase, run: Run, given: GivenNet) -> Finding:
    """Compare what a log tells of each layer with the net: it prints only a part of it."""
    layers = built(given.net, phase)
    if batch_in(layers) is None:
        learned = {layer.name for layer in layers if layer.type in LEARNS}
        others = sorted(learned - set(run.created.get(phase, learned)))
    else:
        printed = {layer.name: layer for layer in run.printed.get(phase, ())}
        same = [layer for layer in layers if layer.name in printed]
        others = different_layers([*printed.values()], same, printed=True)
        if phase in run.created:
            others += unlike(run.created[phase], given.net, phase, run.fed().get(phase))
    if others:
        what = "another net: these layers are in one of them only, or not alike:"
        what += f" {listed(list(dict.fromkeys(others)))}"
        return Finding(where, what, Verdict.DIFFERS, Rule.ITSELF, phase)
    what = "what the log tells of its layers, their bottoms, tops and shapes, is so in this net"
    return Finding(where, what, Verdict.EQUIVALENT, Rule.ITSELF, phase)


def _log_of_solver(log: InspectedLog, file: str, nets: SolverNets) -> Iterator[Finding]:
    """Judge whether a log is of a solver, and of the net that it names where none was given."""
    found = [*_log_of_named_nets(log, nets)] if nets.given is None else []
    yield from found
    compared = nets.given is not None or any(f.verdict is not Verdict.NOT_CHECKABLE for f in found)
    told: set[str] = set()
    for run in log.runs:
        what, verdict = _run_of_solver(run, nets.solver)
        if verdict is Verdict.SAME and not compared and isinstance(run.solver, SolverParameter):
            what, verdict = _by_net_path(run.solver, nets.solver) or (what, verdict)
        if what not in told:
            yield Finding(f"{log.file}: {file}", what, verdict, Rule.ITSELF)
        told.add(what)


def _log_of_named_nets(log: InspectedLog, nets: SolverNets) -> Iterator[Finding]:
    """Judge whether the nets that a solver names, where they are found, are those of the log."""
    if nets.solver.HasField("train_state") or nets.solver.test_state:  # other layers, perhaps
        return
    uses: dict[str, tuple[GivenNet, list[Phase]]] = {}
    for named, phase in zip((nets.train, *nets.tests[:1]), PHASES, strict=False):
        if named and named.net:
            net = GivenNet(str(named.found or named.field), named.net)
            uses.setdefault(net.file, (net, []))[1].append(phase)
    for net, phases in uses.values():
        yield from _log_of_net(log, net, phases)


def _by_net_path(found: SolverParameter, wanted: SolverParameter) -> tuple[str, Verdict] | None:
    """Judge two solvers that are otherwise the same by the paths of their nets, if they tell any.

    A net may have been moved or renamed: another path does not prove another net.
    """
    paths = [solver.net or solver.train_net for solver in (found, wanted)]
    if all(paths) and same_end(paths[0], paths[1]):
        return None
    names = [f'"{path}"' if path else "in place" for path in paths]
    what = f"the log's solver has the fields and the rates of this one, but the net {names[0]},"
    return f"{what} here {names[1]}: give it too (--net)", Verdict.NOT_CHECKABLE


def _run_of_solver(run: Run, wanted: SolverParameter) -> tuple[str, Verdict]:
    """Judge whether the solver of a run is the solver that was given."""
    found = run.solver
    if not isinstance(found, SolverParameter):
        return "the log prints no solver to compare with", Verdict.NOT_CHECKABLE
    fields = [field.name for field in SolverParameter.DESCRIPTOR.fields]
    differing = [
        f"{field} {_value(found, field)}, not {_value(wanted, field)}"
        for field in fields
        if field not in NOT_COMPARED and getattr(found, field) != getattr(wanted, field)
    ]
    rates = same_schedule(found, wanted) or _has_rates(run, wanted)
    if not rates and not run.restores:
        differing.append("another schedule of rates")
    if differing:
        return f"the log's solver has {listed(differing)}", Verdict.DIFFERS
    if not rates:
        what = "resumed, with other rates than this solver's: lowered by hand, or another solver's"
        return what, Verdict.NOT_CHECKABLE
    if found.random_seed != wanted.random_seed:
        what = f"the same but for random_seed {found.random_seed}, here {wanted.random_seed}"
        return what, Verdict.NOT_CHECKABLE
    return "the log's solver has the fields and the rates of this one", Verdict.SAME


def _has_rates(run: Run, wanted: SolverParameter) -> bool:
    """Return whether the rates that a run tells are those of a solver, whoever set them."""
    schedule = schedule_of(wanted)
    told = run.rates if schedule else []
    return bool(told) and all(
        same_rate(schedule.rate(i), rate, PRINTED) for i, rate in told if schedule
    )


def _value(solver: SolverParameter, field: str) -> str:
    value = getattr(solver, field)
    one = isinstance(value, (str, bool, int, float))
    return value_text(value if one else tuple(value))
