"""The Caffe that would train: its program, its Python module, the libraries that it stands on."""

from __future__ import annotations

import shutil
from pathlib import Path

from netgen.doctor.finding import Asked, Finding, lack, ok
from netgen.engine import EngineError, find_engine
from netgen.training import fingerprint

BUILD = "`./run setup` in netgen's folder builds one"
WITHOUT = {
    "liblmdb": ("LMDB", "it cannot read the databases"),
    "libopencv_core": ("OpenCV", "it cannot decode or mirror images"),
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
    imported = ok("import caffe", f"{Path(caffe.__file__).parent}")
    libraries = {path.name.partition(".so")[0]: path for path in fingerprint.loaded()}
    return [imported, _blas(), *(_part(name, libraries.get(name)) for name in WITHOUT)]


def _blas() -> Finding:
    name, threads = fingerprint.blas()
    if "openblas" not in name:
        what = f"{name}, not OpenBLAS: training may be several times slower"
        return lack("BLAS", what, BUILD, needed=False)
    return ok("BLAS", f"{name}, threads: {threads}")


def _part(library: str, found: Path | None) -> Finding:
    name, without = WITHOUT[library]
    if found is None:
        return lack(name, f"this Caffe was built without it: {without}", BUILD)
    return ok(name, str(found.resolve()))
