"""Detects a training that diverged: a loss that is not finite, or that explodes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

SMOOTHING = 0.9  # so that about ten iterations have to agree before a loss counts as exploding


class Health(Struct, forbid_unknown_fields=True):
    """The first loss, and a smoothed one; part of every snapshot."""

    first: float | None = None
    smooth: float = 0.0

    def check(self, loss: float, most: float) -> str | None:
        """Take in an iteration's loss; return what is wrong with it, or None.

        Parameters
        ----------
        loss
            The iteration's: the sum of all losses by their weights.
        most
            How many times the first loss the smoothed loss may become.
        """
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if self.first is None:
            self.first = self.smooth = loss
        self.smooth = SMOOTHING * self.smooth + (1 - SMOOTHING) * loss
        if self.smooth > most * abs(self.first):
            return f"the loss is {self.smooth:.4g}, {most:g} times the first ({self.first:.4g})"
        return None


def first_bad_blob(net: Any) -> str:
    """Report the first blob of a pycaffe net, in computing order, that is not finite.

    It reads the values of the last forward pass, so nothing is computed again. A blob that layers
    overwrite in place has the values of the last of them.
    """
    for name, index, blob in _in_order(net):
        if not _finite(blob):
            kind = net.layers[index].type
            what = f"the first blob with a number that is not finite is {name!r}"
            return what + f", which layer {net._layer_names[index]!r} ({kind}) makes"
    return "every blob of the network is finite"


def check_parameters(net: Any) -> str | None:
    """Report the layer of a pycaffe net with parameters that are not finite; None without one."""
    for name, blobs in net.params.items():
        if not all(map(_finite, blobs)):
            return f"the update gave layer {name!r} parameters that are not finite"
    return None


def _in_order(net: Any) -> Iterator[tuple[str, int, Any]]:
    seen = set()
    for index in range(len(net.layers)):
        for top in net._top_ids(index):
            if top not in seen:
                seen.add(top)
                yield net._blob_names[top], index, net._blobs[top]


def _finite(blob: Any) -> bool:
    import numpy as np

    return bool(np.isfinite(blob.data).all())
