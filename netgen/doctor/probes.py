"""The probes, as a table, and how they are run: none can hurt another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from netgen.doctor import caffe_and_gpu, inputs, resources
from netgen.doctor.probe import Asked, Finding, lack


@dataclass(frozen=True)
class Probe:
    """A question: what it is about, the function that answers it, and where that runs.

    `alone` is for functions that may end their process: Caffe aborts, and a database that is cut
    off while it is read does, too; `seconds` is how long they may take.
    """

    about: str
    examine: Callable[[Asked], list[Finding]]
    alone: bool = False
    seconds: float = 60


PROBES = (
    Probe("Python", inputs.examine_packages),
    Probe("Caffe", caffe_and_gpu.program),
    Probe("import caffe", caffe_and_gpu.module, alone=True),
    Probe("GPU", caffe_and_gpu.examine_gpus),
    Probe("memory", resources.memory),
    Probe("disk", resources.disk),
    Probe("databases", inputs.examine_databases, alone=True, seconds=600),
    Probe("weights", inputs.examine_weights),
    Probe("permissions", inputs.examine_permissions),
)


def examine(asked: Asked, probes: Sequence[Probe] = PROBES) -> Iterator[Finding]:
    """Run the probes, and give what each finds as it finds it."""
    for probe in probes:
        yield from _findings(probe, asked)


def _findings(probe: Probe, asked: Asked) -> list[Finding]:
    """Run one probe; whatever goes wrong in it is its finding."""
    try:
        if not probe.alone:
            return probe.examine(asked)
        from netgen.caffe.child import call

        found: list[Finding] = call(probe.examine, asked, silence=probe.seconds)
    except Exception as error:  # a doctor that falls ill at the sight of a broken machine is none
        what = f"could not be examined: {error or type(error).__name__}"
        return [lack(probe.about, what, "mend what the message names, then ask again")]
    return found
