"""Which layer starts from which: a rule of names, for any network that keeps its source's names.

A layer starts from the one of its name; one that belongs to a task from the one of its name
without the task's suffix, the same for every task (section 5.2). Classifiers are new, and cross
weights have no counterpart. Whatever else has none is an error, not a silent fresh start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from fnmatch import fnmatchcase

from netgen.caffe.caffemodel import squeezed
from netgen.cost.layers.table import text
from netgen.system.text import listed
from netgen.weights.moved import NORMS, MovedFrom, counterparts, folds
from netgen.weights.source import Source, SurgeryError
from netgen.weights.weighted_layers import Network, Wanted

MOST_DIFFERENCES = 5
CROSS_OR_SELF = re.compile(r"(cross|self)\d")  # a weight on a shortcut: new


class Start(Enum):
    """How a layer's weights came about; the value is how it is printed."""

    COPIED = "copied"
    CLONED = "cloned"  # the same for every task
    FOLDED = "folded"
    FRESH = "fresh"


@dataclass(frozen=True)
class Choices:
    """What the paper leaves open, and what networks other than its own may need.

    `keep_heads`: a classifier starts from the one of its name and shape, where there is one.
    `fresh`: names of layers, ``*`` allowed, that start from their fillers whatever the source has.
    """

    moved: MovedFrom = MovedFrom.BRANCH2C
    keep_heads: bool = False
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """How a layer starts, and the source's layers that go into it."""

    wanted: Wanted
    start: Start
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """One origin a layer, in the network's order; and what is left over of the source."""

    origins: tuple[Origin, ...]
    left_over: tuple[str, ...]


def plan(network: Network, source: Source, choices: Choices) -> Plan:
    """Find every layer of `network` its origin in `source`.

    Raises
    ------
    SurgeryError
        Layers that have none, or one of another shape; or a name in `choices` that fits no layer.
    """
    _check_names(network, choices.fresh)
    folding = choices.moved is MovedFrom.FOLD
    into = folds(network.layers, source) if folding else {}
    found = [(wanted, _origin(wanted, source, choices, into)) for wanted in network.layers]
    origins = tuple(origin for _, origin in found if origin)
    lacking = [wanted for wanted, origin in found if not origin]
    _check_complete(network, source, origins, lacking)
    used = {name for origin in origins for name in origin.sources}
    return Plan(origins, tuple(name for name in source.layers if name not in used))


def _origin(
    wanted: Wanted, source: Source, choices: Choices, into: Mapping[str, tuple[str, ...]]
) -> Origin | None:
    """Return a layer's origin; None where there should be one and is not."""
    if _is_new(wanted, source, choices):
        return Origin(wanted, Start.FRESH)
    if wanted.name in into:
        return Origin(wanted, Start.FOLDED, into[wanted.name])
    if wanted.name in source.layers:
        return Origin(wanted, Start.COPIED, (wanted.name,))
    if wanted.base in source.layers:
        return Origin(wanted, Start.CLONED, (wanted.base,))
    moved = counterparts(wanted, source).get(choices.moved)
    return Origin(wanted, Start.CLONED, (moved,)) if moved else None


def _is_new(wanted: Wanted, source: Source, choices: Choices) -> bool:
    """Tell whether a layer starts from its filler."""
    if any(fnmatchcase(wanted.name, pattern) for pattern in choices.fresh):
        return True
    if wanted.is_head:
        same = Origin(wanted, Start.COPIED, (wanted.name,))
        return not choices.keep_heads or _difference(same, source) is not None
    if wanted.name in source.layers or wanted.base in source.layers:
        return False
    moved = choices.moved is MovedFrom.FRESH and counterparts(wanted, source)
    return bool(CROSS_OR_SELF.match(wanted.name) or moved)


def _check_names(network: Network, patterns: Iterable[str]) -> None:
    names = [wanted.name for wanted in network.layers]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            close = get_close_matches(pattern, names)
            hint = f": did you mean {listed(close)}?" if close else ""
            raise SurgeryError(f"{network.file}: no layer with weights is called {pattern!r}{hint}")


def _check_complete(
    network: Network, source: Source, origins: Iterable[Origin], lacking: list[Wanted]
) -> None:
    """Refuse weights that leave a layer without any, or with those of another shape."""
    differences = [said for origin in origins if (said := _difference(origin, source))]
    if not lacking and not differences:
        return
    problems = [*_tell_lacking(source, lacking), *differences[:MOST_DIFFERENCES]]
    if len(differences) > MOST_DIFFERENCES:
        problems.append(f"and {len(differences) - MOST_DIFFERENCES} more of another type or shape")
    raise SurgeryError(
        f"{source.file} does not fit {network.file}: of its {len(network.layers)} layers with"
        f" weights, {len(lacking)} are not in the file and {len(differences)} differ:"
        f" {'; '.join(problems)}. Give the weights of such a network; layers that are meant to"
        " start anew are named with --fresh"
    )


def _tell_lacking(source: Source, lacking: list[Wanted]) -> Iterator[str]:
    if not lacking:
        return
    names = [wanted.name for wanted in lacking]
    yield f"not in the file: {listed(names)}; it has {listed(list(source.layers))}"
    close = {name: get_close_matches(name, source.layers, n=1) for name in names}
    pairs = [f"{match[0]} for {name}" for name, match in close.items() if match]
    if pairs:
        yield f"the closest names there: {listed(pairs)}"
    if any(wanted.type in NORMS for wanted in lacking) and not any(
        layer.type in NORMS for layer in source.layers.values()
    ):
        yield "the file has no BatchNorm and no Scale: merged into its convolutions, or never there"


def _difference(origin: Origin, source: Source) -> str | None:
    """Say how the layer that goes into one differs from it; None where it does not."""
    wanted = origin.wanted
    if not origin.sources or (origin.start is Start.FOLDED and wanted.type in NORMS):
        return None
    found = source.layers.get(origin.sources[0])
    if found is None:
        return f"{wanted.name}: not in the file"
    where = wanted.name if found.name == wanted.name else f"{wanted.name} from {found.name}"
    if found.type and found.type != wanted.type:
        return f"{where}: {found.type} in the file, {wanted.type} in the network"
    shapes = [blob.shape for blob in found.blobs]
    if squeezed(shapes) == squeezed(wanted.blobs):
        return None
    theirs, ours = (", ".join(map(text, blobs)) for blobs in (shapes, wanted.blobs))
    return f"{where}: {theirs} in the file, {ours} in the network"
