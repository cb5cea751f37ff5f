"""Generated changes of what measurements read: networks, solvers and printed tables."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from google.protobuf.descriptor import FieldDescriptor

from netgen import paper
from netgen.audit.measurements.parsed_networks import ParsedNetwork
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from netgen.paper.claims import ROWS

Edit = Callable[[Any], None]  # of a message
MOST_LAYERS = (6, 3, 1)  # in which one kind of change is made, each by itself, by its tier
MESSAGES = {
    name.replace("_", "").removesuffix("param"): name
    for name in LayerParameter.DESCRIPTOR.fields_by_name
    if name.endswith("_param")
}
NAMES = {"name", "top", "bottom", "type", "phase"}  # changed in other ways, or not at all
SMALLER_AND_LARGER = (0.5, 1.5, 3.0)


# ---- messages -----------------------------------------------------------------------------------


def ways(field: FieldDescriptor) -> list[Callable[[Any], Any]]:
    """How a value of this field is changed, each way by itself."""
    if field.enum_type:
        numbers = sorted(field.enum_type.values_by_number)
        return [lambda v: numbers[(numbers.index(v) + 1) % len(numbers)]]
    known: dict[int, list[Callable[[Any], Any]]] = {
        FieldDescriptor.CPPTYPE_BOOL: [lambda v: not v],
        FieldDescriptor.CPPTYPE_STRING: [lambda v: f"x{v}"],
        FieldDescriptor.CPPTYPE_FLOAT: [lambda v: 2 * v + 0.5, lambda v: 0.0],
        FieldDescriptor.CPPTYPE_DOUBLE: [lambda v: 2 * v + 0.5, lambda v: 0.0],
    }
    return known.get(field.cpp_type, [lambda v: v + 1, lambda v: 64 * v, lambda v: 1])


def scalars(
    message: Any, path: tuple[str, ...] = (), set_only: bool = False
) -> Iterator[tuple[tuple[str, ...], FieldDescriptor]]:
    """The fields of a message that hold values, and those of the messages that are set in it."""
    given = {field.name for field, _ in message.ListFields()}
    for field in message.DESCRIPTOR.fields:
        if not field.message_type:
            if field.name in given or not set_only:
                yield (*path, field.name), field
        elif not field.is_repeated and field.name in given:
            yield from scalars(getattr(message, field.name), (*path, field.name), set_only)


def put(path: tuple[str, ...], field: FieldDescriptor, way: Callable[[Any], Any]) -> Edit:
    """Change the value at a path; a list has its first value changed, or gets one."""

    def edit(message: Any) -> None:
        for name in path[:-1]:
            message = getattr(message, name)
        value = getattr(message, path[-1])
        if not field.is_repeated:
            setattr(message, path[-1], way(value))
        elif value:
            value[0] = way(value[0])
        else:
            value.append(way(0 if field.cpp_type != FieldDescriptor.CPPTYPE_STRING else ""))

    return edit


def edits(layer: LayerParameter) -> Iterator[tuple[int, str, Edit]]:
    """The changes of one layer, in tiers: of its place, of its values, of what it leaves unset."""
    yield 0, "gone", lambda y: y.Clear()
    for kind in ("Dropout", "ReLU"):
        yield 0, f"as {kind}", _as_type(kind)
    yield 0, "rates 0", _no_rates
    yield 0, "bottoms turned", lambda y: y.bottom.append(y.bottom.pop(0)) if y.bottom else None
    yield 0, "last bottom gone", lambda y: y.bottom.pop() if y.bottom else None
    for first, second in (("noun", "adj"), ("anp", "noun")):
        yield 0, f"{first} for {second}", _other_task(first, second)
    given, own = dict(scalars(layer, set_only=True)), MESSAGES.get(layer.type.lower())
    found = dict(scalars(getattr(layer, own), (own,))) if own else {}
    for path, field in (dict(scalars(layer)) | found).items():
        if path[0] not in NAMES:
            for number, way in enumerate(ways(field)):
                name = f"{'.'.join(path)} {number}"
                yield 1 if path in given else 2, name, put(path, field, way)


def _as_type(kind: str) -> Edit:
    def edit(layer: LayerParameter) -> None:
        layer.type = kind

    return edit


def _no_rates(layer: LayerParameter) -> None:
    for spec in layer.param or [layer.param.add()]:
        spec.lr_mult = 0


def _other_task(first: str, second: str) -> Edit:
    def edit(layer: LayerParameter) -> None:
        layer.bottom[:] = [bottom.replace(f"_{first}", f"_{second}") for bottom in layer.bottom]

    return edit


# ---- networks -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A change of a network: `what` in words, and the changed network."""

    what: str
    of: Callable[[ParsedNetwork], ParsedNetwork]


