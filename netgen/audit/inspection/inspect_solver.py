"""Compare a solver with section 5.2: every field of Caffe's SolverParameter has a rule here."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from netgen import paper
from netgen.audit.finding import InspectionFinding, InspectionVerdict, Rule
from netgen.audit.inspection.same_nets import GivenNet
from netgen.audit.inspection.schedule import (
    OF_POLICIES,
    Judged,
    judge_policy,
    judge_start,
    notes_on_steps,
    unread,
)
from netgen.audit.inspection.solver_nets import SolverNets, judge_nets, nets_of
from netgen.caffe.caffe_pb2 import SolverParameter
from netgen.caffe.schema import SchemaWarning, is_of_a_branch, read_solver, unknown_text
from netgen.paper import Recipe
from netgen.system.text import value_text

PAPERS = Recipe()
SAME, EQUIVALENT = InspectionVerdict.SAME, InspectionVerdict.EQUIVALENT
DIFFERS, NOT_CHECKABLE = InspectionVerdict.DIFFERS, InspectionVerdict.NOT_CHECKABLE


@dataclass(frozen=True)
class SolverAndBatches:
    """A solver, and the batch sizes of the networks that it builds; None where unknown."""

    solver: SolverParameter
    train_batch: int | None
    test_batches: Sequence[int | None]

    @property
    def per_epoch(self) -> float:
        """Iterations in which every training image is read once; at batch 24 where unknown."""
        batch = PAPERS.batch_size if self.train_batch is None else self.train_batch
        return paper.TRAIN_IMAGES / max(self.solver.iter_size * batch, 1)


def read_told_solver(path: str | os.PathLike[str]) -> tuple[SolverParameter, list[Judged]]:
    """Read a solver, and what is to be told of its unknown fields: BVLC's Caffe stops at them.

    Raises
    ------
    SchemaError
        When the file is no solver.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SchemaWarning)
        solver = read_solver(path)
    warned = [one.message for one in caught if isinstance(one.message, SchemaWarning)]
    return solver, [*_unknown({x: line for one in warned for x, line in one.fields.items()})]


def _unknown(fields: Mapping[str, int]) -> Iterator[Judged]:
    """Tell fields of known forks from others, which may be misspelt."""
    forks = {field: line for field, line in fields.items() if is_of_a_branch(field)}
    others = {field: line for field, line in fields.items() if field not in forks}
    stops = "BVLC's Caffe has no such field, and stops"
    if forks:
        what = f"{unknown_text(forks)}: {stops}; what the fork makes of it is not judged"
        yield Judged(what, NOT_CHECKABLE, Rule.CAFFE)
    if others:
        what = f"{unknown_text(others)}: {stops}; misspelt, or a fork's, which may train otherwise"
        yield Judged(what, DIFFERS, Rule.CAFFE)


def inspect_solver(
    path: str | os.PathLike[str], net: GivenNet | None = None, baseline: bool = False
) -> list[InspectionFinding]:
    """Compare a solver's prototxt with section 5.2.

    Parameters
    ----------
    path
        The solver's file.
    net
        The network that it is given with; by default the one that it names, if that file exists.
    baseline
        Whether it trains a single-task network. Section 5.2 gives batch size and rates for the
        cross-residual networks only, so a baseline's cannot be checked.

    Raises
    ------
    SchemaError
        When the file is no solver.
    """
    solver, unknown = read_told_solver(path)
    file = os.fspath(path)
    findings = inspect_parsed_solver(solver, file, nets_of(solver, path, net), baseline)
    return [*findings, *(InspectionFinding(file, *judged) for judged in unknown)]


def inspect_parsed_solver(
    solver: SolverParameter, file: str, nets: SolverNets, baseline: bool = False
) -> list[InspectionFinding]:
    """Compare a parsed solver and its nets; `file` is its name in findings."""
    situation = SolverAndBatches(solver, nets.train_batch, nets.test_batches)
    findings = [
        InspectionFinding(f"{file}: {field}", *judged) for field, judged in judge_nets(solver, nets)
    ]
    for field, rule in RULES.items():
        judged = list(rule(situation))
        if baseline and field in OF_CROSS_RESIDUAL_NETWORKS:
            judged = list(map(_of_baseline, judged))
        findings += [InspectionFinding(f"{file}: {field}", *one) for one in judged]
    return [*findings, *_without_effect(file, solver)]


