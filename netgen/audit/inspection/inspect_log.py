"""Compare a log with the paper's training: solver, nets, rates, weights and final accuracies.

For logs of Caffe from 2015 to 1.0. What a log does not contain cannot be checked; a line that only
some builds write ("Ignoring source layer") proves nothing when it is missing.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from netgen import paper
from netgen.audit.inspection.accuracies import inspect_accuracies
from netgen.audit.inspection.finding import InspectionFinding, InspectionVerdict
from netgen.audit.inspection.inspect_network import inspect_parsed
from netgen.audit.inspection.inspect_solver import batches_of, inspect_parsed_solver
from netgen.audit.inspection.references import Reference
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter
from netgen.caffe.schema import Phase, SchemaError, parse_solver
from netgen.caffe.training_log import (
    PREFIX,
    LogError,
    TrainingLog,
    printed_nets,
    printed_prototxts,
    read_log,
)
from netgen.cost.layers.layer_types import Shape
from netgen.paper import Recipe
from netgen.system.text import listed, shape_text, value_text

SOLVER = "Initializing solver from parameters:"
RATE = re.compile(r"Iteration (\d+), lr = (\S+)")
LOADED = re.compile(r"(?:Finetuning|Resuming|Restoring previous solver status) from (.+)")
FED = re.compile(r"output data size: (\d+(?:,\d+){3})$")
IGNORED = re.compile(r"Ignoring source layer (\S+)")
LARGEST = 2**28
TENFOLD = 10.0
SMALLEST = 1e-3  # relative; rates are printed to six digits


def inspect_log(
    path: str | os.PathLike[str],
    reference: Reference | None = None,
    trained: NetParameter | None = None,
) -> list[InspectionFinding]:
    """Compare the log of a training with section 5.2 and Table 2.

    Parameters
    ----------
    path
        The log of ``caffe train``.
    reference
        Which of the paper's networks was trained; by default found by the nets in the log.
    trained
        That network, if available.

    Raises
    ------
    LogError
        When there is no training in the file.
    """
    file = os.fspath(path)
    lines = _lines(Path(path))
    log = read_log(Path(path))
    messages = [match["text"] for line in lines if (match := PREFIX.match(line))]
    net = _net(lines)
    findings: list[InspectionFinding] = []
    if net:
        inspected = inspect_parsed(net, f"{file}: the net in it")
        reference = reference or inspected.reference
        findings += inspected.findings
    fed = _fed(messages)
    batches = {phase: shape[0] for phase, shape in fed.items()}
    known = net or trained
    batches |= batches_of(known) if known else {}
    findings += _sizes(file, fed)
    findings += _solver(file, lines, batches, reference)
    findings += _progress(file, log, batches.get("TRAIN", Recipe().batch_size))
    findings += _rates(file, messages)
    findings += _weights(file, messages)
    findings += inspect_accuracies(file, log, reference)
    return findings


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > LARGEST:
            raise LogError(f"{path}: over {LARGEST / 2**20:,.0f} MB: is it Caffe's log?")
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}: check the path") from None


def _net(lines: Sequence[str]) -> NetParameter | None:
    """Join the nets that Caffe printed, one per phase; None where it printed none completely."""
    joined = NetParameter()
    phases = set()
    for net in printed_nets(lines):
        if net.state.phase not in phases:
            phases.add(net.state.phase)
            joined.layer.extend(_in_phase(layer, net.state.phase) for layer in net.layer)
    return joined if joined.layer else None


def _in_phase(layer: LayerParameter, phase: int) -> LayerParameter:
    copy = LayerParameter.FromString(layer.SerializeToString())
    copy.ClearField("include")
    copy.ClearField("exclude")
    copy.include.add(phase=phase)
    return copy


def _fed(messages: Sequence[str]) -> dict[Phase, Shape]:
    """Return the shape of each phase's images: the first data size printed once its net is created.

    Every Data layer prints its size; the first of a net is taken to read the images.
    """
    fed: dict[Phase, Shape] = {}
    phase: Phase = "TRAIN"
    for message in messages:
        phase = "TEST" if message.startswith("Creating test net") else phase
        match = FED.match(message)
        if match and phase not in fed:
            fed[phase] = tuple(map(int, match[1].split(",")))
    return fed


def _sizes(file: str, fed: Mapping[Phase, Shape]) -> Iterator[InspectionFinding]:
    wanted = f"the paper's images are {shape_text(paper.IMAGE_SHAPE)} (section 5.2)"
    for phase, shape in fed.items():
        verdict = InspectionVerdict.same_if(shape[1:] == paper.IMAGE_SHAPE)
        what = f"batches of {shape_text(shape)}, {wanted}"
        yield InspectionFinding(f"{file}: data ({phase})", what, verdict)


def _solver(
    file: str, lines: Sequence[str], batches: Mapping[Phase, int], reference: Reference | None
) -> list[InspectionFinding]:
    where = f"{file}: the solver in it"
    prototxt = next(printed_prototxts(lines, SOLVER), None)
    if prototxt is None:
        return [
            InspectionFinding(where, "the log does not print one", InspectionVerdict.NOT_CHECKABLE)
        ]
    try:
        solver = parse_solver(prototxt, where)
    except SchemaError as error:
        return [
            InspectionFinding(where, f"cannot be read: {error}", InspectionVerdict.NOT_CHECKABLE)
        ]
    baseline = reference is not None and len(reference.variant.tasks) == 1
    return inspect_parsed_solver(solver, where, batches, baseline)


def _progress(file: str, log: TrainingLog, batch: int) -> Iterator[InspectionFinding]:
    last = max(reading.iteration for reading in (*log.train, *log.test))
    epochs = last * batch / paper.TRAIN_IMAGES
    what = f"trained to iteration {last:,}, {epochs:.3g} epochs at batch {batch};"
    if log.finished:
        what += ' finished; the paper trains "until convergence" (section 5.2)'
    else:
        what += " not finished, or the log was cut off"
    yield InspectionFinding(f"{file}: iterations", what, InspectionVerdict.NOT_CHECKABLE)
    losses = {
        name: value
        for reading in log.train
        for name, value in reading.values.items()
        if not math.isfinite(value) and reading is not log.train[-1]  # which may be cut off
    }
    if losses:
        what = f"losses that are not numbers: {listed(sorted(losses))}: the training diverged"
        yield InspectionFinding(f"{file}: losses", what, InspectionVerdict.DIFFERS)


def _rates(file: str, messages: Sequence[str]) -> Iterator[InspectionFinding]:
    """Compare the learning rate at the start, and the factors by which it falls."""
    where = f"{file}: learning rate"
    rates: list[tuple[int, float]] = []
    for match in filter(None, map(RATE.match, messages)):
        with suppress(ValueError):  # cut off in the middle of it
            iteration, rate = int(match[1]), float(match[2])
            if not rates or not math.isclose(rate, rates[-1][1], rel_tol=SMALLEST):
                rates.append((iteration, rate))
    if not rates:
        yield InspectionFinding(where, "the log prints none", InspectionVerdict.NOT_CHECKABLE)
        return
    first, wanted = rates[0], Recipe().base_lr
    same = math.isclose(first[1], wanted, rel_tol=SMALLEST)
    verdict = InspectionVerdict.same_if(same)
    if first[0] and not same:
        verdict = InspectionVerdict.NOT_CHECKABLE  # a resumed training: it may have fallen before
    what = f"{value_text(first[1])} at iteration {first[0]:,}"
    what += f", the paper starts at {value_text(wanted)}"
    yield InspectionFinding(where, f"{what} (section 5.2)", verdict)
    yield from _falls(where, rates)


def _falls(where: str, rates: Sequence[tuple[int, float]]) -> Iterator[InspectionFinding]:
    place = 'section 5.2: "decreased it by a factor of ten whenever the loss plateaued"'
    if len(rates) == 1:
        yield InspectionFinding(where, f"it never falls ({place})", InspectionVerdict.NOT_CHECKABLE)
    odd = [
        (iteration, before / rate if rate else math.inf)
        for (_, before), (iteration, rate) in pairwise(rates)
        if not (rate and math.isclose(before / rate, TENFOLD, rel_tol=SMALLEST))
    ]
    if odd:
        what = f"at iteration {odd[0][0]:,} it is divided by {odd[0][1]:.4g}"
        more = f", and not by 10 another {len(odd) - 1:,} times" if odd[1:] else ""
        yield InspectionFinding(
            where, f"{what}{more}; the paper by 10 ({place})", InspectionVerdict.DIFFERS
        )
    elif rates[1:]:
        falls = listed([f"{iteration:,}" for iteration, _ in rates[1:]])
        yield InspectionFinding(
            where, f"falls tenfold at iteration {falls} ({place})", InspectionVerdict.SAME
        )


def _weights(file: str, messages: Sequence[str]) -> Iterator[InspectionFinding]:
    where = f"{file}: weights"
    loaded = [match[1].strip() for match in map(LOADED.match, messages) if match]
    place = "section 5.2 starts from a ResNet of ILSVRC"
    if loaded:
        what = f"loaded from {listed(loaded)}; {place}: compare that file"
        yield InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE)
    else:
        what = f"no line says that weights were loaded; {place}; pycaffe loads them silently"
        yield InspectionFinding(where, what, InspectionVerdict.NOT_CHECKABLE)
    ignored = [match[1] for match in map(IGNORED.match, messages) if match]
    if ignored:
        what = (
            f"the file's layers {listed(sorted(set(ignored)))} were ignored: the network has none"
        )
        yield InspectionFinding(where, f"{what} of these names", InspectionVerdict.NOT_CHECKABLE)
