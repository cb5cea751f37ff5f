"""Whether the net, the solver and the log that are given beside databases are of these."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from netgen.audit.finding import InspectionFinding as Finding
from netgen.audit.finding import InspectionVerdict as Verdict
from netgen.audit.finding import Rule
from netgen.audit.inspection.database_folder import find_databases
from netgen.audit.inspection.inspect_log import InspectedLog
from netgen.audit.inspection.label_layers import task_named
from netgen.audit.inspection.same_nets import GivenNet, built, same_end
from netgen.audit.inspection.solver_nets import SolverNets
from netgen.audit.inspection.source_layers import source_of
from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.caffe.databases import Databases, count_records, first_shape
from netgen.caffe.schema import Phase
from netgen.network.dataset import read_dataset
from netgen.system.text import listed, shape_text

OTHER: dict[Phase, Phase] = {"TRAIN": "TEST", "TEST": "TRAIN"}
LABELS = re.compile(r"label_([^/]+)\.lmdb$")  # as netgen names them
Splits = Mapping[str, Databases]  # phase to databases


def of_net(folder: str, given: GivenNet) -> Iterator[Finding]:
    """Compare databases with the net that is given: what it reads, its tasks and its classes."""
    splits = find_databases(Path(folder))
    where = f"{folder}: {given.file}"
    for phase, other in OTHER.items():
        layers = built(given.net, phase)
        sources = [source_of(layer) for layer in layers if source_of(layer)]
        if sources and phase in splits:
            verdict = _reading(sources, splits[phase], splits.get(other))
            yield Finding(where, *verdict, Rule.ITSELF, phase)
            yield from _tasks(where, phase, layers, splits[phase])
    yield from _classes(where, given, Path(folder), splits)


def _reading(
    sources: Sequence[str], split: Databases, other: Databases | None
) -> tuple[str, Verdict]:
    """Judge whether a net's sources are the databases of a split."""
    unknown = [source for source in sources if not _among(source, split)]
    swapped = [source for source in unknown if other and _among(source, other)]
    if swapped:
        return f"the net reads {listed(swapped)} here, of the other split", Verdict.DIFFERS
    if unknown:
        what = f"whether what the net reads, {listed(unknown)}, are these databases is not known"
        return what, Verdict.NOT_CHECKABLE
    if all(_among(source, split, exactly=True) for source in sources):
        return "the net reads these databases", Verdict.SAME
    return "the net reads these databases, or others of their names", Verdict.EQUIVALENT


def _among(source: str, split: Databases, exactly: bool = False) -> bool:
    paths = [*split.labels.values(), *([split.images] if split.images else [])]
    if exactly:
        return any(os.path.realpath(source) == os.path.realpath(path) for path in paths)
    return any(same_end(source, path.as_posix()) for path in paths)


def _tasks(
    where: str, phase: Phase, layers: Sequence[LayerParameter], split: Databases
) -> Iterator[Finding]:
    missing = sorted({task for task, _ in _heads(layers, split)} - split.labels.keys())
    if missing:
        what = f"the net learns {', '.join(missing)}, the databases have labels of"
        what += f" {', '.join(sorted(split.labels)) or 'no task'}"
        yield Finding(where, what, Verdict.DIFFERS, Rule.ITSELF, phase)


def _classes(where: str, given: GivenNet, folder: Path, splits: Splits) -> Iterator[Finding]:
    """Compare the classes that dataset.toml tells with the outputs of the net's classifiers."""
    toml = folder / "dataset.toml" if folder.is_dir() else folder
    if not toml.is_file():
        return
    classes = {task.name: task.classes for task in read_dataset(toml).tasks}
    for phase, split in splits.items():
        layers = built(given.net, "TRAIN" if phase == "TRAIN" else "TEST")
        for task, outputs in _heads(layers, split):
            if task in classes:
                what = f"{classes[task]} classes, and the net's classifier has {outputs} outputs"
                verdict = Verdict.SAME if outputs == classes[task] else Verdict.DIFFERS
                yield Finding(f"{where}, {task}", what, verdict, Rule.ITSELF, phase)


def _heads(layers: Sequence[LayerParameter], split: Databases) -> Iterator[tuple[str, int]]:
    """Yield the task and the outputs of each classifier that a loss compares with its labels."""
    makers = {top: layer for layer in layers for top in layer.top}
    for loss in (layer for layer in layers if layer.type == "SoftmaxWithLoss"):
        head, labels = (makers.get(bottom) for bottom in loss.bottom[:2])
        if head is None or labels is None or head.type != "InnerProduct":
            continue
        task = _task(labels, loss.bottom[1], split)
        if task:
            yield task, head.inner_product_param.num_output


def _task(labels: LayerParameter, blob: str, split: Databases) -> str | None:
    """Return the task of a layer that reads labels: by these databases, or else by its names."""
    source = source_of(labels)
    known = (task for task, path in split.labels.items() if same_end(source, path.as_posix()))
    named = LABELS.search(source)
    return next(known, None) or task_named(labels, blob) or (named[1] if named else None)


def of_solver(folder: str, file: str, nets: SolverNets) -> Iterator[Finding]:
    """Compare the images of a solver's tests with the records of the test set."""
    split = find_databases(Path(folder)).get("TEST")
    path = (split.images or next(iter(split.labels.values()), None)) if split else None
    if path is None:
        return
    records = count_records(path)
    for tests, batch in zip(nets.solver.test_iter, nets.test_batches, strict=False):
        if batch is None:
            what = (
                f"test_iter {tests:,} of a batch that is not known, {path} has {records:,} records"
            )
            verdict = Verdict.NOT_CHECKABLE
        else:
            what = f"test_iter {tests:,} x batch_size {batch} = {tests * batch:,}, {path} has"
            what += f" {records:,} records"
            verdict = Verdict.SAME if tests * batch == records else Verdict.DIFFERS
        yield Finding(f"{folder}: {file}, test_iter", what, verdict, Rule.ITSELF, "TEST")


def of_log(folder: str, log: InspectedLog) -> Iterator[Finding]:
    """Compare the images that a log tells of with those of the databases."""
    splits = find_databases(Path(folder))
    for phase in OTHER:
        path = splits[phase].images if phase in splits else None
        shape, seen = first_shape(path) if path else None, log.fed.get(phase)
        if shape is None or seen is None or log.crops:
            continue
        what = f"images of {shape_text(shape)}, in the log {shape_text(seen[1:])}"
        verdict = Verdict.SAME if shape == seen[1:] else Verdict.DIFFERS
        yield Finding(f"{folder}: {log.file}", what, verdict, Rule.ITSELF, phase)
