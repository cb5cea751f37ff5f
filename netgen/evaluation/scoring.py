"""Compute scores of images with a deploy network: by Caffe, by OpenCV or by onnxruntime.

Caffe runs in a child process. OpenCV reads prototxt and caffemodel itself, so it is a second,
independent engine that needs no build; onnxruntime runs what `netgen export` writes.
All return the inputs of the Softmax, because rounding can make probabilities equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from netgen.caffe.child import call, send
from netgen.caffe.database_cursor import check_readable
from netgen.caffe.engine import EngineError, find_engine, require_gpu
from netgen.evaluation.deployed import Deployed, DeployedError, DeployedHead
from netgen.evaluation.exported import is_onnx
from netgen.evaluation.stored_images import StoredImages
from netgen.system.files import MODELS, read_file
from netgen.system.machine import threads_wanted
from netgen.system.text import printable, shape_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EngineName = Literal["caffe", "opencv", "onnx"]
# Each with the name that it calls itself.
ENGINES: dict[EngineName, str] = {"caffe": "Caffe", "opencv": "OpenCV", "onnx": "onnxruntime"}
# What the others are, as packages of Python's.
PACKAGES = {"opencv": "opencv-python-headless", "onnx": "onnxruntime"}
SILENCE = 900.0  # seconds: the first batch of a large network on a busy machine's CPU

Scores = dict[str, "NDArray[np.float32]"]  # task -> N x outputs


class Squares(dict[str, "NDArray[np.float32]"]):
    """Blob -> each image's mean of the squares of its values, N."""


@dataclass(frozen=True)
class Unread:
    """Stands in place of a batch whose image cannot be read, and says why."""

    reason: str


@dataclass(frozen=True)
class ScoringJob:
    """A network, its weights, and the images to score: N x C x H x W per batch, mean subtracted.

    The batches are made in Caffe's process, so what makes them is pickled. Of the blobs in
    `measured`, the squares are returned, too: by Caffe only.
    """

    network: Deployed
    weights: Path
    batches: Iterable[NDArray[np.float32] | Unread]
    gpu: int | None = None
    measured: tuple[str, ...] = ()


def check_engine(engine: EngineName, gpu: int | None) -> str:
    """Check that the engine exists, and the GPU if one is requested; return its version.

    Raises
    ------
    EngineError
        It is missing, or Caffe finds no GPU.
    DeployedError
        A GPU was requested for another engine than Caffe.
    """
    if engine == "caffe":
        found = find_engine()
        if gpu is not None:
            require_gpu(found)
        return found.version
    if gpu is not None:
        raise DeployedError(f"--engine {engine} runs on the CPU: omit --gpu, or use Caffe")
    try:
        if engine == "onnx":
            version("onnx")  # to write what it runs
        return version(PACKAGES[engine])
    except PackageNotFoundError as error:
        raise EngineError(
            f"--engine {engine} needs the package {error.name}, which this Python does not have:"
            f" pip install {error.name}"
        ) from None


def score(
    engine: EngineName,
    job: ScoringJob,
    on_scores: Callable[[Scores], None],
    on_unread: Callable[[Unread], None] = lambda _: None,
    on_squares: Callable[[Squares], None] = lambda _: None,
) -> None:
    """Call `on_scores` with the scores of each batch, or `on_unread` with why there is none.

    And `on_squares` with the squares of the blobs that are to be measured.

    With Caffe, it runs during the next batch's forward pass, which is in another process.

    Raises
    ------
    EngineError
        Caffe ended its process; the message has its reason.
    ValueError
        The images cannot be read, or OpenCV or onnxruntime cannot run the network.
    """

    def on_message(found: Scores | Squares | Unread) -> None:
        if isinstance(found, Unread):
            on_unread(found)
        elif isinstance(found, Squares):
            on_squares(found)
        else:
            on_scores(found)

    if engine != "caffe" and not isinstance(job.batches, StoredImages):
        for scores in _scored(engine, job):
            on_message(scores)
        return
    try:
        call(_send_scores, engine, job, silence=SILENCE, on_message=on_message)
    except EngineError:
        if isinstance(job.batches, StoredImages):
            check_readable([job.batches.path])
        raise


def _send_scores(engine: EngineName, job: ScoringJob) -> None:
    """Run in a child process, which Caffe or a damaged database may end; send to the parent."""
    for found in _scored(engine, job):
        send(found)


