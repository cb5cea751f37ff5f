"""Run a source network and the network that starts from it, each by its own program, and compare.

Both see the same images, each as it wants its pixels; what is compared is the output of each stage
that the two networks have in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from netgen.caffe.caffemodel import to_caffemodel
from netgen.caffe.child import call
from netgen.weights.incoming.fitting import Target, read_target
from netgen.weights.incoming.units import STEM, Array, Pixels
from netgen.weights.incoming.vgg import FIRST
from netgen.weights.weighted_layers import WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from netgen.weights.initial import InitialWeights

SAME = 1e-4  # of the largest value: what single precision leaves after 50 layers
IMAGES, COARSE = 2, 12  # images, and the pixels per side that they are enlarged from
SILENCE = 600.0  # seconds


@dataclass(frozen=True)
class Compared:
    """A stage: the largest difference of its values, and the largest of the source's values."""

    stage: str
    difference: float
    largest: float

    @property
    def relative(self) -> float:
        """The difference as a share of the largest value."""
        return self.difference / self.largest if self.largest else self.difference

    @property
    def is_same(self) -> bool:
        """Whether rounding explains the difference."""
        return bool(self.relative <= SAME)


def prove(made: InitialWeights) -> list[Compared]:
    """Compare a foreign source with the network that starts from it, stage by stage.

    Raises
    ------
    WeightsError
        The source is a caffemodel, or no deploy.prototxt lies beside the network.
    EngineError
        Caffe, or the source's own program, cannot run it.
    """
    if made.foreign is None:
        raise WeightsError(
            f"{made.source.file}: a caffemodel is copied, not converted: --prove is for files of"
            " other programs"
        )
    deploy = Path(made.network.file).with_name("deploy.prototxt")
    if not deploy.is_file():
        raise WeightsError(f"{deploy}: not there, and --prove runs it: `netgen build` writes both")
    target = read_target(made.network.file)
    first = next(layer for layer in made.network.layers if layer.name in (STEM, FIRST))
    height, width = first.bottoms[0][2:]
    images = pictures(height, width)
    mean = target.mean if target.mean is not None else made.foreign.pixels.mean
    try:
        theirs = made.foreign.run(_fed(images, made.foreign.pixels, mean))
    except WeightsError:
        raise
    except Exception as error:  # of another program
        raise WeightsError(
            f"{made.source.file}: its own program cannot run it on images of {height} x {width}:"
            f" {type(error).__name__}: {error}".splitlines()[0]
        ) from None
    blobs = {stage: stage for stage in theirs}
    blobs |= {name[:4]: name.split("_")[0] for name in sorted(made.foreign.units) if name != STEM}
    with TemporaryDirectory(prefix="netgen-") as folder:
        weights = Path(folder) / "initial.caffemodel"
        weights.write_bytes(to_caffemodel(made.network.name, made.weights))
        ours: Mapping[str, Array] = call(
            _run, str(deploy), str(weights), blobs, _ours(images, target, mean), silence=SILENCE
        )
    return [
        Compared(stage, float(np.abs(values - ours[stage]).max()), float(np.abs(values).max()))
        for stage, values in theirs.items()
        if stage in ours and ours[stage].shape == values.shape
    ]


def pictures(height: int, width: int) -> NDArray[np.uint8]:
    """Return images, N x H x W x 3: coarse ones enlarged, with noise, always the same."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(IMAGES):
        coarse = rng.uniform(0, 255, (COARSE, COARSE, 3)).astype(np.float32)
        fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        found.append(np.clip(fine + rng.normal(0, 8, fine.shape), 0, 255).astype(np.uint8))
    return np.array(found)


def _fed(
    images: NDArray[np.uint8], pixels: Pixels, mean: tuple[float, ...] | None
) -> NDArray[np.float32]:
    """Return images, N x C x H x W, as the source wants them."""
    own = pixels.mean if pixels.mean is not None else mean
    made = (images - np.array(own or 0.0)) / np.array(pixels.deviation)
    return np.ascontiguousarray(
        (made if pixels.bgr else made[..., ::-1]).transpose(0, 3, 1, 2), np.float32
    )


def _ours(
    images: NDArray[np.uint8], target: Target, mean: tuple[float, ...] | None
) -> NDArray[np.float32]:
    made = (images - np.array(mean or 0.0)) * target.scale
    return np.ascontiguousarray(made.transpose(0, 3, 1, 2), np.float32)


def _run(
    deploy: str, weights: str, blobs: Mapping[str, str], images: NDArray[np.float32]
) -> dict[str, Any]:
    """In Caffe: return the output of each stage that all tasks share; `blobs` names its blob."""
    import caffe

    net = caffe.Net(deploy, weights, caffe.TEST)
    (fed,) = net.inputs
    net.blobs[fed].reshape(*images.shape)
    net.blobs[fed].data[...] = images
    net.forward()
    return {
        stage: net.blobs[blob].data.copy() for stage, blob in blobs.items() if blob in net.blobs
    }
