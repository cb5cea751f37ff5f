"""A result as a table: each task with its values in Table 2, and simple baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from netgen import paper
from netgen.evaluation.results import (
    TOP,
    Accuracy,
    Confusion,
    Proportion,
    Result,
    SumScale,
    TaskResult,
)
from netgen.evaluation.scoring import ENGINES
from netgen.evaluation.tally import MARGIN
from netgen.network.dataset import MTVSO
from netgen.paper.implied import chance

CONFUSIONS = 3  # per task
# What solves a task.
NETWORK, PRIOR = "the network", "always the most frequent"
CHANCE = "chance, as Table 2 counts it"
Cells = tuple[str, ...]


def print_result(console: Console, result: Result) -> None:
    """Print the result of an evaluation."""
    console.print(
        f"{result.variant} on {result.dataset}: {result.records:,} test images, each once;"
        f" {result.parameters:,} parameters; scores by {engine_of(result)}\n"
    )
    rows = list(accuracy_rows(result))
    papers = any(row.printed for row in rows)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("task")
    table.add_column("by")
    for k in ("top-1", "top-5"):
        table.add_column(k, justify="right")
        table.add_column("95% interval", justify="right")
        if papers:
            table.add_column("Table 2", justify="right")
            table.add_column("difference", justify="right")
    task = ""
    for row in rows:
        shares = [share_cells(row, place)[: 4 if papers else 2] for place in (0, 1)]
        table.add_row("" if row.task == task else row.task, row.by, *shares[0], *shares[1])
        task = row.task
    console.print(table, soft_wrap=not console.is_terminal)
    if result.sums:
        console.print(_sums(result.sums), soft_wrap=not console.is_terminal)
    for line in _notes(result):
        console.print(line, soft_wrap=True)


def _sums(sums: Sequence[SumScale]) -> Table:
    """Return how large what each block adds is, as a table."""
    title = "\nRoot mean squares over the test images of what is added"
    table = Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left")
    table.add_column("block")
    table.add_column("task")
    for column in ("own shortcut", "branch", "other tasks' shortcuts", "sum, after its ReLU"):
        table.add_column(column, justify="right")
    for each in sums:
        cross = ", ".join(f"{value:.3g}" for value in each.cross)
        own, branch, after = (f"{value:.3g}" for value in (each.own, each.branch, each.after))
        table.add_row(f"res{each.block}", each.task, own, branch, cross, after)
    return table


def engine_of(result: Result) -> str:
    """Return the engine of a result's scores, with its version."""
    version = result.versions.get(result.engine, "")
    names = {str(engine): name for engine, name in ENGINES.items()}
    name = names.get(result.engine, result.engine)
    return f"{name} {version.removeprefix('caffe version ')}".strip()


@dataclass(frozen=True)
class AccuracyRow:
    """How well a task is solved: by the network, by a baseline, or by guessing.

    Attributes
    ----------
    task, by
        Which task, and what solves it.
    shares
        Top-1 and top-5; plain numbers, 0 to 1, where nothing was counted.
    printed
        The same in Table 2, where it has this, in percent.
    """

    task: str
    by: str
    shares: tuple[Proportion | float, Proportion | float]
    printed: tuple[str, str] | None = None

    @property
    def is_guess(self) -> bool:
        """Whether it depends on the data alone, not on a network."""
        return self.by in (PRIOR, CHANCE)


def accuracy_rows(result: Result) -> Iterator[AccuracyRow]:
    """Yield the rows of a result: of each task the network's, then simple baselines."""
    for task in result.tasks:
        row = _printed(result, task)
        table_2 = (row.top1, row.top5) if row else None
        yield _row(task.name, NETWORK, task.accuracy, table_2)
        if task.competing:
            by = f"all {task.competing.outputs:,} outputs competing"
            yield _row(task.name, by, task.competing.accuracy, table_2)
        yield from _derived(result, task.name)
        yield _row(task.name, PRIOR, task.prior)
        guessed = [chance(task.classes, k) if k < task.classes else 1.0 for k in (1, TOP)]
        yield AccuracyRow(task.name, CHANCE, (guessed[0], guessed[1]))
    known = {task.name for task in result.tasks}
    for name in dict.fromkeys(one.task for one in result.derived if one.task not in known):
        yield from _derived(result, name)


def _derived(result: Result, task: str) -> Iterator[AccuracyRow]:
    for one in result.derived:
        if one.task == task:
            many = len(one.sources) > 1
            by = " x ".join(one.sources) if many else f"sum over {one.sources[0]}"
            yield _row(task, by, one.accuracy)


def _row(
    task: str, by: str, accuracy: Accuracy, printed: tuple[str, str] | None = None
) -> AccuracyRow:
    return AccuracyRow(task, by, (accuracy.top1, accuracy.top5), printed)


def share_cells(row: AccuracyRow, place: int) -> Cells:
    """Return top-1 (`place` 0) or top-5 (1) in percent: value, interval, printed, difference."""
    share = row.shares[place]
    if not isinstance(share, Proportion):
        return f"{100 * share:.2f}", "", "", ""
    value, interval = f"{100 * share.value:.2f}", f"{100 * share.low:.2f} to {100 * share.high:.2f}"
    if row.printed is None:
        return value, interval, "", ""
    printed = row.printed[place]
    return value, interval, printed, f"{100 * share.value - float(printed):+.2f}"


def _printed(result: Result, task: TaskResult) -> paper.Accuracies | None:
    """Return the row of Table 2 to compare the result with."""
    if result.dataset != MTVSO.name or paper.TASKS.get(task.name) != task.classes:
        return None
    rows = (row for row in paper.TABLE_2 if row.task == task.name)
    return next((row for row in rows if row.variant == result.variant), None)


def _notes(result: Result) -> Iterator[str]:
    yield ""
    for task in result.tasks:
        most = task.confusions[:CONFUSIONS]
        if most:
            shown = ", ".join(_confusion(task, one) for one in most)
            yield f"{task.name}, most often confused: {shown}"
    for task in result.tasks:
        close = task.close
        if close.ties1 or close.ties5 or close.near1 or close.near5:
            yield (
                f"{task.name}: equal scores decide {close.ties1:,} images at top-1 and"
                f" {close.ties5:,} at top-5; {close.near1:,} and {close.near5:,} are decided by"
                f" {MARGIN:g} or less"
            )


def _confusion(task: TaskResult, one: Confusion) -> str:
    return f"{name_of(task.names, one.truth)} for {name_of(task.names, one.guess)} ({one.count:,})"


def name_of(names: Sequence[str] | None, index: int) -> str:
    """Return a class's name, or its number where the dataset has no names."""
    return names[index] if names else str(index)
