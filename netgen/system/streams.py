"""Standard streams and words as they may come: closed, full, of few or of other characters."""

from __future__ import annotations

import codecs
import errno
import io
import locale
import os
import sys
import unicodedata
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HANDLER = "netgen.degrade"
# What netgen writes itself, in ASCII; the rest of these is found by decomposing.
IN_ASCII = {
    "×": "x", "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "±": "+-", "–": "-", "—": "-", "−": "-",
    "·": "*", "“": '"', "”": '"', "‘": "'", "’": "'", "✓": "+", "✗": "-", "≈": "~", "∞": "inf",
    "━": "-", "─": "-", "│": "|", "╸": "-", "╺": "-", "•": "*", "α": "alpha",
}  # fmt: skip


class _Output(io.FileIO):
    """Standard output, whose errors say that it is that."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = "standard output"
            raise


class _Messages(io.FileIO):
    """Standard error: what it cannot take nobody can be told, and the command goes on."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno == errno.EPIPE:  # `netgen data ... 2>&1 | head` ends
                raise
            return memoryview(data).nbytes


def prepare_streams() -> None:
    """Make standard input, output and error usable, whatever the caller made of them.

    They are opened where they are closed (`>&-`): else the next file that is opened, such as a
    database, would take their place, and what is printed be written into it. Such an input is
    empty, such an output fails, and such messages are lost. What an output cannot encode is written
    in ASCII, instead of failing.
    """
    codecs.register_error(HANDLER, _degrade)
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open to the end
    sys.stdout = _prepared(sys.stdout, sys.__stdout__, _Output(1, "w", closefd=False))
    sys.stderr = _prepared(sys.stderr, sys.__stderr__, _Messages(2, "w", closefd=False))


def read_words_as_utf8() -> None:
    """Start this process anew where the locale is of another encoding; then paths are UTF-8.

    As they are in prototxt, JSON and Caffe, which know no locale: the bytes of ``é`` would be two
    other letters, or none. What is printed stays in the encoding of the locale.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return  # the latter where Python was told to obey no environment
    os.environ["PYTHONUTF8"] = "1"
    os.environ.setdefault("PYTHONIOENCODING", locale.getpreferredencoding(False))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def drop_output() -> None:
    """Throw away what output and error cannot take, which Python would try to write at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _prepared(stream: TextIO | None, original: TextIO | None, raw: io.FileIO) -> TextIO:
    """Return a stream of `raw` that is like the original one; of one that replaced it, that one."""
    if stream is not original and stream is not None:  # a test put it in its place
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors=HANDLER)
        return stream
    like = stream if isinstance(stream, io.TextIOWrapper) else None
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        like.encoding if like else "utf-8",
        HANDLER,
        newline="\n",
        # As Python has it: messages line by line, in a pipe too, and all with PYTHONUNBUFFERED.
        line_buffering=like is not None and (like.line_buffering or like.write_through),
    )


def _degrade(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(sign: str) -> str:
    plain = IN_ASCII.get(sign) or unicodedata.normalize("NFKC", sign)  # a small one: 1
    return plain if plain.isascii() else sign.encode("unicode_escape").decode()
