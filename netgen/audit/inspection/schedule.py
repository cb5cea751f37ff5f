"""The learning rate of each iteration, as Caffe's `GetLearningRate` computes it, and section 5.2's.

A policy is evaluated, not read: two spellings of one schedule are judged alike.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from netgen.audit.finding import InspectionVerdict as Verdict
from netgen.audit.finding import Rule
from netgen.caffe.caffe_pb2 import SolverParameter
from netgen.paper import Recipe
from netgen.system.text import listed, value_text

FALLS = 'section 5.2: "decreased it by a factor of ten whenever the loss plateaued"'
TENFOLD = 10.0
PRINTED = 1e-3  # relative; logs tell rates with six digits
SAME_RATE = 1e-5  # relative: Caffe computes in single precision
MOST_CHANGES = 100  # of a schedule that are looked at: a rate that changes more often is no stair
OF_POLICIES = ("gamma", "power", "stepsize", "stepvalue")


class Judged(NamedTuple):
    """What is told of a field, and the rest of its finding."""

    what: str
    verdict: Verdict
    rule: Rule = Rule.PAPER
    phase: str = ""


@dataclass(frozen=True)
class RateChange:
    """The rates before and from an iteration on."""

    iteration: int
    before: float
    after: float

    @property
    def factor(self) -> float:
        """By what the rate is divided."""
        return self.before / self.after if self.after else math.inf


@dataclass(frozen=True)
class Schedule:
    """The rate of each iteration.

    Attributes
    ----------
    rate
        The rate of an iteration, from 0. Every policy's rates only fall, or only rise.
    places
        The iterations at which it may change, rising.
    end
        The number of iterations.
    """

    rate: Callable[[int], float]
    places: Iterable[int]
    end: int

    def changes(self) -> Iterator[RateChange]:
        """Yield each change of the rate before the end."""
        before, last = self.rate(0), self.rate(max(self.end - 1, 0))
        for place in self.places:
            if place >= self.end or same_rate(before, last):
                return
            rate = self.rate(place)
            if not same_rate(before, rate):
                yield RateChange(place, before, rate)
                before = rate


def same_rate(one: float, other: float, tolerance: float = SAME_RATE) -> bool:
    """Return whether two rates are equal as far as Caffe computes them."""
    return math.isclose(one, other, rel_tol=tolerance)


# ---- Caffe's policies ---------------------------------------------------------------------------


def _fixed(solver: SolverParameter) -> Schedule:
    return Schedule(lambda _: solver.base_lr, (), solver.max_iter)


def _step(solver: SolverParameter) -> Schedule:
    size = max(solver.stepsize, 1)
    steps = range(size, max(solver.max_iter, 1), size)
    return Schedule(lambda i: solver.base_lr * _pow(solver.gamma, i // size), steps,
                    solver.max_iter)  # fmt: skip


def _multistep(solver: SolverParameter) -> Schedule:
    """Take at most one step an iteration, in the order of the stepvalues, as Caffe does."""
    steps: list[int] = []
    for value in solver.stepvalue:
        steps.append(max(value, steps[-1] + 1 if steps else 0))
    return Schedule(lambda i: solver.base_lr * _pow(solver.gamma, bisect_right(steps, i)), steps,
                    solver.max_iter)  # fmt: skip


def _exp(solver: SolverParameter) -> Schedule:
    return _smooth(solver, lambda i: _pow(solver.gamma, i))


def _inv(solver: SolverParameter) -> Schedule:
    return _smooth(solver, lambda i: _pow(1 + solver.gamma * i, -solver.power))


def _poly(solver: SolverParameter) -> Schedule:
    end = max(solver.max_iter, 1)
    return _smooth(solver, lambda i: _pow(1 - i / end, solver.power))


def _sigmoid(solver: SolverParameter) -> Schedule:
    def rate(iteration: int) -> float:
        exponent = -solver.gamma * (iteration - solver.stepsize)
        return 1 / (1 + _pow(math.e, exponent))

    return _smooth(solver, rate)


def _smooth(solver: SolverParameter, factor: Callable[[int], float]) -> Schedule:
    places = range(1, max(solver.max_iter, 1))
    return Schedule(lambda i: solver.base_lr * factor(i), places, solver.max_iter)


def _pow(base: float, exponent: float) -> float:
    """Raise to a power as C does: infinity where Python raises an error."""
    try:
        return math.pow(base, exponent)
    except (OverflowError, ValueError):
        return math.inf


class Policy(NamedTuple):
    """A policy of Caffe: its schedule, and the fields that it reads."""

    schedule: Callable[[SolverParameter], Schedule]
    reads: tuple[str, ...] = ()


POLICIES = {
    "fixed": Policy(_fixed),
    "step": Policy(_step, ("gamma", "stepsize")),
    "exp": Policy(_exp, ("gamma",)),
    "inv": Policy(_inv, ("gamma", "power")),
    "multistep": Policy(_multistep, ("gamma", "stepvalue")),
    "poly": Policy(_poly, ("power",)),
    "sigmoid": Policy(_sigmoid, ("gamma", "stepsize")),
}


def schedule_of(solver: SolverParameter) -> Schedule | None:
    """Return the rates of a solver's iterations; None where Caffe refuses its policy."""
    if refusal(solver):
        return None
    return POLICIES[solver.lr_policy].schedule(solver)


