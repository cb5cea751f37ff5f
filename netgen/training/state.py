"""What a run knows besides Caffe's weights and momentum, and what Caffe it runs on."""

from __future__ import annotations

from msgspec import Struct, field

from netgen.training.health import Health
from netgen.training.plateau import Plateau


class State(Struct, forbid_unknown_fields=True):
    """A run's memory; part of every snapshot.

    Attributes
    ----------
    iteration
        Updates of the weights so far.
    due
        Whether the test of this iteration, and what hangs on it, is still to be done.
    ended
        How the run ended, if it did: "converged" or "max_iter".
    loss
        Of the last iteration: the sum of all losses by their weights.
    tests
        In this round: they say where the test data are.
    seconds
        Of training, over all resumes.
    plateau, health
        See there.
    best, best_iteration
        The best accuracy in a test so far, and when.
    shown, sums
        Iterations since the last display, and the sums of their losses (output -> sum).
    """

    iteration: int = 0
    due: bool = False
    ended: str | None = None
    loss: float | None = None
    tests: int = 0
    seconds: float = 0.0
    plateau: Plateau = field(default_factory=Plateau)
    health: Health = field(default_factory=Health)
    best: float | None = None
    best_iteration: int | None = None
    shown: int = 0
    sums: dict[str, float] = field(default_factory=dict)


class Engine(Struct, frozen=True, forbid_unknown_fields=True):
    """What decides the bits that a training gives: they repeat where all of this is the same.

    Attributes
    ----------
    version
        What pycaffe says of itself.
    library
        SHA-256 of the Caffe library that computes.
    blas
        File name of its BLAS, and the kernel that this chose for the processor.
    threads
        Of the BLAS.
    device
        "CPU", or the GPU's name.
    """

    version: str
    library: str
    blas: str
    threads: int
    device: str
