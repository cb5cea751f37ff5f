"""Compare a log with the paper's training: solver, nets, rates, weights and final accuracies.

For logs of Caffe from 2015 to 1.0. What a log does not contain cannot be checked; a line that only
some builds write ("Ignoring source layer") proves nothing when it is missing.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from netgen import paper
from netgen.audit.comparison.references import Reference
from netgen.audit.finding import InspectionFinding as Finding
from netgen.audit.finding import InspectionVerdict as Verdict
from netgen.audit.finding import Rule
from netgen.audit.inspection.accuracies import inspect_accuracies
from netgen.audit.inspection.inspect_network import inspect_parsed
from netgen.audit.inspection.inspect_solver import inspect_parsed_solver
from netgen.audit.inspection.log_runs import (
    IGNORED,
    RESUMED,
    SNAPSHOT,
    STARTED,
    Run,
    last_training,
    read_runs,
    tests_of,
)
from netgen.audit.inspection.same_nets import LEARNS, GivenNet, batch_in, built
from netgen.audit.inspection.schedule import (
    FALLS,
    PRINTED,
    TENFOLD,
    RateChange,
    judge_changes,
    same_rate,
    schedule_of,
)
from netgen.audit.inspection.solver_nets import nets_of
from netgen.audit.inspection.told_layers import unlike
from netgen.caffe.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from netgen.caffe.schema import Phase
from netgen.caffe.training_log import OUTPUT, TESTING, TRAINING, read_log
from netgen.cost.layers.layer_types import Shape
from netgen.network.variants import variants
from netgen.paper import Recipe
from netgen.system.text import listed, shape_text, value_text

NUMBERED = re.compile(r"_iter_(\d{1,10})\.caffemodel")
NOT_A_NUMBER = re.compile(r"[-+]?(nan|inf)", re.IGNORECASE)


@dataclass(frozen=True)
class InspectedLog:
    """A log's findings, and what other files are compared with.

    Attributes
    ----------
    file, runs
        The log, and the starts of Caffe of its last training.
    findings
        In the order of a training.
    snapshots, initial
        The files of weights that it wrote, and that it started from.
    fed
        The shape of each phase's batches of images.
    crops
        Whether its net cuts pieces out of the images, as far as the log prints it.
    is_whole
        Whether it ends, and nothing is seen to be missing before.
    """

    file: str
    runs: tuple[Run, ...]
    findings: tuple[Finding, ...]
    snapshots: tuple[str, ...]
    initial: tuple[str, ...]
    fed: Mapping[Phase, Shape]
    crops: bool
    is_whole: bool


def inspect_log(
    path: str | os.PathLike[str],
    reference: Reference | None = None,
    given: GivenNet | None = None,
) -> InspectedLog:
    """Compare the log of a training with section 5.2 and Table 2.

    Parameters
    ----------
    path
        The log of ``caffe train``. Where it has several trainings, the last is inspected.
    reference
        Which of the paper's networks was trained, where the log does not print its nets.
    given
        That network, if available.

    Raises
    ------
    LogError
        When there is no training in the file.
    """
    file, everything, log = os.fspath(path), read_runs(Path(path)), read_log(Path(path))
    runs = last_training(everything)
    net, fed = runs[0].net, runs[0].fed()
    findings = [*_starts(file, everything, runs)]
    if net:
        inspected = inspect_parsed(net, f"{file}: the net in it")
        reference = inspected.reference or reference
        findings += inspected.findings
    else:
        recognised = None if given else _recognised(runs[0])
        reference = reference or recognised
        findings += _not_whole(file, recognised, given)
    baseline = reference is not None and len(reference.variant.tasks) == 1
    per_epoch = paper.TRAIN_IMAGES / _images(runs[0], fed, net or (given.net if given else None))
    findings += _sizes(file, fed)
    for run in runs:
        findings += _solver(file, run, given, baseline, known={f.what for f in findings})
        findings += _contradicted(file, run)
    gaps = [*_gaps(file, runs)]
    findings += [*gaps, *_progress(file, runs, log.finished, per_epoch), *_losses(file, runs)]
    findings += [_open_for(baseline, finding) for finding in _rates(file, runs, per_epoch)]
    findings += _weights(file, runs, net or (given.net if given else None))
    whole = net is not None and len(everything) == 1
    findings += inspect_accuracies(file, replace(log, test=tests_of(runs)), reference, whole)
    return InspectedLog(
        file, tuple(runs), tuple(findings),
        snapshots=tuple(name for run in runs for name in run.named(SNAPSHOT)),
        initial=tuple(name for run in runs for name in run.named(STARTED)),
        fed=fed, crops=any(x.transform_param.crop_size for x in _printed(runs[0])),
        is_whole=log.finished and not gaps,
    )  # fmt: skip


def _printed(run: Run) -> list[LayerParameter]:
    return [layer for layers in run.printed.values() for layer in layers]


def _recognised(run: Run) -> Reference | None:
    """Return the network of ours whose layers the log tells of, one by one."""
    fed = run.fed().get("TEST")
    for variant in variants(list(paper.TASKS)).values():
        reference = Reference(variant, "train_val")
        told = run.created.get("TEST") if variant.row.is_trained else None
        if told and not unlike(told, reference.net(), "TEST", fed):
            return reference
    return None


def _not_whole(
    file: str, recognised: Reference | None, given: GivenNet | None
) -> Iterator[Finding]:
    """Tell what is known of a net that the log does not print, or not to its end."""
    where = f"{file}: the net in it"
    if recognised:
        title = f"{recognised.variant.row.title} ({recognised.title})"
        what = f"the layers that the log tells of, with bottoms, tops and shapes, are {title}'s"
        yield Finding(where, f"{what}; the rest is not printed", Verdict.EQUIVALENT,
                      phase="TEST")  # fmt: skip
    elif not given:
        what = "the log does not print it whole: give the network, too (--net)"
        yield Finding(where, what, Verdict.NOT_CHECKABLE, Rule.ITSELF)


# ---- how often Caffe was started, and what is missing -------------------------------------------


def _starts(file: str, everything: Sequence[Run], runs: Sequence[Run]) -> Iterator[Finding]:
    """Tell of other trainings in the log, and of those that were resumed."""
    if len(runs) < len(everything):
        what = f"Caffe was started {len(everything)} times; what follows is of the last"
        what += f" {len(runs)}, which do not continue the others" if len(runs) > 1 else ""
        yield Finding(f"{file}: starts", what, Verdict.NOT_CHECKABLE, Rule.ITSELF)
    for before, run in zip([None, *runs], runs, strict=False):
        if run.resumed:
            yield from _resumption(f"{file}: resumed", before, run)


def _resumption(where: str, before: Run | None, run: Run) -> Iterator[Finding]:
    state = next(iter(run.named(RESUMED)), "a snapshot")
    what = f"resumed from {state} at iteration {run.iterations[0]:,}: Data layers start over at the"
    what += " first record"
    what += "" if before else "; what was trained before is not in the log"
    yield Finding(where, what, Verdict.NOT_CHECKABLE, Rule.CAFFE)
    numbered = re.search(r"_iter_(\d{1,10})\.solverstate", state)
    if numbered and int(numbered[1]) > run.iterations[0]:
        what = f"{state} is of iteration {int(numbered[1]):,}, but what follows begins at"
        what += f" {run.iterations[0]:,}"
        yield Finding(where, what, Verdict.DIFFERS, Rule.ITSELF)


def _gaps(file: str, runs: Sequence[Run]) -> Iterator[Finding]:
    """Find where lines are missing, or lines of another training stand between."""
    where = f"{file}: iterations"
    for run in runs:
        back = [(a, b) for a, b in pairwise(run.iterations) if b < a]
        if back:
            what = f"iteration {back[0][1]:,} comes after {back[0][0]:,} without a start of Caffe"
            what += " between: parts of several trainings"
            yield Finding(where, what, Verdict.DIFFERS, Rule.ITSELF)
            continue
        steps = [(a, b) for a, b in pairwise(run.displayed) if b > a]
        display = run.solver.display if isinstance(run.solver, SolverParameter) else 0
        usual = display or min((b - a for a, b in steps), default=0)
        wide = [(a, b) for a, b in steps if b - a > usual]
        if wide:
            what = f"nothing is told between iterations {wide[0][0]:,} and {wide[0][1]:,}, though"
            what += f" every {usual:,} should be: lines are missing"
            yield Finding(where, what, Verdict.NOT_CHECKABLE, Rule.ITSELF)


def _images(run: Run, fed: Mapping[Phase, Shape], net: NetParameter | None) -> int:
    """Return the training images of an iteration; the paper's number where it is not known."""
    batch = fed["TRAIN"][0] if "TRAIN" in fed else batch_in(built(net, "TRAIN")) if net else None
    size = run.solver.iter_size if isinstance(run.solver, SolverParameter) else 1
    return max((batch or Recipe().batch_size) * size, 1)


