"""A study as ``study.toml`` says it: datasets, networks, what is varied, compared and chosen.

The paper's Table 2 and its miniature are two committed studies, in ``experiments/``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from netgen.pipeline.study.study_settings import Name, Settings

Seed = Annotated[int, Meta(gt=0, le=2**31 - 1)]
Seeds = Annotated[int, Meta(gt=0, le=10_000)] | Annotated[tuple[Seed, ...], Meta(min_length=1)]
Labels = Annotated[dict[Name, Settings], Meta(min_length=1)]
Varied = Literal["order", "split", "fillers"]


class Network(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A network of a study: a variant of `netgen list`, and what differs from the recipe.

    Attributes
    ----------
    variant
        In `netgen list`.
    seeds
        How many, or which, if not the study's.
    axes
        The axes along which it varies, if not along all.
    group
        Networks of one group, each for other tasks, are compared as one.
    title
        The group's, or the network's, in the report.
    about
        What it is, and where it comes from.
    reported
        Whether it has a row in the report: a trunk that others start from needs none.
    against
        Groups that it is compared with, in a table of its own.
    classes
        For published weights with other outputs than the classes: the file of their names.
    """

    variant: str
    seeds: Seeds | None = None
    axes: tuple[Name, ...] | None = None
    group: Name | None = None
    title: str = ""
    about: str = ""
    reported: bool = True
    against: tuple[Name, ...] = ()
    classes: str | None = None


class StudyDataset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A dataset of a study: a dataset.toml, or the training images of another of its datasets.

    `make` is what makes the file, told where it is missing; `varies` as for the study.
    """

    file: Annotated[str, Meta(min_length=1)] | None = None
    training_of: Name | None = None
    make: str = ""
    varies: tuple[Varied, ...] | None = None


class Choice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Settings that are tried before the test images are read, and the rule that chooses.

    That with the best mean, over these networks, their tasks and seeds, of top-1 accuracy is to be
    `chosen`; the networks of the study get it then. Without `chosen`, only the trials are made.

    `dataset` is that of all trials; or there are trials at every place of the axes, and it has, for
    each dataset of the study there, the one that they are made on.
    """

    networks: Annotated[tuple[Name, ...], Meta(min_length=1)]
    dataset: Name | dict[Name, Name]
    among: Labels
    seeds: Seeds = (1,)
    chosen: Name | None = None


# ---- what is compared: each sentence is contrasts that are positive if it holds -----------------


class Sentence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """A sentence: the paper's (`claim`, an id of `netgen audit`) or one's own (`says`)."""

    claim: str | None = None
    says: str = ""
    about: str = ""


class Difference(Sentence, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="difference"):
    """``share x better - worse + plus`` on each of these tasks, by default on all of both."""

    better: Name
    worse: Name
    share: Annotated[float, Meta(gt=0, le=100)] = 1.0
    plus: Annotated[float, Meta(ge=-100, le=100)] = 0.0
    tasks: tuple[str, ...] = ()


class OrderOfTasks(Sentence, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="order"):
    """``easier - harder``, two tasks, of each of these groups."""

    easier: str
    harder: str
    groups: Annotated[tuple[Name, ...], Meta(min_length=1)]


class LargestGain(Sentence, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="gain"):
    """The relative gain of `better` over `worse` on `task`, less that on each other task."""

    better: Name
    worse: Name
    task: str


class Signs(Sentence, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="signs"):
    """The share of a network's cross weights that are not negative, less one half."""

    network: Name


AnySentence = Difference | OrderOfTasks | LargestGain | Signs


class Report(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What a report has beside its tables.

    Attributes
    ----------
    notes
        Paragraphs in Markdown on how it was made.
    draw
        The cell whose cross weights and predictions are drawn, as in Figures 5 and 6.
    images
        The folder of the images that its dataset's records.csv names, for the predictions.
    differences
        Pairs of groups whose difference is a row.
    curves
        The groups whose learning curves are drawn; by default none.
    inside
        The networks of which it tells what goes on inside: how large what their blocks add is, and
        what becomes of their cross weights, from all snapshots.
    correction
        How intervals and p-values of sentences take account of their number: not at all, so that
        all hold at once (Bonferroni), or so that 5% of what is seen or not seen is expected to be
        wrong (Benjamini and Hochberg).
    """

    notes: tuple[str, ...] = ()
    draw: Name | None = None
    images: str | None = None
    differences: tuple[tuple[Name, Name], ...] = ()
    curves: tuple[Name, ...] = ()
    inside: tuple[Name, ...] = ()
    correction: Literal["none", "bonferroni", "benjamini-hochberg"] = "none"


class Study(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A study: everything that decides which commands are run, and what their results answer.

    Attributes
    ----------
    name, title, about
        Its name, and the head of its report.
    command
        What runs it, in the report; by default `netgen study run` and the file.
    work
        The folder of its databases, trainings and results; by default runs/NAME.
    together
        Whether networks are put where the commands put them by default, models/NAME, runs/NAME and
        results/NAME.json of the current folder, instead of a folder for each cell.
    weights
        The folder of the published caffemodels.
    solver_mode
        Where networks are trained, unless the command line says so.
    seeds
        How many, or which.
    varies
        What differs between seeds: the order of the images, the split, the fillers.
    recipe
        The settings of all networks.
    axes
        Axis -> label -> settings: every network that has the axis is trained with each.
    diverged
        What becomes of a network whose training diverged (see `netgen.training.health`): its cell
        fails, or counts as that of a network that classifies no image correctly. One that others
        start from always fails.
    """

    name: Name
    title: str = ""
    about: str = ""
    command: str | None = None
    work: str | None = None
    together: bool = False
    weights: str = "weights"
    solver_mode: Literal["cpu", "gpu"] = "gpu"
    seeds: Seeds = 1
    varies: tuple[Varied, ...] = ("order", "fillers")
    datasets: Annotated[dict[Name, StudyDataset], Meta(min_length=1)]
    recipe: Settings = Settings()
    networks: Annotated[dict[Name, Network], Meta(min_length=1)]
    axes: dict[Name, Labels] = {}
    diverged: Literal["fails", "counts"] = "fails"
    choose: Choice | None = None
    sentences: tuple[AnySentence, ...] = ()
    report: Report = Report()


def groups_of(study: Study) -> dict[str, list[str]]:
    """Return the networks of each group, in the study's order; most are a group of their own."""
    groups: dict[str, list[str]] = {}
    for name, network in study.networks.items():
        groups.setdefault(network.group or name, []).append(name)
    return groups


def seeds_of(seeds: Seeds) -> tuple[int, ...]:
    """Return the seeds themselves: 3 are 1, 2, 3."""
    return tuple(range(1, seeds + 1)) if isinstance(seeds, int) else seeds


def settings_of(study: Study) -> list[dict[str, str]]:
    """Return every place in the grid of a study's axes, axis -> label; one where it has none."""
    found: list[dict[str, str]] = [{}]
    for axis, labels in study.axes.items():
        found = [{**each, axis: label} for each in found for label in labels]
    return found


def title_of(study: Study, group: str) -> str:
    """Return a group's title: the first that a network of it has, or its name."""
    titles = [study.networks[name].title for name in groups_of(study)[group]]
    return next((title for title in titles if title), group)
