"""nvcc for the software GPU: preprocesses, translates, and has the host's compiler do the rest.

Understands what CMake gives it, and answers CMake's questions as NVIDIA's does.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from software_gpu.translation import TranslationError, translate

ROOT = Path(os.environ.get("SOFTWARE_GPU_ROOT", "."))  # bin/nvcc sets it
RELEASE, VERSION = "12.4", "12.4.0"
ARCHITECTURES = (50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90)
# Of NVIDIA's options: those with a value of their own, and those without, that mean nothing here.
IGNORED_WITH_VALUE = (
    "-gencode", "-arch", "-code", "--keep-dir", "-Xcudafe", "-Xptxas", "-ccbin", "-x",
)  # fmt: skip
IGNORED = re.compile(
    r"-forward-unknown-to-host-compiler|--generate-code=.*|-gencode=.*|-arch=.*|-code=.*|-ccbin=.*"
    r"|-Wno-deprecated-gpu-targets|--keep|-rdc=.*|--expt-.*|-Xcudafe=.*|-Xptxas=.*|-cudart=.*"
)
# Of the host's compiler, by the step that they are for; all others are for every step.
OF_PREPROCESSOR_WITH_VALUE = ("-D", "-I", "-U", "-isystem", "-include", "-MT", "-MF", "-MQ")
OF_PREPROCESSOR = re.compile(r"-[DIU]|-M[DPM]?D?$")
OF_LINKER = re.compile(r"-[Ll]|-Wl,|-shared$")
DEFINITIONS = (
    "-D__CUDACC__", "-D__NVCC__", "-D__CUDACC_VER_MAJOR__=12", "-D__CUDACC_VER_MINOR__=4",
    "-D__CUDACC_VER_BUILD__=0",
)  # fmt: skip
SOURCES = (".cu", ".cpp", ".cc", ".cxx", ".stub")


@dataclass
class Order:
    """What the command line asks for."""

    sources: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    preprocessor: list[str] = field(default_factory=list)
    compiler: list[str] = field(default_factory=list)
    linker: list[str] = field(default_factory=list)
    output: str = ""
    mode: str = "link"
    verbose: bool = False


def main() -> int:
    """Run the command line; return the exit status."""
    words = sys.argv[1:]
    if "--version" in words or "-V" in words:
        print(
            "nvcc: NVIDIA (R) Cuda compiler driver, as netgen's software GPU understands it:\n"
            "what this compiles runs on this machine's processor\n"
            f"Cuda compilation tools, release {RELEASE}, V{VERSION}"
        )
        return 0
    if "--list-gpu-arch" in words:
        print("\n".join(f"compute_{number}" for number in ARCHITECTURES))
        return 0
    order = read(words)
    if order.verbose:
        print(f"#$ TOP={ROOT}\n#$ PATH={os.environ.get('PATH', '')}\n#$ LIBRARIES=  {libraries()}")
        print(f'#$ INCLUDES="-I{ROOT}/include"  \n', flush=True)  # CMake wants a line between
    try:
        return carry_out(order)
    except (TranslationError, OSError) as error:
        print(f"nvcc: error: {' '.join(order.sources)}: {error}", file=sys.stderr)
        return 1


def libraries() -> str:
    """Return where the host's linker finds the runtime."""
    return f"-L{ROOT}/lib64"


def read(words: list[str]) -> Order:
    """Sort the words of a command line."""
    order, rest = Order(), expanded(words)
    while rest:
        word = rest.pop(0)
        if word in ("-c", "-E", "-dlink"):
            order.mode = word
        elif word == "-o":
            order.output = rest.pop(0)
        elif word == "-v":
            order.verbose = True
        elif word in IGNORED_WITH_VALUE:
            rest.pop(0)
        elif word in ("-Xcompiler", "--compiler-options"):
            order.compiler += rest.pop(0).split(",")
        elif word in OF_PREPROCESSOR_WITH_VALUE:
            order.preprocessor += [word, rest.pop(0)]
        elif not IGNORED.fullmatch(word):
            sort(word, order)
    return order


def sort(word: str, order: Order) -> None:
    """Put a word that needs no other after it where it belongs."""
    option, _, value = word.partition("=")
    if option in ("-isystem", "-include"):
        order.preprocessor += [option, value]
    elif option in ("-Xcompiler", "--compiler-options"):
        order.compiler += value.split(",")
    elif OF_PREPROCESSOR.match(word):
        order.preprocessor.append(word)
    elif OF_LINKER.match(word):
        order.linker.append(word)
    elif word.startswith("-"):
        order.compiler.append(word)
    elif word.endswith(SOURCES):
        order.sources.append(word)
    else:
        order.objects.append(word)


def expanded(words: list[str]) -> list[str]:
    """Return the words with those of the files that `--options-file` names."""
    rest, all_words = list(words), []
    while rest:
        word = rest.pop(0)
        if word in ("--options-file", "-optf"):
            all_words += shlex.split(Path(rest.pop(0)).read_text(encoding="utf-8"))
        else:
            all_words.append(word)
    return all_words


def carry_out(order: Order) -> int:
    """Compile, and link if it is asked for."""
    if order.mode == "-dlink":  # nothing is left to link for a device
        return host("-x", "c++", "-c", "/dev/null", "-fPIC", "-o", order.output)
    if order.mode == "-E":
        return preprocess(order, order.sources[0], order.output or "-")
    with tempfile.TemporaryDirectory(prefix="software-gpu-") as folder:
        made = list(order.objects)
        for number, source in enumerate(order.sources):
            target = order.output if order.mode == "-c" else f"{folder}/{number}.o"
            target = target or f"{Path(source).stem}.o"
            if status := compile_one(order, source, target, Path(folder)):
                return status
            made.append(target)
        if order.mode == "-c":
            return 0
        output = order.output or "a.out"
        link = [*made, "-o", output, *order.linker, libraries(), "-lcudadevrt", "-lcudart"]
        if order.verbose:
            print("#$ " + " ".join(["g++", *link]), flush=True)
        return host(*link)


def compile_one(order: Order, source: str, target: str, folder: Path) -> int:
    """Compile a source to an object."""
    before, after = folder / "before.ii", folder / "after.ii"
    if status := preprocess(order, source, str(before)):
        return status
    text = translate(before.read_text(encoding="utf-8", errors="surrogateescape"))
    after.write_text(text, encoding="utf-8", errors="surrogateescape")
    return host(*order.compiler, "-x", "c++-cpp-output", "-c", str(after), "-o", target)


def preprocess(order: Order, source: str, target: str) -> int:
    """Preprocess a source, which sees CUDA's runtime first."""
    return host(
        *order.compiler, *DEFINITIONS, *order.preprocessor, f"-I{ROOT}/include",
        *("-include", "cuda_runtime.h", "-x", "c++", "-E", source, "-o", target),
    )  # fmt: skip


def host(*words: str) -> int:
    """Run the host's compiler; return its exit status."""
    return subprocess.run(["g++", *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
