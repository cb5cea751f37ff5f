"""Compare a solver with section 5.2, field by field."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netgen import paper
from netgen.audit.inspection.data_layers import PARAMETERS, batch_of
from netgen.audit.inspection.finding import InspectionFinding, InspectionVerdict
from netgen.caffe.caffe_pb2 import NetParameter, SolverParameter
from netgen.caffe.schema import Phase, SchemaError, SchemaWarning, layers_in, read_net, read_solver
from netgen.paper import Recipe
from netgen.system.text import value_text

OURS = Recipe()
FALLS = 'section 5.2: "decreased it by a factor of ten whenever the loss plateaued"'
TENTH = 0.1
Judged = tuple[str, InspectionVerdict]


@dataclass(frozen=True)
class SolverAndBatches:
    """A solver, and the batch sizes of the network that it trains; None where unknown."""

    solver: SolverParameter
    train_batch: int | None
    test_batch: int | None


def inspect_solver(
    path: str | os.PathLike[str], net: NetParameter | None = None, baseline: bool = False
) -> list[InspectionFinding]:
    """Compare a solver's prototxt with section 5.2.

    Parameters
    ----------
    path
        The solver's file.
    net
        The network that it trains; by default the one that the solver names, if that file exists.
    baseline
        Whether it trains a single-task network. Section 5.2 gives batch size and rates for the
        cross-residual networks only, so a baseline's cannot be checked.

    Raises
    ------
    SchemaError
        When the file is no solver.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SchemaWarning)
        solver = read_solver(path)
        net = net or _named_net(solver)
    batches = batches_of(net) if net else {}
    return inspect_parsed_solver(solver, os.fspath(path), batches, baseline)


def batches_of(net: NetParameter) -> dict[Phase, int]:
    """Return a network's batch size in each phase that has data."""
    phases: tuple[Phase, ...] = ("TRAIN", "TEST")
    batches = {phase: _batch(net, phase) for phase in phases}
    return {phase: batch for phase, batch in batches.items() if batch is not None}


def inspect_parsed_solver(
    solver: SolverParameter, file: str, batches: Mapping[Phase, int], baseline: bool = False
) -> list[InspectionFinding]:
    """Compare a parsed solver, given the batches that are known; `file` is its name in findings."""
    situation = SolverAndBatches(solver, batches.get("TRAIN"), batches.get("TEST"))
    findings = []
    for field, rule in RULES.items():
        judged = list(rule(situation))
        if baseline and field in OF_CROSS_RESIDUAL_NETWORKS:
            judged = list(map(_of_baseline, judged))
        findings += [
            InspectionFinding(f"{file}: {field}", what, verdict) for what, verdict in judged
        ]
    return findings


def _of_baseline(judged: Judged) -> Judged:
    what, verdict = judged
    if verdict is not InspectionVerdict.DIFFERS:
        return judged
    what += "; but the paper gives it for the cross-residual networks: the baselines' is open"
    return what, InspectionVerdict.NOT_CHECKABLE


def _named_net(solver: SolverParameter) -> NetParameter | None:
    if solver.HasField("net_param"):
        return solver.net_param
    with suppress(SchemaError):
        return read_net(solver.net) if Path(solver.net).is_file() else None
    return None


def _batch(net: NetParameter, phase: Phase) -> int | None:
    sources = (layer for layer in layers_in(net, phase) if layer.type in PARAMETERS)
    return next((batch_of(layer) for layer in sources), None)


def _type(at: SolverAndBatches) -> Iterator[Judged]:
    same = at.solver.type.upper() == "SGD"
    what = f'type "{at.solver.type}", the paper\'s is "SGD" (section 5.2: "stochastic gradient'
    yield what + ' descent")', InspectionVerdict.same_if(same)


def _number(field: str) -> Callable[[SolverAndBatches], Iterator[Judged]]:
    """Return the rule of a number that section 5.2 prints."""

    def rule(at: SolverAndBatches) -> Iterator[Judged]:
        found, wanted = getattr(at.solver, field), getattr(OURS, field)
        same = math.isclose(found, wanted, rel_tol=1e-6)
        what = f"{field} {value_text(found)}, the paper's is {value_text(wanted)} (section 5.2)"
        yield what, InspectionVerdict.same_if(same)

    return rule


