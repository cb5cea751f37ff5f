"""The page of results: accuracies beside Table 2's, classes, confusions, images, cross weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from netgen import paper
from netgen.evaluation.result_table import AccuracyRow, accuracy_rows, engine_of, share_cells
from netgen.evaluation.results import TOP
from netgen.figures.page.confused import confusions
from netgen.figures.page.document import page
from netgen.figures.page.paged_results import PagedResult, SharedTask, shared_tasks
from netgen.figures.page.pictured import SharedImages
from netgen.figures.page.weight_charts import PagedWeights, weight_charts
from netgen.figures.predictions import percent


@dataclass(frozen=True)
class Solved:
    """A row of the table of accuracies: who solves which dataset's task, and how well.

    `network` is empty for what is the same for all of them: guessing. `classes` are the task's;
    None where only what was derived is of it.
    """

    network: str
    dataset: str
    row: AccuracyRow
    classes: int | None

    def cells(self, papers: bool) -> list[str]:
        """Return top-1 and top-5: value, interval; with `papers`, also printed, difference.

        Top-5 of at most five classes is no measure: every image is right.
        """
        most = 4 if papers else 2
        top1, top5 = (share_cells(self.row, place)[:most] for place in (0, 1))
        if self.classes is not None and self.classes <= TOP:
            top5 = ("–", *[""] * (most - 1))
        return [*top1, *top5]


def results_page(
    results: Sequence[PagedResult],
    weights: Sequence[PagedWeights] = (),
    images: Sequence[SharedImages] = (),
    command: str = "",
) -> str:
    """Return the page of results.

    Parameters
    ----------
    results
        At least one.
    weights
        Whose cross weights are shown.
    images
        Test images to show with what the networks say of them.
    command
        The command line that makes the page again.
    """
    every = shared_tasks(results)
    tasks = [task for task in every if task.task.of_class]
    confused = [confusions(task, every) for task in every]
    solved = _solved(results)
    charts = weight_charts(weights)
    papers = any(one.row.printed for one in solved)
    names = [one.name for one in results]
    return page(
        "results",
        f"Results: {', '.join(names)}" if len(names) < 5 else f"{len(names)} results",
        {
            "classes": [_class_counts(task) for task in tasks],
            "charts": [chart.data for chart in charts],
            "images": [of.data() for of in images],
        },
        ("tables", "results", "charts", "pictures"),
        results=results,
        engine=engine_of,
        solved=solved,
        several=len({one.result.dataset for one in results}) > 1,
        papers=papers,
        unmeasured=_unmeasured(solved) if papers else [],
        tasks=tasks,
        confusions=[one for one in confused if one.rows],
        charts=charts,
        pictures=images,
        percent=percent,
        top=TOP,
        command=command,
    )


def _solved(results: Sequence[PagedResult]) -> list[Solved]:
    """Return the rows of all results: network beside network at each task, then guessing."""
    rows = list(_rows(results))
    tasks = list(dict.fromkeys((one.dataset, one.row.task) for one in rows))
    return sorted(rows, key=lambda one: (tasks.index((one.dataset, one.row.task)), not one.network))


def _rows(results: Sequence[PagedResult]) -> Iterator[Solved]:
    """Yield the rows of each result; what is alike in all, as guessing is, once."""
    seen = set()
    for one in results:
        classes = {task.name: task.classes for task in one.result.tasks}
        for row in accuracy_rows(one.result):
            of = (one.result.dataset, row.task, row.by, row.shares)
            if row.is_guess and of in seen:
                continue
            seen.add(of)
            name = "" if row.is_guess else one.name
            yield Solved(name, one.result.dataset, row, classes.get(row.task))


def _unmeasured(solved: Sequence[Solved]) -> list[paper.Accuracies]:
    """Return the rows of Table 2 that no result here stands beside."""
    measured = {(one.row.task, one.row.printed) for one in solved}
    return [row for row in paper.TABLE_2 if (row.task, (row.top1, row.top5)) not in measured]


def _class_counts(task: SharedTask) -> dict[str, Any]:
    """Return what a page's program needs to compare networks: images, and right ones, by class."""
    return {
        "total": [of.total for of in task.task.of_class],
        "top1": [[of.top1 for of in result.of_class] for result in task.results],
    }
