"""What the command line changes of a study."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from netgen.pipeline.study.study_file import Study
from netgen.pipeline.study.study_settings import StudyError


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