def _progress(
    file: str, runs: Sequence[Run], finished: bool, per_epoch: float
) -> Iterator[Finding]:
    displayed = max(iteration for run in runs for iteration in run.iterations)
    last = max(displayed, *_iterations_of_snapshots(runs), 0)
    epochs = last / per_epoch
    what = f"trained to iteration {last:,}, {epochs:.3g} epochs at"
    what += f" {paper.TRAIN_IMAGES / per_epoch:.0f} images an iteration;"
    if not finished:
        what += " not finished, or the log was cut off"
        if last > displayed:  # `netgen train` tells losses itself
            what += "; what came between is not in it: a run of `netgen train` has it in log.jsonl,"
            what += " beside its caffe.log (`netgen figure curves`)"
        yield Finding(f"{file}: iterations", what, Verdict.NOT_CHECKABLE, Rule.ITSELF)
        return
    what += ' finished; the paper trains "until convergence" (section 5.2)'
    if any("Optimization stopped early" in text for text in runs[-1].messages):
        what += ", this was stopped by hand"
    verdict, rule = Verdict.NOT_CHECKABLE, Rule.OURS
    if epochs < 1:
        what += ", and here not every image was read"
        verdict, rule = Verdict.DIFFERS, Rule.READING
    yield Finding(f"{file}: iterations", what, verdict, rule)


