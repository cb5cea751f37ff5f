"""The command line: `netgen` and its commands, each imported when it is called."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import shlex
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import click

from netgen.network.training_commands import TrainingCommands
from netgen.system.interrupts import Interrupted, exit_status, interruptible
from netgen.system.streams import drop_output, prepare_streams, read_words_as_utf8
from netgen.system.text import escaped, printable

# The commands in the order of use; each is a module of `netgen.commands` with a `command`.
COMMANDS = (
    "list",
    "build",
    "count",
    "audit",
    "data",
    "doctor",
    "init",
    "train",
    "log",
    "eval",
    "table",
    "predict",
    "export",
    "figure",
    "page",
    "study",
    "experiment",
    "cluster",
)
# They load no numpy, whose threads need much address space.
NEED_LITTLE = ("list", "build", "count")

# The next step after a file operation that failed.
ELSEWHERE = "choose another place"
FULL = "free some space, or choose another place; existing files are unchanged"
FEWER = "end other processes, or raise the limit (`ulimit -u`)"
NEXT_STEPS = {
    errno.EACCES: f"check its permissions, or {ELSEWHERE}",
    errno.EPERM: f"check its permissions, or {ELSEWHERE}",
    errno.EROFS: f"the file system is read-only: {ELSEWHERE}",
    errno.ENOENT: f"check the path, or {ELSEWHERE}",
    errno.ENOTDIR: f"a part of the path is a file: {ELSEWHERE}",
    errno.EEXIST: f"a part of the path is a file: {ELSEWHERE}",
    errno.EISDIR: f"a folder is where the file should be: {ELSEWHERE}",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: f"raise the limit (`ulimit -f`), or {ELSEWHERE}",
    errno.EMFILE: "raise the limit (`ulimit -n`)",
    errno.EAGAIN: FEWER,
    errno.EBADF: "it is closed: open it, as with `> FILE`",
}


OTHER_BYTES = ("\udc80", "\udcff")  # what Python makes of bytes in a path that are not UTF-8
LONGEST_ERROR = 300  # characters of an exception that a message repeats
UNEXPECTED = 70  # the exit status of a defect of netgen's own, as <sysexits.h> has it
DEEP = "nested too deeply to be read: is it the right file?"
NO_THREAD = "can't start new thread"  # as Python says it
MEMORY = "out of memory: free some, raise the limit (`ulimit -v`), or give it less to do"


class Commands(click.Group):
    """A group that imports a command's module only when that command is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the commands' names in the order of use."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"netgen.commands.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest those of a similar name."""
        name = args[0]
        unknown = name not in COMMANDS and not name.startswith("-")
        if unknown and not ctx.resilient_parsing:  # which is: completing a line in the shell
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "See `netgen --help`."
            raise click.UsageError(f"No such command {name!r}. {hint}", ctx)
        if name in COMMANDS and name not in NEED_LITTLE and not ctx.resilient_parsing:
            importlib.import_module("netgen.system.machine").check_address_space()
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **named: Any) -> Any:
        """Run the command line; what it prints is written, or its end is an error."""
        if not args and "args" not in named:  # else it is a part of another program
            read_words_as_utf8()
        prepare_streams()
        os.environ.pop("MPLBACKEND", None)  # nothing is drawn on a screen, which it is for
        try:
            try:
                return super().main(*args, **named)
            except SystemExit as end:
                if not end.code:
                    sys.stdout.flush()
                raise
        except OSError as error:  # of that, or of what click prints: `--help`, `--version`
            if error.errno != errno.EPIPE:
                click.echo(f"Error: {escaped(_sentence(error))}", err=True)
            sys.exit(1)
        finally:
            drop_output()

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error is one message, never a traceback."""
        python_format, warnings.formatwarning = warnings.formatwarning, _note
        try:
            with interruptible():
                return super().invoke(ctx)
        except Interrupted as error:
            click.echo(f"stopped by {error}", err=True)
            ctx.exit(exit_status(error.number))
        except click.ClickException as error:
            vars(error)["message"] = escaped(error.message)  # final only to type checkers
            raise
        except UnicodeEncodeError as error:
            raise click.ClickException(escaped(_not_utf8(error))) from error
        except ValueError as error:
            raise click.ClickException(escaped(str(error))) from error
        except (MemoryError, RecursionError) as error:
            why = MEMORY if isinstance(error, MemoryError) else DEEP
            raise click.ClickException(why) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # `netgen list | head`: click ends without a message
                raise
            raise click.ClickException(escaped(_sentence(error))) from error
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if str(error) == NO_THREAD:
                raise click.ClickException(f"{NO_THREAD}: {FEWER}") from error
            raise UnexpectedError(error) from error
        finally:
            warnings.formatwarning = python_format
            if ctx.params.get("debug"):
                _print_traceback()


class UnexpectedError(click.ClickException):
    """An exception that netgen should have made a message of: how to report it."""

    exit_code = UNEXPECTED

    def __init__(self, error: Exception) -> None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        name = frame.filename.rpartition("site-packages/")[2]
        what = printable(f"{type(error).__name__}: {error}"[:LONGEST_ERROR])
        again = shlex.join(
            ["netgen", "--debug", *(word for word in sys.argv[1:] if word != "--debug")]
        )
        super().__init__(
            f"a defect of netgen's ({what}, at {name}:{frame.lineno}): please report it, with the"
            f" files that it was given and what this prints: {printable(again)}"
        )


TRAINING = "\n  ".join(TrainingCommands("xs").lines)
HELP = f"""Reproduce "Deep Cross Residual Learning" (ACM MM 2016) in Caffe.

\b
First steps:
  netgen list                the networks of Table 2
  netgen build --variant xs  write one as prototxt
  {TRAINING}

\b
Exit status: 0 done, 1 an error or a difference that is told, 2 wrong usage,
{UNEXPECTED} a defect of netgen's own; stopped by Ctrl-C 130, by SIGTERM 143, by SIGHUP 129.
"""


@click.group(cls=Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="netgen")
@click.option("--debug", is_flag=True, help="After an error, print where it was raised, too.")
def main(debug: bool) -> None:
    """Run a command of netgen; `Commands.invoke` reads `debug`."""


def _print_traceback() -> None:
    """Print the traceback of the exception that ends a command with a message, if one does."""
    error = sys.exc_info()[1]
    if error is not None and not isinstance(error, click.exceptions.Exit | SystemExit):
        traceback.print_exception(error.__cause__ or error)


def _note(message: Warning | str, *_where: Any, **_line: Any) -> str:
    """Return a warning's message, without the line of Python that it comes from."""
    return f"note: {escaped(str(message))}\n"


def _not_utf8(error: UnicodeEncodeError) -> str:
    """Return the message of a path whose bytes are no text, for Caffe and for files of JSON."""
    if not any(OTHER_BYTES[0] <= sign <= OTHER_BYTES[1] for sign in error.object):
        return str(error)
    path = printable(error.object[:LONGEST_ERROR])
    return f"{path}: has bytes that are not UTF-8: rename it, or the folder that has them"


def _is_in_a_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _sentence(error: OSError) -> str:
    """Return the message of a failed file operation: where, what, and the next step."""
    here = not os.path.isabs(str(error.filename or ""))
    if error.errno == errno.ENOENT and here and not _is_in_a_folder():
        return "the current folder was removed: change to another one (cd)"
    next_step = NEXT_STEPS.get(error.errno or 0)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}" + (f": {next_step}" if next_step else "")


if __name__ == "__main__":
    sys.exit(main())
