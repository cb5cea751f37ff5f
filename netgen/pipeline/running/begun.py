"""What a study's cells were begun with: it must not change, and no two runners make one cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from netgen.network.build import BuildSpec
from netgen.network.dataset import read_dataset
from netgen.network.residual import RESNET50, Stem, requested_backbone
from netgen.network.variants import find, go_beyond, read_as
from netgen.pipeline.study.cell_steps import recipe_of
from netgen.pipeline.study.cells import Cell, Trained
from netgen.pipeline.study.study_plan import Plan
from netgen.pipeline.study.study_settings import StudyError, differing
from netgen.system.files import digest, write_all
from netgen.system.json_files import JsonError, read_json
from netgen.system.text import listed
from netgen.training.run_folder import RunError, locked

RECORDS = "records.csv"  # of a dataset: every image and its checksum


class Begun(Struct, frozen=True, forbid_unknown_fields=True):
    """What a cell was begun with: its settings, and the checksums of the dataset's two lists."""

    settings: dict[str, Any]
    data: dict[str, str]


def is_begun(plan: Plan) -> bool:
    """Return whether a cell of the study was begun in its folder."""
    return any((plan.work / "begun").glob("*.json"))


def check_ready(plan: Plan, cells: Sequence[Cell]) -> None:
    """Check, before anything is run, that all cells can be begun, and are the study's own.

    Raises
    ------
    StudyError
        Files that they need are not there; as `check_begun`.
    """
    _check_files(plan, cells)
    check_begun(plan, cells)


def check_begun(plan: Plan, cells: Iterable[Cell]) -> None:
    """Check that what is there of cells was begun as the study says now.

    Where a dataset.toml is not there, as on another machine, its checksums are not compared.

    Raises
    ------
    StudyError
        A cell was begun with other settings or data; a result is of another study.
    """
    for cell in cells:
        if cell.trained:
            _check_begun(plan, cell, cell.trained)


@contextmanager
def holding(plan: Plan, cells: Sequence[Cell]) -> Iterator[None]:
    """Hold cells; another runner that wants one of them is refused.

    Raises
    ------
    StudyError
        Another runner holds one.
    """
    folder = plan.work / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for cell in cells:
            refusal = f"{plan.work}: another netgen is making {cell.name}: wait until it ends"
            try:
                stack.enter_context(locked(folder / cell.name, refusal))
            except RunError as error:
                raise StudyError(str(error)) from None
        yield


def note_begun(plan: Plan, cell: Cell) -> None:
    """Keep what a cell is begun with, for `check_ready`."""
    file = _file(plan, cell)
    if cell.trained and not file.exists():
        write_all({file: msgspec.json.format(msgspec.json.encode(_begun(cell.trained)))})


def _begun(cell: Trained) -> Begun:
    settings: dict[str, Any] = {"variant": cell.variant, "seed": cell.seed, **cell.settings.given()}
    return Begun(settings, checksums(cell.source))


@cache
def checksums(dataset: Path) -> dict[str, str]:
    """Return the SHA-256 of a dataset.toml and of the list of its images, where there is one."""
    files = (dataset, dataset.with_name(RECORDS))
    return {file.name: digest(file) for file in files if file.is_file()}


def _file(plan: Plan, cell: Cell) -> Path:
    return plan.work / "begun" / f"{cell.name}.json"


def _check_files(plan: Plan, cells: Sequence[Cell]) -> None:
    """Check that what no cell makes is there."""
    made = {file for cell in plan.cells.values() for step in cell.steps for file in step.makes}
    needed = [file for cell in cells for step in cell.left for file in step.needs]
    missing = [file for file in dict.fromkeys(needed) if file not in made and not file.exists()]
    if missing:
        hints = {Path(d.file): d.make for d in plan.study.datasets.values() if d.file and d.make}
        how = "".join(f"; `{make}` makes {file}" for file, make in hints.items() if file in missing)
        raise StudyError(
            f"not there: {listed(list(map(str, missing)), 12)}: nothing was run; the commands that"
            f" need them are in the plan{how}"
        )


def _check_begun(plan: Plan, cell: Cell, trained: Trained) -> None:
    file = _file(plan, cell)
    try:
        begun = read_json(file, Begun)
    except FileNotFoundError:
        if trained.files.result.exists() and not plan.study.together:
            raise StudyError(
                f"{trained.files.result}: a result of another study, or of another folder: move it"
                " elsewhere, or name another folder (--work)"
            ) from None
        return
    except JsonError as error:
        raise StudyError(f"{file}: damaged ({error}): name another folder (--work)") from None
    now = _begun(trained)
    was, will = begun.settings, now.settings
    changed = [
        f"{key} {was.get(key, 'not given')}, now {will.get(key, 'not given')}"
        for key in differing(was, will)
    ]
    if changed:
        what = "; ".join(changed)
        raise StudyError(
            f"{cell.name} was begun in {plan.work} with other settings ({what}): give those again,"
            " or name another folder (--work)"
        )
    if trained.source.exists() and begun.data != now.data:
        raise StudyError(
            f"{trained.source} has changed since {cell.name} was begun in {plan.work}: name another"
            " folder (--work), or make that dataset again as it was"
        )


def spec_of(cell: Trained) -> BuildSpec:
    """Return what `netgen build` builds for a cell, of the dataset that its own is made from.

    Raises
    ------
    StudyError
        No such network can be built for that dataset.
    """
    dataset, settings = read_dataset(cell.source), cell.settings
    try:
        variant = find(cell.variant, [task.name for task in dataset.tasks])
        for change, given in ((read_as, settings.reading), (go_beyond, settings.beyond)):
            for word in given or ():
                name, _, value = word.partition("=")
                variant = change(variant, name, value)
    except ValueError as error:
        raise StudyError(f"networks.{cell.network}: {error}") from None
    width, blocks = settings.width, settings.blocks or RESNET50.blocks
    backbone = requested_backbone(
        (width,) if isinstance(width, int) else width,
        blocks,
        Stem(settings.stem or RESNET50.stem.value),
    )
    return BuildSpec(variant, dataset, backbone, recipe_of(settings))
