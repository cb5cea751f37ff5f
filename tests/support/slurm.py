"""A Slurm with one node, on this machine and in a folder of its own; nothing of it stays behind.

Its daemons are this process's children and end with it. Jobs have the path of this Slurm's
configuration in their environment, and Slurm's processes work in its folder: so all of them are
found and ended, also by the next run if this one was killed.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "setpriv")
SBIN = "/usr/sbin:/sbin"  # where daemons are, whether or not a user's PATH has it
THEIRS = ("SLURM", "SBATCH", "SQUEUE", "SINFO", "SCANCEL")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_SOCKET = 107  # bytes of a Unix socket's path
SHORT, LONG = 60, 900  # seconds: last limits, for daemons to answer and for jobs to get somewhere
NODE, GPUS = "node1", 2

# A node of any size (config_overrides), whose GPUs are devices that every machine has. Nothing here
# needs systemd, control groups, a database or root: jobs are of the user whose Slurm it is. Slurm's
# own KillWait (30 s) is left as it is.
CONF = """\
ClusterName=netgen
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/task-prolog
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=10
MinJobAge=86400
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=65536 Gres=gpu:{gpus}
PartitionName=all Nodes={node} Default=YES
"""
GRES = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
CGROUP = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n"
# Notes which GPU a job was given; holds it back while the test wants that.
PROLOG = """\
#!/bin/sh
echo "$SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID $CUDA_VISIBLE_DEVICES" >>{folder}/given
while [ -e {folder}/hold ]; do sleep 0.1; done
"""


class SlurmError(RuntimeError):
    """A Slurm that cannot run here; the message says why and what to do next."""


@dataclass(frozen=True)
class Task:
    """A task of a job array as the queue shows it."""

    state: str
    reason: str
    job: str  # its own number, which is the array's for the last of an array


@dataclass
class Slurm:
    """A running Slurm; `start` and `stop` are called by `running`."""

    folder: Path
    ports: tuple[int, int]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's programs need, and what jobs get; nothing of another Slurm's."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(THEIRS)}
        return ours | {"PATH": f"{os.environ['PATH']}:{SBIN}", "SLURM_CONF": str(self.conf)}

    # ---- start and end --------------------------------------------------------------------------

    def start(self) -> None:
        host = socket.gethostname().partition(".")[0]
        values = {
            "folder": self.folder, "ports": self.ports, "host": host, "node": NODE, "gpus": GPUS,
            "user": pwd.getpwuid(os.geteuid()).pw_name,
        }  # fmt: skip
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        self.conf.write_text(CONF.format(**values))
        (self.folder / "gres.conf").write_text(GRES)
        (self.folder / "cgroup.conf").write_text(CGROUP)
        (self.folder / "task-prolog").write_text(PROLOG.format(**values))
        (self.folder / "task-prolog").chmod(0o755)
        (self.folder / "given").touch()
        self._start_munge()
        self._start("slurmctld", "-D", "-f", self.conf)
        self.wait(lambda: "is UP" in self.ask("scontrol", "ping", check=False), SHORT)
        self.start_node()

    def _start_munge(self) -> None:
        at = self.folder
        key = f"--keyfile={at / 'munge.key'}"
        subprocess.run(["mungekey", "--create", key], env=self.environment, check=True)
        files = {
            "socket": at / "munge.socket",
            "key-file": at / "munge.key",
            "pid-file": at / "munge.pid",
            "seed-file": at / "munge.seed",
        }
        # Forced: else munged refuses folders that only root may enter, such as root's own.
        words = [f"--{name}={file}" for name, file in files.items()]
        self._start("munged", "--foreground", "--force", *words)
        self.wait(files["socket"].exists, SHORT)

    def start_node(self) -> None:
        """Start slurmd; return when the node is ready for jobs."""
        self._start("slurmd", "-D", "-f", self.conf, "-N", NODE)
        self.wait(lambda: self.node() in ("idle", "mixed", "allocated"), SHORT)

    def _start(self, program: str, *words: str | Path) -> None:
        with (self.folder / f"{program}.log").open("ab") as log:
            self.daemons[program] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", program, *words],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    def stop(self) -> int:
        """End everything that belongs to this Slurm; return how many processes there were."""
        ended: set[int] = set()
        deadline = time.monotonic() + SHORT
        while found := self.processes():
            ended.update(found)
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise SlurmError(f"cannot end {sorted(found)}: restart the machine")
            time.sleep(0.02)
        for daemon in self.daemons.values():
            daemon.wait()
        return len(ended)

    def processes(self) -> dict[int, str]:
        """The running processes of this Slurm and its jobs, each with its command line."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                if self._is_ours(process):
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(process.name)] = command.decode(errors="replace")
        return found

    def _is_ours(self, process: Path) -> bool:
        """Jobs by their environment; Slurm's programs overwrite theirs, but work in the folder."""
        mark = f"SLURM_CONF={self.conf}".encode()
        if mark in (process / "environ").read_bytes().split(b"\0"):
            return True
        work = (process / "cwd").readlink()
        return work == self.folder or self.folder in work.parents

    def kill_node(self, *, jobs: bool) -> None:
        """Kill the node's slurmd, as when it loses its network; with its `jobs`, its power."""
        kept = {self.daemons[name].pid for name in ("munged", "slurmctld")}
        gone = set(self.processes()) - kept if jobs else {self.daemons["slurmd"].pid}
        for pid in gone:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemons.pop("slurmd").wait()

    # ---- use ------------------------------------------------------------------------------------

    def ask(self, *command: str | Path, check: bool = True, cwd: Path | None = None) -> str:
        """Run one of Slurm's programs; return what it printed."""
        done = subprocess.run(
            command, env=self.environment, cwd=cwd or self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SHORT, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.stderr}")
        return done.stdout.strip()

    def sbatch(self, script: Path, *options: str) -> str:
        """Submit a script from its own folder; return the array's number."""
        return self.ask("sbatch", "--parsable", *options, script.name, cwd=script.parent)

    def tasks(self, array: str) -> dict[int, Task]:
        """The tasks of an array, also those that have ended."""
        lines = self.ask(
            "squeue", "--array", "--noheader", "--states=all", f"--jobs={array}",
            "--format=%K|%T|%r|%A",
        )  # fmt: skip
        rows = (line.split("|") for line in lines.splitlines())
        return {int(index): Task(*rest) for index, *rest in rows}

    def details(self, array: str, index: int) -> dict[str, str]:
        """What `scontrol show job` says of a task: ExitCode, Restarts and so on."""
        words = self.ask("scontrol", "--oneliner", "show", "job", f"{array}_{index}").split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def node(self) -> str:
        return self.ask("sinfo", "--noheader", "--format=%T", check=False)

    def given(self, array: str) -> dict[int, str]:
        """The GPU numbers that an array's tasks were given."""
        rows = [line.split(" ") for line in (self.folder / "given").read_text().splitlines()]
        return {int(index): gpus for number, index, gpus in rows if number == array}

    def wait(self, condition: Callable[[], object], limit: float = LONG) -> None:
        """Wait until something is so, while all daemons live."""
        deadline = time.monotonic() + limit
        while not condition():
            for name, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    raise SlurmError(self._end_of(name))
            assert time.monotonic() < deadline, f"waited in vain for {limit:g} s: {self.folder}"
            time.sleep(0.2)

    def wait_for_state(self, array: str, state: str, *indices: int) -> None:
        """Wait until these tasks of an array, or all, are in a state."""
        self.wait(
            lambda: all(
                task.state == state
                for index, task in self.tasks(array).items()
                if not indices or index in indices
            )
        )

    def _end_of(self, daemon: str) -> str:
        log = self.folder / f"{daemon}.log"
        lines = log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if "fatal" in line or "error" in line.lower()]
        what = (errors or lines or ["it says nothing"])[-1]
        return f"{daemon} ended: {what} (all of it: {log}). Next: mend that, then ./run slurm again"


