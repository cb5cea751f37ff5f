"""Equation (2) forwards, against NumPy written from the paper, and backwards, against differences.

y(t) = ReLU(F_t(x(t)) + x(t) + sum over j != t of a(j->t) x(j)), where x has been through its ReLU.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from support.caffe_child import Answer, in_caffe
from support.networks import ANY_CARD, dataset, make_databases, order, text
from support.networks_in_caffe import fill_all, run_at_random
from support.once import Once

from netgen.network.options import CrossForm, Normalization, SelfWeight, Sharing

Array = NDArray[np.float64]
CLASSES = {"noun": 7, "adj": 4, "anp": 9}
# Two odd halvings, so that padding at the borders is told apart.
DATA = dataset(CLASSES, (3, 20, 28))


# ---- the paper, in NumPy ------------------------------------------------------------------------


class Network:
    """A network computed from the paper's text, in float64, on Caffe's blobs by layer name.

    W(j, t) is what weighs task j's x in task t's sum: a number, one a channel, or a matrix of
    channels; `share` divides the shortcuts, for the "normalization factor" of equation (2).
    """

    def __init__(self, blobs: dict[str, list[Array]]) -> None:
        self.blobs = {name: [b.astype(np.float64) for b in bs] for name, bs in blobs.items()}

    def convolve(self, name: str, x: Array, stride: int = 1) -> Array:
        weights, *bias = self.blobs[name]
        pad = weights.shape[-1] // 2
        x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        windows = sliding_window_view(x, weights.shape[2:], axis=(2, 3))
        y = np.einsum("nchwij,ocij->nohw", windows[:, :, ::stride, ::stride], weights)
        biased: Array = y + bias[0][:, None, None] if bias else y
        return biased

    def normalize(self, place: str, x: Array) -> Array:
        """Batch normalisation with the averages that training left: BatchNorm, then Scale."""
        mean, variance, factor = self.blobs[f"bn{place}"]
        gain, bias = self.blobs[f"scale{place}"]
        mean, variance, gain, bias = (
            values[:, None, None] for values in (mean / factor, variance / factor, gain, bias)
        )
        return gain * (x - mean) / np.sqrt(variance + 1e-5) + bias

    def unit(self, place: str, x: Array, stride: int = 1) -> Array:
        return self.normalize(place, self.convolve(f"res{place}", x, stride))

    def bottleneck(self, place: str, x: Array, stride: int, task: str = "") -> Array:
        """The first two convolutions of F, each normalised and rectified."""
        x = relu(self.unit(f"{place}_branch2a{task}", x, stride))
        return relu(self.unit(f"{place}_branch2b{task}", x))

    def shared_block(self, place: str, x: Array, stride: int) -> Array:
        """Equation (1), its shortcut a projection."""
        residual = self.unit(f"{place}_branch2c", self.bottleneck(place, x, stride))
        return relu(residual + self.unit(f"{place}_branch1", x, stride))

    def branching_point(self, x: Array) -> dict[str, Array]:
        """Section 4: the last normalisation and ReLU come after the sum, one a task."""
        last = self.convolve("res5a_branch2c", self.bottleneck("5a", x, 2))
        total = last + self.convolve("res5a_branch1", x, 2)
        return {task: relu(self.normalize(f"5a_{task}", total)) for task in CLASSES}

    def cross_residual(
        self, place: str, x: dict[str, Array], a: Callable[[str, str], Array | float], share: float
    ) -> dict[str, Array]:
        """Equation (2)."""
        y = {}
        for t in CLASSES:
            f = self.unit(f"{place}_branch2c_{t}", self.bottleneck(place, x[t], 1, f"_{t}"))
            others = sum((weigh(a(j, t), x[j]) for j in CLASSES if j != t), start=np.zeros_like(f))
            y[t] = relu(f + share * (self.own(place, t, x[t]) + others))
        return y

    def own(self, place: str, task: str, x: Array) -> Array:
        """The own shortcut: the identity, or weighed."""
        name = f"self{place}_{task}"
        return self.channelwise(name) * x if name in self.blobs else x

    def head(self, task: str, x: Array) -> Array:
        weights, bias = self.blobs[f"fc_{task}"]
        scores = weights @ x[0].mean(axis=(1, 2)) + bias
        exponentials = np.exp(scores - scores.max())
        probabilities: Array = exponentials / exponentials.sum()
        return probabilities

    def run(
        self, image: Array, a: Callable[[str, str, str], Array | float], share: float = 1
    ) -> dict[str, Array]:
        """Every task's activations and probabilities, by the names of Caffe's blobs."""
        x = relu(self.normalize("_conv1", self.convolve("conv1", image)))
        for place, stride in (("2a", 1), ("3a", 2), ("4a", 2)):
            x = self.shared_block(place, x, stride)
        tasks = self.branching_point(x)
        found = {f"res5a_{task}": values for task, values in tasks.items()}
        for place in ("5b", "5c"):
            tasks = self.cross_residual(place, tasks, partial(a, place), share)
            found |= {f"res{place}_{task}": values for task, values in tasks.items()}
        return found | {f"prob_{task}": self.head(task, tasks[task]) for task in CLASSES}

    def channelwise(self, name: str) -> Array:
        [values] = self.blobs[name]
        return values[:, None, None]


def weigh(weight: Array | float, x: Array) -> Array:
    """A weight's product with x: a matrix, of shape (out, in), mixes the channels."""
    if np.ndim(weight) == 2:
        mixed: Array = np.einsum("oc,nchw->nohw", weight, x)
        return mixed
    return weight * x


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


