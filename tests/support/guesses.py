"""What two made-up networks say of each image of a database, as `netgen eval --images` has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netgen.caffe.caffe_pb2 import Datum
from netgen.evaluation.image_guesses import GuessKeeper, guesses_file
from netgen.evaluation.results import write_result
from support.networks import dataset, write_lmdb
from support.results import IMAGES, PAIRS, Scored, result_of, scored

SKILLS = {"x0": 1.5, "xs": 2.5}


@dataclass(frozen=True)
class Seen:
    """Where results and images are, the pixels (N x C x H x W), and each network's scores."""

    results: Path
    database: Path
    pixels: NDArray[np.uint8]
    scores: dict[str, Scored]

    def right(self, network: str, task: str) -> NDArray[np.bool_]:
        """Whether a network is right, image by image."""
        made = self.scores[network]
        return np.asarray(made.scores[task].argmax(axis=1) == made.labels[task])


def write_pixels(database: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a new database of images."""
    shape = dict(zip(("channels", "height", "width"), pixels.shape[1:], strict=True))
    write_lmdb(database, [Datum(**shape, data=image.tobytes()) for image in pixels])


def seen_by_two(
    folder: Path, size: tuple[int, int, int] = (3, 20, 30), names: Sequence[str] = PAIRS
) -> Seen:
    """Write the results of X_0 and X_S, with what they say of each image, and the images."""
    pixels = np.random.default_rng(3).integers(0, 256, (IMAGES, *size), dtype=np.uint8)
    data = dataset({"noun": 7, "adj": 3, "anp": len(PAIRS)}, size, IMAGES, f"{folder}/data")
    database = Path(data.test.images)
    write_pixels(database, pixels)
    scores = {name: scored(seed, SKILLS[name], names) for seed, name in enumerate(SKILLS, 1)}
    for name, made in scores.items():
        result = result_of(made, name)
        keeper = GuessKeeper()
        keeper.add(made.scores, made.labels)
        file = folder / f"results/{name}.json"
        write_result(result, file, {guesses_file(file): keeper.encoded(result, data)})
    return Seen(folder / "results", database, pixels, scores)
