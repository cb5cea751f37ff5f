"""The table of probes, and how they run: a probe that fails is a finding, and the others run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from netgen.doctor import caffe_and_gpu, inputs, resources
from netgen.doctor.findings import DoctorFinding, DoctorRequest, lack


@dataclass(frozen=True)
class Probe:
    """One check: its subject, its function, and how that runs.

    `alone` runs it in a process of its own, for at most `seconds`: for functions that may abort
    their process, as Caffe does, and a truncated database.
    """

    about: str
    examine: Callable[[DoctorRequest], list[DoctorFinding]]
    alone: bool = False
    seconds: float = 60


PROBES = (
    Probe("Python", inputs.examine_packages),
    Probe("Caffe", caffe_and_gpu.examine_program),
    Probe("import caffe", caffe_and_gpu.examine_module, alone=True),
    Probe("BLAS kernel", caffe_and_gpu.examine_kernel),
    Probe("GPU", caffe_and_gpu.examine_gpus),
    Probe("memory", resources.examine_memory),
    Probe("disk", resources.examine_disk),
    Probe("databases", inputs.examine_databases, alone=True, seconds=600),
    Probe("weights", inputs.examine_weights),
    Probe("permissions", inputs.examine_permissions),
)


def examine(request: DoctorRequest, probes: Sequence[Probe] = PROBES) -> Iterator[DoctorFinding]:
    """Run the probes; yield each one's findings as soon as it ends."""
    for probe in probes:
        yield from _run(probe, request)


def _run(probe: Probe, request: DoctorRequest) -> list[DoctorFinding]:
    """Run one probe; any error in it becomes its finding."""
    try:
        if not probe.alone:
            return probe.examine(request)
        from netgen.caffe.child import call

        found: list[DoctorFinding] = call(probe.examine, request, silence=probe.seconds)
    except Exception as error:  # on a broken machine, anything may fail
        what = f"could not be checked: {error or type(error).__name__}"
        return [lack(probe.about, what, "fix what the message names, then run this again")]
    return found
