"""Random changes of a file's bytes, drawn by hypothesis, which makes those that fail smaller."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

MOST_EDITS = 6
MOST_REPEATS = 4000
# What readers stumble over: numbers at the ends of their types, signs of structure without their
# other half, names that a terminal obeys, and what other programs write in the place of values.
WORDS = (
    b"", b"-1", b"0", b"1", b"2147483647", b"2147483648", b"-9223372036854775809", b"1" * 400,
    b"1e999", b"nan", b"-inf", b"0x7f", b"1_000", b"\xd9\xa3", b"null", b"true", b"[]", b"{}",
    b'""', b"[", b"]", b"{", b"}", b"(", b")", b"<", b">", b'"', b"'", b"\\", b"\\u0000", b"\\x1b",
    b"#", b",", b";", b":", b"=", b"\n", b"\r", b"\r\n", b"\t", b"\0", b"\x1b[31m", b"\xef\xbb\xbf",
    b"\xff\xfe", b"\xff", b"\xc3", b"\xe2\x80\xae", b"\xf0\x9f\x90\xb1", b"../../x", b"/dev/zero",
    b"/", b".", b"~", b"%s%n", b"$(id)", b"--help", b"\x80" * 10, b"\xff\xff\xff\xff\x0f", b"\x08",
    b"\x0a\x00", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80",
)  # fmt: skip
NUMBERS = b"0123456789"

Edit = Callable[[bytes], bytes]


def _at(draw: st.DrawFn, data: bytes) -> tuple[int, int]:
    """Draw a range of a file, mostly a short one."""
    start = draw(st.integers(0, len(data)))
    length = draw(st.integers(0, 8) | st.integers(0, max(len(data) - start, 0)))
    return start, min(start + length, len(data))


def _number(data: bytes, near: int) -> tuple[int, int]:
    """Return the range of the first number after a place; of nothing if there is none."""
    start = near
    while start < len(data) and data[start] not in NUMBERS:
        start += 1
    end = start
    while end < len(data) and data[end] in NUMBERS:
        end += 1
    return start, end


@st.composite
def changed(draw: st.DrawFn, seed: bytes) -> bytes:
    """Draw `seed` with a few of its bytes changed, removed, repeated, moved or replaced."""
    data = seed
    for _ in range(draw(st.integers(1, MOST_EDITS))):
        start, end = _at(draw, data)
        match draw(st.sampled_from(("set", "word", "number", "cut", "drop", "repeat", "move"))):
            case "set":
                new = draw(st.binary(min_size=end - start, max_size=end - start))
                data = data[:start] + new + data[end:]
            case "word":
                data = data[:start] + draw(st.sampled_from(WORDS)) + data[end:]
            case "number":
                start, end = _number(data, start)
                data = data[:start] + draw(st.sampled_from(WORDS)) + data[end:]
            case "cut":
                data = data[:start]
            case "drop":
                data = data[:start] + data[end:]
            case "repeat":
                many = draw(st.sampled_from((2, 3, 100, MOST_REPEATS)))
                data = data[:end] + data[start:end][:64] * many + data[end:]
            case "move":
                to = draw(st.integers(0, len(data)))
                data = data[:to] + data[start:end] + data[to:]
    return data
