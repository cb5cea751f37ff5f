"""What a network sees in photographs: the classes in the first places, task by task (Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from netgen.caffe.caffemodel_check import check_weights
from netgen.cost.layers.table import Shape
from netgen.evaluation.composition import log_softmax
from netgen.evaluation.deployed import check_classes, check_images, read_deployed
from netgen.evaluation.scoring import EngineName, Job, Scores, check_engine, score
from netgen.evaluation.tally import top
from netgen.network.dataset import Dataset, class_names
from netgen.network.variants import Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


class ImageError(ValueError):
    """A file that is no image; the message says what next."""


class Guess(Struct, frozen=True):
    """A class, its name where the dataset knows it, and the probability the network gives it."""

    label: int
    name: str | None
    probability: float


class Prediction(Struct, frozen=True):
    """The classes in an image's first places, the likeliest first, by task."""

    image: str
    tasks: dict[str, tuple[Guess, ...]]


@dataclass(frozen=True)
class Request:
    """What to predict: a network for a dataset, its weights, and image files."""

    variant: Variant
    dataset: Dataset
    network: Path
    weights: Path
    images: Sequence[Path]
    engine: EngineName = "caffe"
    gpu: int | None = None


def predict(request: Request) -> list[Prediction]:
    """Return what the network sees in each image, in the images' order.

    Images are resized to the network's input as `convert_imageset` does, without keeping their
    proportions, and the dataset's mean is subtracted.

    Raises
    ------
    ValueError, OSError
        A file is no image, or the network, its weights and the dataset do not fit together.
    EngineError
        Caffe is missing, or ended its process.
    """
    data, network = request.dataset, read_deployed(request.network, request.variant.tasks)
    check_images(network, data)
    check_classes(network, data)
    check_weights(request.weights, network.file, network.blobs)
    # One image a batch: nothing of one depends on the others, in memory or in arithmetic.
    batches = [
        _batch(read_pixels(file, network.shape), data.images.mean) for file in request.images
    ]
    check_engine(request.engine, request.gpu)
    found: list[Scores] = []
    score(request.engine, Job(network, request.weights, batches, request.gpu), found.append)
    names = {task: class_names(data.task(task)) for task in request.variant.tasks}
    return [
        Prediction(
            file.as_posix(), {task: _guesses(scores[task][0], names[task]) for task in names}
        )
        for file, scores in zip(request.images, found, strict=True)
    ]


def read_pixels(file: Path, shape: Shape) -> Pixels:
    """Read an image as a network takes it: H x W x C of `shape` (C, H, W); B, G, R or grey.

    Raises
    ------
    ImageError
        The file cannot be read, or is no image that a dataset would take.
    """
    import cv2
    import numpy as np

    from data_prep.images import Decoding, Rejected, decode

    channels, height, width = shape
    try:
        pixels = decode(file.read_bytes(), Decoding((height, width)))
    except OSError as error:
        raise ImageError(f"{file}: {error.strerror}: check the path") from None
    except Rejected as error:
        raise ImageError(f"{file}: {error}") from None
    if channels == 1:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)[..., None], np.uint8)
    return pixels


def _batch(pixels: Pixels, mean: Sequence[float]) -> NDArray[np.float32]:
    import numpy as np

    return (pixels.transpose(2, 0, 1) - np.array(mean, np.float32)[:, None, None])[None]


def _guesses(scores: NDArray[np.float32], names: Sequence[str] | None) -> tuple[Guess, ...]:
    import numpy as np

    likely = np.exp(log_softmax(scores[None])[0])
    return tuple(
        Guess(label, names[label] if names else None, float(likely[label]))
        for label in top(scores[None])[0].tolist()
    )
