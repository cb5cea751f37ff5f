"""Options and tables that several commands share."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click
from click.core import ParameterSource

from netgen.commands.terminal_progress import plain_console
from netgen.network.dataset import MTVSO, Dataset, read_dataset
from netgen.network.variants import Variant, find, variants
from netgen.system.files import read_file

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from rich.console import Console


class PrintablePath(click.Path):
    """A path that can be written into a file's comment: without line breaks, which would end it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        if not str(value).isprintable():
            self.fail(f"{str(value)!r} has characters that cannot be printed.", param, ctx)
        return Path(str(super().convert(value, param, ctx)))


class FileOrFolder(PrintablePath):
    """A file, or the folder in which it has its usual name."""

    def __init__(self, usual: str) -> None:
        super().__init__()
        self.usual = usual

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the file."""
        path = super().convert(value, param, ctx)
        return path / self.usual if path.is_dir() else path


LEAST_WIDTH = 60  # columns of a table on a terminal
DATASET_TOML = FileOrFolder("dataset.toml")
STUDY_TOML = FileOrFolder("study.toml")
dataset_option = click.option(
    "--dataset",
    type=DATASET_TOML,
    metavar="FILE",
    help="A dataset.toml, or its folder.  [default: the paper's dataset]",
)


def with_options(
    command: Callable[..., None], *options: Callable[[Callable[..., None]], Callable[..., None]]
) -> Callable[..., None]:
    """Return a command with options, in this order in its help."""
    for option in reversed(options):
        command = option(command)
    return command


def refuse_given(names: Collection[str], why: str) -> None:
    """Refuse options that were given, by their names in Python; `why` follows the option.

    Raises
    ------
    click.UsageError
        One of them is on the command line.
    """
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if given and option.name in names:
            raise click.UsageError(f"{max(option.opts, key=len)} {why}")


def option_words(ctx: click.Context, without: Collection[str] = ()) -> list[str]:
    """Return the options of a command as they would be typed, without those at their defaults.

    `without` has the names of options to leave out.
    """
    words: list[str] = []
    for option in ctx.command.params:
        name = option.name or ""
        value = ctx.params.get(name)
        omitted = name in without or isinstance(option, click.Argument)
        if omitted or value is None or value == option.get_default(ctx):
            continue
        flag = option.opts[0]
        if isinstance(value, bool):
            words += option.opts if value else option.secondary_opts
        elif option.multiple:
            words += [word for each in value for word in (flag, _word(each))]
        else:
            words += [flag, _word(value)]
    return words


def _word(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def jobs_option(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option `--jobs`: how many of `what` are made at a time."""
    return click.option(
        "--jobs",
        type=click.IntRange(1, 256),
        default=2,
        show_default=True,
        metavar="N",
        help=f"{what} side by side, one thread each; use the number of cores.",
    )


def solver_mode_option(about: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option ``--solver-mode``, which is "cpu" or "gpu", with its help."""
    return click.option(
        "--solver-mode",
        type=click.Choice(["cpu", "gpu"]),
        default="gpu",
        show_default=True,
        help=about,
    )


def load_dataset(file: Path | None) -> Dataset:
    """Return the dataset of a ``dataset.toml``, or the paper's."""
    return read_dataset(file) if file else MTVSO


def find_variant(name: str, dataset: Dataset) -> Variant:
    """Return the variant of that name; an unknown name is a usage error."""
    try:
        return find(name, [task.name for task in dataset.tasks])
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--variant") from None


def complete_variant(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the variants whose names begin like this, for the Tab key of a shell.

    With the title of each, which zsh and fish show. Those of the paper's dataset, unless the line
    names another one before.
    """
    from click.shell_completion import CompletionItem

    file = ctx.params.get("dataset")
    try:
        dataset = load_dataset(file)
    except (OSError, ValueError):  # the command itself will say what is wrong with it
        dataset = MTVSO
    found = variants([task.name for task in dataset.tasks])
    return [
        CompletionItem(name, help=f"{variant.row.title}: {', '.join(variant.tasks)}")
        for name, variant in found.items()
        if name.startswith(incomplete)
    ]


# An option that the Tab key completes with the names of networks; `help` says what it is for.
variant_option = partial(click.option, "--variant", metavar="NAME", shell_complete=complete_variant)


def table_console(piped_width: int) -> Console:
    """Return a console for tables: as wide as the terminal, else as `piped_width` says.

    Without it, rich would fold piped output, which other programs read, at 80 columns. Piped lines
    have no spaces at their ends, with which rich fills tables. On a narrow terminal, which breaks
    lines itself, a table has `LEAST_WIDTH`: rich would leave out whole columns.
    """
    console = plain_console()
    if console.is_terminal:
        return plain_console(width=max(console.width, LEAST_WIDTH))
    trimmed = cast("IO[str]", _Trimmed())
    return plain_console(width=piped_width, file=trimmed)


class _Trimmed:
    """Standard output without the spaces at the ends of lines."""

    def write(self, text: str) -> int:
        return sys.stdout.write(re.sub(" +(?=\n)", "", text))

    def flush(self) -> None:
        sys.stdout.flush()


def print_table(rows: Sequence[dict[str, str]]) -> None:
    """Print `rows`, each a column's heading -> text, as a table; plain when not a terminal."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    name, *others = rows[0]
    table.add_column(name, no_wrap=True, overflow="fold")  # a name is to be copied: whole
    for heading in others:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    table_console(piped_width=10_000).print(table)


def differs(file: Path, text: str) -> bool:
    """Return whether `file` lacks or differs from `text`; print the difference."""
    on_disk = read_file(file) if file.exists() else b""
    if on_disk == text.encode():
        return False
    sys.stdout.writelines(
        difflib.unified_diff(
            on_disk.decode(errors="backslashreplace").splitlines(keepends=True),
            text.splitlines(keepends=True),
            f"{file} (on disk)",
            f"{file} (as made now)",
        )
    )
    return True
