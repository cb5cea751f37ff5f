"""How networks are trained: solvers, data layers and losses as parsed; memory; our choices."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path

from netgen.audit.measurements.measurement import (
    Context,
    Found,
    LeftOpen,
    NeedsData,
    NeedsTraining,
    measurement,
)
from netgen.audit.measurements.parsed_networks import (
    RESIDUAL,
    TASKS,
    TRAINED,
    cost,
    emitted,
    of_type,
    variant_of,
)
from netgen.audit.measurements.table_1 import FILES
from netgen.cost.wiring import loss_weight
from netgen.evaluation.results import Result, read_result
from netgen.network.dataset import MTVSO
from netgen.paper import Recipe
from netgen.paper.claims.results import ROWS
from netgen.system.text import GIB

SOLVERS = "solvers/*.prototxt"
BASELINES = ("CaffeNet", "Inception-v1", "VggNet-16", "ResNet-50")  # section 5.2's four


@measurement
def unweighted_losses(_: Context) -> Found:
    """Whether every loss counts once."""
    losses = [y for n in RESIDUAL for y in of_type("SoftmaxWithLoss", emitted(n).layers())]
    weights = {loss_weight(layer, 0) for layer in losses}
    return Found("weights of 1", f"layers loss_* of {FILES}", holds=weights == {1.0})


@measurement
def no_dropout(_: Context) -> Found:
    """Whether no network has a Dropout layer."""
    found = [y.name for n in RESIDUAL for y in emitted(n).net.layer if y.type == "Dropout"]
    return Found(f"{len(found)} Dropout layers", FILES, holds=not found)


@measurement
def flips(_: Context) -> Found:
    """Whether images are mirrored at random in training, and only there."""
    mirrored = {
        phase: {
            layer.transform_param.mirror
            for name in RESIDUAL
            for layer in emitted(name).layers(phase)
            if layer.name == "data"
        }
        for phase in ("TRAIN", "TEST")
    }
    holds = mirrored == {"TRAIN": {True}, "TEST": {False}}
    return Found("mirror in TRAIN, not in TEST", f"layers data of {FILES}", holds=holds)


@measurement
def batch(_: Context) -> Found:
    """Images an iteration in training, of every data layer."""
    sizes = {
        layer.data_param.batch_size
        for name in RESIDUAL
        for layer in of_type("Data", emitted(name).layers())
    }
    return Found(", ".join(map(str, sizes)), f"Data layers of {FILES}", tuple(sizes))


@measurement
def solver(_: Context, name: str) -> Found:
    """Return a number that all solvers share."""
    values = {round(getattr(emitted(network).solver, name), 9) for network in RESIDUAL}
    return Found(", ".join(f"{v:g}" for v in values), f"{name} in {SOLVERS}", tuple(values))


@measurement
def optimiser(_: Context) -> Found:
    """Whether all solvers are Caffe's SGD."""
    types = {emitted(network).solver.type for network in RESIDUAL}
    return Found(", ".join(types), f"type in {SOLVERS}", holds=types == {"SGD"})


@measurement
def accuracies(_: Context) -> Found:
    """Whether every head is tested on its top-1 and top-5 accuracy."""
    wrong = []
    for name in RESIDUAL:
        layers = emitted(name).layers("TEST")
        scores = sorted((a.bottom[0], a.accuracy_param.top_k) for a in of_type("Accuracy", layers))
        heads = [layer.name for layer in of_type("InnerProduct", layers)]
        wrong += [name] if scores != sorted((head, k) for head in heads for k in (1, 5)) else []
    return Found("top-1 and top-5 of every head", f"Accuracy layers of {FILES}", holds=not wrong)


@measurement
def accuracy(context: Context, network: str, task: str, k: str) -> Found:
    """Accuracy of a trained network on the paper's test set, in percent.

    Its 95% interval has to hold what is printed: no training gives the same digits twice.
    """
    row = ROWS[network, task]
    results = _results(context.results) if context.results else {}
    if (result := results.get(row.variant)) and task in {one.name for one in result.tasks}:
        found = result.task(task).accuracy
        share, text = (found.top1, row.top1) if k == "1" else (found.top5, row.top5)
        value, low, high = (100 * x for x in (share.value, share.low, share.high))
        fits = low <= float(text) <= high
        shown = f"{value:.2f} % ({low:.2f} to {high:.2f})"
        evidence = f"netgen eval: {share.correct:,} of {share.total:,}, {result.weights.path}"
        return Found(shown, evidence, (float(text) if fits else value,), proves=False)
    if network == "DeepSentiBank":
        raise NeedsData("DeepSentiBank's caffemodel and the VSO images")
    name = variant_of(network, task)
    raise NeedsTraining(f"caffe train -solver solvers/{name}.prototxt; netgen log (top{k}_{task})")


