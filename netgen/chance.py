"""What guessing would score: chance as Table 2 prints it, and always naming the largest classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.message import DecodeError

from netgen.caffe_pb2 import Datum, LayerParameter
from netgen.lmdbs import reading


def chance(classes: int, k: int) -> float:
    """Return the top-k accuracy (0 to 1) of guessing, as Table 2 counts it.

    Its rows say 1 - (1 - 1/C)^k: k guesses that may repeat; k different ones would score k/C.
    """
    return 1.0 - (1.0 - 1.0 / classes) ** k


def guesses(layers: Sequence[LayerParameter]) -> dict[str, tuple[float, float | None]]:
    """Return, for each accuracy of a test net, chance and what naming the largest classes scores.

    The second is None unless the label database is there.
    """
    makers = {top: layer for layer in layers for top in layer.top}
    found = {}
    for layer in layers:
        if layer.type != "Accuracy":
            continue
        scores, labels = (makers.get(bottom) for bottom in layer.bottom[:2])
        if scores is None or scores.type != "InnerProduct":
            continue
        k = layer.accuracy_param.top_k
        classes = scores.inner_product_param.num_output
        found[layer.top[0]] = (chance(classes, k), _largest_classes(labels, k))
    return found


def _largest_classes(labels: LayerParameter | None, k: int) -> float | None:
    """Return the share of records in the k largest classes of a database of labels."""
    source = labels.data_param.source if labels is not None and labels.type == "Data" else ""
    if not source or not Path(source).exists():
        return None
    counts: Counter[float] = Counter()
    datum = Datum()
    with reading(Path(source)) as (transaction, entries):
        for _, value in transaction.cursor():
            try:
                datum.ParseFromString(value)
            except DecodeError:  # something else's database
                return None
            counts[datum.float_data[0] if datum.float_data else float(datum.label)] += 1
    return sum(count for _, count in counts.most_common(k)) / entries
