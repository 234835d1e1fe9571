"""A cluster of Slurm on this machine: Debian's slurmctld, two slurmd and munged, with a configuration, ports and
sockets of their own. All run as root, which slurmd needs."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from lab.command import PATH, Command, Result
from lab.processes import wait_for, within

PROCESSORS = 8  # of each node, as Slurm counts: it does not look how many there are
_CONFIGURATION = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={directory}/munge/socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/%n/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/%n/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/%n/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/{track}
TaskPlugin=task/{task}
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=400
SlurmdTimeout={timeout}
MessageTimeout=5
SlurmctldTimeout=10
InactiveLimit=0
KillWait={kill_wait}
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={processors} RealMemory=4000
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={processors} RealMemory=4000
PartitionName=all Nodes={nodes[0]},{nodes[1]} Default=YES MaxTime=60 State=UP
"""
_TIMES = re.compile(r"in \d+\.\d\d s$|  +\d+\.\d\d s", re.MULTILINE)
_CGROUPS = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainCores=no
ConstrainRAMSpace=yes
"""


class Cluster:
    """`environment` is what Slurm's programs need. Its files are in DIRECTORY."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.nodes = _nodes()
        self.started: list[subprocess.Popen[bytes]] = []  # what waits for jobs
        self.environment = {"PATH": PATH, "SLURM_CONF": str(directory / "slurm.conf")}

    def __call__(self, *words: str, check: bool = True) -> str:
        """What one of Slurm's programs prints."""
        done = subprocess.run(words, capture_output=True, text=True, env=self.environment, timeout=240)
        assert not check or done.returncode == 0, (words, done)
        return done.stdout

    def tasks(self, job: str) -> dict[int, str]:
        """The states of the tasks of array JOB that have not ended."""
        lines = self("squeue", "-h", "-r", "-j", job, "-o", "%K %T", check=False).splitlines()
        return {int(number): state for number, state in (line.split() for line in lines)}

    def node_of(self, task: str) -> str:
        """The node on which TASK, JOB_NUMBER, runs."""
        return self("squeue", "-h", "-j", task, "-o", "%N").strip()

    def pid(self, node: str) -> int:
        """The process of its slurmd."""
        return int((self.directory / node / "slurmd.pid").read_text())

    def start_node(self, node: str) -> None:
        self("slurmd", "-N", node, "-f", self.environment["SLURM_CONF"])

    def is_up(self, *nodes: str) -> bool:
        """Whether NODES, or all, take jobs."""
        lines = self("sinfo", "-h", "-N", "-o", "%N %T", check=False).splitlines()
        states = dict(line.split() for line in lines)
        return all(states.get(node) in ("idle", "mixed", "allocated") for node in nodes or self.nodes)

    def end(self, *names: str) -> None:
        """End the daemons whose pid files are NAMES."""
        pids = [int(path.read_text()) for name in names if (path := self.directory / name).is_file()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        assert within(100, lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids)), names
        # without slurmctld, to which it would report, slurmstepd never ends; nor does then what it runs
        for environment in pathlib.Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if f"={self.directory}/".encode() in environment.read_bytes():
                    os.kill(int(environment.parent.name), signal.SIGKILL)
        assert within(100, self._remove_groups), names

    def _remove_groups(self) -> bool:
        """Remove the control groups that Slurm leaves; False while there are processes in one."""
        groups = [path for node in self.nodes for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/slurm_{node}")]
        with suppress(OSError):
            for path in groups:
                for below in (*sorted(path.rglob("*/"), reverse=True), path):
                    below.rmdir()
            return True
        return False


class Batch:
    """`mydocker test --on slurm` in a folder with spec files."""

    def __init__(self, command: Command, slurm: Cluster, folder: pathlib.Path) -> None:
        self.command, self.slurm, self.folder, self.directory = command, slurm, folder, folder / "parts"
        self.environment = slurm.environment
        self._job = ""

    @classmethod
    def in_folder(cls, command: Command, slurm: Cluster, folder: pathlib.Path, specs: str) -> Batch:
        """One with SPECS, in a new FOLDER."""
        (folder / "gate").mkdir(parents=True)
        (folder / "slow.smoke.yaml").write_text(specs)
        return cls(command, slurm, folder)

    def __call__(self, *words: str, env: dict[str, str] | None = None) -> Result:
        environment = {**self.environment, **(env or {})}
        return self.command("test", *self._words(*words), cwd=self.folder, env=environment)

    def _words(self, *words: str) -> list[str]:
        return ["--on", "slurm", "-n", "2", "--dir", str(self.directory), *words, "."]

    def start(self, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        environment = {**self.environment, **(env or {})}
        process = self.command.start("test", *self._words(*words), cwd=self.folder, env=environment)
        self.slurm.started.append(process)
        return process

    def report(self) -> Result:
        return self.command("report", str(self.directory), cwd=self.folder, env=self.environment)

    def job(self) -> str:
        """The number of the job, once there is one."""
        if not self._job:
            wait_for((self.directory / "batch.json").exists)
            self._job = json.loads((self.directory / "batch.json").read_text())["id"]
        return self._job

    def job_with_slow_case(self) -> str:
        """The same once its second case runs, and its first one has ended."""
        wait_for(lambda: any(path.read_text().count("\n") > 1 for path in self.directory.glob("1.?.jsonl")))
        wait_for((self.folder / "gate" / "begun").exists)
        return self.job()

    def begin(self, *parts: int, check: bool = True) -> None:
        """Let tasks begin that were to begin later."""
        for part in parts or (1, 2):
            self.slurm("scontrol", "update", f"jobid={self.job()}_{part}", "StartTime=now", check=check)

    def open_gate(self) -> None:
        (self.folder / "gate" / "open").touch()


def end(process: subprocess.Popen[bytes]) -> Result:
    stdout, stderr = process.communicate(timeout=240)
    return Result(stdout, stderr, process.returncode)


def printed(done: Result) -> str:
    """What a batch has printed, but for times."""
    return _TIMES.sub("", done.stdout.decode())


@contextmanager
def cluster(*, track: str = "linuxproc", kill_wait: int = 2, timeout: int = 5) -> Iterator[Cluster]:
    """Two nodes that are idle. TRACK is how Slurm knows the processes of a job: `linuxproc` or `cgroup`. A job that is
    to end has KILL_WAIT seconds; a node is lost after TIMEOUT seconds."""
    with ExitStack() as stack:
        # open to all, since ordinary users are to submit jobs, and with a short name: sockets lie in it
        directory = pathlib.Path(tempfile.mkdtemp(prefix="slurm-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        directory.chmod(0o755)
        made = Cluster(directory)
        for name in ("munge", "state", *made.nodes):
            (directory / name).mkdir(mode=0o755)
        _configure(made, track=track, kill_wait=kill_wait, timeout=timeout)
        stack.callback(made.end, "munge/pid", "slurmctld.pid", *(f"{node}/slurmd.pid" for node in made.nodes))
        _start_munge(made)
        made("slurmctld", "-i", "-f", made.environment["SLURM_CONF"])
        for node in made.nodes:
            made.start_node(node)
        assert within(100, made.is_up), made("sinfo", "-N", check=False)
        yield made
        for process in made.started:
            process.kill()
            process.communicate()


_clusters = itertools.count()


def _nodes() -> list[str]:
    """Two names that no other cluster here has: Slurm names control groups after its nodes."""
    number = next(_clusters)
    return [f"n{os.getpid()}x{number}{letter}" for letter in "ab"]


def _configure(made: Cluster, *, track: str, kill_wait: int, timeout: int) -> None:
    (made.directory / "slurm.conf").write_text(
        _CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            directory=made.directory,
            nodes=made.nodes,
            ports=_free_ports(3),
            track=track,
            task="cgroup" if track == "cgroup" else "none",
            processors=PROCESSORS,
            kill_wait=kill_wait,
            timeout=timeout,
        )
    )
    if track == "cgroup":
        (made.directory / "cgroup.conf").write_text(_CGROUPS)


def _start_munge(made: Cluster) -> None:
    place = made.directory / "munge"
    (place / "key").write_bytes(os.urandom(128))
    (place / "key").chmod(0o400)
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    made("munged", *(f"--{option}={place / name}" for option, name in files.items()))


def _free_ports(count: int) -> Sequence[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