# What W(j), j != t, is in each network. A cross weight is named source, then target.
def none(_network: Network, _place: str, _source: str, _target: str) -> float:
    return 0


def identity(_network: Network, _place: str, _source: str, _target: str) -> float:
    return 1


def scale(network: Network, place: str, source: str, target: str) -> Array:
    return network.channelwise(f"cross{place}_{source}_{target}")


def scale_of_the_source(network: Network, place: str, source: str, _target: str) -> Array:
    return network.channelwise(f"cross{place}_{source}")


def matrix(network: Network, place: str, source: str, target: str) -> Array:
    [weights] = network.blobs[f"cross{place}_{source}_{target}"]
    return weights[:, :, 0, 0]


# variant, readings and what is beyond the paper, a(j->t), share of the shortcuts
CASES: dict[str, tuple[str, dict[str, Any], Callable[..., Any], float]] = {
    "xs": ("xs", {}, scale, 1),
    "x1": ("x1", {}, identity, 1),
    "x0": ("x0", {}, none, 1),
    "xs, weights per source": ("xs", {"sharing": Sharing.PER_SOURCE}, scale_of_the_source, 1),
    "xs, normalised": ("xs", {"normalization": Normalization.MEAN}, scale, 1 / 3),
    "x1, normalised": ("x1", {"normalization": Normalization.MEAN}, identity, 1 / 3),
    "xs, own shortcut weighed": (
        "xs",
        {"self_weight": SelfWeight.LEARNED, "normalization": Normalization.MEAN},
        scale,
        1 / 3,
    ),
    "xs, convolutions": ("xs", {"cross_form": CrossForm.CONVOLUTION}, matrix, 1),
}


def run_each(prototxts: dict[str, str]) -> dict[str, Any]:
    """In Caffe: run networks, one after the other; return image, parameters and activations."""
    import caffe

    ran = {}
    for number, (name, prototxt) in enumerate(prototxts.items()):
        Path("net.prototxt").write_text(prototxt, encoding="utf-8")
        net = caffe.Net("net.prototxt", caffe.TEST)
        run_at_random(net, "net.caffemodel", seed=number)
        ran[name] = {
            "parameters": {
                layer: [blob.data.copy() for blob in blobs] for layer, blobs in net.params.items()
            },
            "blobs": {blob: net.blobs[blob].data.copy() for blob in net.blobs},
        }
    return ran


