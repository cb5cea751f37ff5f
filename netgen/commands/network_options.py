"""The options that select a network: the same for building, counting and drawing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from netgen.commands.shared_options import with_options
from netgen.network.residual import RESNET50, Backbone, Stem, requested_backbone
from netgen.network.variants import UnsuitedError, Variant, go_beyond, read_as

READING, BEYOND = "--reading", "--beyond"
WIDEST = 1_000_000


class Blocks(click.ParamType[tuple[int, ...]]):
    """Blocks per stage, as in ``3,4,6,3``."""

    name = "N,N,N,N"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers of blocks."""
        if isinstance(value, tuple):
            return value
        try:
            blocks = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            blocks = ()
        if len(blocks) != len(RESNET50.blocks) or min(blocks) < 1:
            self.fail(f"{value!r} is not four numbers of blocks, such as 3,4,6,3", param, ctx)
        return blocks


class Widths(click.ParamType[tuple[int, ...]]):
    """The width, as in ``64``, or those of the stem and of the stages, as in ``64,32``."""

    name = "N[,N]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the one or two widths."""
        if isinstance(value, tuple):
            return value
        try:
            widths = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            widths = ()
        if not 1 <= len(widths) <= 2 or not all(1 <= width <= WIDEST for width in widths):
            self.fail(
                f"{value!r} is not one width, such as 16, or those of the first convolution and of"
                f" the first stage, such as 64,32; each 1 to {WIDEST:,}",
                param,
                ctx,
            )
        return widths


@dataclass(frozen=True)
class RequestedNetwork:
    """What the options request: other readings, extensions, another width or depth.

    `backbone` is None for the network's own.
    """

    readings: tuple[str, ...]
    beyond: tuple[str, ...]
    backbone: Backbone | None

    @property
    def is_papers(self) -> bool:
        """Whether it is the paper's network: no option was given."""
        return not (self.readings or self.beyond or self.backbone)

    def of(self, variant: Variant) -> Variant:
        """Return `variant` with the requested options.

        Raises
        ------
        UnsuitedError
            An option is not for this variant.
        click.BadParameter
            There is no such field or value, or a field is given twice.
        """
        given: set[str] = set()
        for option, field, value in self._fields():
            if field in given:
                raise click.BadParameter(f"{field} is given twice", param_hint=option)
            given.add(field)
            change = read_as if option == READING else go_beyond
            try:
                variant = change(variant, field, value)
            except UnsuitedError:
                raise
            except ValueError as error:
                raise click.BadParameter(
                    f"{error} (`netgen list --{'readings' if option == READING else 'beyond'}`)",
                    param_hint=option,
                ) from None
        return variant

    def _fields(self) -> Iterator[tuple[str, str, str]]:
        for option, words in ((READING, self.readings), (BEYOND, self.beyond)):
            for word in words:
                field, _, value = word.partition("=")
                yield option, field, value


OPTIONS = (
    click.option(
        READING,
        "readings",
        multiple=True,
        metavar="FIELD=VALUE",
        help="Use another reading of an ambiguous sentence (`netgen list --readings`); repeatable.",
    ),
    click.option(
        BEYOND,
        multiple=True,
        metavar="FIELD=VALUE",
        help="Beyond the paper: build what it speculates on (`netgen list --beyond`); repeatable.",
    ),
    click.option(
        "--width",
        type=Widths(),
        metavar="N[,N]",
        help="Beyond the paper: filters of the first convolution; all other layers scale with it."
        " Of ResNets also two numbers: those of the first convolution, and those that the stages"
        " scale with, as in 64,32."
        f"  [default: the network's own, {RESNET50.width} or CaffeNet's 96]",
    ),
    click.option(
        "--blocks",
        type=Blocks(),
        default=RESNET50.blocks,
        help="Beyond the paper: a ResNet's blocks per stage.  [default: 3,4,6,3]",
    ),
    click.option(
        "--stem",
        type=click.Choice([stem.value for stem in Stem]),
        default=RESNET50.stem.value,
        show_default=True,
        help="Beyond the paper, of ResNets: 'small' (3 x 3, stride 1, no pool) suits images of"
        " about 32 pixels.",
    ),
)


def network_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, which gets them as one argument: ``requested``."""

    @wraps(command)
    def called(
        *arguments: Any,
        readings: tuple[str, ...],
        beyond: tuple[str, ...],
        width: tuple[int, ...] | None,
        blocks: tuple[int, ...],
        stem: str,
        **others: Any,
    ) -> None:
        requested = RequestedNetwork(
            readings, beyond, requested_backbone(width, blocks, Stem(stem))
        )
        command(*arguments, requested=requested, **others)

    return with_options(called, *OPTIONS)