def _of_baseline(judged: Judged) -> Judged:
    if judged.verdict is not DIFFERS or judged.rule is Rule.CAFFE:
        return judged
    what = "; but the paper gives it for the cross-residual networks: the baselines' is open"
    return Judged(judged.what + what, NOT_CHECKABLE, Rule.OURS)


def _without_effect(file: str, solver: SolverParameter) -> Iterator[InspectionFinding]:
    """Tell which fields that a solver sets change nothing of what is learned."""
    given = {field.name for field, _ in solver.ListFields()}
    fields = [field for field in NO_EFFECT if field in given]
    if fields:
        what = "; ".join(f"{field}: {NO_EFFECT[field]}" for field in fields)
        where = f"{file}: {', '.join(fields)}"
        yield InspectionFinding(where, f"of no effect on what is learned ({what})", EQUIVALENT,
                                Rule.CAFFE)  # fmt: skip


# ---- the descent --------------------------------------------------------------------------------


def _type(at: SolverAndBatches) -> Iterator[Judged]:
    name = at.solver.type
    if name not in TYPES:
        what = f'type "{name}": Caffe has {", ".join(TYPES)}, spelled so, and stops'
        yield Judged(what, DIFFERS, Rule.CAFFE)
        return
    what = f'type "{name}", the paper\'s is "SGD" (section 5.2: "stochastic gradient descent")'
    yield Judged(what, InspectionVerdict.same_if(name == "SGD"))


def _number(field: str) -> Callable[[SolverAndBatches], Iterator[Judged]]:
    """Return the rule of a number that section 5.2 prints."""

    def rule(at: SolverAndBatches) -> Iterator[Judged]:
        found, wanted = getattr(at.solver, field), getattr(PAPERS, field)
        same = math.isclose(found, wanted, rel_tol=1e-6)
        what = f"{field} {value_text(found)}, the paper's is {value_text(wanted)} (section 5.2)"
        yield Judged(what, InspectionVerdict.same_if(same))

    return rule


def _of_other_types(field: str) -> Callable[[SolverAndBatches], Iterator[Judged]]:
    """Return the rule of a number that only other types than SGD read."""

    def rule(at: SolverAndBatches) -> Iterator[Judged]:
        if not at.solver.HasField(field):
            return
        what = f"{field} {value_text(getattr(at.solver, field))}, which SGD does not read"
        if field in TYPES.get(at.solver.type, ()):
            yield Judged(f"{what} and {at.solver.type} does (section 5.2)", DIFFERS)
        else:
            yield Judged(what, EQUIVALENT, Rule.CAFFE)

    return rule


def _decay(at: SolverAndBatches) -> Iterator[Judged]:
    kind = at.solver.regularization_type
    what = f'regularization_type "{kind}"'
    if kind not in ("L1", "L2"):
        yield Judged(f"{what}: Caffe has L1 and L2, and stops", DIFFERS, Rule.CAFFE)
        return
    what += ', the paper\'s "weight decay" is read as "L2" (section 5.2)'
    yield Judged(what, InspectionVerdict.same_if(kind == "L2"), Rule.READING)


def _clipping(at: SolverAndBatches) -> Iterator[Judged]:
    most = at.solver.clip_gradients
    if math.isinf(most) or math.isnan(most):
        what = f"clip_gradients {value_text(most)}: no gradient is larger, so none is clipped"
        yield Judged(what, EQUIVALENT, Rule.CAFFE)
    elif most >= 0:
        what = f"clip_gradients {value_text(most)}: the paper names no such"
        what += ' thing beside "stochastic gradient descent" (section 5.2)'
        yield Judged(what, DIFFERS, Rule.READING)


