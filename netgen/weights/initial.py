"""Initial weights: a network's layers from another network's caffemodel (section 5.2).

"We initialized most layers using weights from a residual network (ResNet) model […] but done such
that for layers *after* the branching point in our network we initialize them to the *same*
corresponding layer weights in the original ResNet model." What has no counterpart there (cross
weights, classifiers) is drawn by Caffe's own fillers, so that a file is complete: Caffe copies by
name and says nothing of a layer that it did not find.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from netgen.caffe.caffemodel import Weights
from netgen.weights.assemble import assemble, draw
from netgen.weights.origins import Choices, Origin, Start, plan
from netgen.weights.source import Source, read_source
from netgen.weights.weighted_layers import Network, read_network


@dataclass(frozen=True)
class Initial:
    """A network's initial weights, and where each layer's come from.

    Attributes
    ----------
    network, source
        What was initialised, and from what.
    origins
        One a layer with weights, in the network's order.
    weights
        Their blobs, in the same order.
    left_over
        Layers of the source that no layer of the network starts from.
    """

    network: Network
    source: Source
    origins: tuple[Origin, ...]
    weights: tuple[Weights, ...]
    left_over: tuple[str, ...]


def initial_weights(
    net: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    choices: Choices,
    seed: int,
) -> Initial:
    """Give every layer of a network its initial weights.

    Parameters
    ----------
    net
        The prototxt, train_val or deploy, of any network.
    weights
        The caffemodel to start from.
    choices
        What the paper leaves open.
    seed
        For what Caffe draws: the same seed gives the same weights.

    Raises
    ------
    SchemaError, CaffemodelError
        A file is not what it should be.
    SurgeryError
        The weights do not fit the network, or are in another Caffe's dialect.
    EngineError
        Caffe, which draws what is fresh, is missing.
    """
    network, source = read_network(net), read_source(weights)
    planned = plan(network, source, choices)
    drawn = draw([o.wanted for o in planned.origins if o.start is Start.FRESH], seed)
    made = tuple(assemble(planned.origins, source, drawn))
    return Initial(network, source, planned.origins, made, planned.left_over)