def _iterations_of_snapshots(runs: Sequence[Run]) -> list[int]:
    named = (NUMBERED.search(name) for run in runs for name in run.named(SNAPSHOT))
    return [int(match[1]) for match in named if match]


def _losses(file: str, runs: Sequence[Run]) -> Iterator[Finding]:
    sick: dict[str, int] = {}
    iteration = 0
    for text in (text for run in runs for text in run.messages):
        for pattern in (TRAINING, TESTING):
            if match := pattern.match(text):
                iteration = int(match["iteration"])
        name, value = _told_number(text)
        # Tested before training, BatchNorm's averages are of no images, and the loss is nan.
        if NOT_A_NUMBER.match(value) and not (name.startswith("Test") and iteration == 0):
            sick.setdefault(name.partition(" ")[2], iteration)
    if sick:
        what = f"not numbers: {listed(sorted(sick))}, from iteration {min(sick.values()):,}: the"
        what += ' training diverged; the paper\'s ran "until convergence" (section 5.2)'
        yield Finding(f"{file}: losses", what, Verdict.DIFFERS)


def _told_number(text: str) -> tuple[str, str]:
    """Return the name and the text of the loss or output that a message tells."""
    if match := OUTPUT.match(text):
        return f"{match['phase']} {match['name']}", match["value"]
    match = TRAINING.match(text)
    return ("Train loss", match["loss"]) if match else ("", "")


# ---- images and solvers -------------------------------------------------------------------------


def _sizes(file: str, fed: Mapping[Phase, Shape]) -> Iterator[Finding]:
    size = shape_text(paper.IMAGE_SHAPE[1:])
    wanted = f"the paper's images are {size} (section 5.2), and He's weights want 3 channels"
    for phase, shape in fed.items():
        verdict = Verdict.same_if(shape[1:] == paper.IMAGE_SHAPE)
        what = f"batches of {shape_text(shape)}, {wanted}"
        yield Finding(f"{file}: data", what, verdict, phase=phase)


def _solver(
    file: str, run: Run, given: GivenNet | None, baseline: bool, known: set[str]
) -> list[Finding]:
    """Compare the solver of a run with section 5.2; `known` was told of an earlier run's."""
    where, solver = f"{file}: the solver in it", run.solver
    if not isinstance(solver, SolverParameter):
        what = f"cannot be read: {solver}" if solver else "the log does not print one"
        return [Finding(where, what, Verdict.NOT_CHECKABLE, Rule.ITSELF)]
    batches = {phase: shape[0] for phase, shape in run.fed().items()}
    nets = nets_of(solver, given=GivenNet(file, run.net) if run.net else given)
    found = inspect_parsed_solver(solver, where, replace(nets, fed=batches), baseline)
    named = tuple(f": {net.field}" for net in (nets.train, *nets.tests) if net)
    found = [x for x in found if not x.where.endswith(named)]  # the log shows which nets they are
    if run.resumed:  # at another rate, perhaps: it is that of the log that counts
        found = [x for x in found if not x.where.endswith(("base_lr", "lr_policy", "weights"))]
    return [finding for finding in found if finding.what not in known]


# ---- rates and weights --------------------------------------------------------------------------


