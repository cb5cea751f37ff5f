"""Networks in Caffe with random weights: what they compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np


def parameters(net: Any) -> int:
    return sum(blob.data.size for blobs in net.params.values() for blob in blobs)


def save_random_weights(net: str, file: str, phase: str = "TEST") -> None:
    """In Caffe: save the weights with which a network's fillers begin."""
    import caffe

    caffe.set_random_seed(1)
    caffe.Net(net, getattr(caffe, phase)).save(file)


def run_at_random(net: Any, weights: str, seed: int = 0) -> tuple[np.ndarray, dict[str, Any]]:
    """In Caffe: give a network random blobs, save them, and run it on a random image."""
    rng = np.random.default_rng(seed)
    fill_all(net, rng)
    image = rng.normal(0, 50, net.blobs["data"].data.shape).astype(np.float32)
    net.blobs["data"].data[...] = image
    net.forward()
    classifiers = [name for name in net.params if name.startswith(("fc_", "fc8-t"))]
    scores = [name for name in net.blobs if name.startswith("fc_")]
    for name, score in zip(classifiers, scores, strict=True):
        # so that no class takes all the probability
        net.params[name][0].data[...] *= 2 / net.blobs[score].data.std()
    outputs = net.forward(start=classifiers[0])
    net.save(weights)
    return image, {name: values.copy() for name, values in outputs.items()}


def fill_all(net: Any, rng: np.random.Generator) -> None:
    """In Caffe: give a network random blobs."""
    kinds = {name: layer.type for name, layer in zip(net._layer_names, net.layers, strict=True)}
    for name, blobs in net.params.items():
        fill(blobs, kinds[name], rng)


def fill(blobs: Any, kind: str, rng: np.random.Generator) -> None:
    """Random numbers, as they might be after training: variances are positive, averages scaled."""
    first = blobs[0].data
    if kind == "BatchNorm":
        factor = rng.uniform(0.5, 999)  # Caffe keeps sums of weighted averages, and of weights
        blobs[0].data[...] = factor * rng.normal(0, 0.3, first.shape)
        blobs[1].data[...] = factor * rng.uniform(0.5, 2, first.shape)
        blobs[2].data[...] = factor
    elif kind == "Scale":
        first[...] = rng.uniform(-0.2, 1, first.shape)
    else:
        first[...] = rng.standard_normal(first.shape, np.float32)
        first *= np.sqrt(2 / first[0].size)
    if kind != "BatchNorm" and len(blobs) > 1:
        blobs[1].data[...] = rng.normal(0, 0.3, blobs[1].data.shape)


def in_opencv(deploy: Path, weights: Path, ran: dict[str, Any]) -> dict[str, np.ndarray]:
    """Run a network in OpenCV on the image that it ran on in Caffe."""
    net = cv2.dnn.readNetFromCaffe(str(deploy), str(weights))
    net.setInput(ran["image"], "data")
    names = list(ran["probabilities"])
    return dict(zip(names, net.forward(names), strict=True))


def agree(caffe: dict[str, np.ndarray], opencv: dict[str, np.ndarray]) -> None:
    assert caffe.keys() == opencv.keys()
    for name, probabilities in caffe.items():
        spread = np.log(probabilities).std()
        assert 0.5 < spread < 5, f"{name}: probabilities that say too little to be compared"
        np.testing.assert_allclose(
            opencv[name].reshape(-1), probabilities.reshape(-1), rtol=0, atol=1e-5
        )


def run_each(prototxts: dict[str, str]) -> dict[str, Any]:
    """In Caffe: run networks, one after the other, leaving ``<number>.prototxt`` and weights."""
    import caffe

    ran = {}
    for number, (name, prototxt) in enumerate(prototxts.items()):
        Path(f"{number}.prototxt").write_text(prototxt, encoding="utf-8")
        net = caffe.Net(f"{number}.prototxt", caffe.TEST)
        image, probabilities = run_at_random(net, f"{number}.caffemodel", seed=number)
        ran[name] = {
            "image": image,
            "probabilities": probabilities,
            "pooled": {net.blobs[blob].data.shape for blob in net.blobs if blob[:5] == "pool5"},
        }
    return ran
