"""How networks are trained: solvers, data layers and losses as parsed; memory; our choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

from netgen.audit.inspection.data_layers import batch_of
from netgen.audit.measurements.measurement import (
    AuditInputs,
    Estimate,
    Found,
    LeftOpen,
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
from netgen.cost.wiring import loss_weight
from netgen.evaluation.results import Result, read_result
from netgen.network.dataset import MTVSO
from netgen.network.training_commands import TrainingCommands
from netgen.network.variants import find, variants
from netgen.paper import TABLE_2, Recipe
from netgen.paper.claims import ROWS, Measure
from netgen.system.text import gib

SOLVERS = "solvers/*.prototxt"


def _residual(inputs: AuditInputs) -> Iterator[ParsedNetwork]:
    return map(inputs.network, RESIDUAL)


@measures(Measure.UNWEIGHTED_LOSSES)
def unweighted_losses(inputs: AuditInputs) -> Found:
    """Whether every loss counts once."""
    losses = [y for n in _residual(inputs) for y in of_type("SoftmaxWithLoss", n.layers())]
    weights = {loss_weight(layer, 0) for layer in losses}
    return Found("weights of 1", f"layers loss_* of {FILES}", holds=weights == {1.0})


@measures(Measure.NO_DROPOUT)
def no_dropout(inputs: AuditInputs) -> Found:
    """Whether no network has a Dropout layer."""
    found = [y.name for n in _residual(inputs) for y in n.net.layer if y.type == "Dropout"]
    return Found(f"{len(found)} Dropout layers", FILES, holds=not found)


@measures(Measure.FLIPS)
def flips(inputs: AuditInputs) -> Found:
    """Whether images are mirrored at random in training, and only there."""
    mirrored = {
        phase: {
            layer.transform_param.mirror
            for network in _residual(inputs)
            for layer in network.layers(phase)
            if layer.name == "data"
        }
        for phase in ("TRAIN", "TEST")
    }
    holds = mirrored == {"TRAIN": {True}, "TEST": {False}}
    return Found("mirror in TRAIN, not in TEST", f"layers data of {FILES}", holds=holds)


@measures(Measure.BATCH)
def batch(inputs: AuditInputs) -> Found:
    """Images per iteration in training, for every data layer."""
    sizes = {
        batch_of(layer)
        for network in _residual(inputs)
        for layer in of_type("Data", network.layers())
    }
    return Found(", ".join(map(str, sizes)), f"Data layers of {FILES}", tuple(sizes))


@measures(Measure.SOLVER)
def solver(inputs: AuditInputs, name: str) -> Found:
    """Return a number that all solvers share."""
    values = {round(getattr(network.solver, name), 9) for network in _residual(inputs)}
    return Found(", ".join(f"{v:g}" for v in values), f"{name} in {SOLVERS}", tuple(values))


@measures(Measure.OPTIMISER)
def optimiser(inputs: AuditInputs) -> Found:
    """Whether all solvers are Caffe's SGD."""
    types = {network.solver.type for network in _residual(inputs)}
    return Found(", ".join(types), f"type in {SOLVERS}", holds=types == {"SGD"})


@measures(Measure.ACCURACIES)
def accuracies(inputs: AuditInputs) -> Found:
    """Whether every head is tested on its top-1 and top-5 accuracy."""
    wrong = []
    for name in RESIDUAL:
        layers = inputs.network(name).layers("TEST")
        scores = sorted((a.bottom[0], a.accuracy_param.top_k) for a in of_type("Accuracy", layers))
        heads = [layer.name for layer in of_type("InnerProduct", layers)]
        wrong += [name] if scores != sorted((head, k) for head in heads for k in (1, 5)) else []
    return Found("top-1 and top-5 of every head", f"Accuracy layers of {FILES}", holds=not wrong)


@measures(Measure.ACCURACY)
def accuracy(inputs: AuditInputs, network: str, task: str, k: str) -> Found:
    """Accuracy of a trained network on the paper's test set, in percent.

    With its 95% interval: no training gives the same digits twice.
    """
    variant = ROWS[network, task].variant
    results = _results(inputs.results) if inputs.results else {}
    if (result := results.get(variant)) and task in {one.name for one in result.tasks}:
        found = result.task(task).accuracy
        share = found.top1 if k == "1" else found.top5
        value, low, high = (100 * x for x in (share.value, share.low, share.high))
        shown = f"{value:.2f} % ({low:.2f} to {high:.2f})"
        evidence = f"netgen eval: {share.correct:,} of {share.total:,}, {result.weights.path}"
        return Found(shown, evidence, (Estimate(value, low, high),), proves=False)
    if network == "DeepSentiBank":
        raise NeedsData("DeepSentiBank's caffemodel and the VSO images")
    name = variant_of(network, task)
    commands = TrainingCommands(name, published=find(name, TASKS).row.weights)
    raise NeedsTraining(f"{commands.init}; {commands.train}; netgen eval; netgen audit --results")


@cache
def _results(folder: Path) -> dict[str, Result]:
    """Return the results in a folder that are of the paper's whole test set, by variant."""
    found = [read_result(file) for file in sorted(folder.glob("*.json"))]
    whole = (MTVSO.name, MTVSO.test.records)
    return {one.variant: one for one in found if (one.dataset, one.records) == whole}