def _contradicted(file: str, run: Run) -> Iterator[Finding]:
    """Find where a run's rates are not those of its solver."""
    schedule = schedule_of(run.solver) if isinstance(run.solver, SolverParameter) else None
    pairs = ((i, rate, schedule.rate(i)) for i, rate in run.rates) if schedule else ()
    odd = next(((i, r, e) for i, r, e in pairs if not same_rate(r, e, PRINTED)), None)
    if odd is None:
        return
    iteration, rate, expected = odd
    what = f"{value_text(rate)} at iteration {iteration:,}, its solver has {value_text(expected)}"
    if run.restores or (iteration and _is_tenfold(expected, rate)):
        what += ": lowered while it ran (pycaffe can), or by a restored number of steps"
        yield Finding(f"{file}: learning rate", what, Verdict.NOT_CHECKABLE, Rule.ITSELF)
    else:
        yield Finding(f"{file}: learning rate", what, Verdict.DIFFERS, Rule.ITSELF)


def _is_tenfold(before: float, after: float) -> bool:
    """Return whether a rate is a tenth of another, or a tenth of that, and so on."""
    if not before > after > 0:
        return False
    drops = round(math.log10(before / after))
    return same_rate(before / after, TENFOLD**drops, PRINTED)


def _open_for(baseline: bool, finding: Finding) -> Finding:
    if not baseline or finding.verdict is not Verdict.DIFFERS:
        return finding
    what = finding.what + "; but the paper gives it for the cross-residual networks"
    return Finding(finding.where, what, Verdict.NOT_CHECKABLE, Rule.OURS)


def _rates(file: str, runs: Sequence[Run], per_epoch: float) -> Iterator[Finding]:
    """Compare the learning rate at the start, and how it falls, with section 5.2."""
    where = f"{file}: learning rate"
    told = [one for run in runs for one in run.rates]
    rates = [b for a, b in pairwise([(0, math.nan), *told]) if not same_rate(a[1], b[1], PRINTED)]
    if not rates:
        yield Finding(where, "the log prints none", Verdict.NOT_CHECKABLE)
        return
    (iteration, rate), wanted = rates[0], Recipe().base_lr
    same = same_rate(rate, wanted, PRINTED)
    verdict = Verdict.same_if(same)
    if not same and (runs[0].resumed or iteration):
        verdict = Verdict.NOT_CHECKABLE  # it may have fallen before
    what = f"{value_text(rate)} at iteration {iteration:,}, the paper starts at"
    yield Finding(where, f"{what} {value_text(wanted)} (section 5.2)", verdict)
    changes = [RateChange(i, before, after) for (_, before), (i, after) in pairwise(rates)]
    if not changes:
        yield Finding(where, f"it never falls ({FALLS})", Verdict.NOT_CHECKABLE)
    late = max((b[0] - a[0] for a, b in pairwise(told)), default=0)  # a fall is seen when told
    for judged in judge_changes(changes, per_epoch, late):
        yield Finding(where, *judged)


def _weights(file: str, runs: Sequence[Run], net: NetParameter | None) -> Iterator[Finding]:
    where, place = f"{file}: weights", "section 5.2 begins with weights trained on ImageNet"
    started = [name for run in runs for name in run.named(STARTED)]
    if started:
        what = f"loaded from {listed(list(dict.fromkeys(started)))}; {place}: compare that file"
    elif runs[0].resumed:
        what = f"resumed: how it began is not in the log; {place}"
    else:
        what = f"no line says that weights were loaded; {place}; pycaffe loads them silently"
    yield Finding(where, what, Verdict.NOT_CHECKABLE)
    ignored = sorted({name for run in runs for name in run.named(IGNORED)})
    towers = [name for name in ignored if net and _begins_at_random(name, net)]
    if towers:
        what = f"the file's layers {listed(towers)} were ignored: the network has them once a task,"
        what += ' and section 5.2 initializes them "to the same corresponding layer weights"'
        yield Finding(where, what, Verdict.DIFFERS)
    elif ignored:
        what = f"the file's layers {listed(ignored)} were ignored: the network has none of these"
        yield Finding(where, f"{what} names", Verdict.NOT_CHECKABLE)


def _begins_at_random(name: str, net: NetParameter) -> bool:
    """Return whether a net has a layer of that name only once per task: Caffe does not load it."""
    layers = (x for x in net.layer if x.type in LEARNS - {"InnerProduct"})
    return any(x.name in {f"{name}_{task}" for task in paper.TASKS} for x in layers)
