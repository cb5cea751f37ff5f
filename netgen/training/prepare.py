"""Everything that is decided and checked before a run starts."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from netgen.caffe import caffemodel_check
from netgen.caffe.caffe_pb2 import LayerParameter, SolverParameter
from netgen.caffe.schema import layers_in, read_net, read_solver
from netgen.cost.wiring import loss_weight
from netgen.system.files import digest
from netgen.system.text import listed
from netgen.training.feeds import check_feed
from netgen.training.plan import Plan
from netgen.training.plateau import Rule
from netgen.weights.weighted_layers import read_weighted_network

# What draws from Caffe's main generator while it trains, whose state no snapshot has.
RANDOM = ("Dropout",)
SHORTEST_ROUND = 2000  # iterations: a round begins with a new process, which takes seconds
SHORTEST_WINDOW = 100  # iterations: of fewer, a mean loss is mostly noise
MANY_NAMES = 8


class PlanError(ValueError):
    """A training that cannot be planned; the message says why and what next."""


@dataclass(frozen=True)
class Wishes:
    """What the command line leaves to decide; None where the data decide.

    Attributes
    ----------
    plateau
        "train" for the training loss, a task or a test output for that, "off" for the solver's own
        policy.
    window, patience, gain, drops
        As `netgen.training.plateau.Rule`.
    best
        A task or a test output, or None for the mean of all top-1 accuracies.
    keep, explosion
        As `netgen.training.plan.Plan`.
    round_
        Passes over the data in a round.
    gpus
        Which GPUs; none for what the solver says.
    """

    plateau: str = "train"
    window: int | None = None
    patience: int = 2
    gain: float = 0.01
    drops: int = 3
    best: str | None = None
    keep: int = 3
    round_: int | None = None
    explosion: float = 10.0
    gpus: tuple[int, ...] = ()


def make_plan(solver_file: Path, name: str, wishes: Wishes) -> Plan:
    """Plan a run, after a look at all that it will read.

    Parameters
    ----------
    solver_file
        The solver's prototxt, whose `net` is relative to the current folder, as for Caffe.
    name
        Of the snapshots.
    wishes
        What the user asked for.

    Raises
    ------
    ValueError
        The solver, the network or a database cannot be used as it is.
    """
    solver = _solver(solver_file)
    net = read_net(solver.net)
    train = layers_in(net, "TRAIN", solver.train_state.stage)
    test = layers_in(net, "TEST", solver.test_state[0].stage if solver.test_state else ())
    feed = check_feed(train, "TRAIN")
    tests = check_feed(test, "TEST") if solver.test_iter else None
    gpus = _gpus(wishes.gpus, solver)
    batch = feed.batch * max(solver.iter_size, 1) * max(len(gpus), 1)
    observed = _observed(wishes.plateau, test if tests else [])
    return Plan(
        name=name,
        solver=text_format.MessageToString(solver),
        net=digest(Path(solver.net)),
        losses=_losses(train, solver_file),
        records=feed.records,
        batch=batch,
        test_records=tests.records if tests else 0,
        test_batch=tests.batch if tests else 0,
        round_iterations=_round(wishes.round_, feed.records, batch),
        gpus=gpus,
        rule=_rule(wishes, solver, observed, feed.records, batch),
        observed=observed,
        best=_best(wishes.best, test if tests else []),
        keep=wishes.keep,
        reseed=any(layer.type in RANDOM for layer in train),
        explosion=wishes.explosion,
    )


def check_weights(weights: Path, net: Path) -> None:
    """Check that a caffemodel has every layer of a network, in its shape.

    Raises
    ------
    ValueError
        It cannot be used, or is another network's.
    """
    layers = read_weighted_network(net).layers
    caffemodel_check.check_weights(weights, net, {layer.name: layer.blobs for layer in layers})


def _solver(file: Path) -> SolverParameter:
    solver = read_solver(file)
    if not solver.net or len(solver.test_iter) > 1 or solver.test_net or solver.test_net_param:
        raise PlanError(
            f"{file}: `netgen train` takes a solver with `net`, and one test_iter or none, as"
            " `netgen build` writes them"
        )
    if not solver.max_iter:
        raise PlanError(f"{file}: no max_iter: say how many iterations there may be at most")
    if solver.test_iter and solver.test_interval < 1:
        raise PlanError(f"{file}: test_iter without a test_interval: say how often to test")
    if solver.random_seed < 0:
        solver.random_seed = secrets.randbelow(2**31)  # run.json remembers it
    return solver


def _losses(train: Sequence[LayerParameter], file: Path) -> dict[str, float]:
    found = {
        top: weight
        for layer in train
        for index, top in enumerate(layer.top)
        if (weight := loss_weight(layer, index))
    }
    if not found:
        raise PlanError(
            f"{file}: its network has no loss in phase TRAIN: there is nothing to learn"
        )
    return found


def _round(passes: int | None, records: int, batch: int) -> int:
    """Return the iterations of so many passes over the data; by default of a few minutes' worth."""
    epoch = math.ceil(records / batch)
    passes = passes or math.ceil(SHORTEST_ROUND / epoch)
    return math.ceil(passes * records / batch)


def _gpus(gpus: tuple[int, ...], solver: SolverParameter) -> list[int]:
    if not gpus and solver.solver_mode == SolverParameter.GPU:
        return [int(solver.device_id)]
    return list(gpus)


def _rule(
    wishes: Wishes, solver: SolverParameter, observed: str | None, records: int, batch: int
) -> Rule | None:
    if wishes.plateau == "off":
        return None
    if solver.lr_policy != "fixed":
        raise PlanError(
            f"the solver lowers the rate by its own policy ({solver.lr_policy!r}): say"
            ' `--plateau off` to follow that, or write lr_policy: "fixed" to lower it at plateaus'
        )
    epoch = math.ceil(records / batch)
    window = wishes.window or (1 if observed else max(epoch, SHORTEST_WINDOW))
    return Rule(window, wishes.patience, wishes.gain, wishes.drops)


def _observed(plateau: str, test: Sequence[LayerParameter]) -> str | None:
    """Return the test output that the plateau rule looks at; None for the training loss."""
    if plateau in ("train", "off"):
        return None
    return _output(plateau, "loss", test, "--plateau")


def _best(best: str | None, test: Sequence[LayerParameter]) -> list[str]:
    if best is not None:
        return [_output(best, "top1", test, "--best")]
    accuracies = (layer for layer in test if layer.type == "Accuracy")
    return [layer.top[0] for layer in accuracies if layer.accuracy_param.top_k == 1]


def _output(name: str, kind: str, test: Sequence[LayerParameter], option: str) -> str:
    """Return the test output of that name, or of the task of that name."""
    read = {blob for layer in test for blob in layer.bottom}
    outputs = [top for layer in test for top in layer.top if top not in read]
    for candidate in (name, f"{kind}_{name}"):
        if candidate in outputs:
            return candidate
    tasks = [top.removeprefix(f"{kind}_") for top in outputs if top.startswith(f"{kind}_")]
    raise PlanError(
        f"{option} {name}: no such task or test output: choose from"
        f" {listed([*tasks, *outputs], MANY_NAMES) or 'none: the solver does not test'}"
    )
