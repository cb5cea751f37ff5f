"""`netgen page network`: a network, or two side by side, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netgen.commands.counted_network import (
    CountedNetwork,
    RequestedState,
    counted_file,
    counted_variant,
    state_options,
)
from netgen.commands.network_options import RequestedNetwork, network_options
from netgen.commands.page_options import command_line, out_option, write_page
from netgen.commands.shared_options import (
    dataset_option,
    find_variant,
    load_dataset,
    variant_option,
)
from netgen.commands.terminal_progress import show_work

if TYPE_CHECKING:
    from netgen.figures.page.network_page import PagedDifference, PagedNetwork
    from netgen.figures.shapes import Picture
    from netgen.network.residual import ResidualNetwork


@dataclass(frozen=True)
class Requested:
    """A network as it was asked for, counted; `residual` is how netgen builds it, if it does."""

    name: str
    counted: CountedNetwork
    residual: ResidualNetwork | None


@click.command("network", short_help="Show a network, each layer with what it costs.")
@variant_option(
    help="A network of `netgen list`.",
)
@click.option("--net", "file", type=click.Path(), metavar="FILE", help="Any network's prototxt.")
@click.option(
    "--against",
    metavar="NAME|FILE",
    help="Show a second network beside it, and mark what differs: a network of `netgen list`, or a"
    " prototxt.",
)
@click.option(
    "--modules",
    is_flag=True,
    help="Of a network in layers: draw the layers whose names share what stands before the last"
    " '/', such as inception_3a, as one box, which unfolds to them.",
)
@out_option
@dataset_option
@network_options
@state_options
@click.pass_context
def network(
    context: click.Context,
    variant: str | None,
    file: str | None,
    against: str | None,
    modules: bool,
    out: Path,
    dataset: Path | None,
    requested: RequestedNetwork,
    state: RequestedState,
) -> None:
    """Show a network: point at a layer to see what it is, what it costs, and who reads it.

    Residual networks of `netgen list` are drawn as in the paper's Figure 4, all other networks in
    layers, from top to bottom. Every number is one of `netgen count --json`. Options for building
    apply to --variant, and to a variant that it is shown against.
    """
    if (variant is None) == (file is None):
        raise click.UsageError("give either --variant NAME (`netgen list`) or --net FILE")
    if file is not None and against is None and not (dataset is None and requested.is_papers):
        raise click.UsageError(f"options for building a network do not apply to {file}")
    asked = [_file(file, state) if file else _variant(str(variant), dataset, requested, state)]
    if against is not None:
        asked.append(_against(against, dataset, requested, state))

    from netgen.figures.page.network_page import network_page

    with show_work("counting and drawing"):
        paged = [_paged(one) for one in asked]
        picture, differences = _picture(asked, paged, modules), _differences(asked)
        text = network_page(paged, picture, differences, command_line(context))
    write_page(out, text)


def _against(
    named: str, dataset: Path | None, requested: RequestedNetwork, state: RequestedState
) -> Requested:
    """Return the second network: a file that is there, or of that kind, or else a variant."""
    if Path(named).is_file() or named.endswith(".prototxt"):
        return _file(named, state)
    try:
        return _variant(named, dataset, requested, state)
    except click.BadParameter as error:
        raise click.BadParameter(
            f"{error.message}; nor is it a file", param_hint="--against"
        ) from None


def _file(file: str, state: RequestedState) -> Requested:
    from netgen.network.recognized import recognized

    counted = counted_file(file, state)
    shapes = (top.shape for layer in counted.cost.layers[:1] for top in layer.tops)
    image = next((shape for shape in shapes if shape and len(shape) == 4), None)
    return Requested(file, counted, recognized(counted.net, image[1:]) if image else None)


def _variant(
    name: str, dataset: Path | None, requested: RequestedNetwork, state: RequestedState
) -> Requested:
    from netgen.network.residual import RESNET50
    from netgen.network.residual import network as residual

    data = load_dataset(dataset)
    variant = requested.of(find_variant(name, data))
    counted = counted_variant(name, dataset, requested, state)
    built = (
        residual(variant, data, requested.backbone or RESNET50) if variant.row.is_residual else None
    )
    return Requested(name, counted, built)


def _paged(asked: Requested) -> PagedNetwork:
    from google.protobuf.text_format import MessageToString

    from netgen.figures.page.network_page import PagedNetwork

    prototxts = [
        f"layer {{\n{MessageToString(layer, indent=2, as_utf8=True)}}}"
        for layer in asked.counted.layers
    ]
    return PagedNetwork(asked.name, asked.counted.as_data(), prototxts)


def _picture(asked: Sequence[Requested], paged: Sequence[PagedNetwork], modules: bool) -> Picture:
    """Return one picture of all networks: Figure 4's where all suit it, else beside each other."""
    from netgen.figures.layout import network_picture
    from netgen.figures.page.layered import layered_picture, side_by_side

    residual = [one.residual for one in asked if one.residual]
    if len(residual) == len(asked):
        try:
            picture = network_picture(residual)
        except ValueError:  # not of one backbone
            pass
        else:
            if modules:
                raise click.UsageError(
                    "--modules is for networks in layers, and this is drawn as in Figure 4, whose"
                    " boxes unfold already"
                )
            return picture
    return side_by_side(
        [
            layered_picture(
                network.title, one.counted.cost.layers, network.names, number, modules=modules
            )
            for number, (one, network) in enumerate(zip(asked, paged, strict=True))
        ]
    )


def _differences(asked: Sequence[Requested]) -> list[PagedDifference]:
    from netgen.audit.comparison.side_by_side import distinctions
    from netgen.figures.page.network_page import PagedDifference

    if len(asked) < 2:
        return []
    first, second = (one.counted for one in asked)
    found = distinctions(first.layers, second.layers, first.cost.phase)
    return [PagedDifference(one.what, one.layers) for one in found]
