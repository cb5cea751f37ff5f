"""Pack built Caffes, and what a bare machine lacks to run them, into one file: `./run gpu-pack`.

    python -m gpu_proof.pack --out FILE --architecture N --engine NAME=VENV,TESTS ...

In it: Python and the packages that netgen imports, the libraries of the distribution that Caffe
is linked to, and for each engine its Caffe and its tests. Not in it: the C library, and NVIDIA's
libraries, which come with the machine's driver and its CUDA.
"""

from __future__ import annotations

import argparse
import lzma
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import lief
from packaging.requirements import Requirement
from support.paths import ROOT

# Of the machine: its C library, whatever its age; its driver and CUDA.
THEIRS = re.compile(
    r"(ld-linux.*|libc|libm|libdl|librt|libpthread|libutil|libresolv|libnss_.*|libanl|libmvec)\.so"
    r"|lib(cuda|cudart|cublas|cublasLt|curand|cudnn\w*|nccl|nvrtc.*|nvidia-.*)\.so"
)
# Libraries for pictures and files that no database of Caffe's holds (maps, X-rays, HDF5 over a
# network): they are two thirds of everything, and nothing calls them.
DROPPED = {
    "libopencv_imgcodecs": ("libgdal", "libgdcm"),
    "libhdf5_serial.so": ("libcurl", "libcrypto"),
}
# Of Python's library, and of packages, what nothing here imports.
UNUSED = {
    "test", "tests", "idlelib", "ensurepip", "lib2to3", "pydoc_data", "tkinter", "__pycache__",
    "turtledemo", "dist-packages", "sphinxext", "sample_data", "include", "pybind11", "distutils",
    "lib-tk", "_tkinter.cpython-311-x86_64-linux-gnu.so", "_ssl.cpython-311-x86_64-linux-gnu.so",
    "_hashlib.cpython-311-x86_64-linux-gnu.so", "_dbm.cpython-311-x86_64-linux-gnu.so",
    "_sqlite3.cpython-311-x86_64-linux-gnu.so", "f2py",
    "_avif.cpython-311-x86_64-linux-gnu.so",
}  # fmt: skip
LEFT_OUT = {"opencv-python-headless"}  # half of everything; no command that the proof runs needs it
MORE = ("six",)  # pycaffe's
COMPILED = ("netgen/caffe/caffe_pb2.py",)  # of the clone, made when netgen was installed


def libraries(roots: Iterable[Path], target: Path) -> None:
    """Copy into `target` the libraries that the files `roots` need, but for the machine's own."""
    target.mkdir(parents=True)
    known = dict(_known_libraries())
    waiting, seen = list(roots), set[str]()
    while waiting:
        for name in _needs(waiting.pop()):
            if name in seen or THEIRS.match(name) or name not in known:
                continue
            seen.add(name)
            copy = target / name
            shutil.copyfile(known[name], copy)
            _drop(copy, known)
            waiting.append(copy)


def _known_libraries() -> Iterator[tuple[str, Path]]:
    """Names and paths of the loader's cache; the last of a name is not taken."""
    said = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    for line in reversed(said.stdout.splitlines()):
        name, found, path = line.strip().partition(" => ")
        if found and "x86-64" in name:
            yield name.split()[0], Path(path)


def _needs(file: Path) -> list[str]:
    binary = lief.ELF.parse(str(file))
    return [str(name) for name in binary.libraries] if binary else []


def _drop(copy: Path, known: dict[str, Path]) -> None:
    """Let a library do without those that it needs for nothing here.

    What it calls of them comes from a small library in their place, whose functions do nothing and
    return 0: OpenCV registers GDAL's formats before it looks at any picture.
    """
    unwanted = next((v for k, v in DROPPED.items() if copy.name.startswith(k)), ())
    if not unwanted:
        return
    binary, wanted = _parsed(copy), set[str]()
    for name in [str(name) for name in binary.libraries]:
        if not name.startswith(unwanted):
            continue
        library = _parsed(known[name])
        theirs = {str(symbol.name) for symbol in library.exported_symbols}
        for symbol in list(binary.imported_symbols):
            if str(symbol.name) in theirs and not str(symbol.name).startswith("__"):
                wanted.add(str(symbol.name))
                if symbol.symbol_version:
                    symbol.symbol_version.as_global()
        binary.remove_version_requirement(name)
        binary.remove_library(name)
    if wanted:
        stub = copy.with_name(copy.name.partition(".so")[0] + "-without.so")
        _write_stub(stub, wanted)
        binary.add_library(stub.name)
    binary.write(str(copy))


def _write_stub(library: Path, functions: Iterable[str]) -> None:
    """Compile a library of functions that do nothing and return 0."""
    names = [f".globl {name}\n.type {name}, @function\n{name}:" for name in sorted(functions)]
    code = "\n".join([".text", *names, "xor %eax, %eax", "ret", '.section .note.GNU-stack,""', ""])
    command = ["gcc", "-shared", "-nostdlib", f"-Wl,-soname,{library.name}", "-o", str(library)]
    subprocess.run([*command, "-x", "assembler", "-"], input=code, text=True, check=True)


