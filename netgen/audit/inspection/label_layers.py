"""The labels of each head, from their source to the loss: whose, of which split, changed or not.

A loss compares record k of the images with record k of the labels. So labels have to be read in the
images' order, in batches of the images' size, as they are, and for each task from its own source.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from netgen import paper
from netgen.audit.comparison.differences import GraphComparison
from netgen.audit.comparison.references import Reference
from netgen.audit.finding import InspectionFinding, InspectionVerdict, Rule
from netgen.audit.inspection.label_paths import LabelUse, Step, label_uses
from netgen.audit.inspection.source_layers import (
    TRANSFORMS,
    Order,
    SourceLayer,
    batch_of,
    inspect_source,
    order_of,
    source_of,
    values_text,
)
from netgen.caffe.caffe_pb2 import LayerParameter, TransformationParameter

STEPS = {
    Step.SAME: (", and changes nothing", InspectionVerdict.EQUIVALENT, Rule.PAPER),
    Step.CHANGED: (
        ": class numbers are compared as they are (section 5.1)",
        InspectionVerdict.DIFFERS, Rule.PAPER,
    ),
    Step.SHUFFLED: (
        " and works along the batch: images get the labels of other images",
        InspectionVerdict.DIFFERS, Rule.ITSELF,
    ),
    Step.LOST: (
        ": which labels come out of it is not followed",
        InspectionVerdict.NOT_CHECKABLE, Rule.PAPER,
    ),
}  # fmt: skip


def task_named(source: LayerParameter, blob: str) -> str | None:
    """Return the task whose labels a layer reads, by its path or the blob's name; else None."""
    path = source_of(source)
    for text in (path.rpartition("/")[2], path, blob):
        named = set(re.findall("|".join(paper.TASKS), text.lower()))
        if len(named) == 1:
            return str(named.pop())
    return None


def inspect_labels(
    file: str, reference: Reference, compared: GraphComparison, images: Sequence[LayerParameter]
) -> Iterator[InspectionFinding]:
    """Judge the labels of a phase, given the layers that its images come from."""
    phase = compared.found.phase
    uses = label_uses(reference, compared)
    by_origin: dict[tuple[object, ...], list[LabelUse]] = defaultdict(list)
    by_source: dict[tuple[str, str], list[LabelUse]] = defaultdict(list)
    for use in uses:
        yield from _on_the_way(SourceLayer(file, phase, use.reader), use)
        if not use.lost:
            yield from _of_task(file, phase, use)
            by_origin[use.origin].append(use)
        for source, blob in use.sources:
            by_source[source.name, blob].append(use)
    for same in by_origin.values():
        yield from _of_several_tasks(SourceLayer(file, phase, same[0].source), same)
    layers = {source.name: source for use in uses for source, _ in use.sources}
    for (name, blob), same in by_source.items():
        at, tasks = SourceLayer(file, phase, layers[name]), {use.task: None for use in same}
        yield from _source(at, blob, f"labels of {', '.join(tasks)}", images)


def _of_task(file: str, phase: str, use: LabelUse) -> Iterator[InspectionFinding]:
    """Check that a head reads the labels of its own task."""
    where = f"{file}: {use.reader.name}, labels of {use.source.name}"
    found = task_named(use.source, use.reader.bottom[1])
    path = source_of(use.source) or use.reader.bottom[1]
    if found is None:
        what = f"the name of {path} does not show whether its labels are those of {use.task}"
        yield InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE, phase=phase)
    elif found != use.task:
        what = f"the {paper.TASKS[use.task]} classes of {use.task} are compared with the labels of"
        what += f" {found}, {path} (section 5.1)"
        yield InspectionFinding(where, what, InspectionVerdict.DIFFERS, phase=phase)
    elif use.reader.type.endswith("Loss"):
        what = f"{path} for the head of {use.task} (section 5.1)"
        named = InspectionVerdict.SAME if source_of(use.source) else InspectionVerdict.NOT_CHECKABLE
        yield InspectionFinding(where, what, named, phase=phase)


def _of_several_tasks(at: SourceLayer, same: Sequence[LabelUse]) -> Iterator[InspectionFinding]:
    tasks = list(dict.fromkeys(use.task for use in same))
    if len(tasks) > 1:
        what = f"the heads of {' and '.join(tasks)} read the same labels: section 5.1 has classes"
        yield at.finding("top", what + " of its own for each task", InspectionVerdict.DIFFERS)


