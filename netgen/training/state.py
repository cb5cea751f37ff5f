"""A run's state, its progress, and how it ended."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from msgspec import Meta, Struct, field

from netgen.training.health import Health
from netgen.training.plateau import Plateau, PlateauRule

COMPLETED = frozenset({"converged", "max_iter"})  # the reasons after which nothing is left to do
FAILED = "failed"  # the reason of a training that diverged


class TrainingState(Struct, forbid_unknown_fields=True):
    """A run's state except for Caffe's weights and momentum; part of every snapshot.

    Attributes
    ----------
    iteration
        Updates of the weights so far.
    test_pending
        Whether the test of this iteration, and what depends on it, is still to be done.
    ended
        How the run ended, if it did: "converged" or "max_iter".
    loss
        The loss of the last iteration: the sum of all losses by their weights.
    tests
        Tests in this round: they determine the position in the test data.
    seconds
        Seconds of training, over all resumes.
    plateau, health
        See `Plateau` and `Health`.
    best, best_iteration
        The best accuracy in a test so far, and its iteration.
    shown, sums
        Iterations since the last display, and the sums of their losses (output -> sum).
    """

    iteration: int = 0
    test_pending: bool = field(default=False, name="due")  # its name in the snapshots' manifests
    ended: Annotated[str, Meta(pattern="^(converged|max_iter)$")] | None = None
    loss: float | None = None
    tests: int = 0
    seconds: float = 0.0
    plateau: Plateau = field(default_factory=Plateau)
    health: Health = field(default_factory=Health)
    best: float | None = None
    best_iteration: int | None = None
    shown: int = 0
    sums: dict[str, float] = field(default_factory=dict)


class Progress(NamedTuple):
    """Iterations ("training") or batches ("replay", "test") done so far, and in total."""

    task: str
    done: int
    total: int
    loss: float | None = None


class Outcome(NamedTuple):
    """How a round ended.

    Attributes
    ----------
    reason
        "round" if only the round ended; else why the run ended, as the journal's `why`.
    detail
        The reason in words.
    iteration
        Updates of the weights so far.
    signal
        Number of the signal that stopped it, if one did.
    """

    reason: str
    detail: str
    iteration: int
    signal: int | None = None


def completion(state: TrainingState, rule: PlateauRule | None) -> str | None:
    """Return in words why a run is complete; None if it is not."""
    if state.ended == "converged" and rule:
        return state.plateau.reason(rule)
    return "all iterations of the solver are done" if state.ended else None
