"""The commands that make a cell of a study.

This is the one place that knows how `netgen build`, `init`, `train`, `eval` and `data resample` are
called.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netgen.network.options import Branch
from netgen.network.variants import NETWORKS, NetworkRow
from netgen.paper import Recipe
from netgen.pipeline.study.cells import CellFiles, Step, Trained, Words
from netgen.pipeline.study.study_settings import FILLERS, PUBLISHED, Settings, StudyError
from netgen.training.run_folder import RunFolder

# Settings that `netgen build` has options of the same name for.
OF_NETWORKS = ("width", "blocks", "stem")  # the others are of training
BUILD_OPTIONS = (
    *OF_NETWORKS, "batch_size", "base_lr", "momentum", "weight_decay", "mirror",
    "memory", "frozen_statistics", "moving_average", "head_std", "head_lr_mult", "display",
)  # fmt: skip


@dataclass(frozen=True)
class Device:
    """Where commands run: `gpu` is a GPU's number; None is the solver's mode, and CPU to test."""

    gpu: int | None = None
    solver_mode: str = "gpu"

    @property
    def words(self) -> Words:
        """The option of `netgen train` and `netgen eval`."""
        return () if self.gpu is None else ("--gpu", str(self.gpu))


def row_of(variant: str) -> NetworkRow:
    """Return the row of Table 2 of a variant's name, whatever tasks there are.

    Raises
    ------
    StudyError
        There is none.
    """
    for name, row in NETWORKS.items():
        if variant == name or (variant.startswith(f"{name}-") and len(variant) > len(name) + 1):
            return row
    raise StudyError(f"unknown variant {variant!r}: choose one of `netgen list`")


def data_step(
    base: Path, out: Path, seed: int, split: str = "keep", share: float | None = None
) -> Step:
    """Return the command that makes a seed's databases from others."""
    less = () if share is None else ("--share", f"{share:g}")
    words = (
        "data", "resample", str(base), "--out", str(out), "--seed", str(seed), "--split", split,
        *less, "--jobs", "1", "--resume",
    )  # fmt: skip
    return Step(words, (out / "dataset.toml",), (base,))


def network_steps(
    cell: Trained, start: CellFiles | Path | None, device: Device, fillers: int | None
) -> Iterator[Step]:
    """Yield the commands that build, initialise, train and evaluate a network.

    `start` is the cell, or the caffemodel, whose weights it starts from; None for its fillers, or
    for a network that is not trained. `fillers` is their seed; None for that of the commands.
    """
    files, row = cell.files, row_of(cell.variant)
    net = files.model / "deploy.prototxt"
    built = (files.model / "train_val.prototxt", files.solver) if row.is_trained else ()
    # Networks may be there that were built for other images, such as the committed ones. What a
    # training has begun with stays.
    apart = files.root != Path()
    images = None if apart or RunFolder(files.run).record.exists() else cell.dataset
    yield Step(tuple(_build(cell, device, fillers)), (net, *built), (cell.dataset,), of=images)
    tested = ("eval", "--variant", cell.variant, "--dataset", str(cell.dataset), "--net", str(net))
    out = ("--out", str(files.result), *device.words)
    if not row.is_trained:
        yield _published(cell, tested, out, start)
        return
    # Where the commands look by themselves, a name is enough.
    named = () if apart else ("--variant", cell.variant)
    weights: Words = ()
    if start is not None:
        source = start.run if isinstance(start, CellFiles) else start
        seed = () if fillers is None else ("--seed", str(fillers))
        heads = ("--keep-heads",) if cell.settings.keep_heads else ()
        of = ("--net", str(files.model / "train_val.prototxt"))
        words = ("init", *(named or of), "--from", str(source), *seed, *heads)
        yield Step(words, (files.initial,), (start,) if isinstance(start, Path) else ())
        weights = ("--weights", str(files.initial))
    rules: Words = () if cell.settings.plateau is None else ("--plateau", cell.settings.plateau)
    if cell.settings.explosion is not None:
        rules = (*rules, "--explosion", f"{cell.settings.explosion:g}")
    trained = named or ("--solver", str(files.solver), "--run", str(files.run))
    keep: Words = ()
    if cell.inside:
        if row.branch is Branch.NEVER:
            raise StudyError(f"report.inside: {cell.variant} has no blocks of its tasks' own")
        keep = ("--keep", str(cell.settings.snapshots or 1))
        out = ("--sums", *out)
    yield Step(("train", *trained, *rules, *keep, *weights, *device.words), (), (), files.run)
    # The newest snapshot, not the best one, which the test images would have chosen.
    yield Step((*tested, "--weights", str(files.run), *out), (files.result,), (cell.dataset,))


def start_of(cell: Settings) -> str | None:
    """Return the network that a cell starts from; None for published weights and for fillers."""
    return None if cell.start in (None, PUBLISHED, FILLERS) else cell.start


def _published(cell: Trained, tested: Words, out: Words, weights: object) -> Step:
    if not isinstance(weights, Path) or cell.classes is None:
        raise StudyError(
            f"{cell.network}: {cell.variant} is not trained here: give start = 'published', and in"
            " classes the file of its outputs' names"
        )
    words = (*tested, "--weights", str(weights), "--classes", cell.classes, *out)
    return Step(words, (cell.files.result,), (weights, Path(cell.classes), cell.dataset))


def _build(cell: Trained, device: Device, fillers: int | None) -> Iterator[str]:
    yield from ("build", "--variant", cell.variant, "--dataset", str(cell.dataset))
    if cell.files.root != Path():
        yield from ("--out", str(cell.files.root))
    settings, is_trained = cell.settings, row_of(cell.variant).is_trained
    if is_trained and device.solver_mode == "cpu":
        yield from ("--solver-mode", "cpu")
    for name in BUILD_OPTIONS:
        if is_trained or name in OF_NETWORKS:
            yield from _option(name, getattr(settings, name))
    for name in ("reading", "beyond"):
        for each in getattr(settings, name) or ():
            yield from (f"--{name}", each)
    if not is_trained:
        return
    for name, value in schedule(settings).items():
        yield from _option(name, value)
    if fillers is not None:
        yield from ("--random-seed", str(fillers))


def schedule(settings: Settings) -> dict[str, object]:
    """Return the fields of `Recipe` that follow from the length of a training.

    Raises
    ------
    StudyError
        Shares and numbers of a length that is not given.
    """
    length = settings.iterations
    if length is None:
        for name in ("drops", "tests", "snapshots"):
            if getattr(settings, name) is not None:
                raise StudyError(f"{name} without iterations: give both")
        return {}
    found: dict[str, object] = {"max_iter": length}
    if settings.drops is not None:
        found["stepvalues"] = tuple(dict.fromkeys(round(at * length) for at in settings.drops))
    if settings.tests is not None:
        found["test_interval"] = -(-length // settings.tests)
    if settings.snapshots is not None:
        found["snapshot"] = -(-length // settings.snapshots)
    return found


def recipe_of(settings: Settings) -> Recipe:
    """Return the recipe of a cell, as `netgen build` makes it of its options."""
    names = [name for name in BUILD_OPTIONS if name not in OF_NETWORKS]
    given = {name: getattr(settings, name) for name in names} | schedule(settings)
    return Recipe(**{name: value for name, value in given.items() if value is not None})


def _option(name: str, value: object) -> Iterator[str]:
    flag = name.replace("_", "-")
    if value is None or (name == "frozen_statistics" and value is False):
        return
    if isinstance(value, bool):
        yield f"--{flag}" if value else f"--no-{flag}"
    else:
        listed = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        yield from (f"--{flag}", listed)
