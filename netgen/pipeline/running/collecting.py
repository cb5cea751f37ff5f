"""Collects what the commands of a study's cells wrote.

This is the one place that reads results: the table, the status, the report and the choice have
theirs from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from netgen.caffe.schema import read_net
from netgen.cost.complexity import count
from netgen.evaluation.results import Result, ResultError, TaskResult, read_result
from netgen.figures.cross_weights import Curves, NoCrossWeightsError, cross_weights
from netgen.network.dataset import read_dataset
from netgen.network.variants import find
from netgen.pipeline.running.begun import checksums
from netgen.pipeline.running.records import (
    NEAR,
    VERSION,
    CellRecord,
    Correct,
    CrossWeights,
    DatasetFacts,
    Snapshot,
    StudyResults,
    in_order,
)
from netgen.pipeline.study.cells import Cell, Trained
from netgen.pipeline.study.study_plan import Plan
from netgen.pipeline.study.study_settings import StudyError
from netgen.system.files import write_all
from netgen.system.json_files import JsonError, read_json
from netgen.system.machine import commit, machine
from netgen.training.journal import Entry, read_journal
from netgen.training.run_folder import RunFolder
from netgen.training.snapshots import find_all

T = TypeVar("T")


def evaluated(cell: Trained, dataset: str, study: str) -> Result | None:
    """Return what `netgen eval` found for a cell; None until it has.

    Raises
    ------
    ResultError
        It is damaged, or of another network or dataset.
    """
    file = cell.files.result
    if not file.exists():
        return None
    result = read_result(file)
    if (result.variant, result.dataset) != (cell.variant, dataset):
        raise ResultError(
            f"{file}: is of {result.variant} on {result.dataset}, but {study} needs"
            f" {cell.variant} on {dataset}: move it elsewhere"
        )
    return result


def recorded(plan: Plan, cell: Cell) -> CellRecord | None:
    """Return the results of a cell; None until it is made.

    Raises
    ------
    StudyError, ValueError
        What its commands wrote is damaged, or of another cell.
    """
    file = _file(plan, cell)
    if file.exists():
        found = _decoded(file, CellRecord)
        if other := found.differs_from(cell):
            raise StudyError(
                f"{file}: its {other} is not that of {cell.name} in {plan.file}: remove"
                " it, and --resume"
            )
        return found
    return _collected(plan, cell) if cell.trained and cell.is_done else None


def record(plan: Plan, cell: Cell) -> None:
    """Keep the results of a cell that was just made by this netgen, on this machine."""
    if cell.trained:
        found = _collected(plan, cell, commit())
        write_all({_file(plan, cell): msgspec.json.format(msgspec.json.encode(found))})


def _file(plan: Plan, cell: Cell) -> Path:
    return plan.work / "records" / f"{cell.name}.json"


def _decoded(file: Path, kind: type[T]) -> T:
    """Read what a study wrote; a `StudyError` when it is damaged."""
    try:
        return read_json(file, kind)
    except JsonError as error:
        raise StudyError(
            f"{file}: not what `netgen study` writes ({error}): remove it, and --resume"
        ) from None


def _collected(plan: Plan, cell: Cell, made_by: str = "unknown") -> CellRecord:
    """Collect the results of a cell from the files of its commands.

    Of one that diverged there is no result of `netgen eval`, which refuses its weights. It counts
    as Caffe's Accuracy counts outputs that are no numbers: none is correct.
    """
    trained = cell.trained
    if trained is None:
        raise StudyError(f"{cell.name} are databases: they have no results")
    found = evaluated(trained, read_dataset(trained.source).name, plan.study.name)
    diverged = None if found else trained.diverged
    if found is None and diverged is None:
        raise StudyError(f"{trained.files.result} is not there: --resume makes it")
    tasks = {task.name: _correct(task) for task in found.tasks} if found else _nothing(trained)
    journal = read_journal(RunFolder(trained.files.run).journal)
    weights = Path(found.weights.path) if found else None
    cost = count(read_net(trained.files.model / "deploy.prototxt"), "TEST")
    tests = [entry for entry in journal if entry["event"] == "test"]
    return CellRecord(
        name=cell.name,
        network=trained.network,
        variant=trained.variant,
        seed=trained.seed,
        labels=trained.labels,
        trial=trained.trial,
        settings=trained.settings.given(),
        tasks=tasks,
        curves={
            task: [(e["iteration"], _accuracy(trained, e, task)) for e in tests] for task in tasks
        },
        cross=_cross(weights) if weights and weights.exists() else None,
        parameters=found.parameters if found else cost.parameters,
        multiply_adds=cost.multiply_adds_per_image,
        seconds=next((e["seconds"] for e in reversed(journal) if e["event"] == "end"), 0.0),
        weights=found.weights.sha256 if found else "",
        commit=made_by,
        versions=found.versions if found else {},
        sums=found.sums if found else (),
        history=_history(trained) if trained.inside else {},
        diverged=diverged,
    )


def _accuracy(cell: Trained, test: Entry, task: str) -> float:
    found = test["outputs"].get(f"top1_{task}")
    if found is None:
        raise StudyError(
            f"{RunFolder(cell.files.run).journal}: the test of iteration {test['iteration']:,} has"
            f" no top1_{task}: remove {cell.files.run}, and --resume"
        )
    return float(found)


def _nothing(cell: Trained) -> dict[str, Correct]:
    """Return the counts of a network without weights: it classifies no test image correctly."""
    data = read_dataset(cell.dataset)
    tasks = find(cell.variant, [task.name for task in data.tasks]).tasks
    return {task: Correct(0, 0, data.test.records) for task in tasks}


def _correct(task: TaskResult) -> Correct:
    top1, top5 = task.accuracy.top1, task.accuracy.top5
    return Correct(top1.correct, top5.correct, top1.total)


def _cross(weights: Path) -> CrossWeights | None:
    found = _cross_weights(weights)
    if not found:
        return None
    every = np.concatenate([_together(layer) for layer in found.values()])
    return CrossWeights(
        total=every.size,
        not_negative=int((every >= 0).sum()),
        near_zero=int((np.abs(every) < NEAR).sum()),
        near_one=int((np.abs(every - 1) < NEAR).sum()),
        magnitude=float(np.abs(every).mean()),
    )


def _history(trained: Trained) -> dict[str, list[Snapshot]]:
    """Return each block's cross weights: in the weights that it starts from, and its snapshots."""
    found: dict[str, list[Snapshot]] = {}
    for iteration, weights in _snapshots(trained):
        for block, layer in _cross_weights(weights).items():
            every = _together(layer)
            point = Snapshot(iteration, float((every < 0).mean()), float(np.abs(every).mean()))
            found.setdefault(block, []).append(point)
    return found