@measures(Measure.RATE_DROPS)
def rate_drops(inputs: AuditInputs) -> Found:
    """Tenfold drops at plateaus: they happen while training, so no file shows them."""
    policies = {network.solver.lr_policy for network in _residual(inputs)}
    raise NeedsTraining(
        f"{SOLVERS} start with lr_policy {', '.join(policies)}: plateaus show only in training"
    )


@measures(Measure.RECIPE_OF_BASELINES)
def recipe_of_baselines(_: AuditInputs) -> Found:
    """Report that the batch and the rate are given for cross-residual networks only."""
    raise LeftOpen(
        "netgen/paper/printed.py, Recipe; netgen build --batch-size, --base-lr",
        "single-task networks are trained by the same recipe",
    )


@measures(Measure.INITIAL_WEIGHTS)
def initial_weights(_: AuditInputs) -> Found:
    """Report the source of the initial weights."""
    raise NeedsData("He's ResNet-50-model.caffemodel", "layers outside the towers have He's names")


@measures(Measure.MEMORY_ON_THE_CARD)
def memory_on_the_card(inputs: AuditInputs) -> Found:
    """Whether every network trains and tests within the card's 12 GiB."""
    totals = {name: _training_memory(inputs.network(name)) for name in TRAINED}
    largest = max(totals, key=lambda name: totals[name])
    return Found(
        f"at most {totals[largest]:.1f} of {Recipe().memory:g} GiB: "
        + ", ".join(f"{name} {total:.1f}" for name, total in totals.items()),
        "`netgen count`: TRAIN at batch 24 and TEST at its solver's batch; estimated",
        holds=totals[largest] <= Recipe().memory,
        proves=False,  # an estimate, of a CPU's build
    )


def _training_memory(network: ParsedNetwork) -> float:
    """Return the GiB of a training net with its test net, as its files have them."""
    train, test = network.cost().memory, network.cost("TEST").memory
    return gib(train.total + test.added_to(train).total)


@measures(Measure.UNCUT_TOWERS)
def uncut_towers(inputs: AuditInputs) -> Found:
    """Whether three whole networks side by side exceed the card."""
    towers = [inputs.network(f"resnet50-{task}") for task in TASKS]
    memory = gib(sum(tower.cost().memory.total for tower in towers))
    return Found(
        f"{memory:.1f} GiB to train three towers at batch 24; one card has {Recipe().memory:g}",
        "`netgen count --variant resnet50-noun`, -adj, -anp",
        holds=memory > Recipe().memory,
        proves=False,
    )


@measures(Measure.BASELINES)
def baselines(_: AuditInputs) -> Found:
    """Return how many of the four single-task architectures can be built."""
    known = variants(TASKS)
    single = {name for name in TRAINED if len(known[name].tasks) == 1}
    built = dict.fromkeys(row.network for row in TABLE_2 if row.variant in single)
    return Found(", ".join(built), "`netgen list`", (len(built),))


@measures(Measure.BASELINE_LAYERS)
def baseline_layers(inputs: AuditInputs, network: str) -> Found:
    """Layers with weights: convolutions and fully connected ones."""
    layers = inputs.network(variant_of(network, "anp")).layers()
    count = len(of_type("Convolution", layers)) + len(of_type("InnerProduct", layers))
    return Found(str(count), "`netgen count --layers`", (count,))


@measures(Measure.WIDEST_KERNEL)
def widest_kernel(inputs: AuditInputs, network: str) -> Found:
    """Kernel of the widest convolution that a 1 x 1 reduction feeds."""
    layers = inputs.network(variant_of(network, "anp")).layers()
    makers = {layer.top[0]: layer for layer in of_type("Convolution", layers)}
    sizes = [
        layer.convolution_param.kernel_size[0]
        for layer in makers.values()
        if (before := makers.get(layer.bottom[0])) and before.convolution_param.kernel_size[0] == 1
    ]
    return Found(f"{max(sizes)} x {max(sizes)}", "`netgen count --layers`", (max(sizes),) * 2)


@measures(Measure.LEARNED_WEIGHTS)
def learned_weights(_: AuditInputs) -> Found:
    """Signs and sizes of learned cross weights."""
    raise NeedsTraining("only a trained X_S has learned cross weights (solvers/xs.prototxt)")


@measures(Measure.CHOICE)
def choice(_: AuditInputs, name: str) -> Found:
    """Return a field of the recipe that the paper leaves open."""
    field = next(field for field in fields(Recipe) if field.name == name)
    why = field.metadata["choice"]
    in_reason = field.default in (None, False, ())  # the reason begins with it
    raise LeftOpen(
        f"netgen/paper/printed.py, Recipe.{name}; netgen build --{name.replace('_', '-')}",
        f"{field.metadata['what']}: {why if in_reason else f'{field.default} ({why})'}",
    )


@measures(Measure.MEAN_PIXEL)
def mean_pixel(inputs: AuditInputs) -> Found:
    """Return the mean that is subtracted from images."""
    means = {tuple(n.layers()[0].transform_param.mean_value) for n in _residual(inputs)}
    raise LeftOpen(
        "netgen/paper/printed.py, IMAGENET_MEAN",
        f"{', '.join(map(str, means.pop()))} subtracted (ImageNet's; the paper is silent)",
    )