def _images(at: SolverAndBatches) -> Iterator[Judged]:
    """Compare the images per iteration with 24: iter_size sums the gradients of as many batches."""
    size, wanted = at.solver.iter_size, PAPERS.batch_size
    if at.train_batch is None:
        what = f"iter_size {size}: times the network's batch it should be {wanted} (section 5.2)"
        # 24 is a product of many: what does not divide it, is wrong with any batch.
        divides = size > 0 and wanted % size == 0
        yield Judged(f"{what}; the network is not given", NOT_CHECKABLE if divides else DIFFERS)
        return
    total = size * at.train_batch
    what = f"iter_size {size} x batch_size {at.train_batch} = {total}, the paper's is {wanted}"
    what += " (section 5.2)"
    if total == wanted and size > 1:
        what += f"; BatchNorm normalises over {at.train_batch} images at a time"
    verdict = SAME if size == 1 else EQUIVALENT
    yield Judged(what, verdict if total == wanted else DIFFERS)


# ---- the rate -----------------------------------------------------------------------------------


def _base_lr(at: SolverAndBatches) -> Iterator[Judged]:
    yield judge_start(at.solver)


def _lr_policy(at: SolverAndBatches) -> Iterator[Judged]:
    yield from judge_policy(at.solver, at.per_epoch)


def _stepvalue(at: SolverAndBatches) -> Iterator[Judged]:
    yield from notes_on_steps(at.solver)


def _unread(field: str) -> Callable[[SolverAndBatches], Iterator[Judged]]:
    """Return the rule of a field that belongs to some policies of the rate."""

    def rule(at: SolverAndBatches) -> Iterator[Judged]:
        if field in unread(at.solver):
            what = f'lr_policy "{at.solver.lr_policy}" does not read it'
            yield Judged(what, EQUIVALENT, Rule.CAFFE)

    return rule


def _max_iter(at: SolverAndBatches) -> Iterator[Judged]:
    epochs = at.solver.max_iter / at.per_epoch
    what = f"max_iter {at.solver.max_iter:,}: {epochs:.3g} epochs; the paper trains"
    what += ' "until convergence" (section 5.2)'
    if epochs < 1:
        yield Judged(f"{what}, and here not every image is read", DIFFERS, Rule.READING)
    else:
        yield Judged(what, NOT_CHECKABLE, Rule.OURS)


# ---- tests --------------------------------------------------------------------------------------


def _test_iter(at: SolverAndBatches) -> Iterator[Judged]:
    wanted = paper.TEST_IMAGES
    for index, count in enumerate(at.solver.test_iter):
        setting = f"test_iter {count:,}"
        batch = at.test_batches[index] if index < len(at.test_batches) else None
        if batch is None:
            what = f"{setting}: times the test batch it should be {wanted:,} (section 5.2)"
            divides = count > 0 and wanted % count == 0
            verdict = NOT_CHECKABLE if divides else DIFFERS
            yield Judged(f"{what}; the network is not given", verdict)
            continue
        total = count * batch
        what = f"{setting} x batch_size {batch} = {total:,}, the test set is {wanted:,} images"
        yield Judged(f"{what} (section 5.2)", InspectionVerdict.same_if(total == wanted))
    if not at.solver.test_iter:
        yield Judged("it never tests: Table 2's numbers need another run", NOT_CHECKABLE)


def _test_interval(at: SolverAndBatches) -> Iterator[Judged]:
    interval = at.solver.test_interval
    if at.solver.test_iter and interval <= 0:
        what = f"test_interval {interval}: Caffe stops, since it is to test"
        yield Judged(what, DIFFERS, Rule.CAFFE)
    elif at.solver.test_iter:
        what = f"test_interval {interval:,}: {interval / at.per_epoch:.3g} epochs; the paper does"
        yield Judged(f"{what} not say how often it tests", NOT_CHECKABLE, Rule.OURS)


