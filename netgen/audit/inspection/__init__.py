"""Compare networks, solvers, weights, databases and logs from any source with the paper's.

    for finding in inspect(net="train_val.prototxt", solver="solver.prototxt"):
        print(finding.verdict.value, finding.where, finding.what)

Everything works without Caffe.
"""

from __future__ import annotations

import os

from netgen.audit.inspection.finding import (
    InspectionError,
    InspectionFinding,
    InspectionVerdict,
    Rule,
)

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
    """Compare any of five kinds of files with the paper.

    Parameters
    ----------
    net
        A network's prototxt, train_val or deploy.
    solver
        A solver's prototxt.
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
        In the order of the parameters. Facts about one file are used for the next: the network's
        batch sizes for the solver, and which network it is for the weights and the log.

    Raises
    ------
    ValueError
        When a file cannot be read as such; the message names it and says what to do next.
    """
    # Each part is imported when it is needed: numpy, lmdb and templates load slowly.
    findings: list[InspectionFinding] = []
    inspected = None
    if net is not None:
        from netgen.audit.inspection.inspect_network import inspect_net

        inspected = inspect_net(net, numeric)
        findings += inspected.findings
    reference = inspected.reference if inspected else None
    if solver is not None:
        from netgen.audit.inspection.inspect_solver import inspect_solver

        baseline = reference is not None and len(reference.variant.tasks) == 1
        findings += inspect_solver(solver, inspected.net if inspected else None, baseline)
    if weights is not None:
        from netgen.audit.inspection.inspect_weights import inspect_weights

        findings += inspect_weights(weights, reference)
    if data is not None:
        from netgen.audit.inspection.inspect_data import inspect_data

        findings += inspect_data(data, deep)
    if log is not None:
        from netgen.audit.inspection.inspect_log import inspect_log

        findings += inspect_log(log, reference, inspected.net if inspected else None)
    return findings
