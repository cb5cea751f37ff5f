"""How networks are trained: solvers, data layers and losses as parsed; memory; baselines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from netgen.audit.inspection.data_layers import batch_of
from netgen.audit.measurements.measurement import (
    AuditInputs,
    Basis,
    Estimate,
    Found,
    NeedsData,
    NeedsTraining,
    measures,
)
from netgen.audit.measurements.parsed_networks import (
    RESIDUAL,
    TASKS,
    TRAINED,
    ParsedNetwork,
    of_type,
    variant_of,
)
from netgen.audit.measurements.table_1 import FILES
from netgen.caffe.schema import Phase
from netgen.cost.wiring import loss_weight
from netgen.evaluation.results import Result, read_result
from netgen.network.dataset import MTVSO
from netgen.network.training_commands import TrainingCommands
from netgen.network.variants import find, variants
from netgen.paper import Recipe
from netgen.paper.claims import ROWS, Measure
from netgen.system.text import gib, value_text

SOLVERS = "solvers/*.prototxt"


def _residual(inputs: AuditInputs) -> Iterator[ParsedNetwork]:
    return map(inputs.network, RESIDUAL)


@measures(Measure.UNWEIGHTED_LOSSES, Basis.OWN_FILES)
def unweighted_losses(inputs: AuditInputs) -> Found:
    """Whether every loss counts once."""
    losses = [y for n in _residual(inputs) for y in of_type("SoftmaxWithLoss", n.layers())]
    weights = {loss_weight(layer, 0) for layer in losses}
    shown = f"weights of {_values(weights)}"
    return Found(shown, f"layers loss_* of {FILES}", holds=weights == {1.0})


@measures(Measure.NO_DROPOUT, Basis.OWN_FILES)
def no_dropout(inputs: AuditInputs) -> Found:
    """Whether no network has a Dropout layer."""
    found = [y.name for n in _residual(inputs) for y in n.net.layer if y.type == "Dropout"]
    return Found(f"{len(found)} Dropout layers", FILES, holds=not found)


@measures(Measure.FLIPS, Basis.OWN_FILES)
def flips(inputs: AuditInputs) -> Found:
    """Whether images are mirrored at random in training, and only there."""
    train, test = _mirrored(inputs, "TRAIN"), _mirrored(inputs, "TEST")
    return Found(
        f"mirror {_values(train)} in TRAIN, {_values(test)} in TEST",
        f"layers data of {FILES}",
        holds=(train, test) == ({True}, {False}),
    )


def _mirrored(inputs: AuditInputs, phase: Phase) -> set[bool]:
    layers = [layer for network in _residual(inputs) for layer in network.layers(phase)]
    return {layer.transform_param.mirror for layer in layers if layer.name == "data"}


def _values(found: Iterable[object]) -> str:
    """Return what is found in files, each value once."""
    return " or ".join(sorted(map(value_text, found))) or "nothing"


@measures(Measure.BATCH, Basis.OWN_FILES)
def batch(inputs: AuditInputs) -> Found:
    """Images per iteration in training, for every data layer."""
    sizes = {
        batch_of(layer)
        for network in _residual(inputs)
        for layer in of_type("Data", network.layers())
    }
    return Found(", ".join(map(str, sizes)), f"Data layers of {FILES}", tuple(sizes))


@measures(Measure.SOLVER, Basis.OWN_FILES)
def solver(inputs: AuditInputs, name: str) -> Found:
    """Return a number that all solvers share."""
    values = {round(getattr(network.solver, name), 9) for network in _residual(inputs)}
    return Found(", ".join(f"{v:g}" for v in values), f"{name} in {SOLVERS}", tuple(values))


@measures(Measure.OPTIMISER, Basis.OWN_FILES)
def optimiser(inputs: AuditInputs) -> Found:
    """Whether all solvers are Caffe's SGD."""
    types = {network.solver.type for network in _residual(inputs)}
    return Found(", ".join(types), f"type in {SOLVERS}", holds=types == {"SGD"})


@measures(Measure.ACCURACIES, Basis.OWN_FILES)
def accuracies(inputs: AuditInputs) -> Found:
    """Whether every head is tested on its top-1 and top-5 accuracy."""
    wrong = []
    for name in RESIDUAL:
        layers = inputs.network(name).layers("TEST")
        scores = sorted((a.bottom[0], a.accuracy_param.top_k) for a in of_type("Accuracy", layers))
        heads = [layer.name for layer in of_type("InnerProduct", layers)]
        wrong += [name] if scores != sorted((head, k) for head in heads for k in (1, 5)) else []
    return Found("top-1 and top-5 of every head", f"Accuracy layers of {FILES}", holds=not wrong)


@measures(Measure.ACCURACY, Basis.TRAINED)
def accuracy(inputs: AuditInputs, network: str, task: str, k: str) -> Found:
    """Accuracy of a trained network on the paper's test set, in percent.

    With its 95% interval: no training gives the same digits twice.
    """
    variant = ROWS[network, task].variant
    result = results_in(inputs.results).get(variant)
    if result and task in {one.name for one in result.tasks}:
        found = result.task(task).accuracy
        share = found.top1 if k == "1" else found.top5
        value, low, high = (100 * x for x in (share.value, share.low, share.high))
        shown = f"{value:.2f} % ({low:.2f} to {high:.2f})"
        evidence = f"`netgen eval`: {share.correct:,} of {share.total:,}, {result.weights.path}"
        return Found(shown, evidence, (Estimate(value, low, high),))
    if network == "DeepSentiBank":
        raise NeedsData("DeepSentiBank's caffemodel and the VSO images")
    name = variant_of(network, task)
    commands = TrainingCommands(name, published=find(name, TASKS).row.weights)
    raise NeedsTraining("; ".join(f"`{one}`" for one in _to_measure(commands)))


