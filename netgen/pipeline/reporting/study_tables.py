"""The tables of a study's report, as texts: for its README.md, and for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netgen.figures.page.text_table import Column, Table
from netgen.pipeline.reporting.inside import SumRow
from netgen.pipeline.reporting.sentences import NetworkComparison
from netgen.pipeline.reporting.statistics import Mean
from netgen.pipeline.reporting.study_places import Place, ReportDifference, ReportRow
from netgen.pipeline.running.records import CellRecord

Costs = tuple[int, int]  # parameters, multiply-adds
COSTS = (Column("parameters", True), Column("multiply-adds, millions", True))


def tables_of(place: Place, costs: Mapping[str, Costs]) -> list[Table]:
    """Return a place's tables, accuracies first; `costs` are those of each network."""
    found = [accuracies(place.rows, place.columns)]
    if place.differences:
        found.append(differences(place.differences, place.tasks))
    if place.comparisons:
        found.append(variations(place.comparisons, place.tasks, costs))
    return found


def accuracies(rows: Sequence[ReportRow], columns: Sequence[tuple[str, int]]) -> Table:
    """Return the accuracies and the costs of each group; `columns` are tasks and guesses."""
    return Table(
        "Accuracies",
        "On the test images, in percent: mean over seeds (Student's 95% interval). The minutes are"
        " those of a training that ran beside others; for several networks, of all together.",
        [
            Column("network"),
            *(Column(f"{task} top-{k}") for task, k in columns),
            *COSTS,
            Column("minutes", True),
        ],
        [
            [
                row.name,
                *(cell.interval if cell else "" for cell in row.cells),
                *_costs((row.parameters, row.multiply_adds)),
                f"{row.seconds / 60:.1f}",
            ]
            for row in rows
        ],
    )


def differences(rows: Sequence[ReportDifference], tasks: Sequence[str]) -> Table:
    """Return the differences that the study names, per task."""
    return Table(
        "Differences, paired by seed",
        "Networks with the same seed see the same images in the same order. Differences are in"
        " percentage points. The p-values are of two-sided paired t-tests, not corrected for the"
        ' number of tests. "Seeds": how many would decide a true difference of half a point with'
        " 90% power, by the deviation seen so far.",
        [
            Column("difference"),
            *(
                column
                for task in tasks
                for column in (Column(f"{task} top-1"), Column("p", True), Column("seeds", True))
            ),
        ],
        [
            [
                row.name,
                *(
                    text
                    for mean, seeds in zip(row.means, row.seeds, strict=True)
                    for text in (*_tested(mean), str(seeds or ""))
                ),
            ]
            for row in rows
        ],
    )


def _tested(mean: Mean | None) -> tuple[str, str]:
    return (mean.signed, mean.probability) if mean else ("", "")


def variations(
    found: Sequence[NetworkComparison], tasks: Sequence[str], costs: Mapping[str, Costs]
) -> Table:
    """Return each network that is compared with others in a table of its own."""
    return Table(
        "Variations, each compared with another network",
        "Values are differences in percentage points from the network in the column"
        ' "compared with".',
        [
            Column("network"),
            Column("what it is"),
            Column("compared with"),
            Column("seeds", True),
            *(Column(f"{task} top-1") for task in tasks),
            *COSTS,
        ],
        [
            [
                each.name,
                each.network.about,
                each.against,
                str(each.seeds),
                *(
                    each.differences[task].signed if task in each.differences else ""
                    for task in tasks
                ),
                *_costs(costs[each.name]),
            ]
            for each in found
        ],
    )


def sums(rows: Sequence[SumRow]) -> Table:
    """Return how large what blocks add is."""
    named = any(row.slice for row in rows)
    return Table(
        "What blocks add",
        "Root mean squares over the test images of what a block of a task's adds (equation 2), by"
        ' the trained networks: means over tasks and seeds. "Another task\'s" is one such shortcut,'
        " weighted; the sum is after its ReLU, with its range.",
        [
            *([Column("place")] if named else []),
            Column("network"),
            Column("block"),
            Column("own shortcut", True),
            Column("branch", True),
            Column("another task's", True),
            Column("sum"),
        ],
        [
            [
                *([row.slice] if named else []),
                row.network,
                f"res{row.block}",
                f"{row.own:.3g}",
                f"{row.branch:.3g}",
                "" if row.cross is None else f"{row.cross:.3g}",
                "{:.3g} ({:.3g} to {:.3g})".format(*row.after),
            ]
            for row in rows
        ],
    )


def trials(
    cells: Sequence[CellRecord], means: Mapping[str, float], tasks: Sequence[str], rule: str
) -> Table:
    """Return the cells that choose settings; `rule` says how."""
    return Table(
        "How settings were chosen",
        rule,
        [
            Column("settings"),
            Column("network"),
            Column("seed", True),
            *(Column(f"{task} top-1", True) for task in tasks),
            Column("mean of the settings", True),
        ],
        [
            [
                str(cell.trial),
                ", ".join((cell.network, *cell.labels.values())),
                str(cell.seed),
                *(f"{cell.accuracy(task):.2f}" if task in cell.tasks else "" for task in tasks),
                f"{means[str(cell.trial)]:.2f}",
            ]
            for cell in cells
        ],
    )


def _costs(costs: Costs) -> tuple[str, str]:
    parameters, multiply_adds = costs
    return f"{parameters:,}", f"{multiply_adds / 1e6:.1f}"
