"""What is left open, or waits for training or data, and what our files show of it already.

A measurement here raises `Missing` only while the files are as it says; else the claim fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from math import ceil

from netgen import paper
from netgen.audit.inspection.data_layers import batch_of
from netgen.audit.measurements.cross_residuals import XS, crosses
from netgen.audit.measurements.measurement import (
    AuditInputs,
    Basis,
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
)
from netgen.audit.measurements.training_setup import SOLVERS, results_in
from netgen.caffe.schema import Phase
from netgen.cost.layers.layer_types import Shape
from netgen.evaluation.results import Result
from netgen.network.variants import NETWORKS, variants
from netgen.paper import Recipe
from netgen.paper.claims import ROWS, Measure
from netgen.system.text import value_text

PHASES: tuple[Phase, ...] = ("TRAIN", "TEST")
# Layers of X_S that He's network has no weights for.
NEW = re.compile(r"fc_|cross\d|(?:bn|scale)5a_(?!branch)")


# ---- left open ----------------------------------------------------------------------------------


def _norms(network: ParsedNetwork) -> list[tuple[bool, float]]:
    found = [layer.batch_norm_param for layer in of_type("BatchNorm", network.layers())]
    return [(one.use_global_stats, one.moving_average_fraction) for one in found]


# Where a network's files hold each choice.
HELD: dict[str, Callable[[ParsedNetwork], set[object]]] = {
    "stepvalues": lambda n: {tuple(n.solver.stepvalue)},
    "max_iter": lambda n: {n.solver.max_iter},
    "test_interval": lambda n: {n.solver.test_interval},
    "snapshot": lambda n: {n.solver.snapshot},
    "display": lambda n: {n.solver.display},
    "random_seed": lambda n: {n.solver.random_seed},
    "frozen_statistics": lambda n: {frozen for frozen, _ in _norms(n)},
    "moving_average": lambda n: {round(kept, 6) for _, kept in _norms(n)},
    "head_std": lambda n: {
        round(layer.inner_product_param.weight_filler.std, 6)
        for layer in of_type("InnerProduct", n.layers())
    },
    "head_lr_mult": lambda n: {
        spec.lr_mult for layer in of_type("InnerProduct", n.layers()) for spec in layer.param
    },
}


@measures(Measure.CHOICE, Basis.OWN_FILES)
def choice(inputs: AuditInputs, name: str) -> Found:
    """Return a field of the recipe that the paper leaves open, if our files have that value."""
    field = next(field for field in fields(Recipe) if field.name == name)
    what, why = field.metadata["what"], field.metadata["choice"]
    in_reason = field.default in (None, False, ())  # the reason begins with it
    where = f"netgen/paper/printed.py, Recipe.{name}; --{name.replace('_', '-')} of `netgen build`"
    held = {value for one in RESIDUAL for value in HELD[name](inputs.network(one))}
    wanted = field.default if field.default is not None else _from_an_epoch(name)
    if held != {wanted}:
        found = " or ".join(sorted(map(value_text, held))) or "nothing"
        return Found(f"{what}: {found} in our files, not {value_text(wanted)}", where, holds=False)
    raise LeftOpen(where, f"{what}: {why if in_reason else f'{field.default} ({why})'}")


def _from_an_epoch(name: str) -> int:
    """Return the iterations that follow from the length of an epoch."""
    epoch = ceil(paper.TRAIN_IMAGES / Recipe().batch_size)
    return epoch * paper.MAX_EPOCHS if name == "max_iter" else epoch


@measures(Measure.MEAN_PIXEL, Basis.OWN_FILES)
def mean_pixel(inputs: AuditInputs) -> Found:
    """Return the mean that is subtracted from images in both phases."""
    layers = [y for n in RESIDUAL for phase in PHASES for y in inputs.network(n).layers(phase)]
    means = {tuple(y.transform_param.mean_value) for y in layers if y.name == "data"}
    where = "netgen/paper/printed.py, IMAGENET_MEAN"
    if means != {paper.IMAGENET_MEAN}:
        found = "; ".join(value_text(mean) for mean in means)
        return Found(f"{found} subtracted, not ImageNet's mean", where, holds=False)
    mean = ", ".join(map(str, means.pop()))
    raise LeftOpen(where, f"{mean} subtracted (ImageNet's; the paper is silent)")


@measures(Measure.RECIPE_OF_BASELINES, Basis.OWN_FILES)
def recipe_of_baselines(inputs: AuditInputs) -> Found:
    """Report that the batch and the rate are given for cross-residual networks only."""
    where = "netgen/paper/printed.py, Recipe; --batch-size and --base-lr of `netgen build`"
    recipes = {_recipe(inputs.network(name)) for name in TRAINED}
    if len(recipes) > 1:
        return Found(f"{len(recipes)} recipes for {len(TRAINED)} networks", where, holds=False)
    raise LeftOpen(where, "single-task networks are trained by the same recipe")


def _recipe(network: ParsedNetwork) -> tuple[object, ...]:
    """Return batch, rate, momentum and decay of a network."""
    solver = network.solver
    batches = {batch_of(layer) for layer in of_type("Data", network.layers())}
    return (*sorted(batches), solver.base_lr, solver.momentum, solver.weight_decay)


@measures(Measure.COMPETING_OUTPUTS, Basis.TRAINED)
def competing_outputs(inputs: AuditInputs) -> Found:
    """Which of DeepSentiBank's outputs compete: 553 of them, or all 2,089.

    The printed pair is unlike every other row in either reading, so that only results can tell.
    """
    ratios = {key: _top5_over_top1(*key) for key in ROWS if key[0] != "Chance"}
    odd = ratios.pop(("DeepSentiBank", "anp"))
    pairs = [ratio for (_, task), ratio in ratios.items() if task == "anp"]
    shown = (
        f"top-5 is {odd:.2f} times top-1, {min(ratios.values()):.2f} to"
        f" {max(ratios.values()):.2f} times in all other rows and {min(pairs):.2f} to"
        f" {max(pairs):.2f} times in those of pairs"
    )
    fitting = _fitting(results_in(inputs.results).get("deepsentibank"))
    if len(fitting) == 1:
        return Found(f"{fitting[0]} compete: {shown}", "`netgen eval`, which has both readings")
    raise LeftOpen(
        "the ratio does not tell: with fewer outputs both accuracies rise, and images that it was"
        " trained on, as the text allows (“could still be an over-estimate”), lower the ratio;"
        " `netgen eval` measures both readings",
        f"{shown}; ours: the {paper.TASKS['anp']} compete",
    )


def _top5_over_top1(network: str, task: str) -> float:
    row = ROWS[network, task]
    return float(row.top5) / float(row.top1)


def _fitting(result: Result | None) -> list[str]:
    """Return the readings in which both printed accuracies lie within the measured intervals."""
    if result is None:
        return []
    found, row = result.task("anp"), ROWS["DeepSentiBank", "anp"]
    readings = {f"the {found.classes}": found.accuracy}
    if every := found.competing:
        readings[f"all {every.outputs:,}"] = every.accuracy
    return [
        name
        for name, accuracy in readings.items()
        if accuracy.top1.low <= float(row.top1) / 100 <= accuracy.top1.high
        and accuracy.top5.low <= float(row.top5) / 100 <= accuracy.top5.high
    ]


# ---- waits for data or training -----------------------------------------------------------------


@measures(Measure.RATE_DROPS, Basis.OWN_FILES)
def rate_drops(inputs: AuditInputs) -> Found:
    """Tenfold drops at plateaus: they happen while training, so no file shows them."""
    policies = {inputs.network(name).solver.lr_policy for name in RESIDUAL}
    if policies != {"fixed"}:
        return Found(f"lr_policy {', '.join(sorted(policies))}", SOLVERS, holds=False)
    raise NeedsTraining(f"{SOLVERS} start with lr_policy fixed: plateaus show only in training")


@measures(Measure.LEARNED_WEIGHTS, Basis.OWN_FILES)
def learned_weights(inputs: AuditInputs) -> Found:
    """Signs and sizes of learned cross weights, if X_S has any that learn."""
    weights = crosses(inputs.network("xs"))
    still = [y.name for y in weights if any(spec.lr_mult == 0 for spec in y.param)]
    if still or not weights:
        shown = f"{len(still)} of {len(weights)} cross weights do not learn"
        return Found(shown, f"layers cross5* of {XS}", holds=False)
    raise NeedsTraining("only a trained X_S has learned cross weights (solvers/xs.prototxt)")


def _shapes(network: ParsedNetwork) -> dict[str, tuple[Shape, ...]]:
    """Return the shapes of the blobs of every layer that has weights, by name."""
    return {layer.name: layer.blobs for layer in network.cost().layers if layer.blobs}


@measures(Measure.INITIAL_WEIGHTS, Basis.OWN_FILES)
def initial_weights(inputs: AuditInputs, missing: str) -> Found:
    """Whether X_S's layers have counterparts in ResNet-50, from which they can start.

    `missing` is what would show the rest: the "weights", or the "images" that they come from.
    """
    theirs, ours = (_shapes(inputs.network(name)) for name in ("resnet50-noun", "xs"))
    taken = {name: blobs for name, blobs in ours.items() if not NEW.match(name)}
    wrong = [name for name, blobs in taken.items() if theirs.get(_without_task(name)) != blobs]
    file, where = NETWORKS["xs"].weights, f"layers of {XS} and models/resnet50-noun"
    if wrong:
        return Found(f"{wrong[0]} has no counterpart of its shape in ResNet-50", where, holds=False)
    raise NeedsData(
        f"He's {file}, from which `netgen init` takes them"
        if missing == "weights"
        else f"a record of the images that He's {file} was trained on: the file has none, and [14]"
        " names the classification images of ImageNet 2012",
        f"{len(taken)} of {len(ours)} layers with weights have a counterpart of their name and"
        " shape in ResNet-50; the others are new",
    )


def _without_task(name: str) -> str:
    return re.sub(rf"_(?:{'|'.join(TASKS)})$", "", name)


@measures(Measure.FINE_TUNED, Basis.OWN_FILES)
def fine_tuned(inputs: AuditInputs) -> Found:
    """Whether each architecture is the same for all tasks but its classifiers: one file fits."""
    known = variants(TASKS)
    bodies: dict[str, list[dict[str, tuple[Shape, ...]]]] = {}
    for name in TRAINED:
        if len(known[name].tasks) == 1:
            body = _shapes(inputs.network(name)).items()
            kept = {layer: blobs for layer, blobs in body if layer == _without_task(layer)}
            bodies.setdefault(known[name].row.weights, []).append(kept)
    odd = [file for file, kept in bodies.items() if any(one != kept[0] for one in kept)]
    if odd:
        return Found(f"{odd[0]} cannot fit all three tasks", "models/*", holds=False)
    raise NeedsData(
        f"{', '.join(bodies)}: `netgen init` takes them",
        f"in {len(bodies)} architectures, all layers but the classifiers are the same for every"
        " task, so that one published file fits them",
    )