def _scored(engine: EngineName, job: ScoringJob) -> Iterator[Scores | Squares | Unread]:
    """Yield the scores of each batch, or why there is none, and the squares of what is measured."""
    run = LOADERS[engine](job)
    heads = len(job.network.heads)
    for batch in job.batches:
        if isinstance(batch, Unread):
            yield batch
            continue
        found = list(run(batch))
        scores = zip(job.network.heads, found[:heads], strict=True)
        yield {head.task: _scores(job, head, values, len(batch)) for head, values in scores}
        if job.measured:
            measured = zip(job.measured, found[heads:], strict=True)
            yield Squares({blob: (_flat(values) ** 2).mean(axis=1) for blob, values in measured})


# ---- engines: each loads a network, and returns what computes the scores of a batch --------------

Run = Callable[["NDArray[np.float32]"], Iterable[Any]]


def _load_in_caffe(job: ScoringJob) -> Run:
    import caffe

    if job.gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(job.gpu)
        caffe.set_mode_gpu()
    net = caffe.Net(str(job.network.file), str(job.weights), caffe.TEST)

    def run(batch: NDArray[np.float32]) -> Iterable[Any]:
        data = net.blobs[job.network.input]
        if data.data.shape != batch.shape:
            data.reshape(*batch.shape)
        data.data[...] = batch
        net.forward()
        blobs = (*(head.blob for head in job.network.heads), *job.measured)
        return [net.blobs[blob].data.copy() for blob in blobs]

    return run


def _load_in_opencv(job: ScoringJob) -> Run:
    import cv2

    layers = [head.layer for head in job.network.heads]
    with _opencvs_errors(job):
        net = cv2.dnn.readNetFromCaffe(str(job.network.file), str(job.weights))

    def run(batch: NDArray[np.float32]) -> Iterable[Any]:
        with _opencvs_errors(job):
            net.setInput(batch, job.network.input)
            return net.forward(layers)

    return run


@contextmanager
def _opencvs_errors(job: ScoringJob) -> Iterator[None]:
    import cv2

    try:
        yield
    except cv2.error as error:
        raise DeployedError(
            f"{job.network.file}: OpenCV cannot run it ({error.err}): use --engine caffe"
        ) from None


def _load_in_onnxruntime(job: ScoringJob) -> Run:
    import onnxruntime

    from netgen.weights.outgoing.onnx_file import ExportOptions, onnx_file

    file = job.network.file
    if is_onnx(file):
        content = read_file(file, MODELS)
    else:
        content = onnx_file(file, job.weights, None, ExportOptions()).content
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is fatal: it says in its errors what it would log
    options.intra_op_num_threads = threads_wanted()  # as many as Caffe takes
    # Threads that spin while they wait keep the processor from whoever else computes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with _onnxruntimes_errors(job):
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    blobs = [head.blob for head in job.network.heads]

    def run(batch: NDArray[np.float32]) -> Iterable[Any]:
        with _onnxruntimes_errors(job):
            found: Iterable[Any] = session.run(blobs, {job.network.input: batch})
            return found

    return run


@contextmanager
def _onnxruntimes_errors(job: ScoringJob) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):  # its own have no common base
            raise
        file = job.network.file
        then = "export it again (`netgen export`)" if is_onnx(file) else "use --engine caffe"
        why = printable(" ".join(str(error).split()))
        raise DeployedError(f"{file}: onnxruntime cannot run it ({why}): {then}") from None


LOADERS: dict[EngineName, Callable[[ScoringJob], Run]] = {
    "caffe": _load_in_caffe,
    "opencv": _load_in_opencv,
    "onnx": _load_in_onnxruntime,
}


def _scores(job: ScoringJob, head: DeployedHead, values: Any, images: int) -> NDArray[np.float32]:
    """Return a task's scores, N x outputs; DeployedError where there are others."""
    found = _flat(values)
    if found.shape != (images, head.outputs):
        raise DeployedError(
            f"{job.network.file}: {shape_text(values.shape)} scores of {head.task} for"
            f" {images} images, where it should give {head.outputs} for each: build it again"
        )
    return found


def _flat(scores: Any) -> NDArray[np.float32]:
    """Return N x outputs, whatever axes of 1 follow."""
    flat: NDArray[np.float32] = scores.reshape(len(scores), -1)
    return flat
