"""Makes the cells of a study: a network at each seed and place of its axes, and its databases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netgen.pipeline.study.cell_steps import Device, data_step, network_steps, row_of, start_of
from netgen.pipeline.study.cells import Cell, CellFiles, Trained
from netgen.pipeline.study.study_file import Network, Study, StudyDataset, seeds_of
from netgen.pipeline.study.study_settings import PUBLISHED, Settings, StudyError

LONGEST_CELL = 200  # letters of a cell's name: its files have this name and an ending


def cells_of(study: Study, work: Path, device: Device) -> dict[str, Cell]:
    """Return a study's cells by name, in no order; their files are below `work`.

    Raises
    ------
    StudyError
        Cells have the same name or place; a network starts from one that has no cell for it.
    """
    return _Planner(study, work, device).cells()


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
        if len(cell.name) > LONGEST_CELL:
            raise StudyError(
                f"a cell has a name of {len(cell.name)} letters, {cell.name[:40]}…: give its"
                f" network or its labels shorter names, {LONGEST_CELL} letters together"
            )
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
        trained = Trained(
            name, network.variant, seed, labels, trial, settings, dataset, source, network.classes,
            self.files(whole, network), name in self.study.report.inside,
            self.may_diverge(name),
        )  # fmt: skip
        fillers = seed if "fillers" in self.study.varies else None
        try:
            start, start_needs = self.start(trained)
            steps = tuple(network_steps(trained, start, self.device, fillers))
        except StudyError as error:
            raise StudyError(f"networks.{name}: {error}") from None
        return Cell(whole, (*data_needs, *start_needs), steps, trained)

    def may_diverge(self, name: str) -> bool:
        """Return whether a network's trainings that diverge count: of one to start from, never."""
        study = self.study
        labels = (label for of in study.axes.values() for label in of.values())
        given = (study.recipe, *study.networks.values(), *labels)
        return study.diverged == "counts" and all(name != each.start for each in given)

    def files(self, cell: str, network: Network) -> CellFiles:
        root = Path() if self.study.together else self.work / "cells" / cell
        return CellFiles(root, network.variant)

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
        return self.files(whole, network), (whole,)

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
