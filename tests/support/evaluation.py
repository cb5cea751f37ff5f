"""Networks with random weights, scores of a trained one, and a result that was never measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netgen import paper
from netgen.caffe.caffemodel import Weights, to_caffemodel
from netgen.caffe.schema import read_net
from netgen.cost.complexity import count
from netgen.evaluation.deployed import read_deployed
from netgen.evaluation.results import (
    VERSION,
    Accuracy,
    ClassResult,
    CloseCalls,
    Confusion,
    FileUsed,
    Result,
    TaskResult,
    accuracy,
)
from netgen.evaluation.scoring import EngineName, Scores, ScoringJob, score
from netgen.evaluation.stored_images import StoredImages
from netgen.network.build import network_files
from netgen.network.dataset import Dataset
from netgen.system.files import write_all
from support.networks import order
from support.trained_network import Trained


def random_network(variant: str, data: Dataset, folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Write a narrow network for `data` and random weights; return both files."""
    ordered = order(variant, data, out=folder)
    write_all(network_files(ordered))
    network = ordered.folder / "deploy.prototxt"
    weights = random_weights(network, seed).rename(folder / f"{variant}.caffemodel")
    return network, weights


def random_weights(network: Path, seed: int = 0) -> Path:
    """Write random weights for a network beside it; return the file."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in count(read_net(network), "TEST").layers:
        blobs = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in layer.blobs]
        if layer.type == "BatchNorm":  # means, variances, and how many there were
            blobs = [blobs[0], 1 + abs(blobs[1]), np.ones(1, np.float32)]
        if blobs:
            layers.append(Weights(layer.name, layer.type, tuple(blobs)))
    weights = network.with_name("random.caffemodel")
    weights.write_bytes(to_caffemodel("random", layers))
    return weights


def scores_of(trained: Trained, engine: EngineName) -> Scores:
    """The scores of every test image."""
    data = trained.dataset
    network = read_deployed(trained.network, [task.name for task in data.tasks])
    stored = StoredImages(Path(data.test.images), network.shape, data.images.mean, 24)
    batches: list[Scores] = []
    score(engine, ScoringJob(network, trained.weights, stored), batches.append)
    return {task: np.concatenate([batch[task] for batch in batches]) for task in batches[0]}


def task(name: str, classes: int, found: Accuracy) -> TaskResult:
    """A result at a task; all classes but the first have one image, which is right."""
    others = classes - 1
    counts = (found.top1.total, found.top1.correct, found.top5.correct)
    first = ClassResult(*(count - others for count in counts))
    return TaskResult(
        name=name,
        classes=classes,
        names=None,
        accuracy=found,
        close=CloseCalls(0, 0, 0, 0),
        of_class=(first, *[ClassResult(1, 1, 1)] * others),
        confusions=(Confusion(0, 1, 3),),
        prior=accuracy(771, 3000, paper.TEST_IMAGES),
    )


# As if X_S had come out as the paper prints it, and adjectives a little better.
RESULT = Result(
    version=VERSION,
    variant="xs",
    dataset="mtvso",
    records=paper.TEST_IMAGES,
    network=FileUsed("models/xs/deploy.prototxt", "0" * 64),
    weights=FileUsed("xs.caffemodel", "1" * 64),
    parameters=43_184_007,
    engine="caffe",
    versions={"caffe": "caffe version 1.0.0"},
    tasks=(
        task("noun", 167, accuracy(32_509, 53_985, paper.TEST_IMAGES)),
        task("adj", 117, accuracy(23_029, 45_088, paper.TEST_IMAGES)),
    ),
)
