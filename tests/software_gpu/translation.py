"""Makes C++ of CUDA C++: kernels become functions, and launches calls of software_gpu::launch().

Works on text that the preprocessor has gone through, so that launches inside macros and headers are
found too. What lies between two changes stays as it is, lines and all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LITERAL = re.compile(r"""\b\d[\w.']*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""")
KERNEL = re.compile(
    r"\b__global__\b[^;{}]*?\bvoid\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?([\w:]+)\s*(?:<[^;{(]*>)?\s*\("
)
LAUNCH = re.compile(r"(?<!operator)(?<![<\s])\s*<<<")
# What only CUDA's compiler understands, and what it is here. Blocks run one after the other in a
# thread of the host, so what a block shares is that thread's.
WORDS = {
    "__global__": "",
    "__device__": "",
    "__host__": "",
    "__constant__": "",
    "__shared__": "static thread_local",
    "__forceinline__": "inline",
}
WORD = re.compile(r"\b(?:" + "|".join(WORDS) + r")\b")
NOTE = (
    'static const bool software_gpu_notes_{name} = ::software_gpu::note_synchronising("{name}");\n'
)
DYNAMIC = re.compile(r"\bextern\s+__shared__\b|\b__shared__\s+extern\b")


class TranslationError(ValueError):
    """Something in the source that the software GPU does not have."""


def translate(source: str) -> str:
    """Return preprocessed CUDA C++ as C++.

    Raises
    ------
    TranslationError
        A launch cannot be read, or a kernel wants shared memory of a size that the launch gives.
    """
    plain = _without_literals(source)
    if DYNAMIC.search(plain):
        raise TranslationError("shared memory whose size the launch gives is not there")
    text, at = "", 0
    for begin, end, call in _launches(source, plain):
        text += source[at:begin] + call
        at = end
    text += source[at:]
    notes = "".join(NOTE.format(name=name) for name in sorted(set(_synchronising(plain))))
    return WORD.sub(lambda word: WORDS[word[0]], text) + "\n" + notes


def _without_literals(text: str) -> str:
    """Return the text with blanks for literals, so that their brackets do not count."""
    return LITERAL.sub(lambda found: " " * len(found[0]), text)


def _synchronising(plain: str) -> Iterator[str]:
    """Yield the names of the kernels whose threads wait for each other."""
    for kernel in KERNEL.finditer(plain):
        end = _closing(plain, kernel.end() - 1)
        body = plain.find("{", end)
        if plain[end + 1 : body].strip():
            continue  # declared only
        if "__syncthreads" in plain[body : _closing(plain, body)]:
            yield kernel[1].rpartition(":")[2]


def _launches(source: str, plain: str) -> Iterator[tuple[int, int, str]]:
    """Yield each launch: where it begins and ends, and the call that takes its place."""
    at = 0
    while found := LAUNCH.search(plain, at):
        opening = found.end() - 3
        begin = _begin_of_name(plain, found.start())
        closing = _end_of_configuration(plain, found.end())
        parenthesis = plain.find("(", closing)
        if plain[closing + 3 : parenthesis].strip():
            raise TranslationError(f"a launch without arguments: {source[begin : closing + 3]}")
        at = _closing(plain, parenthesis) + 1
        kernel = " ".join(source[begin:opening].split())
        configuration = source[opening + 3 : closing]
        arguments = source[parenthesis + 1 : at - 1]
        comma = ", " if arguments.strip() else ""
        yield (
            begin,
            at,
            f'::software_gpu::launch("{kernel}", ::software_gpu::Configuration({configuration}), '
            f"[](auto... software_gpu_arguments) {{ {kernel}(software_gpu_arguments...); }}"
            f"{comma}{arguments})",
        )


def _begin_of_name(plain: str, end: int) -> int:
    """Return where the kernel's name begins that ends at `end`, template arguments and all."""
    at = len(plain[:end].rstrip())
    if plain[at - 1] == ">":
        depth = 0
        while True:
            at -= 1
            depth += (plain[at] == ">") - (plain[at] == "<")
            if depth == 0:
                break
            if at == 0 or plain[at] in ";{}":
                raise TranslationError(f"a launch of no kernel: {plain[at:end]}")
    name = re.search(r"[A-Za-z_][\w:]*\s*$", plain[max(0, at - 300) : at])
    if name is None:
        raise TranslationError(f"a launch of no kernel: {plain[at:end]}")
    return at - len(name[0])


def _end_of_configuration(plain: str, begin: int) -> int:
    """Return where the `>>>` is that ends the configuration that begins at `begin`."""
    at = begin
    while not plain.startswith(">>>", at):
        if at >= len(plain) or plain[at] in ";{}":
            raise TranslationError(f"a launch without end: {plain[begin : begin + 60]}")
        at = _closing(plain, at) + 1 if plain[at] == "(" else at + 1
    return at


def _closing(plain: str, opening: int) -> int:
    """Return where the bracket is closed that is opened at `opening`."""
    brackets = re.compile(r"[()]" if plain[opening] == "(" else "[{}]")
    depth = 0
    for found in brackets.finditer(plain, opening):
        depth += 1 if found[0] == plain[opening] else -1
        if depth == 0:
            return found.start()
    raise TranslationError(f"a bracket without end: {plain[opening : opening + 60]}")
