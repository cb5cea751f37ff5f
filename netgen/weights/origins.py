"""Find the source layer of each layer, by name, for networks that keep their source's names.

A layer starts from the source's layer of the same name; a task's layer from the layer of its name
without the task's suffix, the same for every task (section 5.2). Classifiers are new, and cross
weights have no counterpart. Any other layer without a counterpart is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from fnmatch import fnmatchcase

from netgen.caffe.caffemodel import Weights, shapes_text, strides_of
from netgen.caffe.caffemodel_check import Caffemodel, same_shapes
from netgen.system.text import listed
from netgen.weights.moved import NORMS, MovedFrom, counterparts, folds
from netgen.weights.weighted_layers import WeightedLayer, WeightedNetwork, WeightsError

MOST_DIFFERENCES = 5
CROSS_OR_SELF = re.compile(r"(cross|self)\d")  # a weight on a shortcut: new
# He's convolutions of stride 2; all others have 1. Later ResNet-50s, such as torchvision's, have it
# in branch2b instead of branch2a: the same shapes, another function.
HES_STRIDED = re.compile(r"conv1|res[345]a_branch(1|2a)")


class OriginKind(Enum):
    """How a layer gets its initial weights; the value is printed."""

    COPIED = "copied"
    CLONED = "cloned"  # one source layer, copied for every task
    FOLDED = "folded"  # computed from several, see `netgen.weights.moved`
    FRESH = "fresh"  # from its filler


@dataclass(frozen=True)
class InitOptions:
    """Choices that the paper leaves open, and what other networks may need.

    `moved`: what the moved normalisation starts from.
    `keep_heads`: classifiers start from those of the same name and shape, where there are any.
    `fresh`: names of layers, ``*`` allowed, that start from their fillers in any case.
    """

    moved: MovedFrom = MovedFrom.BRANCH2C
    keep_heads: bool = False
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """How a layer starts, and the source's layers that it is made from."""

    layer: WeightedLayer
    start: OriginKind
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origins:
    """One origin for each layer, in the network's order; and the source's layers not used."""

    origins: tuple[Origin, ...]
    left_over: tuple[str, ...]


def find_origins(network: WeightedNetwork, source: Caffemodel, options: InitOptions) -> Origins:
    """Find the origin in `source` of every layer of `network`.

    Raises
    ------
    WeightsError
        Layers have none, or one of another shape; or a name in `options` fits no layer.
    """
    _check_names(network, options.fresh)
    folding = options.moved is MovedFrom.FOLD
    into = folds(network.layers, source) if folding else {}
    found = [(layer, _origin(layer, source, options, into)) for layer in network.layers]
    origins = tuple(origin for _, origin in found if origin)
    missing = [layer for layer, origin in found if not origin]
    _check_complete(network, source, origins, missing)
    used = {name for origin in origins for name in origin.sources}
    return Origins(origins, tuple(name for name in source.layers if name not in used))


def _origin(
    layer: WeightedLayer,
    source: Caffemodel,
    options: InitOptions,
    into: Mapping[str, tuple[str, ...]],
) -> Origin | None:
    """Return a layer's origin; None where it has none and is not new."""
    if _is_new(layer, source, options):
        return Origin(layer, OriginKind.FRESH)
    if layer.name in into:
        return Origin(layer, OriginKind.FOLDED, into[layer.name])
    if layer.name in source.layers:
        return Origin(layer, OriginKind.COPIED, (layer.name,))
    if layer.base in source.layers:
        return Origin(layer, OriginKind.CLONED, (layer.base,))
    moved = counterparts(layer, source).get(options.moved)
    return Origin(layer, OriginKind.CLONED, (moved,)) if moved else None