@cache
def _results(folder: Path) -> dict[str, Result]:
    """Return the results in a folder that are of the paper's whole test set, by variant."""
    found = [read_result(file) for file in sorted(folder.glob("*.json"))]
    whole = (MTVSO.name, MTVSO.test.records)
    return {one.variant: one for one in found if (one.dataset, one.records) == whole}


@measurement
def rate_drops(_: Context) -> Found:
    """Tenfold drops at plateaus: they happen while training, so no file shows them."""
    policies = {emitted(network).solver.lr_policy for network in RESIDUAL}
    raise NeedsTraining(
        f"{SOLVERS} start with lr_policy {', '.join(policies)}: plateaus show only in training"
    )


@measurement
def recipe_of_baselines(_: Context) -> Found:
    """Say that the batch and the rate are given for cross-residual networks only."""
    raise LeftOpen(
        "netgen/paper.py, Recipe; netgen build --batch-size, --base-lr",
        "single-task networks are trained by the same recipe",
    )


@measurement
def initial_weights(_: Context) -> Found:
    """Say what initial weights are to come from."""
    raise NeedsData("He's ResNet-50-model.caffemodel", "layers outside the towers have He's names")


@measurement
def memory_on_the_card(_: Context) -> Found:
    """Whether every network trains and tests within the card's 12 GiB."""
    totals = {name: _training_memory(name) for name in TRAINED}
    largest = max(totals, key=lambda name: totals[name])
    return Found(
        f"at most {totals[largest]:.1f} of {Recipe().memory:g} GiB: "
        + ", ".join(f"{name} {gib:.1f}" for name, gib in totals.items()),
        "`netgen count`: TRAIN at batch 24 beside TEST at its solver's; estimated",
        holds=totals[largest] <= Recipe().memory,
        proves=False,  # an estimate, of a CPU's build
    )


def _training_memory(name: str) -> float:
    """Return the GiB of a training net with its test net, as its files have them."""
    train, test = cost(name).memory, cost(name, "TEST").memory
    return (train.total + test.beside(train).total) / GIB


@measurement
def uncut_towers(_: Context) -> Found:
    """Whether three whole networks side by side exceed the card."""
    gib = sum(cost(f"resnet50-{task}").memory.total for task in TASKS) / GIB
    return Found(
        f"{gib:.1f} GiB to train three towers at batch 24; one card has {Recipe().memory:g}",
        "`netgen count --variant resnet50-noun`, -adj, -anp",
        holds=gib > Recipe().memory,
        proves=False,
    )


@measurement
def baselines(_: Context) -> Found:
    """Return how many of the four single-task architectures can be built."""
    for network in BASELINES:
        variant_of(network, "anp")
    return Found(", ".join(BASELINES), "`netgen list`", (len(BASELINES),))


@measurement
def baseline_layers(_: Context, network: str) -> Found:
    """Layers with weights: convolutions and fully connected ones."""
    layers = emitted(variant_of(network, "anp")).layers()
    count = len(of_type("Convolution", layers)) + len(of_type("InnerProduct", layers))
    return Found(str(count), "`netgen count --layers`", (count,))


@measurement
def widest_kernel(_: Context, network: str) -> Found:
    """Kernel of the widest convolution that a 1 x 1 reduction feeds."""
    layers = emitted(variant_of(network, "anp")).layers()
    makers = {layer.top[0]: layer for layer in of_type("Convolution", layers)}
    sizes = [
        layer.convolution_param.kernel_size[0]
        for layer in makers.values()
        if (before := makers.get(layer.bottom[0])) and before.convolution_param.kernel_size[0] == 1
    ]
    return Found(f"{max(sizes)} x {max(sizes)}", "`netgen count --layers`", (max(sizes),) * 2)


@measurement
def learned_weights(_: Context) -> Found:
    """Signs and sizes of learned cross weights."""
    raise NeedsTraining("only a trained X_S has learned cross weights (solvers/xs.prototxt)")


@measurement
def choice(_: Context, name: str) -> Found:
    """Return a field of the recipe that the paper leaves open."""
    field = next(field for field in fields(Recipe) if field.name == name)
    why = field.metadata["choice"]
    told = field.default in (None, False, ())  # the reason begins with it
    raise LeftOpen(
        f"netgen/paper.py, Recipe.{name}; netgen build --{name.replace('_', '-')}",
        f"{field.metadata['what']}: {why if told else f'{field.default} ({why})'}",
    )


@measurement
def mean_pixel(_: Context) -> Found:
    """Return the mean that is subtracted from images."""
    means = {tuple(emitted(n).layers()[0].transform_param.mean_value) for n in RESIDUAL}
    raise LeftOpen(
        "netgen/paper.py, IMAGENET_MEAN",
        f"{', '.join(map(str, means.pop()))} subtracted (ImageNet's; the paper is silent)",
    )
