"""Evaluates a network on a test set: every image is scored and counted exactly once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec import structs

from netgen.caffe.caffemodel_check import check_weights
from netgen.evaluation.composition import Finest, baselines, finest
from netgen.evaluation.deployed import (
    Deployed,
    DeployedError,
    check_classes,
    check_images,
)
from netgen.evaluation.exported import read_network
from netgen.evaluation.image_guesses import GuessKeeper
from netgen.evaluation.labels import labels_of
from netgen.evaluation.output_names import columns, read_outputs
from netgen.evaluation.results import VERSION, Derived, FileUsed, Result
from netgen.evaluation.scoring import (
    EngineName,
    Scores,
    ScoringJob,
    check_engine,
    score,
)
from netgen.evaluation.stored_images import StoredImages
from netgen.evaluation.sums import SumMeter, sums_of
from netgen.evaluation.tally import Hits, Ints, Tally, prior
from netgen.network.dataset import Dataset, class_names
from netgen.network.variants import Variant
from netgen.system.files import digest
from netgen.system.machine import versions


@dataclass(frozen=True)
class EvaluationRequest:
    """The inputs of an evaluation.

    Attributes
    ----------
    variant, dataset
        They decide the tasks and the test images.
    network, weights
        A deploy prototxt and a caffemodel; or twice an exported network.
    engine, gpu, batch
        The engine for the scores, its GPU (None: the CPU), and the images per batch.
    outputs
        A file of the network's outputs' names, where they are more than the task's classes.
    mean
        The mean pixel that the network was trained with; None for the dataset's.
    sums
        Whether to measure what the tasks' blocks add: with Caffe.
    """

    variant: Variant
    dataset: Dataset
    network: Path
    weights: Path
    engine: EngineName = "caffe"
    gpu: int | None = None
    batch: int = 24
    outputs: Path | None = None
    mean: tuple[float, ...] | None = None
    sums: bool = False


def evaluate(
    request: EvaluationRequest,
    progress: Callable[[int], None] = lambda _: None,
    keeper: GuessKeeper | None = None,
) -> Result:
    """Score every test image once and count.

    Parameters
    ----------
    request
        What to evaluate.
    progress
        Called with the number of images of each batch.
    keeper
        Keeps what is said of each image, if that is wanted.

    Raises
    ------
    ValueError, OSError
        Files that do not fit together, or cannot be read; raised before the first batch where
        possible.
    EngineError
        Caffe is missing, or ended its process.
    """
    data, network = request.dataset, read_network(request.network, request.variant.tasks)
    check_images(network, data.images, data.name)
    chosen = _columns(network, request)
    if network.blobs:  # else the weights are in the network's file
        check_weights(request.weights, network.file, network.blobs)
    meter = _meter(request)
    engine = check_engine(request.engine, request.gpu)
    train, test = labels_of(data, "TRAIN"), labels_of(data, "TEST")
    fine = finest(train, {task.name: task.classes for task in data.tasks})
    count = _TestSetCounter(network, data, chosen, test, fine, keeper)
    mean = request.mean or data.images.mean
    stored = StoredImages(Path(data.test.images), network.shape, mean, request.batch)

    def on_scores(scores: Scores) -> None:
        progress(count.add(scores))

    measured = meter.blobs if meter else ()
    job = ScoringJob(network, request.weights, stored, request.gpu, measured)
    score(request.engine, job, on_scores, on_squares=meter.add if meter else lambda _: None)
    found = count.result(request, train, versions(request.engine, engine))
    return structs.replace(found, sums=meter.scales()) if meter else found


def _meter(request: EvaluationRequest) -> SumMeter | None:
    """Return what measures the sums, if that is asked for."""
    if not request.sums:
        return None
    if request.engine != "caffe":
        raise DeployedError(f"--engine {request.engine} has no sums to measure: use caffe")
    return SumMeter(sums_of(request.network))


class _TestSetCounter:
    """Counts the scores of all heads, batch by batch."""

    def __init__(
        self,
        network: Deployed,
        dataset: Dataset,
        chosen: Mapping[str, Ints | None],
        labels: Mapping[str, Ints],
        fine: Finest | None,
        keeper: GuessKeeper | None,
    ) -> None:
        self.keeper = keeper
        self.network, self.labels, self.fine, self.seen = network, labels, fine, 0
        self.chosen = chosen
        self.tallies = {
            head.task: Tally(dataset.task(head.task), head.outputs, chosen[head.task])
            for head in network.heads
        }
        self.derived: dict[tuple[str, tuple[str, ...]], Hits] = {}

    def add(self, scores: Scores) -> int:
        """Count a batch, the next in the order of the records; return its number of images."""
        size = len(next(iter(scores.values())))
        labels = {task: of[self.seen : self.seen + size] for task, of in self.labels.items()}
        for task, tally in self.tallies.items():
            _check_finite(scores[task], task, self.seen)
            tally.add(scores[task], labels[task])
        classes = self._classes(scores)
        if self.keeper:
            self.keeper.add(classes, labels)
        for baseline in baselines(classes, self.fine) if self.fine else ():
            hits = self.derived.setdefault((baseline.task, baseline.sources), Hits())
            hits.add(baseline.scores, labels[baseline.task])
        self.seen += size
        return size

    def _classes(self, scores: Scores) -> Scores:
        """Return the scores of the tasks' classes only."""
        return {
            task: of if (chosen := self.chosen[task]) is None else of[:, chosen]
            for task, of in scores.items()
        }

    def result(
        self, request: EvaluationRequest, train: Mapping[str, Ints], versions: dict[str, str]
    ) -> Result:
        data = request.dataset
        tasks = [task for task in data.tasks if task.name in self.tallies]
        return Result(
            version=VERSION,
            variant=request.variant.name,
            dataset=data.name,
            records=self.seen,
            network=_file_used(request.network),
            weights=_file_used(request.weights),
            parameters=self.network.parameters,
            engine=request.engine,
            versions=versions,
            tasks=tuple(
                self.tallies[task.name].result(
                    class_names(task),
                    prior(train[task.name], self.labels[task.name], task.classes),
                )
                for task in tasks
            ),
            derived=tuple(
                Derived(task, sources, hits.accuracy())
                for (task, sources), hits in self.derived.items()
            ),
        )


def _columns(network: Deployed, request: EvaluationRequest) -> dict[str, Ints | None]:
    """Return which outputs are each task's classes; None where all are, in order."""
    if request.outputs is None:
        data = request.dataset
        check_classes(network, {task.name: task.classes for task in data.tasks}, data.name)
        return {head.task: None for head in network.heads}
    if len(network.heads) != 1:
        raise DeployedError(
            "--classes names the outputs of a network with one task, not of several"
        )
    head, names = network.heads[0], read_outputs(request.outputs)
    if len(names) != head.outputs:
        raise DeployedError(
            f"{request.outputs}: {len(names):,} names for the {head.outputs:,} outputs of"
            f" {request.network}: name every output, one per line, in their order"
        )
    return {head.task: columns(request.dataset, head.task, names, request.outputs)}


def _check_finite(scores: np.ndarray, task: str, seen: int) -> None:
    sick = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if sick.size:
        raise DeployedError(
            f"the scores for {task} of image {seen + sick[0]:,} are not finite:"
            " did the training diverge? See `netgen audit --weights`"
        )


def _file_used(file: Path) -> FileUsed:
    return FileUsed(file.as_posix(), digest(file))
