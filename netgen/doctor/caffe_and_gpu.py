"""The Caffe that would train, its libraries, and the GPUs that it can use."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from netgen.caffe.blas_kernel import VARIABLE, kernel_setting
from netgen.caffe.engine import Engine, EngineError, find_engine, require_gpu
from netgen.doctor.findings import DoctorFinding, DoctorRequest, lack, ok
from netgen.system.machine import Gpu, GpuError, gpus
from netgen.system.text import gib
from netgen.training import fingerprint

BUILD = "`./run setup` in netgen's folder builds one"
WITHOUT = {
    "liblmdb": ("LMDB", "it cannot read the databases"),
    "libopencv_core": ("OpenCV", "it cannot decode or mirror images"),
}


def examine_program(_: DoctorRequest) -> list[DoctorFinding]:
    """Find the program, read its version, and look for it on the PATH."""
    try:
        engine = find_engine()
    except EngineError as error:
        return [lack("Caffe", str(error), BUILD)]
    devices = engine.build.get("gpu", "with CUDA") if engine.cuda else "for the CPU only"
    found = ok("Caffe", f"{engine.version}, {devices}: {engine.program}")
    return [found, _source(engine), _on_path(engine.program)]


def _source(engine: Engine) -> DoctorFinding:
    """Name whose tree it was built from, and how many edits the recipe made in it."""
    if "from" not in engine.build:
        return ok("Caffe's source", "unknown: this Caffe was not built by ./run setup")
    edits, record = engine.build.get("edits", "no"), engine.program.resolve().parent.parent
    told = f"{engine.build['from']}; {edits} edits, listed in {record / 'build.txt'}"
    return ok("Caffe's source", told)


def _on_path(program: Path) -> DoctorFinding:
    """Check whether `caffe`, typed in a shell, is the one that netgen uses."""
    typed = shutil.which("caffe")
    activate = f"`source {program.parent / 'activate'}`"
    if typed is None:
        return lack("caffe on PATH", "not there; netgen finds Caffe itself", activate, needed=False)
    if Path(typed).resolve() != program.resolve():
        what = f"is another Caffe, {typed}"
        return lack("caffe on PATH", what, activate, needed=False)
    return ok("caffe on PATH", typed)


def examine_module(_: DoctorRequest) -> list[DoctorFinding]:
    """Import Caffe, which may end the process, and check the libraries that it was built with."""
    try:
        import caffe
    except ImportError as error:
        return [lack("import caffe", f"fails: {error}", BUILD)]
    imported = ok("import caffe", f"{Path(caffe.__file__).parent}")
    libraries = {path.name.partition(".so")[0]: path for path in fingerprint.loaded()}
    return [imported, _blas(), *(_part(name, libraries.get(name)) for name in WITHOUT)]


def _blas() -> DoctorFinding:
    name, threads = fingerprint.blas()
    if "openblas" not in name:
        what = f"{name}, not OpenBLAS: training may be several times slower"
        return lack("BLAS", what, BUILD, needed=False)
    return ok("BLAS", f"{name}, threads: {threads}")


def examine_kernel(_: DoctorRequest) -> list[DoctorFinding]:
    """Tell whether OpenBLAS knows this processor: else it computes as on one of 2004."""
    about = "BLAS kernel"
    if chosen := os.environ.get(VARIABLE):
        return [ok(about, f"{chosen}, chosen by {VARIABLE}")]
    if setting := kernel_setting():
        words = " ".join(f"{name}={value}" for name, value in setting.items())
        what = "OpenBLAS does not know this processor, and would be several times slower: netgen's"
        what += f" commands set {words}"
        step = f"for `caffe` itself: `export {words}`"
        return [lack(about, what, step, needed=False)]
    return [ok(about, "OpenBLAS's own choice")]


def _part(library: str, found: Path | None) -> DoctorFinding:
    name, without = WITHOUT[library]
    if found is None:
        return lack(name, f"this Caffe was built without it: {without}", BUILD)
    return ok(name, str(found.resolve()))


# ---- GPUs, their driver, and whether this Caffe can use them ------------------------------------


def examine_gpus(request: DoctorRequest) -> list[DoctorFinding]:
    """Query the driver for its GPUs, and check whether Caffe can use the first."""
    try:
        found = gpus()
    except GpuError as error:
        step = "install NVIDIA's driver, or train on the CPU (`netgen build --solver-mode cpu`)"
        return [lack("GPU", str(error), step, needed=request.gpu)]
    return [*(ok("GPU", _described(gpu)) for gpu in found), _caffe(found[0], request)]


def _described(gpu: Gpu) -> str:
    memory = "memory unknown" if gpu.memory is None else f"{gib(gpu.memory):.1f} GiB"
    return f"{gpu.name}, {memory}, driver {gpu.driver}"


def _caffe(gpu: Gpu, request: DoctorRequest) -> DoctorFinding:
    about, number = "Caffe on the GPU", gpu.architecture
    architectures = "" if number is None else f' CAFFE_CUDA_ARCHITECTURES="{number}"'
    rebuild = f"`CAFFE_GPU=1{architectures} ./run setup`"
    try:
        engine = find_engine()
        if engine.cuda and number is not None and not runs_on(engine, number):
            what = f"was not built for architecture {number}: {engine.build['gpu']}"
            return lack(about, what, rebuild, needed=request.gpu)
        require_gpu(engine)
    except EngineError as error:
        return lack(about, str(error), rebuild, needed=request.gpu)
    return ok(about, "works")


def runs_on(engine: Engine, architecture: int) -> bool:
    """Return whether an engine's kernels run on a GPU; True where its build is not recorded.

    Code for a GPU ("75-real") runs on later GPUs of its generation; code that the driver translates
    ("75-virtual") runs on all later GPUs; "75" is both.
    """
    listed = re.search(r"architectures ([\d;a-z-]+)", engine.build.get("gpu", ""))
    if listed is None:
        return True
    kinds = (one.partition("-") for one in listed[1].split(";"))
    return any(
        int(number) <= architecture and (kind != "real" or int(number) // 10 == architecture // 10)
        for number, _, kind in kinds
    )
