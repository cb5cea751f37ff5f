"""Predictions for photographs: the top classes of each task (Figure 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from netgen.caffe.caffemodel_check import check_weights
from netgen.cost.layers.layer_types import Shape
from netgen.evaluation.composition import log_softmax
from netgen.evaluation.deployed import check_classes, check_images, read_deployed
from netgen.evaluation.scoring import EngineName, Scores, ScoringJob, check_engine, score
from netgen.evaluation.tally import top
from netgen.network.dataset import Dataset, class_names
from netgen.network.variants import Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]  # H x W x C; B, G, R or grey
    ReadPixels = Callable[[Path, Shape], Pixels]


class RankedClass(Struct, frozen=True):
    """A class, its name if the dataset has names, and the probability that the network gives it."""

    label: int
    name: str | None
    probability: float


class Prediction(Struct, frozen=True):
    """An image's top classes for each task, the most probable first."""

    image: str
    tasks: dict[str, tuple[RankedClass, ...]]


@dataclass(frozen=True)
class PredictionRequest:
    """What to predict: a network for a dataset, its weights, and image files.

    `read_pixels` turns a file into an image of a shape (C, H, W): `data_prep.images.read_pixels`.
    """

    variant: Variant
    dataset: Dataset
    network: Path
    weights: Path
    images: Sequence[Path]
    read_pixels: ReadPixels
    engine: EngineName = "caffe"
    gpu: int | None = None


def predict(request: PredictionRequest) -> list[Prediction]:
    """Return the network's predictions for each image, in the images' order.

    Images are resized to the network's input as `convert_imageset` does, without keeping their
    proportions, and the dataset's mean is subtracted.

    Raises
    ------
    ValueError, OSError
        A file is not an image, or the network, its weights and the dataset do not fit together.
    EngineError
        Caffe is missing, or ended its process.
    """
    data, network = request.dataset, read_deployed(request.network, request.variant.tasks)
    check_images(network, data)
    check_classes(network, data)
    check_weights(request.weights, network.file, network.blobs)
    # One image per batch, so that an image's arithmetic does not depend on other images.
    batches = [
        _batch(request.read_pixels(file, network.shape), data.images.mean)
        for file in request.images
    ]
    check_engine(request.engine, request.gpu)
    found: list[Scores] = []
    score(request.engine, ScoringJob(network, request.weights, batches, request.gpu), found.append)
    names = {task: class_names(data.task(task)) for task in request.variant.tasks}
    return [
        Prediction(
            file.as_posix(), {task: _ranked_classes(scores[task][0], names[task]) for task in names}
        )
        for file, scores in zip(request.images, found, strict=True)
    ]


def _batch(pixels: Pixels, mean: Sequence[float]) -> NDArray[np.float32]:
    import numpy as np

    return (pixels.transpose(2, 0, 1) - np.array(mean, np.float32)[:, None, None])[None]


def _ranked_classes(
    scores: NDArray[np.float32], names: Sequence[str] | None
) -> tuple[RankedClass, ...]:
    import numpy as np

    likely = np.exp(log_softmax(scores[None])[0])
    return tuple(
        RankedClass(label, names[label] if names else None, float(likely[label]))
        for label in top(scores[None])[0].tolist()
    )
