"""Plans a run: checks and decides everything before it starts."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import text_format

from netgen import paper
from netgen.caffe import caffemodel_check
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from netgen.caffe.schema import Phase, layers_in, read_net, read_solver
from netgen.cost.wiring import loss_weight
from netgen.network.variants import variants
from netgen.system.files import digest
from netgen.system.text import listed
from netgen.training.feeds import check_feed
from netgen.training.plan import TrainingPlan
from netgen.training.plateau import PlateauRule
from netgen.training.training_options import TrainingOptions
from netgen.weights.weighted_layers import read_weighted_network

# Layers that use Caffe's main random generator in training; no snapshot has its state.
RANDOM = ("Dropout",)
TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
POLICIES = ("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid")
SHORTEST_ROUND = 2000  # iterations: a round starts with a new process, which takes seconds
SHORTEST_WINDOW = 100  # iterations: the mean loss of fewer is mostly noise
MANY_NAMES = 8


class PlanError(ValueError):
    """A training that cannot be planned; the message says why and what next."""


def make_plan(solver_file: Path, name: str, options: TrainingOptions) -> TrainingPlan:
    """Plan a run, after checking everything that it will read.

    Parameters
    ----------
    solver_file
        The solver's prototxt, whose `net` is relative to the current folder, as for Caffe.
    name
        Start of the snapshots' file names.
    options
        The user's options.

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
    gpus = _gpus(options.gpu, solver)
    batch = feed.batch * max(solver.iter_size, 1) * max(len(gpus), 1)
    observed = _observed(options.plateau, test if tests else [])
    return TrainingPlan(
        name=name,
        solver=text_format.MessageToString(solver),
        net=digest(Path(solver.net)),
        losses=_losses(train, solver_file),
        records=feed.records,
        batch=batch,
        test_records=tests.records if tests else 0,
        test_batch=tests.batch if tests else 0,
        round_iterations=_round(options.round_, feed.records, batch),
        gpus=gpus,
        rule=_rule(options, solver, observed, feed.records, batch),
        observed=observed,
        best=_best(options.best, test if tests else []),
        keep=options.keep,
        reseed=any(layer.type in RANDOM for layer in train),
        explosion=options.explosion,
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


def check_data(plan: TrainingPlan, net_file: Path) -> None:
    """Check that the databases of a run's network are still as its plan counted them.

    Raises
    ------
    PlanError
        They have more or fewer images.
    ValueError
        One cannot be used.
    """
    solver, net = plan.parameters, read_net(net_file)
    stage = solver.test_state[0].stage if solver.test_state else ()
    train = layers_in(net, "TRAIN", solver.train_state.stage)
    feeds: list[tuple[Phase, Sequence[LayerParameter], int]] = [("TRAIN", train, plan.records)]
    if solver.test_iter:
        feeds.append(("TEST", layers_in(net, "TEST", stage), plan.test_records))
    for phase, layers, records in feeds:
        found = check_feed(layers, phase).records
        if found != records:
            raise PlanError(
                f"{net_file}: its databases of phase {phase} have {found:,} images, and had"
                f" {records:,} when the run began: make them again as they were, or begin another"
                " run (--run)"
            )


def check_plateau(plateau: str, solver: SolverParameter, net: NetParameter) -> None:
    """Check that a rule can lower the rate at plateaus of a loss, as `netgen train --plateau` does.

    Raises
    ------
    PlanError
        The solver lowers the rate itself, or does not test what is to be observed.
    """
    stage = solver.test_state[0].stage if solver.test_state else ()
    _observed(plateau, layers_in(net, "TEST", stage) if solver.test_iter else [])
    _check_policy(plateau, solver)


def random_start(name: str, net: Path) -> str | None:
    """Return what to say of a network of the paper's that starts from random weights.

    None for other networks: those with another name than Table 2's, or other classes than section
    5.1's.
    """
    row = variants(list(paper.TASKS)).get(name)
    heads = {y.name: y.inner_product_param.num_output for y in read_net(net).layer}
    if row is None or any(heads.get(f"fc_{task}") != paper.TASKS[task] for task in row.tasks):
        return None
    return (
        f"{name} starts from random weights; section 5.2 started from ImageNet's: `netgen init`"
        " makes such weights, and --weights names them"
    )


def _solver(file: Path) -> SolverParameter:
    solver = read_solver(file)
    if not solver.net or len(solver.test_iter) > 1 or solver.test_net or solver.test_net_param:
        raise PlanError(
            f"{file}: `netgen train` takes a solver with `net`, and one test_iter or none, as"
            " `netgen build` writes them"
        )
    if not solver.max_iter:
        raise PlanError(f"{file}: no max_iter: add the largest number of iterations")
    if solver.test_iter and solver.test_interval < 1:
        raise PlanError(f"{file}: test_iter without a test_interval: add how often to test")
    _check_values(solver, file)
    if solver.random_seed < 0:
        solver.random_seed = secrets.randbelow(2**31)  # run.json records it
    return solver


def _check_values(solver: SolverParameter, file: Path) -> None:
    """Refuse values with which Caffe ends its process, or computes what nobody means.

    Raises
    ------
    PlanError
        A field has such a value.
    """
    for field in ("max_iter", "iter_size", "average_loss", "test_iter"):
        value = getattr(solver, field)
        counts = [value] if isinstance(value, int) else value
        if any(count < 1 for count in counts):
            raise PlanError(f"{file}: {field}: {counts[0]}: give 1 or more")
    for field in ("base_lr", "momentum", "weight_decay"):
        value = getattr(solver, field)
        if not 0 <= value < math.inf:
            raise PlanError(f"{file}: {field}: {value:g}: give a number that is not negative")
    for field, known in (("type", TYPES), ("lr_policy", POLICIES)):
        value = getattr(solver, field)
        if value not in known:
            raise PlanError(f"{file}: {field}: {value!r}: Caffe has {listed(known, MANY_NAMES)}")
    if solver.train_net or solver.HasField("train_net_param") or solver.HasField("net_param"):
        raise PlanError(f"{file}: `net` and another network beside it: keep `net` alone")
    if solver.weights:
        raise PlanError(f"{file}: weights: `netgen train` takes them by --weights: remove the line")


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
    """Return the iterations of so many passes; by default at least `SHORTEST_ROUND`."""
    epoch = math.ceil(records / batch)
    passes = passes or math.ceil(SHORTEST_ROUND / epoch)
    return math.ceil(passes * records / batch)


def _gpus(gpus: tuple[int, ...], solver: SolverParameter) -> list[int]:
    if not gpus and solver.solver_mode == SolverParameter.GPU:
        return [int(solver.device_id)]
    return list(gpus)


def _rule(
    options: TrainingOptions,
    solver: SolverParameter,
    observed: str | None,
    records: int,
    batch: int,
) -> PlateauRule | None:
    _check_policy(options.plateau, solver)
    if options.plateau == "off":
        return None
    epoch = math.ceil(records / batch)
    window = options.window or (1 if observed else max(epoch, SHORTEST_WINDOW))
    return PlateauRule(window, options.patience, options.min_gain, options.drops)


def _check_policy(plateau: str, solver: SolverParameter) -> None:
    if plateau != "off" and solver.lr_policy != "fixed":
        raise PlanError(
            f"the solver lowers the rate by its own policy ({solver.lr_policy!r}): add"
            ' `--plateau off` to follow that, or write lr_policy: "fixed" to lower it at plateaus'
        )


def _observed(plateau: str, test: Sequence[LayerParameter]) -> str | None:
    """Return the test output that the plateau rule observes; None for the training loss."""
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
