"""The probes, as a table, and how they are run: none can hurt another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from netgen.doctor import caffe, data, gpu, packages, permissions, room, weights
from netgen.doctor.finding import Asked, Finding, lack


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
    Probe("Python", packages.examine),
    Probe("Caffe", caffe.program),
    Probe("import caffe", caffe.module, alone=True),
    Probe("GPU", gpu.examine),
    Probe("memory", room.memory),
    Probe("disk", room.disk),
    Probe("databases", data.examine, alone=True, seconds=600),
    Probe("weights", weights.examine),
    Probe("permissions", permissions.examine),
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
        from netgen.child import call

        found: list[Finding] = call(probe.examine, asked, silence=probe.seconds)
    except Exception as error:  # a doctor that falls ill at the sight of a broken machine is none
        what = f"could not be examined: {error or type(error).__name__}"
        return [lack(probe.about, what, "mend what the message names, then ask again")]
    return found
