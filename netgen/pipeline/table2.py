"""Table 2: the committed study of its networks, and its rows, each measured beside printed."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

from netgen import paper
from netgen.caffe.schema import parse_net
from netgen.cost.complexity import NetCost, count
from netgen.evaluation.results import Accuracy
from netgen.network.build import paper_prototxt
from netgen.network.dataset import MTVSO
from netgen.network.variants import find
from netgen.paper import TABLE_2, Accuracies, Recipe
from netgen.paper.implied import chance
from netgen.pipeline.running.collecting import evaluated
from netgen.pipeline.study.study_plan import Plan
from netgen.system.text import gib

# The dataset as `netgen data mtvso` wrote it: with the class names, and with as many images as were
# left to be had; the paper's own counts are `MTVSO`'s.
DATASET = Path(MTVSO.train.images).parent.parent / "dataset.toml"


def rows(plan: Plan, names: Collection[str] = ()) -> list[dict[str, str]]:
    """Return Table 2's rows, by column: the printed values, each with the one measured so far.

    `plan` is that of the committed study; `names` are those of the networks, by default all.

    Parameters are in millions, accuracies in percent. Two columns are not in the paper:
    multiply-adds per image, in billions, and the estimated memory of training at the paper's batch
    size (of testing, for a network that is not trained), in GiB.

    Raises
    ------
    ValueError
        A result is damaged, or is of another network or dataset.
    """
    return [_row(plan, row) for row in TABLE_2 if not names or row.variant in names]


def _row(plan: Plan, row: Accuracies) -> dict[str, str]:
    top1, top5 = _measured(plan, row)
    parameters, work, memory = ("", "", "")
    if row.network != "Chance":
        cost = _cost(row.variant)
        parameters = f"{cost.parameters / 1e6:.2f}"
        work = f"{cost.multiply_adds_per_image / 1e9:.2f}"
        memory = f"{gib(cost.memory.at(Recipe().batch_size)):.2f}"
    return {
        "network": row.network,
        "task": row.task,
        "parameters": row.parameters,
        "parameters_counted": parameters,
        "top1": row.top1,
        "top1_measured": top1,
        "top5": row.top5,
        "top5_measured": top5,
        "multiply_adds": work,
        "memory": memory,
    }


def _measured(plan: Plan, row: Accuracies) -> tuple[str, str]:
    """Return the accuracies of a row in percent; "" where there is no result yet."""
    if row.network == "Chance":
        classes = paper.TASKS[row.task]
        return f"{100 * chance(classes, 1):.2f}", f"{100 * chance(classes, 5):.2f}"
    found = _result(plan, row)
    return ("", "") if found is None else (_percent(found.top1.value), _percent(found.top5.value))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _result(plan: Plan, row: Accuracies) -> Accuracy | None:
    cell = plan.cells[row.variant].trained
    result = evaluated(cell, MTVSO.name, plan.study.title) if cell else None
    return result.task(row.task).accuracy if result else None


@cache
def _cost(name: str) -> NetCost:
    """Return the cost of training a network, or of testing one that is not trained."""
    net = parse_net(paper_prototxt(name))
    if not find(name, list(paper.TASKS)).row.is_trained:
        return count(net, "TEST")
    images = MTVSO.images
    return count(net, inputs={"data": (images.channels, images.height, images.width)})
