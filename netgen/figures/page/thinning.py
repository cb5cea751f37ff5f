"""Fewer points of a curve, with all of its peaks: the lowest and the highest of each stretch."""

from __future__ import annotations

from collections.abc import Sequence

Points = list[tuple[int, float]]  # iteration, value

MOST = 1_000  # points of a curve on a page: two for each pixel that it has


def thinned(points: Sequence[tuple[int, float]], most: int = MOST) -> Points:
    """Return at most `most` of a curve's points, the first and the last among them.

    Each stretch keeps its lowest and its highest point, in their order.
    """
    if len(points) <= most:
        return list(points)
    stretches = (most - 2) // 2
    kept = [points[0]]
    inner = points[1:-1]
    for index in range(stretches):
        part = inner[index * len(inner) // stretches : (index + 1) * len(inner) // stretches]
        ends = min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])
        kept += sorted(set(ends))
    return [*kept, points[-1]]
