"""A log of Caffe, taken apart: its starts, and what each start tells of nets, rates and files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isnan
from pathlib import Path

from netgen.audit.inspection.told_layers import ToldLayer, told_layers
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from netgen.caffe.schema import Phase, SchemaError, parse_net, parse_solver
from netgen.caffe.training_log import (
    NET,
    PREFIX,
    LogError,
    LogEvent,
    NetOutputs,
    events_of,
    lines_of,
    printed_nets,
    printed_prototxts,
)
from netgen.cost.layers.layer_types import Shape
from netgen.system.files import LOGS, check_regular

SOLVER = "Initializing solver from parameters:"
STARTED = re.compile(r"Finetuning from (.+)")
RESUMED = re.compile(r"(?:Resuming|Restoring previous solver status) from (?P<file>.+)")
RESTORED = "SGDSolver: restoring history"
FED = re.compile(r"output data size: (\d{1,10}(?:,\d{1,10}){3})$")
IGNORED = re.compile(r"Ignoring source layer (\S+)")
BEGINS = "\nlayer {"
SNAPSHOT = re.compile(r"Snapshotting to (?:binary proto ?file |HDF5 file )?(\S+\.caffemodel\S*)")
OF_TEST_NET = "Creating test net"


@dataclass(frozen=True)
class Run:
    """The lines of one start of Caffe, up to the next."""

    lines: Sequence[str]

    @cached_property
    def messages(self) -> list[str]:
        """What Caffe says, line by line, without time, thread and place."""
        return [match["text"] for line in self.lines if (match := PREFIX.match(line))]

    @cached_property
    def events(self) -> list[LogEvent]:
        """The losses, tests, rates and snapshots that it tells, in the order of the log."""
        return list(events_of(self.lines))

    @cached_property
    def iterations(self) -> list[int]:
        """The iterations of losses and tests, in the order of the log."""
        return [event.iteration for event in self.events if event.what in ("train", "test")]

    @cached_property
    def displayed(self) -> list[int]:
        """The iterations whose losses are told."""
        return [event.iteration for event in self.events if event.what == "train"]

    @cached_property
    def rates(self) -> list[tuple[int, float]]:
        """The learning rates, each with its iteration; one that is no number is left out."""
        told = [event for event in self.events if event.what == "rate"]
        return [(event.iteration, event.rate) for event in told if not isnan(event.rate)]

    @cached_property
    def solver(self) -> SolverParameter | str | None:
        """The solver that it prints, or why that cannot be read; None where it prints none."""
        prototxt = next(printed_prototxts(self.lines, SOLVER), None)
        if prototxt is None:
            return None
        try:
            return parse_solver(prototxt, "the solver")
        except SchemaError as error:
            return str(error)

    @cached_property
    def net(self) -> NetParameter | None:
        """The nets that it prints, one per phase, as one; None where it prints none completely.

        A net that was cut off between two layers can be read, but more layers are created.
        """
        joined = NetParameter()
        phases = set()
        for net in printed_nets(self.lines):
            created = self.created.get("TEST" if net.state.phase else "TRAIN", {})
            is_whole = created.keys() <= {layer.name for layer in net.layer}
            if net.state.phase not in phases and is_whole:
                phases.add(net.state.phase)
                joined.name = net.name
                joined.layer.extend(_in_phase(layer, net.state.phase) for layer in net.layer)
        return joined if joined.layer else None

    @cached_property
    def printed(self) -> dict[Phase, list[LayerParameter]]:
        """The layers that it prints of each phase's first net, as far as it prints them.

        Caffe's log cuts a message off at 30,000 characters: a third of the paper's network.
        """
        found: dict[Phase, list[LayerParameter]] = {}
        for text in printed_prototxts(self.lines, NET):
            for whole in (text, text[: text.rfind(BEGINS) + 1]):
                with suppress(SchemaError):
                    net = parse_net(whole, "the net in the log")
                    found.setdefault("TEST" if net.state.phase else "TRAIN", [*net.layer])
                    break
        return found

    @property
    def resumed(self) -> bool:
        """Whether it goes on from a snapshot, instead of from the start."""
        return self._restores_before(self.iterations[:1])

    @property
    def restores(self) -> bool:
        """Whether a snapshot's state is loaded anywhere: that sets the number of steps, too."""
        return self._restores_before([])

    def _restores_before(self, iterations: Sequence[int]) -> bool:
        begins = tuple(f"Iteration {iteration}," for iteration in iterations)
        begins += tuple(f"Iteration {iteration} (" for iteration in iterations)
        for text in self.messages:
            if RESUMED.match(text) or text.startswith(RESTORED):
                return True
            if begins and text.startswith(begins):
                return False
        return False

    def named(self, pattern: re.Pattern[str]) -> list[str]:
        """Return what a pattern's first group matches, in order."""
        return [match[1].strip() for match in map(pattern.match, self.messages) if match]

    @cached_property
    def created(self) -> dict[Phase, dict[str, ToldLayer]]:
        """The layers that are created in each phase, by name, without those that Caffe inserts."""
        return told_layers(self._by_phase())

    def fed(self) -> dict[Phase, Shape]:
        """Return the shape of each phase's images: the first data size once its net is created.

        Every Data layer prints its size; the first of a net is taken to read the images.
        """
        found: dict[Phase, Shape] = {}
        for phase, text in self._by_phase():
            match = FED.match(text)
            if match and phase not in found:
                found[phase] = tuple(map(int, match[1].split(",")))
        return found

    def _by_phase(self) -> Iterator[tuple[Phase, str]]:
        phase: Phase = "TRAIN"
        for text in self.messages:
            phase = "TEST" if text.startswith(OF_TEST_NET) else phase
            yield phase, text


def _in_phase(layer: LayerParameter, phase: int) -> LayerParameter:
    copy = LayerParameter.FromString(layer.SerializeToString())
    copy.ClearField("include")
    copy.ClearField("exclude")
    copy.include.add(phase=phase)
    return copy


def read_runs(path: Path) -> list[Run]:
    """Read a log's starts, in order; those that reach no iteration are left out.

    Raises
    ------
    LogError
        The file cannot be read, or is too large.
    """
    lines = _lines(path)
    starts = [index for index, line in enumerate(lines) if SOLVER in line]
    if starts and not Run(lines[: starts[0]]).iterations:
        starts[0] = 0  # what Caffe says before it reads its solver
    bounds = sorted({0, *starts, len(lines)})
    runs = [Run(lines[a:b]) for a, b in pairwise(bounds)]
    return [run for run in runs if run.iterations]


def last_training(runs: Sequence[Run]) -> list[Run]:
    """Return the runs of the last training: from the last that is not resumed."""
    first = max((i for i, run in enumerate(runs) if not run.resumed), default=0)
    return list(runs[first:])


def tests_of(runs: Sequence[Run]) -> list[NetOutputs]:
    """Return the tests of these runs, in order."""
    return [
        NetOutputs(event.iteration, event.outputs)
        for run in runs
        for event in run.events
        if event.what == "test" and event.outputs
    ]


def _lines(path: Path) -> list[str]:
    """Return the whole lines of a log that is not too large."""
    try:
        if check_regular(path).st_size > LOGS:
            raise LogError(f"{path}: over {LOGS / 2**20:,.0f} MB: is it Caffe's log?")
        return lines_of(path)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}: check the path") from None