def refusal(solver: SolverParameter) -> str:
    """Return why Caffe stops at a solver's policy; "" where it does not."""
    policy = POLICIES.get(solver.lr_policy)
    if policy is None:
        more = "; SSD's branch lowers it so where its smoothed loss no longer falls"
        what = f'Caffe has no lr_policy "{solver.lr_policy}" and stops'
        return what + (more if solver.lr_policy == "plateau" else "")
    if "gamma" in policy.reads and not solver.gamma >= 0:  # nan, too
        what = f"gamma {value_text(solver.gamma)} is not at least 0: Caffe 1.0 stops"
        return f'{what} ("Check failed: gamma() >= 0"), earlier ones give rates of no use'
    if "stepsize" in policy.reads and solver.stepsize <= 0:
        return f"stepsize {solver.stepsize}: Caffe stops, or divides by it and dies"
    return ""


def unread(solver: SolverParameter) -> list[str]:
    """Return the fields of other policies that a solver sets and its own does not read."""
    reads = POLICIES[solver.lr_policy].reads if solver.lr_policy in POLICIES else OF_POLICIES
    given = {field.name for field, _ in solver.ListFields()}
    return [field for field in OF_POLICIES if field in given and field not in reads]


def same_schedule(one: SolverParameter, other: SolverParameter) -> bool:
    """Return whether two solvers have the same rates, up to the end of the shorter."""
    schedules = schedule_of(one), schedule_of(other)
    if None in schedules:
        return one.lr_policy == other.lr_policy
    a, b = (schedule for schedule in schedules if schedule)
    end = min(a.end, b.end)
    changes = [
        [c for c in islice(schedule.changes(), MOST_CHANGES) if c.iteration < end]
        for schedule in (a, b)
    ]
    return same_rate(a.rate(0), b.rate(0)) and len(changes[0]) == len(changes[1]) and all(
        x.iteration == y.iteration and same_rate(x.after, y.after)
        for x, y in zip(*changes, strict=True)
    )  # fmt: skip


# ---- section 5.2's ------------------------------------------------------------------------------


def judge_start(solver: SolverParameter) -> Judged:
    """Compare the first iteration's rate with "a starting fixed learning rate of 0.001"."""
    schedule, wanted = schedule_of(solver), Recipe().base_lr
    rate = schedule.rate(0) if schedule else solver.base_lr
    what = f"base_lr {value_text(solver.base_lr)}"
    if math.isfinite(solver.base_lr) and not same_rate(rate, solver.base_lr):
        what += f': with lr_policy "{solver.lr_policy}" {value_text(rate)} at iteration 0'
    what += f", the paper's is {value_text(wanted)} (section 5.2)"
    return Judged(what, Verdict.same_if(same_rate(rate, wanted)))


