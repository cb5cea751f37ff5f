"""What the report of a study tells, computed once: for its README.md, and for its page."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netgen.figures.page.text_table import Table
from netgen.paper.implied import chance
from netgen.pipeline.reporting.answer import CORRECTIONS, Answer, answer
from netgen.pipeline.reporting.inside import sum_rows
from netgen.pipeline.reporting.sentences import Findings, findings
from netgen.pipeline.reporting.so_far import so_far
from netgen.pipeline.reporting.study_places import Place, columns_of, place_of
from netgen.pipeline.reporting.study_tables import Costs, sums, tables_of, trials
from netgen.pipeline.running.records import DatasetFacts, StudyResults, best, means
from netgen.pipeline.study.study_file import Study
from netgen.pipeline.study.study_plan import Plan
from netgen.system.text import listed

MOST_DIVERGED = 12  # trainings that are named


@dataclass(frozen=True)
class Told:
    """What a report tells of a study.

    Attributes
    ----------
    command
        What runs the study, with the words that changed it.
    facts
        How it was made: pairs of a name and a value in Markdown.
    found
        All findings.
    so_far
        Of a study that is not finished, what is done and what is not asked yet, in Markdown; "" of
        one that is.
    answer
        What it opens with.
    rule
        How verdicts follow from intervals, in words.
    places
        Those with results.
    costs
        Those of each network.
    sums, trials
        How large what blocks add is, and how settings were chosen; None without.
    """

    study: Study
    results: StudyResults
    command: str
    facts: list[tuple[str, str]]
    found: Findings
    so_far: str
    answer: Answer | None
    rule: str
    places: list[Place]
    costs: dict[str, Costs]
    sums: Table | None
    trials: Table | None

    def tables(self, place: Place) -> list[Table]:
        """Return a place's tables, accuracies first."""
        return tables_of(place, self.costs)

    def again(self, cell: str) -> str:
        """Return the command that repeats a cell alone, in a folder of its own."""
        return f"{self.command} {shlex.join(('--only', cell, '--work', f'runs/{cell}'))}"


def told(plan: Plan, results: StudyResults, changes: str = "") -> Told:
    """Return what there is to tell of a study by its results.

    `changes` are the words of the command line that changed the study.

    Raises
    ------
    StudyError
        A sentence is about a task that the results lack.
    """
    study = plan.study
    found = findings(study, results)
    places = [place_of(study, results, setting, here) for setting, here in found.places]
    places = [place for place in places if place.rows]
    rows = sum_rows(study, results)
    unfinished = so_far(plan, results, found)
    command = (study.command or f"netgen study run {shlex.quote(plan.file.as_posix())}") + changes
    return Told(
        study=study,
        results=results,
        command=command,
        facts=_facts(results, command),
        found=found,
        so_far=unfinished,
        answer=answer(study, found, finished=not unfinished),
        rule=_rule(study, found, places),
        places=places,
        costs={c.network: (c.parameters, c.multiply_adds) for c in results.deciding},
        sums=sums(rows) if rows else None,
        trials=_trials(study, results),
    )


def _rule(study: Study, found: Findings, places: Sequence[Place]) -> str:
    alone = "With one seed there are no intervals, and nothing is decided. "
    return (
        'A contrast is positive if the sentence holds. "Seen here" means that the 95% intervals of'
        ' all contrasts of a sentence are above zero, "not seen here" that one of them is below'
        f' zero, and "undecided" anything else. {alone if places and places[0].seeds == 1 else ""}'
        f"These are {found.comparisons} comparisons, {CORRECTIONS[study.report.correction]}."
    )


def _trials(study: Study, results: StudyResults) -> Table | None:
    """Return how settings were chosen."""
    choose, found = study.choose, means(results.trials)
    if choose is None or not found:
        return None
    chosen = best(found, [label for label in choose.among if label in found])
    rule = (
        "Top-1 accuracies on images that are not among the test images, in percent. The rule, fixed"
        " before: the best mean over these networks, their tasks and seeds; that is"
        f" {chosen}, and the networks have {choose.chosen or 'none yet'}."
    )
    tasks = list(dict.fromkeys(task for task, _ in columns_of(results.trials)))
    return trials(results.trials, found, tasks, rule)


def _facts(results: StudyResults, command: str) -> list[tuple[str, str]]:
    versions = next((cell.versions for cell in results.deciding if cell.versions), {})
    seconds = results.seconds
    return [
        ("command", f"`{command}`"),
        ("definition", "[study.toml](study.toml)"),
        ("commit", ", ".join(results.commits)),
        ("versions", ", ".join(_version(*item) for item in versions.items())),
        ("machine", f"{results.machine}; {_side_by_side(results.jobs)}"),
        ("time", f"{seconds:,.0f} seconds ({seconds / 60:.0f} minutes)"),
        *((name, _dataset(facts)) for name, facts in results.datasets.items()),
        *_diverged(results),
    ]


def _diverged(results: StudyResults) -> Iterator[tuple[str, str]]:
    """Tell which trainings diverged, and how they count."""
    if found := [f"{cell.name} (at {cell.diverged})" for cell in results.cells if cell.diverged]:
        told = listed(found, MOST_DIVERGED)
        yield "diverged", f"{told}: they count as classifying no image correctly"


def _side_by_side(jobs: int) -> str:
    if jobs == 1:
        return "one training at a time, with one thread"
    return f"{jobs} trainings side by side, one thread each"


def _dataset(facts: DatasetFacts) -> str:
    guessing = ", ".join(
        f"{chance(classes, 1):.1%} for {task}" for task, classes in facts.tasks.items()
    )
    images = f"{facts.trained:,} training and {facts.tested:,} test images"
    return f"{images}; chance is {guessing}"


def _version(name: str, version: str) -> str:
    return f"{name} {version.removeprefix(f'{name} version ')}"
