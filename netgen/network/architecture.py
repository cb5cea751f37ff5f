"""Any variant and a dataset -> its network: residual, or one of the baselines."""

from __future__ import annotations

from dataclasses import replace

from netgen.network import residual
from netgen.network.chain import Chain, chain
from netgen.network.dataset import Dataset
from netgen.network.inception import Inception, inception
from netgen.network.residual import RESNET50, Backbone
from netgen.network.variants import Architecture, UnsuitedError, Variant

# Layers grow with the square of the tasks: X_S of 30 takes 68 GiB to train at batch 24, of 100 it
# takes 592, and to say so 10 seconds. The paper has 3 tasks.
MOST_TASKS = 64

AnyNetwork = residual.ResidualNetwork | Chain | Inception


def network(variant: Variant, dataset: Dataset, backbone: Backbone | None = None) -> AnyNetwork:
    """Return the network of `variant` for the images and the tasks of `dataset`.

    Parameters
    ----------
    variant, dataset
        What to build, for which images and tasks.
    backbone
        Another width or depth; None is the network's own. A baseline's depth is fixed.

    Raises
    ------
    UnsuitedError
        The backbone is not for a baseline, the images are too small for one, or the tasks are more
        than `MOST_TASKS`.
    ValueError
        The backbone leaves the tasks no blocks of their own, or has too many.
    """
    if len(variant.tasks) > MOST_TASKS:
        raise UnsuitedError(
            f"{variant.name} would have {len(variant.tasks):,} tasks, at most {MOST_TASKS} can be"
            " built: build networks of one task, or make a dataset of fewer"
        )
    if variant.row.is_residual:
        return residual.network(variant, dataset, backbone or RESNET50)
    width = _width(variant, backbone) if backbone else None
    if variant.row.architecture is Architecture.INCEPTION:
        return inception(variant, dataset, width)
    return chain(variant, dataset, width)


def _width(variant: Variant, backbone: Backbone) -> int:
    """Return a baseline's width; its other numbers are its paper's."""
    if backbone != replace(RESNET50, width=backbone.width):
        raise UnsuitedError(
            f"{variant.name} is not made of residual blocks: --blocks, --stem and a second number"
            " of --width are for ResNets; --width N makes it narrower"
        )
    if variant.row.outputs:
        raise UnsuitedError(
            f"{variant.name} is not trained here, but takes its caffemodel as it is: it has one"
            " width"
        )
    return backbone.width
