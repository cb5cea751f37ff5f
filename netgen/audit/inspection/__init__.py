"""Compare networks, solvers, weights, databases and logs from any source with the paper's.

    for finding in inspect(net="train_val.prototxt", solver="solver.prototxt"):
        print(finding.verdict.value, finding.where, finding.what)

Everything works without Caffe.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from netgen.audit.finding import (
    InspectionError,
    InspectionFinding,
    InspectionVerdict,
    Rule,
)

if TYPE_CHECKING:
    from netgen.audit.inspection.inspect_log import InspectedLog
    from netgen.audit.inspection.inspect_network import Inspected
    from netgen.audit.inspection.same_nets import GivenNet
    from netgen.caffe.caffe_pb2 import SolverParameter

__all__ = ["InspectionError", "InspectionFinding", "InspectionVerdict", "Rule", "inspect"]

AnyPath = str | os.PathLike[str]


def inspect(
    net: AnyPath | None = None,
    solver: AnyPath | None = None,
    weights: AnyPath | None = None,
    data: AnyPath | None = None,
    log: AnyPath | None = None,
    deep: bool = False,
    numeric: bool = False,
) -> list[InspectionFinding]:
    """Compare any of five kinds of files with the paper, and with each other.

    Parameters
    ----------
    net
        A network's prototxt, train_val or deploy.
    solver
        A solver's prototxt. If it has its net in place, that is inspected where `net` is not given.
    weights
        A caffemodel.
    data
        A folder with a ``dataset.toml``, or with LMDBs.
    log
        The log of ``caffe train``.
    numeric
        Run `net` in Caffe beside the paper's, on the same random weights: needs Caffe.
    deep
        Read the images of `data` too: no image may be in both splits. The paper's are 58 GB.

    Returns
    -------
    list of InspectionFinding
        In the order of the parameters, then where two files contradict each other or agree. Facts
        about one file are used for the next: the network's batch sizes for the solver, and which
        network it is for the weights and the log.

    Raises
    ------
    ValueError
        When a file cannot be read as such; the message names it and says what to do next.
    """
    # Each part is imported when it is needed: numpy, lmdb and templates load slowly.
    findings: list[InspectionFinding] = []
    inspected: Inspected | None = None
    given: GivenNet | None = None
    parameters: SolverParameter | None = None
    inspected_log: InspectedLog | None = None
    if net is not None:
        from netgen.audit.inspection.inspect_network import inspect_net
        from netgen.audit.inspection.same_nets import GivenNet as Net

        inspected = inspect_net(net, numeric)
        findings += inspected.findings
        given = Net(os.fspath(net), inspected.net)
    if solver is not None:
        from netgen.audit.inspection.inspect_solver import inspect_solver, read_told_solver
        from netgen.audit.inspection.same_nets import GivenNet as Net

        parameters, _ = read_told_solver(solver)
        inspected = inspected or _in_place(parameters, os.fspath(solver))
        if inspected and not given:
            findings += inspected.findings
            given = Net(f"{os.fspath(solver)}: the net in it", inspected.net)
        baseline = _is_baseline(inspected or _named(parameters, _path(solver)))
        findings += inspect_solver(solver, given, baseline)
    reference = inspected.reference if inspected else None
    if weights is not None:
        from netgen.audit.inspection.inspect_weights import inspect_weights

        findings += inspect_weights(weights, reference)
    if data is not None:
        from netgen.audit.inspection.inspect_data import inspect_data

        findings += inspect_data(data, deep)
    if log is not None:
        from netgen.audit.inspection.inspect_log import inspect_log

        inspected_log = inspect_log(log, reference, given)
        findings += inspected_log.findings
    files = [file for file in (net, solver, weights, data, log) if file is not None]
    if len(files) > 1 and files != [net, solver]:  # these were compared above
        from netgen.audit.inspection.solver_nets import nets_of
        from netgen.audit.inspection.together import Given, check_together

        nets = nets_of(parameters, _path(solver), given) if parameters is not None else None
        together = Given(given, nets, _path(solver), _path(weights), _path(data), inspected_log)
        findings += check_together(together)
    return findings


def _path(file: AnyPath | None) -> str:
    return "" if file is None else os.fspath(file)


def _in_place(solver: SolverParameter, file: str) -> Inspected | None:
    """Inspect the net that a solver has in place, if it has one."""
    from netgen.audit.inspection.inspect_network import inspect_parsed

    for field in ("net_param", "train_net_param"):
        if solver.HasField(field):
            return inspect_parsed(getattr(solver, field), f"{file}: {field}")
    return None


def _named(solver: SolverParameter, file: str) -> Inspected | None:
    """Inspect the net that a solver names, if it is found: which network it is, is all we ask."""
    from netgen.audit.inspection.inspect_network import inspect_parsed
    from netgen.audit.inspection.solver_nets import nets_of
    from netgen.caffe.schema import SchemaError

    train = nets_of(solver, file).train
    with suppress(SchemaError):  # the solver's findings are asked for, not the net's
        return inspect_parsed(train.net, str(train.found)) if train and train.net else None
    return None


def _is_baseline(inspected: Inspected | None) -> bool:
    reference = inspected.reference if inspected else None
    return reference is not None and len(reference.variant.tasks) == 1
