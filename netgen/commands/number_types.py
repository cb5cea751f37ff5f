"""Numbers of options: finite ones, and iterations that increase."""

from __future__ import annotations

import math
import re
from typing import Any

import click


class Finite(click.FloatRange):
    """A number in a range; nan and infinity are refused, which click's own type accepts."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        if math.isinf(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Iterations(click.ParamType[tuple[int, ...]]):
    """Increasing iterations, as in ``900,1200``, each at most `most`."""

    name = "N[,N]"

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the iterations."""
        if isinstance(value, tuple):
            return value
        found = tuple(int(part) for part in str(value).split(",") if re.fullmatch("[0-9]+", part))
        if len(found) != str(value).count(",") + 1 or list(found) != sorted({*found} - {0}):
            self.fail(
                f"{value!r} is not an increasing list of iterations, such as 900,1200", param, ctx
            )
        if found and found[-1] > self.most:
            self.fail(f"{found[-1]} is too large: at most {self.most:,} iterations", param, ctx)
        return found
