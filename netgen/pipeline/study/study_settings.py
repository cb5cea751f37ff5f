"""Settings, in which cells of a study may differ, wherever in ``study.toml`` they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from netgen.network.dataset import Positive

# Letters, digits, dots, and single hyphens inside: names become names of cells, and so of files,
# jobs and words at the command line.
NAME = r"^[A-Za-z0-9][A-Za-z0-9.]*(-[A-Za-z0-9.]+)*\Z"
NAME_IN_WORDS = {NAME: "letters, digits and dots, with single hyphens between them"}
LONGEST = 100  # letters of a name: it is part of names of files, of which 255 is all
Name = Annotated[str, Meta(pattern=NAME, max_length=LONGEST)]
Share = Annotated[float, Meta(gt=0, le=1)]
# Not tuple[Positive, Positive]: beside another type, msgspec 0.23 frees its memory twice.
Widths = Annotated[tuple[Positive, ...], Meta(min_length=2, max_length=2)]
# What `start` may say beside a network of the study.
PUBLISHED, FILLERS = "published", "fillers"


class StudyError(ValueError):
    """A study that cannot be run as asked; the message says why, and the next step."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What cells of a study may differ in; None leaves it as it is elsewhere, or the paper's.

    Attributes
    ----------
    dataset
        A dataset of the study.
    share
        How much of each class's training images is used.
    start
        What a network starts from: "published" weights, its "fillers", or the end of another
        network of the study, of the same seed if it has that.
    keep_heads
        Whether it starts with that network's classifiers, too.
    reading, beyond
        Options of `netgen build`, as FIELD=VALUE; those given at several places add up.
    iterations
        The length of a training. None: as `netgen build` and the plateaus of the loss decide.
    drops
        When the rate drops tenfold, in shares of `iterations`.
    tests, snapshots
        How many a training has.
    plateau, explosion
        As for `netgen train`; "off" where `drops` are given. A network that is to be tested even
        if it breaks down needs a large `explosion`.

    The others are options of `netgen build` of the same name.
    """

    dataset: Name | None = None
    share: Share | None = None
    start: Name | None = None
    keep_heads: bool | None = None
    reading: tuple[str, ...] | None = None
    beyond: tuple[str, ...] | None = None
    width: Positive | Widths | None = None
    blocks: tuple[Positive, Positive, Positive, Positive] | None = None
    stem: Literal["imagenet", "small"] | None = None
    batch_size: Positive | None = None
    base_lr: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    momentum: Annotated[float, Meta(ge=0, le=1)] | None = None
    weight_decay: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    mirror: bool | None = None
    memory: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    frozen_statistics: bool | None = None
    moving_average: Annotated[float, Meta(ge=0, le=1)] | None = None
    head_std: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    head_lr_mult: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    display: Positive | None = None
    iterations: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    drops: tuple[Share, ...] | None = None
    tests: Positive | None = None
    snapshots: Positive | None = None
    plateau: str | None = None
    explosion: Annotated[float, Meta(gt=1)] | None = None

    def over(self, below: Settings) -> Settings:
        """Return these settings, and those of `below` where these say nothing."""
        mine, theirs = (
            {name: getattr(each, name) for name in Settings.__struct_fields__}
            for each in (self, below)
        )
        joined = {name: theirs[name] if value is None else value for name, value in mine.items()}
        for name in ("reading", "beyond"):
            if mine[name] is not None and theirs[name] is not None:
                joined[name] = theirs[name] + mine[name]
        return Settings(**joined)

    def given(self) -> dict[str, object]:
        """Return what these settings say, by key, as JSON has it."""
        built: dict[str, object] = msgspec.json.decode(msgspec.json.encode(Settings().over(self)))
        return {key: value for key, value in built.items() if value is not None}


def differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings that differ, or that only one has."""
    return sorted(key for key in {*was, *now} if was.get(key) != now.get(key))
