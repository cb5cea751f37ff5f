"""What an exported file says of itself: how it takes its images, what its classes are called."""

from __future__ import annotations

import json

from netgen.caffe.caffe_pb2 import NetParameter
from netgen.caffe.schema import layers_in
from netgen.cost.complexity import NetCost
from netgen.network.description import Description, text_of
from netgen.system.machine import commit

DESCRIPTION = "netgen.description"  # what deploy.json says, whole


def metadata(
    description: Description | None, net: NetParameter, cost: NetCost, subtracted: bool = False
) -> dict[str, str]:
    """Return a file's metadata; `subtracted`: the graph subtracts the mean, so that none is told.

    For programs without netgen everything is in one JSON object, ``netgen``: the variant, the
    dataset, the images' sizes, colours and mean, and for each task its outputs (probabilities and
    scores) and classes. Without a description it is only the commit.
    """
    made = {"netgen.commit": commit()}
    if description is None:
        return made
    images = description.images
    scores = {each.name: each.bottom[0] for each in layers_in(net, "TEST") if each.bottom}
    about = {
        "variant": description.variant,
        "dataset": description.dataset,
        "channels": "BGR" if images.channels == 3 else "grey",
        "height": images.height, "width": images.width,
        "mean": [] if subtracted else list(images.mean),
        "parameters": cost.parameters,
        "tasks": [
            {
                "task": one.task, "output": f"prob_{one.task}",
                "scores": scores.get(f"prob_{one.task}"), "classes": one.names or one.classes,
            }
            for one in description.outputs
        ],
    }  # fmt: skip
    return made | {"netgen": json.dumps(about), DESCRIPTION: text_of(description)}
