"""The page of a network, or of two side by side: a picture in which each layer can be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from netgen.figures.page import svg
from netgen.figures.page.document import page
from netgen.figures.shapes import Picture
from netgen.system.text import unique_names

MOST_TYPES = 6  # named in a summary
# What a picture can be coloured by: the field of a layer in `netgen count --json`, and its title.
MEASURES = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "memory_bytes": "memory",
}


@dataclass(frozen=True)
class PagedNetwork:
    """A network as a page shows it.

    Attributes
    ----------
    name
        As it was asked for: a variant's, or a file's.
    counted
        What `netgen count --json` prints of it.
    prototxts
        The prototxt of each layer.
    """

    name: str
    counted: Mapping[str, Any]
    prototxts: Sequence[str]

    @property
    def layers(self) -> Sequence[Mapping[str, Any]]:
        """What each layer costs."""
        layers: Sequence[Mapping[str, Any]] = self.counted["layers"]
        return layers

    @property
    def title(self) -> str:
        """Its own name, or what it was asked for by."""
        return str(self.counted["name"] or self.name)

    @cached_property
    def names(self) -> list[str]:
        """A name for each layer that no other has: its own, with a number where two share it."""
        return unique_names([layer["name"] for layer in self.layers])

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each layer, by its name in `names`."""
        return {name: index for index, name in enumerate(self.names)}


@dataclass(frozen=True)
class PagedDifference:
    """What differs between two networks in a layer, by its numbers; None for one that lacks it."""

    what: str
    layers: tuple[int | None, int | None]


def network_page(
    networks: Sequence[PagedNetwork],
    picture: Picture,
    differences: Sequence[PagedDifference] = (),
    command: str = "",
) -> str:
    """Return the page of the networks that a picture is of.

    Parameters
    ----------
    networks
        In the order of the picture's parts; those with `differences` are two.
    picture
        Its parts name the networks' layers.
    differences
        What differs between the first network and the second; None of both is left out.
    command
        The command line that makes the page again.
    """
    shown = svg.shown_elements(picture, [network.numbers for network in networks])
    held = _held(networks, shown)
    data = {
        "networks": [_data(network) for network in networks],
        "elements": [svg.element_data(each, picture.tasks) for each in held],
        "size": [picture.width, picture.height],
        "measures": MEASURES,
        "differs": [_differing(networks, differences, number) for number in (0, 1)],
    }
    return page(
        "network",
        " beside ".join(network.title for network in networks),
        data,
        networks=networks,
        picture=picture,
        shown=held,
        crossing=[each for each in held if each.kind == "wire" and each.can_tell],
        differences=differences,
        measures=MEASURES,
        svg=svg,
        command=command,
        task_numbers={task: index for index, task in enumerate(picture.tasks)},
    )


def _data(network: PagedNetwork) -> dict[str, Any]:
    layers = [
        {
            **layer,
            "memory_bytes": layer["activation_bytes"] + layer["buffer_bytes"],
            "prototxt": text,
        }
        for layer, text in zip(network.layers, network.prototxts, strict=True)
    ]
    return {**network.counted, "layers": layers, "title": network.title}


def _differing(
    networks: Sequence[PagedNetwork], differences: Sequence[PagedDifference], number: int
) -> dict[int, list[int]]:
    """Return the differences of each layer of a network that has some, by their numbers."""
    if number >= len(networks):
        return {}
    found: dict[int, list[int]] = {}
    for index, difference in enumerate(differences):
        layer = difference.layers[number]
        if layer is not None:
            found.setdefault(layer, []).append(index)
    return found


def _held(networks: Sequence[PagedNetwork], shown: Sequence[svg.Shown]) -> list[svg.Shown]:
    """Give every layer that no element stands for to the one whose layers make what it reads.

    A loss goes to its head; a source of labels, which reads nothing, to the image.
    """
    layers: dict[int, list[int]] = {i: [*each.layers] for i, each in enumerate(shown)}
    for number, network in enumerate(networks):
        holders = {
            layer: index
            for index, each in enumerate(shown)
            if each.network == number
            for layer in each.layers
        }
        if not holders:
            continue
        first = holders[min(holders)]
        makers: dict[str, int] = {}
        for index, layer in enumerate(network.layers):
            if index not in holders:
                sources = [bottom["name"] for bottom in layer["bottoms"]]
                made = (makers[name] for name in sources if name in makers)
                holders[index] = holders[next(made)] if sources and sources[0] in makers else first
                layers[holders[index]].append(index)
            makers.update((top["name"], index) for top in layer["tops"])
    return [
        svg.Shown(each.element, each.network, tuple(sorted(layers[index])))
        for index, each in enumerate(shown)
    ]
