"""Predictions for photographs: the top classes of each task (Figure 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from netgen.caffe.caffemodel_check import check_weights
from netgen.evaluation.composition import log_softmax
from netgen.evaluation.deployed import Deployed, check_classes, check_images
from netgen.evaluation.exported import read_network
from netgen.evaluation.results import TOP
from netgen.evaluation.scoring import (
    EngineName,
    Scores,
    ScoringJob,
    Unread,
    check_engine,
    score,
)
from netgen.evaluation.tally import top
from netgen.network.description import Description

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]  # H x W x C; B, G, R or grey
    ReadPixels = Callable[[str], Pixels]


class PredictionError(ValueError):
    """An image that cannot be read; the message says which, and why."""


class RankedClass(Struct, frozen=True):
    """A class, its name if the dataset has names, and the probability that the network gives it."""

    label: int
    name: str | None
    probability: float


class Prediction(Struct, frozen=True):
    """An image's top classes for each task, the most probable first."""

    image: str
    tasks: dict[str, tuple[RankedClass, ...]]


class NotPredicted(Struct, frozen=True):
    """An image that has no prediction, and why."""

    image: str
    reason: str


@dataclass(frozen=True)
class PredictionRequest:
    """What to predict: a network, as it is described, its weights, and the names of images.

    `read_pixels` returns the pixels of an image of that name as the description says, or raises a
    ValueError or OSError; it is pickled. `top` is how many classes of a task are wanted. `mean` is
    what is subtracted; None for what the description says.
    """

    description: Description
    network: Path
    weights: Path
    images: Sequence[str]
    read_pixels: ReadPixels
    engine: EngineName = "caffe"
    gpu: int | None = None
    top: int = TOP
    mean: tuple[float, ...] | None = None


def described_network(file: Path, description: Description) -> Deployed:
    """Read a network, as `read_network` does, and check that a description is of it.

    Raises
    ------
    ValueError
        The description is of other images, tasks or classes.
    """
    network = read_network(file, description.tasks)
    check_images(network, description.images, description.dataset)
    classes = {each.task: each.classes for each in description.outputs}
    check_classes(network, classes, description.dataset)
    return network


def predict(
    request: PredictionRequest, on_found: Callable[[Prediction | NotPredicted], None]
) -> None:
    """Call `on_found` with the network's prediction for each image, in the images' order.

    An image that cannot be read takes nothing from the others. One image is in memory at a time.

    Raises
    ------
    ValueError, OSError
        The network, its weights and its description do not fit together.
    EngineError
        Caffe is missing, or ended its process.
    """
    import numpy as np

    described = request.description
    network = described_network(request.network, described)
    outputs = {each.task: each for each in described.outputs}
    if network.blobs:  # else the weights are in the network's file
        check_weights(request.weights, network.file, network.blobs)
    check_engine(request.engine, request.gpu)
    names = iter(request.images)

    def on_scores(scores: Scores) -> None:
        for task, values in scores.items():
            if not np.isfinite(values).all():
                raise PredictionError(
                    f"{network.file}: its scores for {task} are not finite: did the training"
                    " diverge? See `netgen audit --weights`"
                )
        ranked = {
            task: _ranked_classes(scores[task][0], each.names, request.top)
            for task, each in outputs.items()
        }
        on_found(Prediction(next(names), ranked))

    def on_unread(unread: Unread) -> None:
        on_found(NotPredicted(next(names), unread.reason))

    # One image per batch, so that an image's arithmetic does not depend on other images.
    mean = described.images.mean if request.mean is None else request.mean
    batches = _Photographs(request.images, request.read_pixels, mean)
    job = ScoringJob(network, request.weights, batches, request.gpu)
    score(request.engine, job, on_scores, on_unread)


def predictions(request: PredictionRequest) -> list[Prediction]:
    """Return the network's predictions for all images, in their order.

    Raises
    ------
    ValueError, OSError, EngineError
        As for `predict`; a ValueError also when an image cannot be read.
    """
    found: list[Prediction | NotPredicted] = []
    predict(request, found.append)
    unread = [one for one in found if isinstance(one, NotPredicted)]
    if unread:
        raise PredictionError(f"{unread[0].image}: {unread[0].reason}")
    return [one for one in found if isinstance(one, Prediction)]


@dataclass(frozen=True)
class _Photographs:
    """Images in batches of one, less the mean, read when it is their turn."""

    names: Sequence[str]
    read_pixels: ReadPixels
    mean: Sequence[float]

    def __iter__(self) -> Iterator[NDArray[np.float32] | Unread]:
        import numpy as np

        mean = np.array(self.mean, np.float32)[:, None, None]
        for name in self.names:
            try:
                pixels = self.read_pixels(name)
            except OSError as error:
                yield Unread(error.strerror or str(error))
            except ValueError as error:
                yield Unread(str(error))
            else:
                yield (pixels.transpose(2, 0, 1) - mean)[None]


def _ranked_classes(
    scores: NDArray[np.float32], names: Sequence[str] | None, count: int
) -> tuple[RankedClass, ...]:
    import numpy as np

    likely = np.exp(log_softmax(scores[None])[0])
    return tuple(
        RankedClass(label, names[label] if names else None, float(likely[label]))
        for label in top(scores[None], count)[0].tolist()
    )
