"""Checks a network's databases: readable, of equal length, aligned, with labels in range.

Caffe itself would end its process, or train on the labels of other images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netgen.caffe.caffe_pb2 import DataParameter, LayerParameter
from netgen.caffe.databases import Databases, count_records, read_labels
from netgen.caffe.schema import Phase, read_net
from netgen.cost.complexity import READS_LABELS


class FeedError(ValueError):
    """Databases that a network cannot be trained on; the message says why and what next."""


@dataclass(frozen=True)
class Feed:
    """The number of records in each of a phase's databases, and the number per batch."""

    records: int
    batch: int


def check_feed(layers: Sequence[LayerParameter], phase: Phase) -> Feed:
    """Check the databases that the layers of a phase read.

    Raises
    ------
    FeedError
        They read something other than LMDBs, or databases that do not belong together, or have
        labels that are no classes.
    ValueError
        A database cannot be read.
    """
    sources = [layer for layer in layers if not layer.bottom]
    for layer in sources:
        if layer.type != "Data" or layer.data_param.backend != DataParameter.LMDB:
            raise FeedError(
                f"layer {layer.name!r} ({layer.type}): `netgen train` supports only Data layers"
                " that read LMDBs: build the network with `netgen build`"
            )
    if not sources:
        raise FeedError(f"the network reads nothing in phase {phase}: is it a train_val.prototxt?")
    labels = _labels(layers)
    paths = {layer.top[0]: Path(layer.data_param.source) for layer in sources}
    records = _records(phase, paths, labels)
    batches = {layer.data_param.batch_size for layer in sources}
    if len(batches) > 1:
        raise FeedError(
            f"the Data layers of phase {phase} have the batch sizes {sorted(batches)}: images would"
            " get the labels of other images; give all the same batch_size"
        )
    return Feed(records, batches.pop())


def databases_of(net: Path) -> list[Path]:
    """Return the databases that a network's prototxt names for any phase, each once."""
    sources = [layer.data_param.source for layer in read_net(net).layer if layer.type == "Data"]
    return [Path(source) for source in dict.fromkeys(sources)]


def _labels(layers: Sequence[LayerParameter]) -> dict[str, int | None]:
    """Return the blobs that are read as labels, and the number of classes of each."""
    classes = {
        top: layer.inner_product_param.num_output
        for layer in layers
        if layer.type == "InnerProduct"
        for top in layer.top
    }
    return {
        layer.bottom[1]: classes.get(layer.bottom[0])
        for layer in layers
        if layer.type in READS_LABELS and len(layer.bottom) > 1
    }


def _records(phase: Phase, paths: dict[str, Path], labels: dict[str, int | None]) -> int:
    """Return how many records each of a phase's databases has."""
    of_labels = {top: path for top, path in paths.items() if top in labels}
    others = [path for top, path in paths.items() if top not in labels]
    if not of_labels:
        return count_records(others[0])
    read = read_labels(Databases(others[0] if others else None, of_labels))
    counts = {paths.get(name, others[0] if others else None): n for name, n in read.records.items()}
    if len(set(counts.values())) > 1:
        lengths = ", ".join(f"{path}: {count:,}" for path, count in counts.items())
        raise FeedError(
            f"the databases of phase {phase} have different numbers of records ({lengths}): after"
            " one pass, images would get the labels of other images; make them again with"
            " `netgen data`"
        )
    if read.apart:
        raise FeedError(
            f"the databases of phase {phase} do not belong together: {read.apart}; make them again"
            " with `netgen data`"
        )
    for top, values in read.values.items():
        most = labels[top]
        wrong = (values < 0) | (values >= (most or max(values) + 1))
        if wrong.any():
            raise FeedError(
                f"{paths[top]}: record {wrong.argmax():,} has the label {values[wrong.argmax()]},"
                f" but the network has {most} classes (0 to {(most or 1) - 1}): build the network"
                " for this dataset, or make the database again"
            )
    return next(iter(counts.values()))
