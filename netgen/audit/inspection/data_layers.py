"""A network's data layers: image shape, mirroring and mean, and which task's labels they read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netgen import paper
from netgen.audit.inspection.differences import GraphComparison
from netgen.audit.inspection.finding import InspectionFinding, InspectionVerdict
from netgen.audit.inspection.references import Reference
from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.paper import Recipe
from netgen.system.text import value_text

PARAMETERS = {
    "Data": "data_param",
    "HDF5Data": "hdf5_data_param",
    "ImageData": "image_data_param",
    "MemoryData": "memory_data_param",
    "WindowData": "window_data_param",
}
CLOSE = 1.0  # the mean is published rounded (104) and not rounded (103.939)


def batch_of(layer: LayerParameter) -> int:
    """Return a data layer's batch size; 0 where it has none."""
    name = PARAMETERS.get(layer.type)
    return getattr(layer, name).batch_size if name else 0


def source_of(layer: LayerParameter) -> str:
    """Return the path that a data layer reads; "" where it has none."""
    parameters = getattr(layer, PARAMETERS.get(layer.type, "data_param"))
    return str(getattr(parameters, "source", ""))


def inspect_feeds(
    file: str, reference: Reference, compared: GraphComparison
) -> Iterator[InspectionFinding]:
    """Compare the data layers of a phase with section 5.2."""
    graph = compared.found
    for layer in graph.images:
        where = f"{file}: {layer.name} ({graph.phase})"
        if layer.type == "Input":
            yield from _shape(where, layer)
        elif layer.type in PARAMETERS:
            yield _batch(where, graph.phase, batch_of(layer))
            yield from _transformation(where, graph.phase, layer)
    yield from _labels(file, reference, compared)


def inspect_phases(file: str, phases: list[GraphComparison]) -> Iterator[InspectionFinding]:
    """Find databases that are read both in training and in testing."""
    sources = [{source_of(layer): layer.name for layer in phase.found.images} for phase in phases]
    for path in sorted(set.intersection(*map(set, sources)) - {""}) if len(sources) > 1 else ():
        what = f"{path} is read in TRAIN and in TEST: section 5.2 tests on images of their own"
        yield InspectionFinding(
            f"{file}: {sources[0][path]}, source", what, InspectionVerdict.DIFFERS
        )


def task_named(layer: LayerParameter, blob: str) -> str | None:
    """Return the task whose labels a layer reads, by its path or the blob's name."""
    for text in (source_of(layer).rpartition("/")[2], source_of(layer), blob):
        named = set(re.findall("|".join(paper.TASKS), text.lower()))
        if len(named) == 1:
            return str(named.pop())
    return None


def _shape(where: str, layer: LayerParameter) -> Iterator[InspectionFinding]:
    wanted = paper.IMAGE_SHAPE
    for shape in layer.input_param.shape[:1]:
        found = tuple(shape.dim)[1:]
        verdict = InspectionVerdict.same_if(found == wanted)
        what = f"images of {_by(found)}, the paper's are {_by(wanted)} (section 5.2)"
        yield InspectionFinding(f"{where}, shape", what, verdict)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "no shape"


def _batch(where: str, phase: str, batch: int) -> InspectionFinding:
    where, wanted = f"{where}, batch_size", Recipe().batch_size
    if phase == "TEST":
        covers = batch > 0 and paper.TEST_IMAGES % batch == 0
        verdict = InspectionVerdict.EQUIVALENT if covers else InspectionVerdict.DIFFERS
        times = "divides" if covers else "does not divide"
        what = f"batch_size {batch} {times} the {paper.TEST_IMAGES:,} test images (section 5.2)"
        return InspectionFinding(
            where, what + ("" if covers else ": it cannot test each exactly once"), verdict
        )
    what = f"batch_size {batch}, the paper's is {wanted} (section 5.2)"
    if batch == wanted:
        return InspectionFinding(where, what, InspectionVerdict.SAME)
    if batch and wanted % batch == 0:
        what += f": needs iter_size {wanted // batch} in the solver, and normalises over {batch}"
        return InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE)
    return InspectionFinding(where, what, InspectionVerdict.DIFFERS)