def changes_of(network: ParsedNetwork, seed: int) -> Iterator[Change]:
    """Changes of a network: of all layers of a type, its solver and its images; then of one layer.

    Of the layers of a type, as many as `MOST_LAYERS` says are changed by themselves.
    """
    kinds: dict[tuple[int, str], list[tuple[int, Edit]]] = defaultdict(list)
    for index, layer in enumerate(network.net.layer):
        for tier, name, edit in edits(layer):
            kinds[tier, f"{layer.type} {name}"].append((index, edit))
    for (_, kind), places in sorted(kinds.items(), key=lambda one: one[0][0]):
        yield _of_layers(f"every {kind}", places)
    yield Change("images of 227", lambda n: replace(n, inputs={"data": (3, 227, 227)}))
    settings = dict(scalars(network.solver, set_only=True)) | dict(scalars(network.solver))
    for path, field in settings.items():
        for number, way in enumerate(ways(field)):
            yield _of_solver(f"solver {'.'.join(path)} {number}", put(path, field, way))
    rng = random.Random(seed)
    for (tier, kind), places in kinds.items():
        for place in rng.sample(places, min(MOST_LAYERS[tier], len(places))):
            yield _of_layers(f"one {kind}", [place])


def _of_solver(what: str, edit: Edit) -> Change:
    def of(network: ParsedNetwork) -> ParsedNetwork:
        solver = SolverParameter()
        solver.CopyFrom(network.solver)
        edit(solver)
        return ParsedNetwork(network.net, solver, network.inputs)

    return Change(what, of)


def _of_layers(what: str, places: list[tuple[int, Edit]]) -> Change:
    def of(network: ParsedNetwork) -> ParsedNetwork:
        net = NetParameter()
        net.CopyFrom(network.net)
        for index, edit in places:
            edit(net.layer[index])
        kept = [layer for layer in net.layer if layer.name]
        if len(kept) < len(net.layer):
            net = NetParameter(name=net.name, layer=kept)
        return ParsedNetwork(net, network.solver, network.inputs)

    return Change(what, of)


# ---- what is printed ----------------------------------------------------------------------------


def printed_changes() -> Iterator[tuple[str, AbstractContextManager[None]]]:
    """Changes of Table 2, and of the printed numbers of images and classes."""
    for key, row in ROWS.items():
        for field in ("parameters", "top1", "top5"):
            if (text := getattr(row, field)) not in ("", "–"):
                for factor in SMALLER_AND_LARGER:
                    other = replace(row, **{field: f"{float(text) * factor:.2f}"})
                    yield f"Table 2, {key}: {field} x {factor}", Patched(ROWS, key, other)
    for task, classes in paper.TASKS.items():
        for value in (classes - 1, classes + 1, classes // 4, classes * 4):
            yield f"{value} {task}s", Patched(paper.TASKS, task, value)
    for name in ("ALL_IMAGES", "TRAIN_IMAGES", "TEST_IMAGES", "DEEPSENTIBANK_PAIRS"):
        count = getattr(paper, name)
        for value in (count + 1, count + 2000, count // 3, count * 3):
            yield f"{name} = {value}", Patched(paper, name, value)
    for network in dict.fromkeys(name for name, _ in ROWS):
        yield f"Table 2 without {network}", Without(network)


class Patched:
    """A context in which an entry of a table, or an attribute of a module, has another value."""

    def __init__(self, where: Any, key: Any, value: Any) -> None:
        self.change = (where, key, value)

    def __enter__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        where, key, value = self.change
        (self.patch.setitem if isinstance(where, dict) else self.patch.setattr)(where, key, value)

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


class Without:
    """A context in which Table 2 lacks a network. Its rows return to where they are in the paper.

    That is why this is not Patched: what is deleted and set again is last in a dictionary.
    """

    def __init__(self, network: str) -> None:
        self.network = network
        self.rows = cast("dict[Any, Any]", ROWS)

    def __enter__(self) -> None:
        self.whole = dict(self.rows)
        for key in self.whole:
            if key[0] == self.network:
                del self.rows[key]

    def __exit__(self, *_: object) -> None:
        self.rows.clear()
        self.rows.update(self.whole)