def _parsed(file: Path) -> lief.ELF.Binary:
    binary = lief.ELF.parse(str(file))
    if binary is None:
        raise ValueError(f"{file}: no program or library")
    return binary


def python(target: Path) -> None:
    """Copy this Python and its library."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (target / "bin").mkdir(parents=True)
    shutil.copy(f"/usr/bin/{version}", target / "bin/python3")
    _copy(Path(sysconfig.get_path("stdlib")), target / "lib" / version)


def packages(target: Path) -> None:
    """Copy what netgen asks for, and what that asks for."""
    site = Path(sysconfig.get_path("purelib"))
    for own in site.glob("netgen-*.dist-info"):  # its files come with the clone
        _copy(own, target / own.name)
    for name in sorted(_closure("netgen") | set(MORE)):
        for top in _tops(name, site):
            if (site / top).is_dir():
                _copy(site / top, target / top)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(site / top, target / top)


def _closure(name: str) -> set[str]:
    """Names of the packages that a package needs, without itself."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for text in distribution(waiting.pop()).requires or ():
            requirement = Requirement(text)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and requirement.name not in found | LEFT_OUT:
                try:
                    distribution(requirement.name)
                except PackageNotFoundError:
                    continue
                found.add(requirement.name)
                waiting.append(requirement.name)
    return found


def _tops(name: str, site: Path) -> set[str]:
    """The entries of a package in the site folder."""
    files = distribution(name).files or []
    tops = {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}
    return {top for top in tops if (site / top).exists()}


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(
        source, target, symlinks=False, dirs_exist_ok=True,
        ignore=lambda _, names: [n for n in names if n in UNUSED or n.endswith((".pyi", ".a"))],
        ignore_dangling_symlinks=True,
    )  # fmt: skip


def engine(name: str, venv: Path, tests: Path | None, target: Path) -> None:
    """Copy a Caffe, its tests, and what a virtual environment of it needs."""
    prefix = (venv / "bin/caffe").resolve().parents[1]
    home = target / name
    shutil.copytree(prefix, home / "caffe", symlinks=True)
    if tests:
        shutil.copytree(tests / "bin", home / "tests/bin")
        tree = Path("tree/src/caffe/test/test_data")
        for part in (tree, Path("tree/examples/images")):
            if (tests / part).exists():
                shutil.copytree(tests / part, home / "tests" / part)
        (home / "tests/prefix").symlink_to("../caffe")
    # So that each program finds its own Caffe, and not the other engine's.
    for program in (home / "tests/bin").glob("*"):
        subprocess.run(["patchelf", "--set-rpath", "$ORIGIN/../prefix/lib", program], check=True)
    for file in [*home.rglob("*.so"), *home.glob("*/bin/*")]:
        binary = lief.ELF.parse(str(file))
        if binary and binary.has_section(".symtab"):
            subprocess.run(["strip", "--strip-unneeded", file], check=True)


def main() -> None:
    """Pack."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", action="append", required=True, metavar="NAME=VENV,TESTS")
    parser.add_argument("--architecture", required=True, help="as in 90: compute capability 9.0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.out.parent) as scratch:
        root = Path(scratch) / "gpu-pack"
        for text in options.engine:
            name, _, rest = text.partition("=")
            venv, _, tests = rest.partition(",")
            engine(name, Path(venv), Path(tests) if tests else None, root / "engines")
        python(root / "python")
        packages(root / "site")
        for compiled in COMPILED:
            (root / "compiled" / compiled).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / compiled, root / "compiled" / compiled)
        elf = [file for file in root.rglob("*") if file.is_file() and _is_elf(file)]
        libraries(elf, root / "lib")
        (root / "pack.txt").write_text(_description(root, options.architecture), encoding="utf-8")
        _compress(root, options.out)
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.1f} MiB")


def _description(root: Path, architecture: str) -> str:
    """What ./run gpu-proof asks before it unpacks anything else, a line each."""
    build = next(root.glob("engines/*/caffe/build.txt")).read_text(encoding="utf-8")
    cuda = re.search(r"^gpu: CUDA (\d+)", build, re.MULTILINE)
    facts = {
        "architecture": architecture,
        "processor": platform.machine(),
        "glibc": platform.libc_ver()[1],
        "cuda": cuda[1] if cuda else "",
    }
    return "".join(f"{name}: {value}\n" for name, value in facts.items())


def _compress(root: Path, out: Path) -> None:
    partial = out.with_name(out.name + ".partial")
    with (
        lzma.open(partial, "wb", preset=6) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        tar.add(root / "pack.txt", "gpu-pack/pack.txt", filter=_plain)  # first: quick to find
        for entry in sorted(root.iterdir()):
            if entry.name != "pack.txt":
                tar.add(entry, f"gpu-pack/{entry.name}", filter=_plain)
    partial.rename(out)


def _is_elf(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same bytes from anybody's files."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = "root"
    return info


if __name__ == "__main__":
    main()
