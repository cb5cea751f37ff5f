"""The plan of a study: its cells, and which depends on which."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import msgspec

from netgen.pipeline.cells import (
    Cell,
    CellFiles,
    Device,
    Trained,
    data_step,
    network_steps,
    row_of,
    start_of,
)
from netgen.pipeline.study_file import (
    PUBLISHED,
    Network,
    Settings,
    Study,
    StudyDataset,
    StudyError,
    seeds_of,
)
from netgen.pipeline.study_reading import read_study

MOST_SHOWN = 12  # names of cells in a message


@dataclass(frozen=True)
class Plan:
    """A study's cells by name, each after those that it depends on; `work` is its folder."""

    study: Study
    file: Path
    work: Path
    cells: dict[str, Cell]

    @property
    def deciding(self) -> list[Cell]:
        """The networks that the study is about."""
        return [c for c in self.cells.values() if c.trained and c.trained.trial is None]

    @property
    def trials(self) -> list[Cell]:
        """The networks that choose settings."""
        return [c for c in self.cells.values() if c.trained and c.trained.trial is not None]

    @property
    def wanted(self) -> list[Cell]:
        """The networks to make when none is named: the trials, until their rule has chosen."""
        choose = self.study.choose
        return self.trials if choose and choose.chosen is None else self.deciding

    def named(self, names: Collection[str]) -> list[Cell]:
        """Return the cells with these names.

        Raises
        ------
        StudyError
            There is none of a name; the message has those like it.
        """
        for name in names:
            if name not in self.cells:
                close = difflib.get_close_matches(name, self.cells, n=1)
                hint = f"do you mean {close[0]!r}?" if close else "`netgen study plan` lists them"
                raise StudyError(f"{self.file}: no cell {name!r}: {hint}")
        return [self.cells[name] for name in dict.fromkeys(names)]

    def with_needs(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return cells and those that they depend on and that are not done, in the plan's order."""
        found: set[str] = set()
        waiting = list(cells)
        while waiting:
            cell = waiting.pop()
            if cell.name not in found:
                found.add(cell.name)
                # What a cell that is done has come from may have been removed.
                needs = () if cell.is_done else cell.needs
                waiting += [n for n in map(self.cells.__getitem__, needs) if not n.is_done]
        return [cell for cell in self.cells.values() if cell.name in found]


@dataclass(frozen=True)
class Changes:
    """What the command line changes of a study; None leaves it.

    Attributes
    ----------
    seeds
        How many; networks with fewer keep theirs.
    iterations
        Of the recipe; networks with a length of their own keep its proportion.
    work
        The folder of its databases, trainings and results.
    weights, classes
        The folder of the published caffemodels, and the file of DeepSentiBank's outputs.
    data
        The folder of all its datasets, instead of the one that they have in common.
    """

    seeds: int | None = None
    iterations: int | None = None
    work: Path | None = None
    weights: Path | None = None
    classes: Path | None = None
    data: Path | None = None


def plan_study(
    file: Path, changes: Changes | None = None, gpu: int | None = None, mode: str | None = None
) -> Plan:
    """Read a study and return its plan, for a GPU, or for a solver mode other than the study's.

    Raises
    ------
    StudyError
        It cannot be read; cells depend on each other in a circle, have the same name or place; a
        network starts from one that has no cell for it.
    """
    study = changed(read_study(file), changes or Changes())
    device = Device(gpu, mode or ("gpu" if gpu is not None else study.solver_mode))
    work = Path(study.work or f"runs/{study.name}")
    try:
        cells = _Planner(study, work, device).cells()
        order = TopologicalSorter({name: cell.needs for name, cell in cells.items()}).static_order()
        return Plan(study, file, work, {name: cells[name] for name in order})
    except CycleError as error:
        circle = " after ".join(error.args[1])
        raise StudyError(f"{file}: cells depend on each other in a circle: {circle}") from None
    except StudyError as error:
        raise StudyError(f"{file}: {error}") from None


def changed(study: Study, changes: Changes) -> Study:
    """Return a study with changes."""
    replace = msgspec.structs.replace
    networks = dict(study.networks)
    datasets = dict(study.datasets)
    recipe = study.recipe
    if changes.classes:
        networks = {
            name: replace(each, classes=str(changes.classes)) if each.classes else each
            for name, each in networks.items()
        }
    if changes.iterations is not None:
        if recipe.iterations is None:
            raise StudyError(f"{study.name} has no iterations to change: omit --iterations")
        scale = changes.iterations / recipe.iterations
        recipe = replace(recipe, iterations=changes.iterations)
        networks = {
            name: replace(each, iterations=max(1, round(each.iterations * scale)))
            if each.iterations
            else each
            for name, each in networks.items()
        }
    if changes.seeds is not None:
        networks = {
            name: replace(each, seeds=min(each.seeds, changes.seeds))
            if isinstance(each.seeds, int)
            else each
            for name, each in networks.items()
        }
    if changes.data is not None:
        files = [Path(each.file) for each in datasets.values() if each.file]
        shared = Path(*_shared([file.parent.parts for file in files]))
        datasets = {
            name: replace(each, file=str(changes.data / Path(each.file).relative_to(shared)))
            if each.file
            else each
            for name, each in datasets.items()
        }
    return replace(
        study,
        networks=networks,
        datasets=datasets,
        recipe=recipe,
        seeds=changes.seeds or study.seeds,
        work=str(changes.work) if changes.work else study.work,
        weights=str(changes.weights) if changes.weights else study.weights,
    )


def _shared(paths: Sequence[Sequence[str]]) -> list[str]:
    """Return the folders that all paths begin with, less the last of one that is alone."""
    if len(paths) == 1:
        return list(paths[0][:-1])
    level = itertools.takewhile(lambda each: len(set(each)) == 1, zip(*paths, strict=False))
    return [names[0] for names in level]


@dataclass
class _Planner:
    """Makes the cells of a study."""

    study: Study
    work: Path
    device: Device

    def cells(self) -> dict[str, Cell]:
        self.made: dict[str, Cell] = {}
        for name, network in self.study.networks.items():
            for seed in self.seeds(network):
                for labels in self.labels(network):
                    self.add(self.network(name, seed, labels, None))
        if choose := self.study.choose:
            for label in choose.among:
                for name in choose.networks:
                    for seed in seeds_of(choose.seeds):
                        for labels in self.trial_labels(self.study.networks[name]):
                            self.add(self.network(name, seed, labels, label))
        self.check_places()
        return self.made

    def add(self, cell: Cell) -> str:
        if self.made.setdefault(cell.name, cell) != cell:
            raise StudyError(f"two cells have the name {cell.name}: rename a network or a label")
        return cell.name

    def seeds(self, network: Network) -> tuple[int, ...]:
        return seeds_of(self.study.seeds if network.seeds is None else network.seeds)

    def axes(self, network: Network) -> tuple[str, ...]:
        return tuple(self.study.axes) if network.axes is None else network.axes

    def labels(self, network: Network) -> Iterator[dict[str, str]]:
        axes = self.axes(network)
        for labels in itertools.product(*(self.study.axes[axis] for axis in axes)):
            yield dict(zip(axes, labels, strict=True))

    def trial_labels(self, network: Network) -> Iterator[dict[str, str]]:
        """Yield the places of the axes at which there are trials of a network."""
        return self.labels(network) if self.tries_places else iter(({},))

    @property
    def tries_places(self) -> bool:
        return self.study.choose is not None and isinstance(self.study.choose.dataset, dict)

    # ---- networks ----

    def name(self, name: str, seed: int, labels: dict[str, str], trial: str | None) -> str:
        chosen = () if trial is None else ("choose", trial)
        number = () if self.study.together else (str(seed),)  # else there is only one
        return "-".join((*chosen, name, *labels.values(), *number))

    def settings(self, name: str, labels: dict[str, str], trial: str | None) -> Settings:
        study, choose = self.study, self.study.choose
        found = study.recipe
        if choose and (label := choose.chosen if trial is None else trial):
            found = choose.among[label].over(found)
        found = study.networks[name].over(found)
        for axis, label in labels.items():
            found = study.axes[axis][label].over(found)
        if choose and trial is not None and not isinstance(choose.dataset, dict):
            found = Settings(dataset=choose.dataset).over(found)
        if found.dataset is None:
            if len(study.datasets) > 1:
                raise StudyError(f"{name}: name one of the datasets: {', '.join(study.datasets)}")
            found = Settings(dataset=next(iter(study.datasets))).over(found)
        if choose and trial is not None and isinstance(choose.dataset, dict):
            if found.dataset not in choose.dataset:
                raise StudyError(f"choose.dataset: none for {found.dataset}, which {name} has")
            found = Settings(dataset=choose.dataset[found.dataset]).over(found)
        return found

    def network(self, name: str, seed: int, labels: dict[str, str], trial: str | None) -> Cell:
        network = self.study.networks[name]
        settings = self.settings(name, labels, trial)
        whole = self.name(name, seed, labels, trial)
        dataset, source, data_needs = self.data(str(settings.dataset), seed, settings.share)
        root = Path() if self.study.together else self.work / "cells" / whole
        files = CellFiles(root, network.variant)
        trained = Trained(
            name, network.variant, seed, labels, trial, settings, dataset, source, network.classes,
            files, name in self.study.report.inside,
        )  # fmt: skip
        fillers = seed if "fillers" in self.study.varies else None
        try:
            start, start_needs = self.start(trained)
            steps = tuple(network_steps(trained, start, self.device, fillers))
        except StudyError as error:
            raise StudyError(f"networks.{name}: {error}") from None
        return Cell(whole, (*data_needs, *start_needs), steps, trained)

    def start(self, cell: Trained) -> tuple[CellFiles | Path | None, tuple[str, ...]]:
        """Return what a cell starts from, and the cell that it depends on for it."""
        row = row_of(cell.variant)
        if cell.settings.start == PUBLISHED:
            return Path(self.study.weights) / row.weights, ()
        name = start_of(cell.settings)
        if name is None:
            return None, ()
        network = self.study.networks[name]
        seeds, axes = self.seeds(network), self.axes(network)
        seed = cell.seed if cell.seed in seeds else seeds[0]
        trial = cell.trial if self.study.choose and name in self.study.choose.networks else None
        here = trial is None or self.tries_places
        lacking = [axis for axis in axes if axis not in cell.labels] if here else []
        if lacking or (seed != cell.seed and len(seeds) > 1):
            what = f"seed {cell.seed}" if not lacking else f"no {', '.join(lacking)}"
            raise StudyError(
                f"starts from {name}, of which it is not clear which cell ({what}): give both the"
                f" same axes and seeds, or {name} one seed and axes = []"
            )
        labels = {axis: cell.labels[axis] for axis in axes} if here else {}
        whole = self.name(name, seed, labels, trial)
        root = Path() if self.study.together else self.work / "cells" / whole
        return CellFiles(root, network.variant), (whole,)

    def check_places(self) -> None:
        """Refuse cells that would write the same files."""
        places: dict[Path, str] = {}
        for cell in self.made.values():
            if cell.trained:
                other = places.setdefault(cell.trained.files.result, cell.name)
                if other != cell.name:
                    raise StudyError(
                        f"{other} and {cell.name} would both write {cell.trained.files.result}:"
                        " omit together = true"
                    )

    # ---- databases ----

    def data(self, name: str, seed: int, share: float | None) -> tuple[Path, Path, tuple[str, ...]]:
        """Return a seed's dataset, the file that it comes from, and the cells that make it."""
        dataset = self.study.datasets[name]
        varies = self.study.varies if dataset.varies is None else dataset.varies
        file, source, needs = self.base(name, dataset)
        if "split" in varies or "order" in varies:
            split = "keep"
            if "split" in varies:
                split = "anew" if dataset.training_of is None else "training"
                if dataset.training_of is not None:
                    file, source, needs = self.base(dataset.training_of)
            file, needs = self.resampled(f"{name}-{seed}", file, needs, seed, split)
        if share not in (None, 1.0):
            less = f"{name}-{seed}-share{share:g}"
            file, needs = self.resampled(less, file, needs, seed, "keep", share)
        return file, source, needs

    def base(
        self, name: str, dataset: StudyDataset | None = None
    ) -> tuple[Path, Path, tuple[str, ...]]:
        dataset = dataset or self.study.datasets[name]
        if dataset.training_of is None:
            file = Path(str(dataset.file))
            return file, file, ()
        file, source, needs = self.base(dataset.training_of)
        made, needs = self.resampled(name, file, needs, 0, "training")
        return made, source, needs

    def resampled(
        self,
        name: str,
        base: Path,
        needs: tuple[str, ...],
        seed: int,
        split: str,
        share: float | None = None,
    ) -> tuple[Path, tuple[str, ...]]:
        out = self.work / "data" / name
        step = data_step(base, out, seed, split, share)
        return out / "dataset.toml", (self.add(Cell(f"data-{name}", needs, (step,))),)