def _snapshots(trained: Trained) -> Iterator[tuple[int, Path]]:
    if trained.files.initial.exists():
        yield 0, trained.files.initial
    for snapshot in find_all(RunFolder(trained.files.run).snapshots):
        yield snapshot.iteration, snapshot.model


def _cross_weights(weights: Path) -> Curves:
    try:
        return cross_weights(weights, own=False)
    except NoCrossWeightsError:
        return {}


def _together(layer: dict[str, NDArray[np.floating]]) -> NDArray[np.floating]:
    return np.concatenate([*layer.values()])


def collect(plan: Plan, seconds: float, jobs: int, before: StudyResults | None) -> StudyResults:
    """Return the results of all cells that are made.

    Trials that were made elsewhere are taken from `before`, the results that there were.
    """
    cells = [found for cell in plan.deciding if (found := recorded(plan, cell))]
    trials = [found for cell in plan.trials if (found := recorded(plan, cell))]
    if before and not trials:
        trials = before.trials
    return StudyResults(
        version=VERSION,
        study=plan.study.name,
        machine=machine(),
        seconds=round(seconds, 1),
        jobs=jobs,
        datasets=_facts(plan),
        cells=in_order((*cells, *trials)),
    )


def _facts(plan: Plan) -> dict[str, DatasetFacts]:
    used: dict[str, Trained] = {}
    for cell in plan.deciding:
        if cell.trained and cell.trained.dataset.exists():
            used.setdefault(str(cell.trained.settings.dataset), cell.trained)
    return {name: _facts_of(trained) for name, trained in used.items()}


def _facts_of(cell: Trained) -> DatasetFacts:
    data = read_dataset(cell.dataset)
    tasks = {task.name: task.classes for task in data.tasks}
    return DatasetFacts(tasks, data.train.records, data.test.records, checksums(cell.source))
