"""What a run's worker and its parent tell each other, beside the journal's entries."""

from __future__ import annotations

from typing import NamedTuple

from netgen.training import fingerprint
from netgen.training.plateau import Rule
from netgen.training.state import Engine, State

ENDED = frozenset({"converged", "max_iter"})  # why a run ends that is not to be resumed


class Beat(NamedTuple):
    """Progress: `done` of `of`, of iterations ("training") or of batches ("replay", "test")."""

    what: str
    done: int
    of: int
    loss: float | None = None


class Outcome(NamedTuple):
    """How a round ended: one of the journal's reasons, or "round"; in words; by which signal."""

    why: str
    what: str
    iteration: int
    signal: int | None = None


def ending(state: State, rule: Rule | None) -> str | None:
    """Say in words how a run ended; None of one that has not."""
    if state.ended == "converged" and rule:
        return state.plateau.reason(rule)
    return "all iterations of the solver are done" if state.ended else None


class Described(NamedTuple):
    """What the parent asks before a run."""

    engine: Engine
    can_reseed: bool


def describe(gpu: int | None) -> Described:
    """Return what computes, and whether it can repeat Dropout."""
    return Described(fingerprint.engine(gpu), fingerprint.can_reseed())