def _lr_policy(at: SolverAndBatches) -> Iterator[Judged]:
    policy = at.solver.lr_policy
    setting = f'lr_policy "{policy}"'
    if policy == "fixed":
        what = f"{setting}: the rate stays as it starts; it is lowered by hand ({FALLS})"
        yield what, InspectionVerdict.SAME
    elif policy in ("step", "multistep"):
        what = f"{setting}, gamma {value_text(at.solver.gamma)}: the paper's rate falls to a tenth"
        tenfold = math.isclose(at.solver.gamma, TENTH, rel_tol=1e-6)
        verdict = InspectionVerdict.EQUIVALENT if tenfold else InspectionVerdict.DIFFERS
        yield f"{what} ({FALLS})", verdict
    else:
        what = f"{setting}: the paper's rate falls in steps of ten ({FALLS})"
        yield what, InspectionVerdict.DIFFERS


def _decay(at: SolverAndBatches) -> Iterator[Judged]:
    same = at.solver.regularization_type == "L2"
    what = f'regularization_type "{at.solver.regularization_type}", the paper\'s "weight decay" is'
    yield what + ' "L2" (section 5.2)', InspectionVerdict.same_if(same)


def _images(at: SolverAndBatches) -> Iterator[Judged]:
    """Compare the images per iteration with 24: iter_size sums the gradients of as many batches."""
    size, wanted = at.solver.iter_size, OURS.batch_size
    if at.train_batch is None:
        what = f"iter_size {size}: times the network's batch it should be {wanted} (section 5.2)"
        yield f"{what}; the network is not given", InspectionVerdict.NOT_CHECKABLE
        return
    total = size * at.train_batch
    what = f"iter_size {size} x batch_size {at.train_batch} = {total}, the paper's is {wanted}"
    verdict = InspectionVerdict.SAME if size == 1 else InspectionVerdict.EQUIVALENT
    if total == wanted and size > 1:
        what += f" (section 5.2); BatchNorm normalises over {at.train_batch} images at a time"
    else:
        what += " (section 5.2)"
    yield what, verdict if total == wanted else InspectionVerdict.DIFFERS


def _test_iter(at: SolverAndBatches) -> Iterator[Judged]:
    wanted = paper.TEST_IMAGES
    for count in at.solver.test_iter:
        setting = f"test_iter {count:,}"
        if at.test_batch is None:
            what = f"{setting}: times the test batch it should be {wanted:,} (section 5.2)"
            yield f"{what}; the network is not given", InspectionVerdict.NOT_CHECKABLE
            continue
        total = count * at.test_batch
        what = f"{setting} x batch_size {at.test_batch} = {total:,}, the test set is {wanted:,}"
        yield f"{what} images (section 5.2)", InspectionVerdict.same_if(total == wanted)
    if not at.solver.test_iter:
        yield "it never tests: Table 2's numbers need another run", InspectionVerdict.NOT_CHECKABLE


def _clipping(at: SolverAndBatches) -> Iterator[Judged]:
    if at.solver.clip_gradients > 0:
        what = (
            f"clip_gradients {value_text(at.solver.clip_gradients)}: the paper names no such thing"
        )
        yield f"{what} (section 5.2)", InspectionVerdict.DIFFERS


def _first_test(at: SolverAndBatches) -> Iterator[Judged]:
    if at.solver.test_initialization and at.solver.test_iter:
        what = "test_initialization true, ours is false: tested before training, BatchNorm's"
        what += " averages are zero and the loss prints as nan; what is learned is the same"
        yield what, InspectionVerdict.EQUIVALENT


def _average_loss(at: SolverAndBatches) -> Iterator[Judged]:
    if at.solver.average_loss != 1:
        what = f"average_loss {at.solver.average_loss}: the loss is printed smoothed; of no effect"
        yield what, InspectionVerdict.EQUIVALENT


def _max_iter(at: SolverAndBatches) -> Iterator[Judged]:
    per_epoch = paper.TRAIN_IMAGES / (at.solver.iter_size * (at.train_batch or OURS.batch_size))
    epochs = at.solver.max_iter / per_epoch
    what = f"max_iter {at.solver.max_iter:,}: {epochs:.3g} epochs; the paper trains"
    yield what + ' "until convergence" (section 5.2)', InspectionVerdict.NOT_CHECKABLE


# In section 5.2's order, then the fields that it does not mention.
RULES: dict[str, Callable[[SolverAndBatches], Iterator[Judged]]] = {
    "type": _type,
    "iter_size": _images,
    "momentum": _number("momentum"),
    "weight_decay": _number("weight_decay"),
    "regularization_type": _decay,
    "base_lr": _number("base_lr"),
    "lr_policy": _lr_policy,
    "test_iter": _test_iter,
    "clip_gradients": _clipping,
    "test_initialization": _first_test,
    "average_loss": _average_loss,
    "max_iter": _max_iter,
}
OF_CROSS_RESIDUAL_NETWORKS = {
    "type",
    "iter_size",
    "momentum",
    "weight_decay",
    "base_lr",
    "lr_policy",
}
