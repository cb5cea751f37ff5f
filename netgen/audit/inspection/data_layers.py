"""A network's data layers, field by field: images here, labels in `label_layers`.

Section 5.2: "307,185 images for training and 77,073 for test at 224 x 224", "random flips of the
input at training", "a batch size of 24". It does not say whether a mean is subtracted, or whether
values are scaled; but a network is tested on images treated like those that it was trained on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

from netgen import paper
from netgen.audit.comparison.differences import GraphComparison
from netgen.audit.comparison.graph import Graph
from netgen.audit.comparison.references import Reference
from netgen.audit.finding import InspectionFinding, InspectionVerdict, Rule
from netgen.audit.inspection.label_layers import inspect_labels
from netgen.audit.inspection.source_layers import (
    PARAMETERS,
    TRANSFORMS,
    SourceLayer,
    batch_of,
    feeds_training,
    inspect_source,
    is_source,
    source_of,
    stated_shape,
    values_text,
)
from netgen.caffe.caffe_pb2 import LayerParameter, TransformationParameter
from netgen.cost.complexity import READS_LABELS
from netgen.paper import Recipe
from netgen.system.text import shape_text, value_text

__all__ = [
    "PARAMETERS",
    "batch_of",
    "feeds_training",
    "inspect_feeds",
    "inspect_phases",
    "is_source",
    "source_of",
]

CLOSE = 1.0  # the mean is published rounded (104) and not rounded (103.939)
FLIPS = 'section 5.2: "random flips of the input at training"'
COLOURS = "the ResNet of ILSVRC that section 5.2 starts from reads three"


def inspect_feeds(
    file: str, reference: Reference, compared: GraphComparison
) -> Iterator[InspectionFinding]:
    """Compare the data layers of a phase with sections 5.1 and 5.2."""
    graph, images = compared.found, _images(compared.found)
    for layer in images:
        at = SourceLayer(file, graph.phase, layer)
        yield from _shape(at)
        if reference.kind == "train_val":
            yield from inspect_source(at, "images")
            yield _batch(at, batch_of(layer))
            yield from _transformation(at)
    yield from inspect_labels(file, reference, compared, images)


def inspect_phases(file: str, phases: Sequence[GraphComparison]) -> Iterator[InspectionFinding]:
    """Compare what is fed in training with what is fed in testing."""
    if len(phases) < 2:
        return
    by_phase = {phase.found.phase: phase for phase in phases}
    train, test = by_phase["TRAIN"], by_phase["TEST"]
    yield from _read_twice(file, *(_sources(phase) for phase in (train, test)))
    for one, other in zip(_images(train.found)[:1], _images(test.found)[:1], strict=False):
        yield from _treated_alike(file, one, other)


def _images(graph: Graph) -> list[LayerParameter]:
    """Return the layers whose images reach a layer: not what only a Silence reads, nor labels."""
    read = {
        bottom
        for layer in (layer for node in graph.nodes for layer in node.layers)
        for position, bottom in enumerate(layer.bottom)
        if not (position and layer.type in READS_LABELS)
    }
    return [x for x in graph.images if read.intersection(x.top)] or list(graph.images)


# ---- one phase ----------------------------------------------------------------------------------


def _shape(at: SourceLayer) -> Iterator[InspectionFinding]:
    """Compare the size of images where the layer states it."""
    layer, wanted, stated = at.layer, paper.IMAGE_SHAPE, stated_shape(at.layer, at.layer.top[0])
    images = layer.image_data_param
    if bool(images.new_height) != bool(images.new_width):
        what = "new_height and new_width: Caffe refuses one without the other"
        yield at.finding("new_height", what, InspectionVerdict.DIFFERS, Rule.CAFFE)
    if layer.type == "ImageData" and not images.is_color:
        what = f"is_color false: images of one channel; {COLOURS}"
        yield at.finding("is_color", what, InspectionVerdict.DIFFERS)
    if layer.type == "WindowData":
        what = "it feeds crops around boxes, the paper's images are whole (section 5.2)"
        yield at.finding("type", what, InspectionVerdict.DIFFERS)
    crop = layer.transform_param.crop_size if layer.type in TRANSFORMS else 0
    if stated and not crop:
        same = stated[1:] == wanted
        what = f"images of {shape_text(stated[1:])}, the paper's are {shape_text(wanted)}"
        yield at.finding("shape", what + " (section 5.2)", InspectionVerdict.same_if(same))
    elif layer.type == "ImageData" and not crop:
        what = f"images keep the sizes of their files, the paper's are {shape_text(wanted)}"
        what += " (section 5.2)"
        yield at.finding("new_height", what, InspectionVerdict.NOT_CHECKABLE)


def _batch(at: SourceLayer, batch: int) -> InspectionFinding:
    field, wanted = "batch_size", Recipe().batch_size
    if not batch:
        what = f"the batch size is not in this file, the paper's is {wanted} (section 5.2)"
        return at.finding(field, what, InspectionVerdict.NOT_CHECKABLE)
    if at.phase == "TEST":
        covers = paper.TEST_IMAGES % batch == 0
        verdict = InspectionVerdict.EQUIVALENT if covers else InspectionVerdict.DIFFERS
        times = "divides" if covers else "does not divide"
        what = f"batch_size {batch} {times} the {paper.TEST_IMAGES:,} test images (section 5.2)"
        return at.finding(field, what + ("" if covers else ": it cannot test each exactly once"),
                          verdict)  # fmt: skip
    what = f"batch_size {batch}, the paper's is {wanted} (section 5.2)"
    if wanted % batch == 0 and batch != wanted:
        what += f": needs iter_size {wanted // batch} in the solver, and normalises over {batch}"
        return at.finding(field, what, InspectionVerdict.NOT_CHECKABLE)
    return at.finding(field, what, InspectionVerdict.same_if(batch == wanted))


def _transformation(at: SourceLayer) -> Iterator[InspectionFinding]:
    layer, param = at.layer, at.layer.transform_param
    if layer.type not in TRANSFORMS:
        yield from _untransformed(at)
        return
    mirrored = at.phase == "TRAIN"
    what = f"mirror {value_text(param.mirror)}, the paper's is {value_text(mirrored)} in {at.phase}"
    verdict = InspectionVerdict.same_if(param.mirror == mirrored)
    yield at.finding("mirror", f"{what} ({FLIPS})", verdict)
    yield from _mean(at, param)
    if param.crop_size:
        yield _crop(at, param.crop_size)
    if param.scale != 1:
        yield _scale(at, param.scale)
    yield from _colours(at, param)


def _untransformed(at: SourceLayer) -> Iterator[InspectionFinding]:
    what = f"{at.layer.type[:60]} has no mirror, the paper's is true in TRAIN ({FLIPS})"
    if at.phase == "TRAIN" and at.layer.type in ("DummyData", "HDF5Data"):
        yield at.finding("mirror", what, InspectionVerdict.DIFFERS)
    else:
        what = "size, flips and mean of images are not in this file"
        yield at.finding("transform_param", what, InspectionVerdict.NOT_CHECKABLE)


def _crop(at: SourceLayer, size: int) -> InspectionFinding:
    wanted = paper.IMAGE_SIZE
    what = f"crop_size {size}, the paper's images are {wanted} x {wanted} (section 5.2)"
    if size != wanted:
        return at.finding("crop_size", what, InspectionVerdict.DIFFERS)
    what += ": of no effect on stored images of this size; of larger ones it takes random crops,"
    what += " which the paper does not mention"
    return at.finding("crop_size", what, InspectionVerdict.NOT_CHECKABLE, Rule.OURS)


def _scale(at: SourceLayer, scale: float) -> InspectionFinding:
    what = f"scale {value_text(scale)}"
    if not scale or not math.isfinite(scale):
        what += ": every image becomes the same (section 5.2 trains on images)"
        return at.finding("scale", what, InspectionVerdict.DIFFERS)
    what += ", ours has 1 (the paper is silent): He's weights expect values of 0 to 255"
    return at.finding("scale", what, InspectionVerdict.NOT_CHECKABLE, Rule.OURS)


def _colours(at: SourceLayer, param: TransformationParameter) -> Iterator[InspectionFinding]:
    if param.force_gray and param.force_color:
        what = "force_color and force_gray: Caffe refuses both for stored image files"
        yield at.finding("force_gray", what, InspectionVerdict.DIFFERS, Rule.CAFFE)
    elif param.force_gray:
        what = f"force_gray true: stored image files become one channel; {COLOURS}"
        yield at.finding("force_gray", what, InspectionVerdict.DIFFERS)
    elif param.force_color:
        what = f"force_color true: stored image files have three channels; {COLOURS}"
        yield at.finding("force_color", what, InspectionVerdict.EQUIVALENT)


def _mean(at: SourceLayer, param: TransformationParameter) -> Iterator[InspectionFinding]:
    """Judge the mean that is subtracted: the paper is silent, so no mean differs from it."""
    found = tuple(param.mean_value)
    ours = f"ours is {values_text(paper.IMAGENET_MEAN)} in B, G, R (ImageNet's; the paper is"
    ours += " silent)"
    if (param.mean_file and found) or len(found) not in (0, 1, paper.IMAGE_SHAPE[0]):
        what = f"mean_file {param.mean_file or 'none'} and {len(found)} mean_value: Caffe takes one"
        what += " file, or one value, or one value per channel"
        yield at.finding("mean_value", what, InspectionVerdict.DIFFERS, Rule.CAFFE)
        return
    full = found * 3 if len(found) == 1 else found
    what, verdict = f"mean_value {values_text(found)}, {ours}", InspectionVerdict.NOT_CHECKABLE
    if param.mean_file:
        what = f"mean_file {param.mean_file}: {ours}"
    elif not any(found):
        what = f"no mean is subtracted: {ours}, and the weights that it starts from expect one"
    elif found == paper.IMAGENET_MEAN:
        verdict = InspectionVerdict.SAME
    elif _near(full, paper.IMAGENET_MEAN):
        verdict = InspectionVerdict.EQUIVALENT
    elif _near(full, paper.IMAGENET_MEAN[::-1]):
        what += ": it is in R, G, B, Caffe's images are not"
    yield at.finding("mean_value", what, verdict, Rule.OURS)


def _near(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(abs(left - right) <= CLOSE for left, right in pairs)


# ---- both phases --------------------------------------------------------------------------------


def _sources(compared: GraphComparison) -> dict[str, LayerParameter]:
    """Return what is read in a phase: paths of images and of labels, and a layer of each."""
    readers = [*compared.found.images]
    readers += [x for layers in compared.found.labels.values() for x in layers if not x.bottom]
    return {source_of(layer): layer for layer in reversed(readers) if source_of(layer)}


def _read_twice(
    file: str, train: dict[str, LayerParameter], test: dict[str, LayerParameter]
) -> Iterator[InspectionFinding]:
    """Find databases that are read both in training and in testing."""
    for path in sorted(train.keys() & test.keys()):
        what = f"{path} is read in TRAIN and in TEST: section 5.2 tests on images of their own"
        where = f"{file}: {train[path].name}, source"
        yield InspectionFinding(where, what, InspectionVerdict.DIFFERS, phase="both")


def _treated_alike(
    file: str, train: LayerParameter, test: LayerParameter
) -> Iterator[InspectionFinding]:
    """Find what is done to images in one phase and not in the other, but for flips."""
    if not {train.type, test.type} <= TRANSFORMS:
        return
    for field, (found, other) in _treatments(train, test).items():
        if found != other:
            what = f"{field} {found} in TRAIN, {other} in TEST: it is tested on images that are"
            what += " not treated like those it was trained on"
            where = f"{file}: {train.name}, {field}"
            verdict = InspectionVerdict.DIFFERS
            yield InspectionFinding(where, what, verdict, Rule.ITSELF, phase="both")


def _treatments(*layers: LayerParameter) -> dict[str, tuple[str, ...]]:
    """Return what is done to images, as words: field to one value per layer."""
    params = [layer.transform_param for layer in layers]
    return {
        "mean_value": tuple(map(_mean_text, params)),
        "scale": tuple(value_text(param.scale) for param in params),
        "crop_size": tuple(map(_crop_text, layers)),
        "force_color": tuple(value_text(param.force_color) for param in params),
        "force_gray": tuple(value_text(param.force_gray) for param in params),
    }


def _mean_text(param: TransformationParameter) -> str:
    if param.mean_file:
        return f"of {os.path.normpath(param.mean_file)}"
    found = tuple(param.mean_value)
    full = found * 3 if len(found) == 1 else found
    return values_text(full if any(full) else ())


def _crop_text(layer: LayerParameter) -> str:
    """Return the crop, "none" where it keeps the size that the images have been given."""
    size, stated = layer.transform_param.crop_size, stated_shape(layer, layer.top[0])
    kept = stated is not None and stated[2:] == (size, size)
    return "none" if kept or not size else str(size)
