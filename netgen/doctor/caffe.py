"""The Caffe that would train: its program, its Python module, the libraries that it stands on."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

from netgen.doctor.finding import Asked, Finding, lack, ok
from netgen.engine import EngineError, find_engine

BUILD = "`./run setup` in netgen's folder builds one"
WITHOUT = {
    "lmdb": ("LMDB", "it cannot read the databases"),
    "opencv_core": ("OpenCV", "it cannot decode or mirror images"),
}


def program(_: Asked) -> list[Finding]:
    """Find the program, ask it who it is, and look for it on the PATH."""
    try:
        engine = find_engine()
    except EngineError as error:
        return [lack("Caffe", str(error), BUILD)]
    era = f", of BVLC's {engine.build['era']}" if "era" in engine.build else ""
    devices = engine.build.get("gpu", "with CUDA") if engine.cuda else "for the CPU only"
    found = ok("Caffe", f"{engine.version}{era}, {devices}: {engine.program}")
    return [found, _on_path(engine.program)]


def _on_path(program: Path) -> Finding:
    """Tell whether `caffe`, typed in a shell, is the one that netgen uses."""
    typed = shutil.which("caffe")
    activate = f"`source {program.parent / 'activate'}`"
    if typed is None:
        return lack("caffe on PATH", "not there: only netgen finds it", activate, needed=False)
    if Path(typed).resolve() != program.resolve():
        what = f"is another one, {typed}"
        return lack("caffe on PATH", what, activate, needed=False)
    return ok("caffe on PATH", typed)


def module(_: Asked) -> list[Finding]:
    """Import Caffe, which may end the process, and see which libraries came with it."""
    try:
        import caffe
    except ImportError as error:
        return [lack("import caffe", f"fails: {error}", BUILD)]
    libraries = _loaded()
    imported = ok("import caffe", f"{Path(caffe.__file__).parent}")
    parts = [_part(name, libraries) for name in WITHOUT]
    return [imported, _blas(libraries), *parts]


def _loaded() -> dict[str, Path]:
    """Return the shared libraries of this process, by name without "lib" and version."""
    mapped = (line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines())
    paths = {Path(fields[5]) for fields in mapped if len(fields) == 6 and ".so" in fields[5]}
    return {path.name.removeprefix("lib").partition(".so")[0]: path for path in paths}


def _blas(libraries: dict[str, Path]) -> Finding:
    names = [name for name in libraries if name.startswith("openblas")]
    if not names:
        what = "another one than OpenBLAS, or none: training may be several times slower"
        return lack("BLAS", what, BUILD, needed=False)
    threads = ctypes.CDLL(str(libraries[names[0]])).openblas_get_num_threads()
    # Debian keeps each variant under the same name in a folder of its own.
    what = f"OpenBLAS, threads: {threads}, {libraries[names[0]].resolve()}"
    return ok("BLAS", what)


def _part(library: str, libraries: dict[str, Path]) -> Finding:
    name, without = WITHOUT[library]
    if library not in libraries:
        return lack(name, f"this Caffe was built without it: {without}", BUILD)
    return ok(name, str(libraries[library].resolve()))
