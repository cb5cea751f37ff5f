"""Compare the accuracies of a training's last test with Table 2."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netgen import paper
from netgen.audit.comparison.references import Reference
from netgen.audit.finding import InspectionFinding, InspectionVerdict, Rule
from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.training_log import TrainingLog
from netgen.paper.claims import ROWS
from netgen.system.text import listed

DEVIATIONS = 2  # of the accuracy on the paper's test set: about 0.36 percentage points


@dataclass(frozen=True)
class AccuracyOutput:
    """An accuracy output of the test net: its task, and the k of its top-k accuracy."""

    task: str
    top_k: int


def inspect_accuracies(
    file: str, log: TrainingLog, reference: Reference | None, printed: bool = False
) -> Iterator[InspectionFinding]:
    """Compare the accuracies of a log's last test with Table 2's row.

    Parameters
    ----------
    file, log
        The log.
    reference
        The network of Table 2 that was trained, if known.
    printed
        Whether the log prints the test net, so that it is sure which outputs a test has.
    """
    if not log.test:
        yield InspectionFinding(f"{file}: test", "no test in it", InspectionVerdict.NOT_CHECKABLE)
        return
    last = log.test[-1]
    kinds = {top: kind for layer in log.test_layers for top, kind in _accuracy(layer, log)}
    told = {name: kinds.get(name) or _by_name(name) for name in last.values}
    read = {blob for layer in log.test_layers for blob in layer.bottom}
    outputs = {top for top in kinds if top not in read}  # what a layer reads is not printed
    lost = outputs - told.keys() if printed and log.finished else set()
    if lost:
        what = f"the last test does not tell {listed(sorted(lost))}, outputs of the log's own test"
        what += " net: lines are missing"
        where = f"{file}: test, iteration {last.iteration:,}"
        yield InspectionFinding(where, what, InspectionVerdict.DIFFERS, Rule.ITSELF)
    yield from _untold(file, [*told.values(), *(kinds[name] for name in lost)], reference)
    for name, value in last.values.items():
        kind = told[name]
        if kind is None or not math.isfinite(value):
            continue
        where = f"{file}: {name}, iteration {last.iteration:,}"
        yield _beside_table_2(where, kind, value, reference)


def _untold(
    file: str, told: Sequence[AccuracyOutput | None], reference: Reference | None
) -> Iterator[InspectionFinding]:
    """Tell which of Table 2's accuracies of a network its last test does not measure."""
    if not reference:
        return
    row = [AccuracyOutput(task, k) for task in reference.variant.tasks for k in (1, 5)]
    missing = [kind for kind in row if kind not in told and _printed(reference, kind)]
    if missing:
        names = listed([f"top-{kind.top_k} of {kind.task}" for kind in missing])
        what = f"the last test does not tell {names}; Table 2 prints each for"
        what += f" {reference.variant.row.title}"
        yield InspectionFinding(f"{file}: test", what, InspectionVerdict.NOT_CHECKABLE)


def _accuracy(layer: LayerParameter, log: TrainingLog) -> Iterator[tuple[str, AccuracyOutput]]:
    """Find the task of an accuracy layer by its number of classes."""
    if layer.type != "Accuracy" or not layer.bottom or not layer.top:
        return
    heads = (head for head in log.test_layers if head.top[:1] == layer.bottom[:1])
    for head in heads:
        for task, classes in paper.TASKS.items():
            if head.inner_product_param.num_output == classes:
                yield layer.top[0], AccuracyOutput(task, layer.accuracy_param.top_k)


def _by_name(name: str) -> AccuracyOutput | None:
    """Return what an output measures, if its name has netgen's form: top1_noun."""
    match = re.fullmatch(rf"top([15])_({'|'.join(paper.TASKS)})", name)
    return AccuracyOutput(match[2], int(match[1])) if match else None


def _beside_table_2(
    where: str, kind: AccuracyOutput, value: float, reference: Reference | None
) -> InspectionFinding:
    percent = 100 * value
    measured = f"top-{kind.top_k} of {kind.task} {percent:.2f}%"
    printed = reference and _printed(reference, kind)
    if not printed or not reference:
        what = f"{measured}: which row of Table 2 it belongs to is not known; give the network too"
        return InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE)
    wanted = float(printed) / 100
    deviation = math.sqrt(wanted * (1 - wanted) / paper.TEST_IMAGES)
    away = (value - wanted) / deviation
    what = f"{measured}, Table 2 prints {printed} for {reference.variant.row.title}"
    what += f" ({away:+.1f} standard errors of {paper.TEST_IMAGES:,} test images)"
    if f"{percent:.2f}" == printed:
        return InspectionFinding(where, what, InspectionVerdict.SAME)
    return InspectionFinding(
        where,
        what,
        InspectionVerdict.EQUIVALENT if abs(away) <= DEVIATIONS else InspectionVerdict.DIFFERS,
    )


def _printed(reference: Reference, kind: AccuracyOutput) -> str | None:
    row = ROWS.get((reference.variant.row.title, kind.task))
    return {1: row.top1, 5: row.top5}.get(kind.top_k) if row else None