def _first_test(at: SolverAndBatches) -> Iterator[Judged]:
    if at.solver.test_initialization and at.solver.test_iter:
        what = "test_initialization true, ours is false: tested before training, BatchNorm's"
        what += " averages are zero and the loss prints as nan; what is learned is the same"
        yield Judged(what, EQUIVALENT, Rule.CAFFE)


# ---- the rest -----------------------------------------------------------------------------------


def _average_loss(at: SolverAndBatches) -> Iterator[Judged]:
    count = at.solver.average_loss
    if count < 1:
        yield Judged(f"average_loss {count}: Caffe stops below 1", DIFFERS, Rule.CAFFE)
    elif count != 1:
        what = f"average_loss {count}: the loss is printed smoothed; of no effect"
        yield Judged(what, EQUIVALENT, Rule.CAFFE)


def _weights(at: SolverAndBatches) -> Iterator[Judged]:
    begins = "section 5.2 begins with weights trained on ImageNet"
    named = ", ".join(at.solver.weights)
    what = f"{named}: {begins}; compare that file (--weights)" if named else (
        f"the solver names none: {begins}, which `caffe train -weights` can load too"
    )  # fmt: skip
    yield Judged(what, NOT_CHECKABLE)


def _random_seed(at: SolverAndBatches) -> Iterator[Judged]:
    seed = at.solver.random_seed
    what = f"random_seed {seed}{'' if seed >= 0 else ': another each time'}; the paper names none"
    yield Judged(what, NOT_CHECKABLE, Rule.OURS)


def _snapshot_prefix(at: SolverAndBatches) -> Iterator[Judged]:
    if at.solver.snapshot > 0 and not at.solver.HasField("snapshot_prefix"):
        what = "no snapshot_prefix, but snapshot: Caffe stops before 1.0, which takes the file's"
        yield Judged(f"{what} name", NOT_CHECKABLE, Rule.CAFFE)


# The types of Caffe, and which numbers of their own they read.
TYPES: dict[str, tuple[str, ...]] = {
    "SGD": (),
    "Nesterov": (),
    "AdaGrad": ("delta",),
    "RMSProp": ("delta", "rms_decay"),
    "AdaDelta": ("delta",),
    "Adam": ("delta", "momentum2"),
}

# In section 5.2's order, then the fields that it does not mention.
RULES: dict[str, Callable[[SolverAndBatches], Iterator[Judged]]] = {
    "weights": _weights,
    "type": _type,
    "iter_size": _images,
    "momentum": _number("momentum"),
    "weight_decay": _number("weight_decay"),
    "regularization_type": _decay,
    "base_lr": _base_lr,
    "lr_policy": _lr_policy,
    "stepvalue": _stepvalue,
    **{f"{field} of another policy": _unread(field) for field in OF_POLICIES},
    "test_iter": _test_iter,
    "test_interval": _test_interval,
    "test_initialization": _first_test,
    "max_iter": _max_iter,
    "clip_gradients": _clipping,
    **{field: _of_other_types(field) for field in ("momentum2", "rms_decay", "delta")},
    "average_loss": _average_loss,
    "random_seed": _random_seed,
    "snapshot_prefix": _snapshot_prefix,
}
# Fields without a rule, because weights, momentum and rates do not depend on them; and why not.
NO_EFFECT = {
    "display": "how often the log tells the loss",
    "debug_info": "the log tells more",
    "test_compute_loss": "the log tells the loss of a test",
    "snapshot": "how often weights are written",
    "snapshot_prefix": "where",
    "snapshot_format": "how",
    "snapshot_diff": "with gradients",
    "snapshot_after_train": "at the end too",
    "solver_mode": "the same arithmetic on another processor",
    "device_id": "on which card",
    "layer_wise_reduce": "when several cards add up gradients",
}
OF_CROSS_RESIDUAL_NETWORKS = {
    "type",
    "iter_size",
    "momentum",
    "weight_decay",
    "regularization_type",
    "base_lr",
    "lr_policy",
    "clip_gradients",
    "momentum2",
    "rms_decay",
    "delta",
    "max_iter",
}
