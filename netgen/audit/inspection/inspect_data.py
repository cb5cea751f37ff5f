"""Compare databases with section 5: counts, classes, alignment, pairs and the split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from netgen import paper
from netgen.audit.finding import (
    InspectionError,
    InspectionFinding,
    InspectionVerdict,
    Rule,
)
from netgen.audit.inspection.database_folder import (
    Counts,
    Ints,
    find_databases,
    histogram,
    odd_one_out,
    rounding,
    shift_of,
)
from netgen.caffe.databases import Databases, Labels, first_shape, image_fingerprints, read_labels
from netgen.paper import IMAGE_SHAPE
from netgen.paper.implied import Rounding, training_images
from netgen.system.text import shape_text

RECORDS = {"TRAIN": paper.TRAIN_IMAGES, "TEST": paper.TEST_IMAGES}
FEWEST, MOST = paper.LEAST_IMAGES, paper.MOST_IMAGES
ROUNDED = {Rounding.NEAREST: "to nearest", Rounding.CEIL: "up"}

Splits = Mapping[str, Mapping[str, Ints]]  # phase to task to labels


def inspect_data(path: str | os.PathLike[str], deep: bool = False) -> list[InspectionFinding]:
    """Compare databases with section 5.1 and 5.2.

    Parameters
    ----------
    path
        A folder with a ``dataset.toml``, or with LMDBs whose names contain the split and the task.
    deep
        Read every image too, to find those that are in both splits.

    Raises
    ------
    ValueError
        When there are no databases, or one cannot be read as such.
    """
    splits = find_databases(Path(path))
    file = os.fspath(path)
    findings = [*_tasks(file, splits)]
    labels = {phase: read_labels(split) for phase, split in splits.items()}
    for phase, read in labels.items():
        findings += _split(file, phase, splits[phase], read)
    if _in_range(labels):
        findings += _classes(file, labels)
        findings += _pairs(file, labels)
    findings += _images(file, splits)
    if deep:
        findings += _both_splits(file, splits)
    return findings


def _tasks(file: str, splits: Mapping[str, Databases]) -> Iterator[InspectionFinding]:
    for phase, split in splits.items():
        found = set(split.labels)
        what = f"labels of {', '.join(sorted(found)) or 'no task'}, the paper's tasks are"
        what += f" {', '.join(paper.TASKS)} (section 5.1)"
        verdict = InspectionVerdict.same_if(found == set(paper.TASKS))
        yield InspectionFinding(f"{file}: {phase}", what, verdict)
    for phase in RECORDS.keys() - splits.keys():
        what = f"no databases of {phase}: the paper splits 80/20 (section 5.2)"
        yield InspectionFinding(f"{file}: {phase}", what, InspectionVerdict.NOT_CHECKABLE)


def _split(file: str, phase: str, split: Databases, read: Labels) -> Iterator[InspectionFinding]:
    """Compare a split's counts with the paper's and with each other."""
    wanted = RECORDS[phase]
    for name, records in read.records.items():
        verdict = InspectionVerdict.same_if(records == wanted)
        what = f"{records:,} records, the paper's has {wanted:,} (section 5.2)"
        yield InspectionFinding(f"{file}: {phase} {name}", what, verdict)
    counts = set(read.records.values())
    if len(counts) > 1:
        what = "databases of different lengths: Caffe restarts each at its own end, and from then"
        what += " on their records no longer match"
        yield InspectionFinding(f"{file}: {phase}", what, InspectionVerdict.DIFFERS, Rule.ITSELF)
    if read.apart:
        what = f"{read.apart}: Caffe reads in order, so images may get the labels of other images"
        yield InspectionFinding(f"{file}: {phase}", what, InspectionVerdict.DIFFERS, Rule.ITSELF)
    elif len(read.records) > 1:
        what = "the same keys in all databases"
        yield InspectionFinding(f"{file}: {phase}", what, InspectionVerdict.SAME, Rule.ITSELF)
    yield from _ranges(file, phase, read)


def _ranges(file: str, phase: str, read: Labels) -> Iterator[InspectionFinding]:
    for task, values in read.values.items():
        classes = paper.TASKS.get(task)
        if classes is None:
            continue
        outside = np.flatnonzero((values < 0) | (values >= classes))
        if outside.size:
            first = int(outside[0])
            what = f"record {first:,} has label {values[first]}, and {outside.size - 1:,} more are"
            what += f" not in 0 to {classes - 1} ({classes} classes, section 5.1)"
            yield InspectionFinding(f"{file}: {phase} {task}", what, InspectionVerdict.DIFFERS)


def _in_range(labels: Mapping[str, Labels]) -> bool:
    """Return whether labels can be counted: none is negative or far above the number of classes."""
    return all(
        values.size and values.min() >= 0 and values.max() < 10 * max(paper.TASKS.values())
        for read in labels.values()
        for values in read.values.values()
    )


def _classes(file: str, labels: Mapping[str, Labels]) -> Iterator[InspectionFinding]:
    for task, classes in paper.TASKS.items():
        values = [read.values[task] for read in labels.values() if task in read.values]
        if not values:
            continue
        found = np.unique(np.concatenate(values)).size
        verdict = InspectionVerdict.same_if(found == classes)
        what = f"{found} classes have images, the paper's are {classes} (section 5.1)"
        yield InspectionFinding(f"{file}: {task}", what, verdict)


def _pairs(file: str, labels: Mapping[str, Labels]) -> Iterator[InspectionFinding]:
    """Check nouns and adjectives against the pairs, in each split and over both."""
    complete = {
        phase: read.values for phase, read in labels.items() if paper.TASKS.keys() <= {*read.values}
    }
    sound = True
    for phase, values in complete.items():
        finding = _consistency(f"{file}: {phase}", values)
        sound = sound and finding.verdict is InspectionVerdict.SAME
        yield finding
    if len(complete) == len(RECORDS):
        if sound:
            yield from _between_splits(file, complete)
        yield from _histograms(file, complete)


def _consistency(where: str, values: Mapping[str, Ints]) -> InspectionFinding:
    odd = odd_one_out(values)
    if odd is None:
        what = "noun and adjective are functions of the pair, in every record (section 5.1)"
        return InspectionFinding(where, what, InspectionVerdict.SAME, Rule.ITSELF)
    task, records = odd
    what = f"in {records:,} records the label of {task} does not fit the other two: its database is"
    what += " the wrong one"
    shift = shift_of(values, task)
    if shift is not None:
        late = "late" if shift > 0 else "early"
        what += f"; it fits if its labels are {abs(shift)} record(s) too {late}"
    return InspectionFinding(f"{where} {task}", what, InspectionVerdict.DIFFERS, Rule.ITSELF)


def _between_splits(file: str, splits: Splits) -> Iterator[InspectionFinding]:
    """Check that a pair has the same noun and adjective in both splits."""
    parts = {task: [split[task] for split in splits.values()] for task in paper.TASKS}
    both = {task: np.concatenate(values) for task, values in parts.items()}
    odd = odd_one_out(both)
    if odd is not None:
        what = f"the class numbers of {odd[0]} differ in meaning between TRAIN and TEST"
        where = f"{file}: {odd[0]}"
        yield InspectionFinding(where, what, InspectionVerdict.DIFFERS, Rule.ITSELF)


def _histograms(file: str, splits: Splits) -> Iterator[InspectionFinding]:
    classes = 1 + max(int(split["anp"].max()) for split in splits.values())
    train, test = (histogram(splits[phase]["anp"], classes) for phase in RECORDS)
    total = train + test
    yield _sizes(file, total)
    rule, where = rounding(train, total), f"{file}: anp, split"
    if rule is Rounding.FLOOR:
        what = "floor(0.8 n) images of every pair are in TRAIN, as the paper's totals imply"
        what += " (section 5.2: 80/20, stratified)"
        yield InspectionFinding(where, what, InspectionVerdict.SAME, Rule.READING)
    elif rule:
        what = f"80% of every pair are in TRAIN, rounded {ROUNDED[rule]}; the paper's totals imply"
        what += " floor (section 5.2)"
        yield InspectionFinding(where, what, InspectionVerdict.DIFFERS, Rule.READING)
    else:
        yield InspectionFinding(where, _unstratified(train, total), InspectionVerdict.DIFFERS)


def _unstratified(train: Counts, total: Counts) -> str:
    wanted = training_images(total)
    off = np.flatnonzero(train != wanted)
    first = int(off[0])
    return (
        f"{off.size} pairs are not split 80/20: of pair {first}'s {total[first]:,} images"
        f" {train[first]:,} are in TRAIN, floor(0.8 n) is {wanted[first]:,} (section 5.2:"
        " stratified by adjective-noun pairs)"
    )


def _sizes(file: str, total: Counts) -> InspectionFinding:
    where = f"{file}: anp, images per pair"
    outside = np.flatnonzero((total < FEWEST) | (total > MOST))
    place = f"the paper's have {FEWEST} to {MOST:,} (section 5.1)"
    if not outside.size:
        return InspectionFinding(
            where, f"{total.min():,} to {total.max():,}; {place}", InspectionVerdict.SAME
        )
    first = int(outside[0])
    what = f"{outside.size} pairs are outside: pair {first} has {total[first]:,}; {place}"
    return InspectionFinding(where, what, InspectionVerdict.DIFFERS)


def _images(file: str, splits: Mapping[str, Databases]) -> Iterator[InspectionFinding]:
    for phase, split in splits.items():
        shape = first_shape(split.images) if split.images else None
        where = f"{file}: {phase} images"
        if shape is None:
            what = "no images found, or stored encoded: their size was not checked"
            yield InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE)
        else:
            verdict = InspectionVerdict.same_if(shape == IMAGE_SHAPE)
            wanted = f"the paper's are {shape_text(IMAGE_SHAPE)} (section 5.2)"
            what = f"the first is {shape_text(shape)}, {wanted}"
            yield InspectionFinding(where, what, verdict)


def _both_splits(file: str, splits: Mapping[str, Databases]) -> Iterator[InspectionFinding]:
    """Look for images with identical pixels in both splits, or twice in one."""
    paths = {phase: split.images for phase, split in splits.items() if split.images}
    if len(paths) < len(RECORDS):
        raise InspectionError(f"{file}: a deep inspection needs the images of both splits")
    digests = {phase: image_fingerprints(path) for phase, path in paths.items() if path}
    shared = np.intersect1d(digests["TRAIN"], digests["TEST"])
    where = f"{file}: images, both splits"
    if shared.size:
        places = [int(np.flatnonzero(digests[phase] == shared[0])[0]) for phase in RECORDS]
        what = f"{shared.size:,} images are in TRAIN and in TEST: record {places[0]:,} of the one"
        what += f" is record {places[1]:,} of the other; the paper's are disjoint (section 5.2)"
        yield InspectionFinding(where, what, InspectionVerdict.DIFFERS)
    else:
        yield InspectionFinding(where, "no image is in both (section 5.2)", InspectionVerdict.SAME)
    for phase, values in digests.items():
        again = values.size - np.unique(values).size
        if again:
            what = f"{again:,} records repeat an image of {phase}: the paper does not say whether"
            where, what = f"{file}: {phase} images", what + " its own do"
            yield InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE, Rule.OURS)
