"""The table of layer types, what its entries are, and how they are applied.

A shape is a tuple of sizes, (N, C, H, W) for images; () is a scalar with one element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from netgen.caffe.caffe_pb2 import LayerParameter
from netgen.system.text import shape_text

Shape = tuple[int, ...]
MOST_AXES = 32
MOST_ELEMENTS = 2**31 - 1  # Caffe counts a blob's elements in an int


class ShapeError(ValueError):
    """Sizes that Caffe would refuse; the message says which and why; the caller adds the layer."""


@dataclass(frozen=True)
class Made:
    """What one layer makes: shapes of its tops and of its parameter blobs, and its work.

    `multiply_adds` is for the whole batch; a multiplication and its addition count as one. Only
    Convolution, Deconvolution, InnerProduct and the recurrent layers, made of InnerProducts, have
    any.
    """

    tops: tuple[Shape, ...]
    blobs: tuple[Shape, ...] = ()
    multiply_adds: int = 0


ShapeRule = Callable[[LayerParameter, list[Shape]], Made]


@dataclass(frozen=True)
class LayerType:
    """A rule, and how many bottoms and tops it takes: (fewest, most)."""

    rule: ShapeRule
    bottoms: tuple[int, int]
    tops: tuple[int, int]


ANY = 10**9
RULES: dict[str, LayerType] = {}


def layer_types(
    *names: str, bottoms: tuple[int, int] = (1, 1), tops: tuple[int, int] = (1, 1)
) -> Callable[[ShapeRule], ShapeRule]:
    """Register the decorated function as the rule of the layer types called `names`."""

    def register(rule: ShapeRule) -> ShapeRule:
        RULES.update({name: LayerType(rule, bottoms, tops) for name in names})
        return rule

    return register


def made(layer: LayerParameter, bottoms: list[Shape]) -> Made:
    """Apply a registered type's rule.

    Parameters
    ----------
    layer
        A layer whose type is in :data:`RULES`.
    bottoms
        The shapes of its bottoms, in order.

    Returns
    -------
    Made
        With as many tops as the layer names (a loss layer's unnamed top is omitted).

    Raises
    ------
    ShapeError
        When Caffe would refuse the layer: the wrong number of bottoms or tops, sizes that do not
        fit, or a blob of more than 2**31 - 1 elements.
    """
    kind = RULES[layer.type]
    _check_number("bottom", len(bottoms), kind.bottoms)
    if layer.top or not layer.type.endswith("Loss"):  # a loss layer's top needs no name
        _check_number("top", len(layer.top), kind.tops)
    result = kind.rule(layer, bottoms)
    for shape in (*result.tops, *result.blobs):
        check_size(shape)
    return Made(result.tops[: len(layer.top)], result.blobs, result.multiply_adds)


def check_size(shape: Shape) -> None:
    """Refuse a shape that Caffe's blobs cannot have.

    Raises
    ------
    ShapeError
        For a negative size, over 32 axes, or over 2**31 - 1 elements.
    """
    if len(shape) > MOST_AXES:
        raise ShapeError(f"a blob of {len(shape)} axes; Caffe has at most {MOST_AXES}")
    if any(size < 0 for size in shape):
        raise ShapeError(f"a negative size in {shape_text(shape)}")
    if prod(shape) > MOST_ELEMENTS:
        raise ShapeError(
            f"a blob of {shape_text(shape)}; Caffe holds at most 2,147,483,647 elements"
        )


def _check_number(what: str, number: int, allowed: tuple[int, int]) -> None:
    fewest, most = allowed
    if fewest <= number <= most:
        return
    wanted = f"{fewest}" if fewest == most else f"at least {fewest}"
    if fewest < most < ANY:
        wanted = f"{fewest} to {most}"
    raise ShapeError(f"takes {wanted} `{what}`, has {number}")


def axis_of(axis: int, shape: Shape) -> int:
    """Resolve an axis that may count from the end, as Caffe's `CanonicalAxisIndex` does.

    Raises
    ------
    ShapeError
        When the shape has no such axis.
    """
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"no axis {axis} in {shape_text(shape)}")
    return axis % len(shape)


def require(condition: bool, message: str) -> None:
    """Raise :class:`ShapeError` with `message` unless `condition`."""
    if not condition:
        raise ShapeError(message)


def same_shape(a: Shape, b: Shape) -> None:
    """Require two shapes to be equal."""
    require(a == b, f"{shape_text(a)} does not fit {shape_text(b)}")


def with_size(shape: Shape, axis: int, size: int) -> Shape:
    """Replace the size of one axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])