def _transformation(where: str, phase: str, layer: LayerParameter) -> Iterator[InspectionFinding]:
    param = layer.transform_param
    mirrored = phase == "TRAIN"
    flips = 'section 5.2: "random flips of the input at training"'
    yield InspectionFinding(
        f"{where}, mirror",
        f"mirror {value_text(param.mirror)}, the paper's is {value_text(mirrored)} in {phase}"
        f" ({flips})",
        InspectionVerdict.same_if(param.mirror == mirrored),
    )
    yield _mean(f"{where}, mean_value", layer)
    if param.crop_size:
        yield _crop(f"{where}, crop_size", param.crop_size)
    if param.scale != 1:
        what = (
            f"scale {value_text(param.scale)}, ours has 1: He's weights expect values of 0 to 255"
        )
        yield InspectionFinding(f"{where}, scale", what, InspectionVerdict.DIFFERS)
    if param.force_gray:
        what = "force_gray true: the paper's images have three channels (Table 1's first layer)"
        yield InspectionFinding(f"{where}, force_gray", what, InspectionVerdict.DIFFERS)


def _crop(where: str, size: int) -> InspectionFinding:
    wanted = paper.IMAGE_SIZE
    what = f"crop_size {size}, the paper's images are {wanted} x {wanted} (section 5.2)"
    if size != wanted:
        return InspectionFinding(where, what, InspectionVerdict.DIFFERS)
    what += ": of no effect on stored images of this size; of larger ones it takes random crops,"
    return InspectionFinding(
        where, what + " which the paper does not mention", InspectionVerdict.NOT_CHECKABLE
    )


def _mean(where: str, layer: LayerParameter) -> InspectionFinding:
    found = tuple(layer.transform_param.mean_value)
    ours = f"ours is {_values(paper.IMAGENET_MEAN)} in B, G, R (ImageNet's; the paper is silent)"
    if layer.transform_param.mean_file:
        what = f"mean_file {layer.transform_param.mean_file}: {ours}"
        return InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE)
    if not any(found):
        what = f"no mean is subtracted: {ours}, and the weights that it starts from expect one"
        return InspectionFinding(where, what, InspectionVerdict.DIFFERS)
    what = f"mean_value {_values(found)}, {ours}"
    if found == paper.IMAGENET_MEAN:
        return InspectionFinding(where, what, InspectionVerdict.SAME)
    full = found * 3 if len(found) == 1 else found
    if _near(full, paper.IMAGENET_MEAN):
        return InspectionFinding(where, what, InspectionVerdict.EQUIVALENT)
    if _near(full, paper.IMAGENET_MEAN[::-1]):
        return InspectionFinding(
            where, what + ": it is in R, G, B, Caffe's images are not", InspectionVerdict.DIFFERS
        )
    return InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE)


def _values(mean: tuple[float, ...]) -> str:
    return ", ".join(map(value_text, mean))


def _near(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(abs(left - right) <= CLOSE for left, right in pairs)


def _labels(
    file: str, reference: Reference, compared: GraphComparison
) -> Iterator[InspectionFinding]:
    """Check that each loss and accuracy reads the labels of its own task."""
    graph = compared.found
    image_batches = {batch_of(layer) for layer in graph.images}
    reported: set[tuple[str, str]] = set()
    for index, sources in graph.labels.items():
        node, pair = graph.nodes[index], compared.pairs.get(index)
        if pair is None or not sources:
            continue
        task = _task(reference, compared.wanted.nodes[pair].name)
        yield from _label(file, graph.phase, node.layer, sources[-1], task)
        source = sources[-1]
        if batch_of(source) not in image_batches and (source.name, task) not in reported:
            reported.add((source.name, task))
            what = f"batch_size {batch_of(source)}, the images' is {_values((*image_batches,))}:"
            what += " labels no longer match images after the first batch"
            where = f"{file}: {source.name} ({graph.phase}), batch_size"
            yield InspectionFinding(where, what, InspectionVerdict.DIFFERS)


def _task(reference: Reference, name: str) -> str:
    tasks = reference.variant.tasks
    return tasks[0] if len(tasks) == 1 else name.rpartition("_")[2]


def _label(
    file: str, phase: str, reader: LayerParameter, source: LayerParameter, task: str
) -> Iterator[InspectionFinding]:
    where = f"{file}: {reader.name} ({phase}), labels of {source.name}"
    found, path = task_named(source, reader.bottom[1]), source_of(source) or reader.bottom[1]
    if found is None:
        what = f"the name of {path} does not show whether its labels are those of {task}"
        yield InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE)
    elif found != task:
        classes = f"{paper.TASKS[task]} classes of {task}"
        what = f"the {classes} are compared with the labels of {found}, {path} (section 5.1)"
        yield InspectionFinding(where, what, InspectionVerdict.DIFFERS)
    elif reader.type.endswith("Loss"):
        yield InspectionFinding(
            where, f"{path} for the head of {task} (section 5.1)", InspectionVerdict.SAME
        )
