"""A run's plan: everything that is decided before it starts, and does not change afterwards.

A run consists of rounds. A round starts in a new process, at the first record, with the random seed
``random_seed + round``, and ends after whole passes over the data (at the batch that completes the
last pass; if the batch size does not divide the number of records, that batch also has the first
records of the next pass). A resume restores the last snapshot in a new process, whose data layers
then read the round's batches again, without computing: 9 ms per batch at 224 x 224. Rounds limit
this to two minutes for an epoch of the paper's. Because they start at the same iterations whether
or not anything interrupted the run, the weights are the same to the bit.

Stock `caffe train` has no rounds: with the run's solver it gives the same bits in the first round,
and in a later one if started from its first snapshot with ``random_seed + round``. So it repeats a
run of one round from start to end.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256

import msgspec
from google.protobuf import text_format
from msgspec import Struct

from netgen.caffe.caffe_pb2 import SolverParameter
from netgen.caffe.schema import parse_solver
from netgen.network.dataset import Positive
from netgen.training.plateau import FACTOR, PlateauRule

NEVER = 2**31 - 1
DROPS_POLICY = "multistep"  # how the plateau rule's drops are written


class TrainingPlan(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A run's plan, as ``run.json`` keeps it.

    Attributes
    ----------
    name
        Start of the snapshots' file names.
    solver
        The solver's prototxt without comments; its `random_seed` is set.
    net
        SHA-256 of the network's prototxt.
    losses
        Training outputs that are losses -> their weights.
    records, batch
        Training images, and how many of them an iteration reads (on all GPUs).
    test_records, test_batch
        Test images, and how many of them a batch has; 0 without tests.
    round_iterations
        Iterations per round.
    gpus
        The GPUs that compute; empty for the CPU.
    rule, observed
        The plateau rule that drops the rate (None: the solver's own policy), and the test output
        that it observes (None: the training loss).
    best
        The test outputs whose mean decides which snapshot is the best; empty for none.
    keep
        Newest snapshots to keep, in addition to the best.
    reseed
        Whether layers use Caffe's main random generator (Dropout), whose state no snapshot has:
        then each iteration seeds it, from the seed and the iteration's number.
    explosion
        The largest allowed ratio of the smoothed loss to the first loss.
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
    rule: PlateauRule | None
    observed: str | None
    best: list[str]
    keep: Positive
    reseed: bool
    explosion: float

    @cached_property
    def parameters(self) -> SolverParameter:
        """The parsed `solver`."""
        return parse_solver(self.solver)

    @property
    def digest(self) -> str:
        """The SHA-256 of all of it, as which a run's journal remembers it."""
        return sha256(msgspec.json.encode(self)).hexdigest()

    @property
    def gpu(self) -> int | None:
        """The first of the GPUs; None for the CPU."""
        return self.gpus[0] if self.gpus else None

    def seed(self, round_: int) -> int:
        """Return a round's random seed."""
        return int(self.parameters.random_seed + round_) % 2**32

    def epoch(self, iteration: int) -> float:
        """Return the epochs after so many iterations."""
        return iteration * self.batch / self.records

    def rate(self, drops: int) -> float | None:
        """Return the learning rate after so many drops; None under the solver's own policy."""
        if self.rule is None and self.parameters.lr_policy != "fixed":
            return None
        return float(f"{self.parameters.base_lr * FACTOR**drops:.7g}")  # Caffe's single precision


def run_solver(plan: TrainingPlan, net: str, drops: list[int]) -> str:
    """Return the solver of a run with its drops so far, for stock `caffe train`.

    Parameters
    ----------
    plan
        The run's plan.
    net
        Path of its network's prototxt.
    drops
        The iterations before which the rate dropped.
    """
    solver = _with_policy(plan, net)
    solver.stepvalue.extend(drops if plan.rule else ())
    return text_format.MessageToString(solver)


def round_solver(plan: TrainingPlan, net: str, prefix: str, round_: int) -> str:
    """Return the solver of one round, for pycaffe; `prefix` starts the paths of its snapshots.

    netgen tests, takes snapshots and drops the rate itself, so Caffe does none of these. The test
    net stays: its initialisation uses random numbers.
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


def _with_policy(plan: TrainingPlan, net: str) -> SolverParameter:
    solver = SolverParameter()
    solver.CopyFrom(plan.parameters)
    solver.net = net
    if plan.gpu is None:
        solver.solver_mode = SolverParameter.CPU
    else:
        solver.solver_mode, solver.device_id = SolverParameter.GPU, plan.gpu
    if plan.rule:
        solver.lr_policy, solver.gamma = DROPS_POLICY, FACTOR
        del solver.stepvalue[:]
    return solver
