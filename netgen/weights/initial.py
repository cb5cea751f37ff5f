"""Initial weights: a network's layers from another network's file (section 5.2).

"We initialized most layers using weights from a residual network (ResNet) model […] but done such
that for layers *after* the branching point in our network we initialize them to the *same*
corresponding layer weights in the original ResNet model." What has no counterpart there (cross
weights, classifiers) is drawn by Caffe's own fillers, so that the file is complete: Caffe copies
by name and does not report a layer that it did not find.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from netgen.caffe.caffemodel import Weights
from netgen.caffe.caffemodel_check import Caffemodel
from netgen.weights.assemble import assemble, draw
from netgen.weights.incoming.fitting import fit
from netgen.weights.incoming.recognize import read_source
from netgen.weights.incoming.units import Foreign, Style
from netgen.weights.origins import InitOptions, Origin, OriginKind, find_origins
from netgen.weights.weighted_layers import WeightedNetwork, read_weighted_network


@dataclass(frozen=True)
class InitialWeights:
    """A network's initial weights, and where each layer's come from.

    Attributes
    ----------
    network, source
        The network, and the caffemodel that it starts from.
    origins
        One for each layer with weights, in the network's order.
    weights
        Their blobs, in the same order.
    left_over
        Layers of the source that no layer of the network starts from.
    foreign
        The source as another program's network; None if it is a caffemodel.
    """

    network: WeightedNetwork
    source: Caffemodel
    origins: tuple[Origin, ...]
    weights: tuple[Weights, ...]
    left_over: tuple[str, ...]
    foreign: Foreign | None


def initial_weights(
    net: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    options: InitOptions,
    seed: int,
    style: Style | None = None,
) -> InitialWeights:
    """Return initial weights for every layer of a network.

    Parameters
    ----------
    net
        Any network's prototxt, train_val or deploy.
    weights
        The file to start from: a caffemodel, or another program's ResNet-50.
    options
        What the paper leaves open.
    seed
        Of Caffe's fillers: the same seed gives the same weights.
    style
        What another program's file does not say of itself.

    Raises
    ------
    SchemaError, CaffemodelError
        A file is not what it should be, or another branch of Caffe wrote it.
    WeightsError
        The weights do not fit the network.
    EngineError
        Caffe, whose fillers are needed, is missing.
    """
    network, read = read_weighted_network(net), read_source(weights, style)
    foreign = read if isinstance(read, Foreign) else None
    source = fit(read, network) if isinstance(read, Foreign) else read
    planned = find_origins(network, source, options)
    drawn = draw([o.layer for o in planned.origins if o.start is OriginKind.FRESH], seed)
    made = tuple(assemble(planned.origins, source, drawn))
    return InitialWeights(network, source, planned.origins, made, planned.left_over, foreign)