def _on_the_way(at: SourceLayer, use: LabelUse) -> Iterator[InspectionFinding]:
    """Report layers that change labels on their way to a loss."""
    for layer, step in use.steps:
        what = f"{layer.name}, a {layer.type[:60]}, lies between the labels and {use.reader.name}"
        words, verdict, rule = STEPS[step]
        yield at.finding("bottom", what + words, verdict, rule)


def _source(
    at: SourceLayer, blob: str, content: str, images: Sequence[LayerParameter]
) -> Iterator[InspectionFinding]:
    """Judge a source of labels: by itself, and against the images."""
    if blob == at.layer.top[0]:
        yield from _transformed(at)
    if at.layer in images:
        return  # one layer reads both, in step
    yield from inspect_source(at, content)
    for layer in images[:1]:
        yield from _batch(at, layer)
        yield from _order(at, layer)
        yield from _folder(at, layer, blob)


def _transformed(at: SourceLayer) -> Iterator[InspectionFinding]:
    """Judge what transform_param does to labels: to the first top only, as to an image."""
    param = at.layer.transform_param
    if at.layer.type not in TRANSFORMS:
        return
    for field, what in _changes(param):
        yield at.finding(field, f"{what} on labels: section 5.1's classes are counted from 0 by 1",
                         InspectionVerdict.DIFFERS)  # fmt: skip
    if param.crop_size > 1:
        what = f"crop_size {param.crop_size}, of one number per record: Caffe refuses it"
        yield at.finding("crop_size", what, InspectionVerdict.DIFFERS, Rule.CAFFE)
    for field in ("mirror", "force_color", "force_gray"):
        if getattr(param, field):
            what = f"{field} has no effect on one number per record"
            yield at.finding(field, what, InspectionVerdict.EQUIVALENT, Rule.CAFFE)


def _changes(param: TransformationParameter) -> Iterator[tuple[str, str]]:
    if param.scale != 1:
        yield "scale", f"scale {values_text((param.scale,))}"
    if any(param.mean_value):
        yield "mean_value", f"mean_value {values_text(tuple(param.mean_value))}"
    if param.mean_file:
        yield "mean_file", f"mean_file {param.mean_file}"


def _batch(at: SourceLayer, images: LayerParameter) -> Iterator[InspectionFinding]:
    found, wanted = batch_of(at.layer), batch_of(images)
    if found == wanted:
        return
    if found and wanted:
        what = f"batch_size {found}, that of the images ({images.name}) is {wanted}: labels no"
        what += " longer match images after the first batch"
        yield at.finding("batch_size", what, InspectionVerdict.DIFFERS, Rule.ITSELF)
    else:
        what = "a batch of labels is to have the images' size: a program decides one of the two"
        yield at.finding("batch_size", what, InspectionVerdict.NOT_CHECKABLE, Rule.ITSELF)


def _order(at: SourceLayer, images: LayerParameter) -> Iterator[InspectionFinding]:
    """Compare the orders in which two layers read: records k of both have to belong together."""
    found, wanted = order_of(at.layer), order_of(images)
    what = f"labels are read {found.value}, images ({images.name}) {wanted.value}"
    if Order.RANDOM in (found, wanted):
        what += ": images get the labels of other images"
        yield at.finding("order", what, InspectionVerdict.DIFFERS, Rule.ITSELF)
    elif found is not wanted or found is Order.PROGRAM:
        what += ": whether they belong together is not in this file"
        yield at.finding("order", what, InspectionVerdict.NOT_CHECKABLE, Rule.ITSELF)
    elif at.layer.data_param.backend != images.data_param.backend:
        what += ", of LMDB and of LevelDB: whether both have the same keys is not in this file"
        yield at.finding("backend", what, InspectionVerdict.NOT_CHECKABLE, Rule.ITSELF)


def _folder(at: SourceLayer, images: LayerParameter, blob: str) -> Iterator[InspectionFinding]:
    found, wanted = source_of(at.layer), source_of(images)
    if found and found == wanted and blob == at.layer.top[0] and at.layer.type == images.type:
        what = f"labels and images are read from the same records of {found}"
        yield at.finding("source", what, InspectionVerdict.DIFFERS, Rule.ITSELF)
    elif found and wanted and os.path.dirname(found) != os.path.dirname(wanted):
        what = f"{found} is in another folder than the images, {wanted}: whether their records"
        what += " belong together is not in this file"
        yield at.finding("source", what, InspectionVerdict.NOT_CHECKABLE, Rule.ITSELF)
