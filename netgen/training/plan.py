"""What a run is to do: everything that was decided before it started, and never changes in it.

It is worked in rounds. A round begins in a fresh process, at the first record, with the random seed
``random_seed + round``, and ends after whole passes over the data (up to the batch that completes
the last: where the batch does not divide the records, that one begins the next pass). A resume
restores the last snapshot, and has the data layers of a fresh process read again what the round had
read by then, without computing: 9 ms a batch at 224 x 224. Rounds are what bounds that, to two
minutes at most for an epoch of the paper's; and because they begin where they do whether or not
anything was interrupted, the weights are the same to the bit. Alternatives cost more: a round of
any length would have to read its way to its place at every start.

Caffe's own `caffe train` has no rounds: on the run's solver it gives the same bits in the first
round, and from a round's first snapshot with ``random_seed + round`` in any other. A run of one
round it repeats from start to end.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from google.protobuf import text_format
from msgspec import Meta, Struct

from netgen.caffe.caffe_pb2 import SolverParameter
from netgen.caffe.schema import parse_solver
from netgen.training.plateau import FACTOR, Rule

NEVER = 2**31 - 1
OURS = "multistep"  # the policy that a rule's drops are written in
Positive = Annotated[int, Meta(gt=0)]


class Plan(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A run's plan, as ``run.json`` keeps it.

    Attributes
    ----------
    name
        Of the snapshots.
    solver
        The solver's prototxt as it was given, less comments; its `random_seed` is set.
    net
        SHA-256 of the network's prototxt.
    losses
        Training outputs that are losses -> their weights.
    records, batch
        Training images, and how many an iteration reads (on all GPUs).
    test_records, test_batch
        The same of a test's batches; 0 without tests.
    round_iterations
        Iterations a round.
    gpus
        Which GPUs compute; none is the CPU.
    rule, observed
        When the rate drops (None: the solver's own policy), and by which test output's loss (None:
        the training loss).
    best
        The test outputs whose mean says which snapshot is the best; without any, none is.
    keep
        Newest snapshots to keep besides the best.
    reseed
        Whether layers draw from Caffe's main generator (Dropout), which no snapshot can save: then
        every iteration seeds it anew, from the seed and its own number.
    explosion
        How many times the first loss the smoothed loss may become.
    """

    name: str
    solver: str
    net: str
    losses: dict[str, float]
    records: Positive
    batch: Positive
    test_records: int
    test_batch: int
    round_iterations: Positive
    gpus: list[int]
    rule: Rule | None
    observed: str | None
    best: list[str]
    keep: Positive
    reseed: bool
    explosion: float

    @cached_property
    def parameters(self) -> SolverParameter:
        """The solver's numbers, as it was given."""
        return parse_solver(self.solver)

    @property
    def gpu(self) -> int | None:
        """The first of the GPUs; None for the CPU."""
        return self.gpus[0] if self.gpus else None

    def seed(self, round_: int) -> int:
        """Return a round's random seed."""
        return int(self.parameters.random_seed + round_) % 2**32

    def epoch(self, iteration: int) -> float:
        """Return how often as many records as there are have been read."""
        return iteration * self.batch / self.records

    def rate(self, drops: int) -> float | None:
        """Return the learning rate after so many drops; None under a policy of the solver's."""
        if self.rule is None and self.parameters.lr_policy != "fixed":
            return None
        return float(f"{self.parameters.base_lr * FACTOR**drops:.7g}")  # it is in single precision


def run_solver(plan: Plan, net: str, drops: list[int]) -> str:
    """Return the solver of a run as it came to be, for Caffe's own `caffe train`.

    Parameters
    ----------
    plan
        The run's.
    net
        Path of its network's prototxt.
    drops
        The iterations before which the rate dropped.
    """
    solver = _with_policy(plan, net)
    solver.stepvalue.extend(drops if plan.rule else ())
    return text_format.MessageToString(solver)


def round_solver(plan: Plan, net: str, prefix: str, round_: int) -> str:
    """Return the solver of one round, for pycaffe: `prefix` is where its snapshots go.

    Tests, snapshots and drops are netgen's to make, so Caffe makes none by itself; the test net
    stays, since it takes its share of random numbers as it is made.
    """
    solver = _with_policy(plan, net)
    solver.random_seed = plan.seed(round_)
    solver.snapshot = 0
    solver.snapshot_prefix = prefix
    solver.snapshot_format = SolverParameter.BINARYPROTO
    solver.test_initialization = False
    if solver.test_iter:
        solver.test_interval = NEVER
    return text_format.MessageToString(solver)


def _with_policy(plan: Plan, net: str) -> SolverParameter:
    solver = SolverParameter()
    solver.CopyFrom(plan.parameters)
    solver.net = net
    if plan.gpu is None:
        solver.solver_mode = SolverParameter.CPU
    else:
        solver.solver_mode, solver.device_id = SolverParameter.GPU, plan.gpu
    if plan.rule:
        solver.lr_policy, solver.gamma = OURS, FACTOR
        del solver.stepvalue[:]
    return solver