def _is_new(layer: WeightedLayer, source: Caffemodel, options: InitOptions) -> bool:
    """Return whether a layer starts from its filler."""
    if any(fnmatchcase(layer.name, pattern) for pattern in options.fresh):
        return True
    if layer.is_head:
        same = Origin(layer, OriginKind.COPIED, (layer.name,))
        return not options.keep_heads or _difference(same, source) is not None
    if layer.name in source.layers or layer.base in source.layers:
        return False
    moved = options.moved is MovedFrom.FRESH and counterparts(layer, source)
    return bool(CROSS_OR_SELF.match(layer.name) or moved)


def _check_names(network: WeightedNetwork, patterns: Iterable[str]) -> None:
    names = [layer.name for layer in network.layers]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            close = get_close_matches(pattern, names)
            hint = f": did you mean {listed(close)}?" if close else ""
            raise WeightsError(f"{network.file}: no layer with weights is called {pattern!r}{hint}")


def _check_complete(
    network: WeightedNetwork,
    source: Caffemodel,
    origins: Iterable[Origin],
    missing: list[WeightedLayer],
) -> None:
    """Refuse a source that lacks layers, or has them in another type or shape."""
    found = (_difference(origin, source) for origin in origins)
    differences = [difference for difference in found if difference]
    if not missing and not differences:
        return
    problems = [*_describe_missing(source, missing), *differences[:MOST_DIFFERENCES]]
    if len(differences) > MOST_DIFFERENCES:
        problems.append(f"and {len(differences) - MOST_DIFFERENCES} more of another type or shape")
    raise WeightsError(
        f"{source.file} does not fit {network.file}: of its {len(network.layers)} layers with"
        f" weights, {len(missing)} are not in the file and {len(differences)} differ:"
        f" {'; '.join(problems)}. Give the weights of such a network; name layers that should start"
        " from their fillers with --fresh"
    )


def _describe_missing(source: Caffemodel, missing: list[WeightedLayer]) -> Iterator[str]:
    if not missing:
        return
    names = [layer.name for layer in missing]
    yield f"not in the file: {listed(names)}; it has {listed(list(source.layers))}"
    close = {name: get_close_matches(name, source.layers, n=1) for name in names}
    pairs = [f"{match[0]} for {name}" for name, match in close.items() if match]
    if pairs:
        yield f"the closest names there: {listed(pairs)}"
    if any(layer.type in NORMS for layer in missing) and not any(
        layer.type in NORMS for layer in source.layers.values()
    ):
        yield "the file has no BatchNorm and no Scale: merged into its convolutions, or never there"


def _difference(origin: Origin, source: Caffemodel) -> str | None:
    """Describe how a layer differs from the one that it starts from; None where it does not."""
    layer = origin.layer
    if not origin.sources or (origin.start is OriginKind.FOLDED and layer.type in NORMS):
        return None
    found = source.layers.get(origin.sources[0])
    if found is None:
        return f"{layer.name}: not in the file"
    where = layer.name if found.name == layer.name else f"{layer.name} from {found.name}"
    if found.type and found.type != layer.type:
        return f"{where}: {found.type} in the file, {layer.type} in the network"
    shapes = [blob.shape for blob in found.blobs]
    if same_shapes(shapes, layer.blobs):
        return _longer_stride(where, layer, found, source)
    theirs, ours = shapes_text(shapes), shapes_text(layer.blobs)
    return f"{where}: {theirs} in the file, {ours} in the network"


def _longer_stride(
    where: str, layer: WeightedLayer, found: Weights, source: Caffemodel
) -> str | None:
    """Describe a convolution with a longer stride than its weights were trained with.

    A shorter one is a choice of its own: dilated networks start so.
    """
    theirs, ours = found.strides, strides_of(layer.layer_param)
    if ours and not theirs and source.is_hes:
        theirs = (2,) if HES_STRIDED.fullmatch(found.name) else (1,)
    if not theirs or not ours or max(ours) <= max(theirs):
        return None
    return (
        f"{where}: stride {max(theirs)} in the file, {max(ours)} in the network (`--reading stride`"
        " says which convolution of a block has it)"
    )