def judge_policy(solver: SolverParameter, per_epoch: float) -> Iterator[Judged]:
    """Compare a solver's schedule with section 5.2's; an epoch has `per_epoch` iterations."""
    setting = f'lr_policy "{solver.lr_policy}"'
    schedule = schedule_of(solver)
    if schedule is None:
        elsewhere = solver.lr_policy == "plateau" and same_rate(solver.gamma, 1 / TENFOLD)
        verdict = Verdict.NOT_CHECKABLE if elsewhere else Verdict.DIFFERS
        yield Judged(f"{setting}: {refusal(solver)}", verdict, Rule.CAFFE)
        return
    if not math.isfinite(solver.base_lr):
        what = f"no rate is a finite number, since base_lr is {value_text(solver.base_lr)}"
        yield Judged(f"{setting}: {what}", Verdict.DIFFERS, Rule.CAFFE)
        return
    changes = list(islice(schedule.changes(), MOST_CHANGES))
    if not changes:
        what = f"{setting}: the rate stays {value_text(schedule.rate(0))} to the end; the paper's"
        what += f" falls tenfold at plateaus ({FALLS}), by hand or by `netgen train`"
        yield Judged(what, Verdict.NOT_CHECKABLE)
    for judged in judge_changes(changes, per_epoch):
        yield judged._replace(what=f"{setting}: {judged.what}")


def judge_changes(
    changes: Sequence[RateChange], per_epoch: float, slack: float = 0
) -> Iterator[Judged]:
    """Compare falls of the rate, by how much and how far apart, with section 5.2.

    Parameters
    ----------
    changes
        Those of a schedule, or that a log shows.
    per_epoch
        Iterations in which every training image is read once.
    slack
        By how many iterations a change may have been noticed late.
    """
    odd = [change for change in changes if not same_rate(change.factor, TENFOLD, PRINTED)]
    if odd:
        first = odd[0]
        how = f"divided by {first.factor:.6g}" if first.factor >= 1 else "raised"
        how = "changed a little" if same_rate(first.factor, 1, 1e-3) else how
        more = f", and not divided by 10 at {len(odd) - 1:,} more" if odd[1:] else ""
        what = f"the rate is {how} at iteration {first.iteration:,}{more}; the paper's by 10"
        yield Judged(f"{what} ({FALLS})", Verdict.DIFFERS)
    elif changes:
        falls = listed([f"{change.iteration:,}" for change in changes])
        yield Judged(f"the rate falls tenfold at iteration {falls} ({FALLS})", Verdict.SAME)
        yield _judge_places(changes, per_epoch, slack)


def _judge_places(changes: Sequence[RateChange], per_epoch: float, slack: float) -> Judged:
    """Judge when the rate falls: the paper does not define a plateau, but it is one of the loss."""
    before = 0
    for change in changes:
        distance = change.iteration - before
        if distance + slack < math.floor(per_epoch):
            since = f"after iteration {before:,}" if before else "after the start"
            what = f"the rate falls at iteration {change.iteration:,}, {distance / per_epoch:.2g}"
            what += f" epochs {since}: before every image was seen once, the loss has not plateaued"
            return Judged(f"{what} ({FALLS})", Verdict.DIFFERS, Rule.READING)
        before = change.iteration
    epochs = listed([f"{change.iteration / per_epoch:.3g}" for change in changes])
    what = f"the rate falls after {epochs} epochs: whether the loss had plateaued, the paper's"
    return Judged(f"{what} reason, is not to be seen here", Verdict.NOT_CHECKABLE, Rule.OURS)


def notes_on_steps(solver: SolverParameter) -> Iterator[Judged]:
    """Tell of stepvalues that do not rise, or are never reached."""
    if solver.lr_policy != "multistep" or refusal(solver):
        return
    values = list(solver.stepvalue)
    if values != sorted(set(values)):
        what = f"stepvalues {listed(list(map(str, values)))} do not rise: Caffe takes them in this"
        yield Judged(f"{what} order, one an iteration", Verdict.NOT_CHECKABLE, Rule.CAFFE)
    taken = zip(values, _multistep(solver).places, strict=True)
    late = [f"{value:,}" for value, place in taken if place >= solver.max_iter]
    if late:
        what = (
            f"stepvalue {listed(late)} is not taken before max_iter {solver.max_iter:,}: that fall"
        )
        yield Judged(f"{what} never comes", Verdict.NOT_CHECKABLE, Rule.CAFFE)
