"""What would stop a study after hours, foreseen by its datasets before anything is run.

What a study.toml cannot know alone is checked here, by each dataset.toml that is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from netgen.caffe.schema import parse_net, parse_solver
from netgen.network.build import network_files
from netgen.pipeline.running.begun import spec_of
from netgen.pipeline.study.cells import Cell, Trained
from netgen.pipeline.study.study_file import (
    AnySentence,
    Difference,
    LargestGain,
    OrderOfTasks,
    groups_of,
    settings_of,
)
from netgen.pipeline.study.study_plan import Plan
from netgen.pipeline.study.study_settings import StudyError
from netgen.training.prepare import check_plateau
from netgen.training.training_options import TrainingOptions

Tasks = dict[str, None]  # names, in their order
# Settings on which it does not depend whether a network can be built.
OF_EACH_TRAINING = dict.fromkeys(
    ("dataset", "share", "start", "keep_heads", "base_lr", "momentum", "weight_decay", "explosion")
)


def check_foreseen(plan: Plan, cells: Iterable[Cell]) -> None:
    """Check that networks can be built and trained, and that what is asked of them has an answer.

    Raises
    ------
    StudyError
        A network cannot be built for its dataset, or its rate cannot follow its plateaus; a
        sentence is about a task that its networks lack; there is no folder of images to draw.
    ValueError
        A dataset cannot be used.
    """
    _check_networks(cells)
    _check_sentences(plan)
    _check_images(plan)


def _check_networks(cells: Iterable[Cell]) -> None:
    """Build every network once, in memory, where its dataset is there already."""
    seen = set()
    for cell in cells:
        trained = cell.trained
        if trained is None or cell.steps[0].is_done or not trained.source.exists():
            continue
        # A network is built once for all rates and starts: a map has hundreds of these.
        key = (trained.variant, trained.source, replace(trained.settings, **OF_EACH_TRAINING))
        if key not in seen:
            seen.add(key)
            spec = spec_of(trained)
            try:
                files = network_files(spec)
                if spec.variant.row.is_trained:
                    _check_plateau(trained, files[spec.solver], files[spec.train_val])
            except ValueError as error:
                raise StudyError(f"networks.{trained.network}: {error}") from None


def _check_plateau(cell: Trained, solver: str, net: str) -> None:
    given = cell.settings.plateau
    plateau = TrainingOptions().plateau if given is None else given
    if plateau != "train" or cell.settings.drops:  # which need no look at the network
        check_plateau(plateau, parse_solver(solver), parse_net(net))


def _check_images(plan: Plan) -> None:
    """See that there is the folder whose images are drawn; they come with the dataset."""
    report = plan.study.report
    drawn = plan.cells[report.draw].trained if report.draw in plan.cells else None
    if drawn and report.images and drawn.source.exists() and not Path(report.images).is_dir():
        raise StudyError(
            f"{plan.file}: report.images: no folder {report.images}: name that of the images in"
            f" {drawn.source.with_name('records.csv')}, or omit it"
        )


# ---- sentences ----------------------------------------------------------------------------------


def _check_sentences(plan: Plan) -> None:
    """See that each sentence is about tasks that its networks have, wherever it is asked."""
    for index, sentence in enumerate(plan.study.sentences):
        shared = []
        for tasks in _tasks_of(plan, sentence):
            for task in _named(sentence):
                if task not in tasks:
                    raise StudyError(
                        f"{plan.file}: sentences[{index}]: no task {task!r} that its networks have"
                        f" in common: {_choose(tasks)}"
                    )
            shared.append(len(tasks))
        least = 2 if isinstance(sentence, LargestGain) else 1
        if shared and max(shared) < least:
            raise StudyError(
                f"{plan.file}: sentences[{index}]: its networks have"
                f" {'no task' if least == 1 else 'only one task'} in common, so there is nothing to"
                " compare: name others"
            )


def _choose(tasks: Tasks) -> str:
    return f"choose from {', '.join(tasks)}" if tasks else "they have none"


def _named(sentence: AnySentence) -> tuple[str, ...]:
    match sentence:
        case Difference(tasks=tasks):
            return tasks
        case OrderOfTasks(easier=easier, harder=harder):
            return easier, harder
        case LargestGain(task=task):
            return (task,)
        case _:
            return ()


def _tasks_of(plan: Plan, sentence: AnySentence) -> Iterator[Tasks]:
    """Yield, for each place of the axes, the tasks that all groups of a sentence have there."""
    match sentence:
        case Difference(better=better, worse=worse) | LargestGain(better=better, worse=worse):
            together: list[tuple[str, ...]] = [(better, worse)]
        case OrderOfTasks(groups=groups):
            together = [(group,) for group in groups]
        case _:
            return
    one_seed = {
        (each.network, *each.labels.items()): each for c in plan.deciding if (each := c.trained)
    }
    known: dict[tuple[str, Path], Tasks | None] = {}
    for setting in settings_of(plan.study):
        here = [c for c in one_seed.values() if c.labels.items() <= setting.items()]
        for groups in together:
            found = [_tasks(plan, group, here, known) for group in groups]
            if all(each is not None for each in found):
                first, *others = [each for each in found if each is not None]
                yield {task: None for task in first if all(task in each for each in others)}


def _tasks(
    plan: Plan,
    group: str,
    here: Iterable[Trained],
    known: dict[tuple[str, Path], Tasks | None],
) -> Tasks | None:
    """Return a group's tasks at a place; None where a dataset of it is not there."""
    found: Tasks = {}
    for cell in here:
        if cell.network in groups_of(plan.study)[group]:
            key = (cell.network, cell.source)
            if key not in known:
                there = cell.source.exists()
                known[key] = dict.fromkeys(spec_of(cell).variant.tasks) if there else None
            if (tasks := known[key]) is None:
                return None
            found |= tasks
    return found