def _to_measure(commands: TrainingCommands) -> Iterator[str]:
    """Return the commands that train a network of Table 2, and judge it, in their order."""
    name = commands.name
    if commands.init:
        yield commands.init
    yield commands.train
    yield f"netgen eval --variant {name} --weights runs/{name} --out results/{name}.json"
    yield "netgen audit --results results"


def results_in(folder: Path | None) -> dict[str, Result]:
    """Return the results in a folder that are of the paper's whole test set, by variant."""
    return _results(folder) if folder else {}


@cache
def _results(folder: Path) -> dict[str, Result]:
    found = [read_result(file) for file in sorted(folder.glob("*.json"))]
    whole = (MTVSO.name, MTVSO.test.records)
    return {one.variant: one for one in found if (one.dataset, one.records) == whole}


@measures(Measure.MEMORY_ON_THE_CARD, Basis.ALLOWED)
def memory_on_the_card(inputs: AuditInputs) -> Found:
    """Whether every network trains and tests within the card's 12 GiB."""
    totals = {name: _training_memory(inputs.network(name)) for name in TRAINED}
    largest = max(totals, key=lambda name: totals[name])
    return Found(
        f"at most {totals[largest]:.1f} of {Recipe().memory:g} GiB: "
        + ", ".join(f"{name} {total:.1f}" for name, total in totals.items()),
        f"`netgen count --variant {largest}`: TRAIN at batch 24 and TEST at its solver's batch;"
        " estimated",
        holds=totals[largest] <= Recipe().memory,
    )


def _training_memory(network: ParsedNetwork) -> float:
    """Return the GiB of a training net with its test net, as its files have them."""
    train, test = network.cost().memory, network.cost("TEST").memory
    return gib(train.total + test.added_to(train).total)


@measures(Measure.UNCUT_TOWERS, Basis.ALLOWED)
def uncut_towers(inputs: AuditInputs) -> Found:
    """Whether three whole networks side by side exceed the card."""
    towers = [inputs.network(f"resnet50-{task}") for task in TASKS]
    memory = gib(sum(tower.cost().memory.total for tower in towers))
    return Found(
        f"{memory:.1f} GiB to train three towers at batch 24; one card has {Recipe().memory:g}",
        "`netgen count --variant resnet50-noun`; the same of resnet50-adj and resnet50-anp",
        holds=memory > Recipe().memory,
    )


@measures(Measure.BASELINES, Basis.OWN_FILES)
def baselines(_: AuditInputs) -> Found:
    """Return how many of the four single-task architectures can be built."""
    known = variants(TASKS)
    single = {name for name in TRAINED if len(known[name].tasks) == 1}
    built = dict.fromkeys(row.network for row in ROWS.values() if row.variant in single)
    return Found(", ".join(built), "`netgen list`", (len(built),))


@measures(Measure.BASELINE_LAYERS, Basis.OWN_FILES)
def baseline_layers(inputs: AuditInputs, network: str) -> Found:
    """Layers with weights: convolutions and fully connected ones."""
    name = variant_of(network, "anp")
    layers = inputs.network(name).layers()
    count = len(of_type("Convolution", layers)) + len(of_type("InnerProduct", layers))
    return Found(str(count), f"`netgen count --variant {name} --layers`", (count,))


@measures(Measure.WIDEST_KERNEL, Basis.OWN_FILES)
def widest_kernel(inputs: AuditInputs, network: str) -> Found:
    """Kernel of the widest convolution that a 1 x 1 reduction feeds."""
    name = variant_of(network, "anp")
    layers = inputs.network(name).layers()
    makers = {layer.top[0]: layer for layer in of_type("Convolution", layers)}
    sizes = [
        layer.convolution_param.kernel_size[0]
        for layer in makers.values()
        if (before := makers.get(layer.bottom[0])) and before.convolution_param.kernel_size[0] == 1
    ]
    evidence = f"`netgen count --variant {name} --layers`"
    return Found(f"{max(sizes)} x {max(sizes)}", evidence, (max(sizes),) * 2)


@measures(Measure.POOL_BEFORE_NORM, Basis.OWN_FILES)
def pool_before_norm(inputs: AuditInputs, network: str) -> Found:
    """Whether every local response normalisation reads a pool, where AlexNet's feed one."""
    layers = inputs.network(variant_of(network, "anp")).layers()
    pooled = {layer.top[0] for layer in of_type("Pooling", layers)}
    norms = of_type("LRN", layers)
    swapped = [layer.name for layer in norms if layer.bottom[0] in pooled]
    return Found(
        f"{len(swapped)} of {len(norms)} normalisations follow a pool"
        f" ({', '.join(swapped) or 'none'}); in AlexNet, pools follow normalisations",
        f"layers pool* and norm* of models/{variant_of(network, 'anp')}/train_val.prototxt",
        holds=bool(norms) and len(swapped) == len(norms),
    )