@contextmanager
def running(
    folder: Path, ports: tuple[int, int] | None = None, say: Callable[[str], None] = print
) -> Iterator[Slurm]:
    """Run a Slurm in a with block; end all of it after that, and at Ctrl-C, TERM or HUP.

    Parameters
    ----------
    folder
        For configuration, state and logs; emptied first.
    ports
        Of slurmctld and slurmd; by default free ones.
    say
        Called with a sentence if an earlier run left something, which is ended.

    Raises
    ------
    SlurmError
        It cannot run here, or another one runs in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check(folder)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SlurmError(
                f"another ./run slurm uses {folder}: wait until it ends, or end that first"
            ) from None
        slurm = Slurm(folder, ports or _free_ports())
        if left := slurm.stop():
            say(f"ended {left} processes that a broken run had left in {folder}")
        _empty(folder)
        with _signals_raise():
            try:
                slurm.start()
                yield slurm
            finally:
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_IGN)  # nothing interrupts this
                slurm.stop()


def _check(folder: Path) -> None:
    path = f"{os.environ['PATH']}:{SBIN}"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        raise SlurmError(
            f"not installed: {', '.join(missing)}. Next: ./run slurm, which installs them"
        )
    if len(os.fsencode(folder / "munge.socket")) > LONGEST_SOCKET:
        raise SlurmError(f"{folder} is too long a path for a socket. Next: use a shorter one")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let signals raise KeyboardInterrupt, which ends with blocks and pytest in good order."""

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
