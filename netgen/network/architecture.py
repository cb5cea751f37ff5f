"""Any variant and a dataset -> its network: residual, or one of the baselines."""

from __future__ import annotations

from netgen.network import residual
from netgen.network.chain import Chain, chain
from netgen.network.dataset import Dataset
from netgen.network.inception import Inception, inception
from netgen.network.residual import RESNET50, Backbone
from netgen.network.variants import Architecture, UnsuitedError, Variant

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
        The backbone is not for a baseline, or the images are too small for one.
    ValueError
        The backbone leaves the tasks no blocks of their own, or has too many.
    """
    if variant.row.is_residual:
        return residual.network(variant, dataset, backbone or RESNET50)
    width = _width(variant, backbone) if backbone else None
    if variant.row.architecture is Architecture.INCEPTION:
        return inception(variant, dataset, width)
    return chain(variant, dataset, width)


def _width(variant: Variant, backbone: Backbone) -> int:
    """Return a baseline's width; its other numbers are its paper's."""
    if (backbone.blocks, backbone.stem) != (RESNET50.blocks, RESNET50.stem):
        raise UnsuitedError(
            f"{variant.name} is not made of residual blocks: --blocks and --stem are for ResNets;"
            " --width makes it narrower"
        )
    if variant.row.outputs:
        raise UnsuitedError(
            f"{variant.name} is not trained here, but takes its caffemodel as it is: it has one"
            " width"
        )
    return backbone.width