@pytest.fixture(scope="session")
def ran(once: Once, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Caffe computed for each case."""
    prototxts = {
        name: text(order(variant, DATA, **readings), "deploy")
        for name, (variant, readings, _, _) in CASES.items()
    }
    answer: Answer = once(
        "equation-2", lambda: in_caffe(run_each, prototxts, folder=tmp_path_factory.mktemp("eq2"))
    )
    value: dict[str, Any] = answer.value
    return value


def by_the_paper(case: str, ran: dict[str, Any], a: Callable[..., Any] | None = None) -> Any:
    _, _, weights, share = CASES[case]
    network = Network(ran[case]["parameters"])
    image = ran[case]["blobs"]["data"].astype(np.float64)
    return network.run(image, lambda *where: (a or weights)(network, *where), share)


@pytest.mark.parametrize("case", CASES)
def test_caffe_computes_equation_2_as_the_paper_states_it(case: str, ran: dict[str, Any]) -> None:
    expected = by_the_paper(case, ran)
    assert len(expected) == 4 * len(CLASSES)
    for name, values in expected.items():
        assert values.std() > 0.01 * values.max() > 0
        np.testing.assert_allclose(
            ran[case]["blobs"][name].reshape(values.shape),
            values,
            rtol=1e-4,
            atol=1e-5 * values.max(),
            err_msg=name,
        )


@pytest.mark.parametrize(
    "wrong",
    [
        none,
        identity,
        lambda network, place, source, target: scale(network, place, target, source),
    ],
    ids=["no cross weights", "cross weights of 1", "target named before source"],
)
def test_another_equation_would_not_pass(wrong: Callable[..., Any], ran: dict[str, Any]) -> None:
    expected = by_the_paper("xs", ran, wrong)
    for task in CLASSES:
        values = expected[f"res5b_{task}"]
        assert np.abs(ran["xs"]["blobs"][f"res5b_{task}"] - values).max() > 0.1 * values.max()


# ---- backwards ----------------------------------------------------------------------------------

# Small enough that few ReLUs switch, large enough that float32 resolves the difference.
STEPS = (3e-4, 1e-4, 3e-5)


@dataclass(frozen=True)
class Kind:
    """Blobs whose gradients are checked: the pattern of their names, and how many there are."""

    pattern: str
    blobs: int


KINDS = {
    "cross weights": Kind(r"cross5[bc]_[a-z]+_[a-z]+ 0", 2 * 6),
    "convolutions that tasks share": Kind(r"(conv1|res[2-5]a_branch(1|2a|2b|2c)) 0", 1 + 4 * 4),
    "convolutions of one task": Kind(r"res5[bc]_branch2[abc]_[a-z]+ 0", 2 * 3 * 3),
    "normalisations": Kind(r"scale.* [01]", 2 * (1 + 3 * 4 + 2 + 3 + 2 * 3 * 3)),
    "classifiers": Kind(r"fc_[a-z]+ [01]", 3 * 2),
}
CLOSE_TO_THE_LOSS = {"cross weights", "convolutions of one task", "classifiers"}
LEARN = ["xs", "x1"]


@dataclass(frozen=True)
class Slope:
    """How fast the loss grows along a direction in one blob, by backward and by differences."""

    blob: str
    backward: float
    differences: list[float]
    steepest: float  # the gradient's length

    @property
    def error(self) -> float:
        """The least difference between the two, relative to the steepest slope of the blob."""
        return min(abs(slope - self.backward) for slope in self.differences) / self.steepest


def measure_slopes(train_vals: dict[str, str]) -> dict[str, Any]:
    """In Caffe: the loss of each network in training, and its slopes, one a blob that learns."""
    import caffe

    return {
        case: slopes_of(caffe.Net(file, caffe.TRAIN), np.random.default_rng(len(case)))
        for case, file in train_vals.items()
    }


def slopes_of(net: Any, rng: np.random.Generator) -> dict[str, Any]:
    start(net, rng)
    found: dict[str, Any] = {
        "loss": loss(net),
        "losses": [float(net.blobs[f"loss_{t}"].data) for t in CLASSES],
    }
    net.backward()
    learning = {
        f"{name} {index}": (blob.data, blob.diff.astype(np.float64))
        for name, blobs in net.params.items()
        for index, blob in enumerate(blobs)
        # A batch's mean takes conv1's bias away again: its slope is 0.
        if not name.startswith("bn") and (name, index) != ("conv1", 1)
    }
    found["slopes"] = [slope(net, name, *blob, rng) for name, blob in learning.items()]
    return found


def start(net: Any, rng: np.random.Generator) -> None:
    """Random blobs, images and labels, with losses of a few units and all ReLUs at work."""
    fill_all(net, rng)
    for task in CLASSES:
        net.params[f"fc_{task}"][0].data[...] *= 0.2
    net.blobs["data"].data[...] = rng.normal(0, 50, net.blobs["data"].data.shape)
    for task, classes in CLASSES.items():
        labels = net.blobs[f"label_{task}"].data
        labels[...] = rng.integers(0, classes, labels.shape)


def loss(net: Any) -> float:
    """The unweighted sum of the tasks' softmax losses, summed up in float64."""
    net.forward(start="conv1")  # after the data, which stays as it is
    total = 0.0
    for task in CLASSES:
        scores = net.blobs[f"fc_{task}"].data.astype(np.float64)
        labels = net.blobs[f"label_{task}"].data.reshape(-1).astype(int)
        right = scores[np.arange(len(scores)), labels]
        total += float((np.log(np.exp(scores).sum(axis=1)) - right).mean())
    return total


def slope(
    net: Any, blob: str, values: np.ndarray, gradient: Array, rng: np.random.Generator
) -> Slope:
    """Compare along a direction that is half the gradient's and half random."""
    steepest = float(np.linalg.norm(gradient))
    random = rng.standard_normal(gradient.shape)
    direction = gradient / steepest + random / np.linalg.norm(random)
    before = values.copy()
    differences = []
    for step in np.multiply(STEPS, np.linalg.norm(before)):
        values[...] = before + step * direction
        ahead = loss(net)
        values[...] = before - step * direction
        differences.append((ahead - loss(net)) / (2 * step))
    values[...] = before
    return Slope(blob, float((gradient * direction).sum()), differences, steepest)


@pytest.fixture(scope="session")
def learned(once: Once, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Losses and slopes of each network in training."""

    def measure() -> Answer:
        folder = tmp_path_factory.mktemp("slopes")
        train_vals = {}
        for case in LEARN:
            variant, readings, _, _ = CASES[case]
            # Networks of one process may not read the same databases.
            data = dataset(CLASSES, (3, 20, 28), folder=f"data/{case}")
            make_databases(data, folder)
            recipe = replace(ANY_CARD, batch_size=8)
            train_vals[case] = f"{case}.prototxt"
            train_val = text(order(variant, data, recipe=recipe, **readings), "train_val")
            (folder / train_vals[case]).write_text(train_val, encoding="utf-8")
        return in_caffe(measure_slopes, train_vals, folder=folder)

    answer: Answer = once("slopes", measure)
    value: dict[str, Any] = answer.value
    return value


@pytest.mark.parametrize("case", LEARN)
def test_the_loss_is_the_unweighted_sum_of_the_tasks_losses(
    case: str, learned: dict[str, Any]
) -> None:
    assert learned[case]["loss"] == pytest.approx(sum(learned[case]["losses"]), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", LEARN)
def test_backward_gives_the_slope_of_the_loss(
    case: str, kind: str, learned: dict[str, Any]
) -> None:
    slopes = [s for s in learned[case]["slopes"] if re.fullmatch(KINDS[kind].pattern, s.blob)]
    assert len(slopes) == (0 if (case, kind) == ("x1", "cross weights") else KINDS[kind].blobs)
    errors = sorted(slope.error for slope in slopes)
    if kind in CLOSE_TO_THE_LOSS:
        assert all(error < 0.02 for error in errors), slopes
    else:  # a step switches some of the many ReLUs that follow: differences are noisier there
        assert all(error < 0.03 for error in errors[: len(errors) * 3 // 4]), slopes
