"""A cluster of Slurm on this machine: Debian's slurmctld, two slurmd and munged, with a configuration, ports and
sockets of their own. All run as root, which slurmd needs."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from lab.command import PATH
from lab.processes import within

PROCESSORS = 4  # of each node, as Slurm counts: it does not look how many there are
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
SelectTypeParameters=CR_Core
SlurmdTimeout={timeout}
MessageTimeout=5
SlurmctldTimeout=10
InactiveLimit=0
KillWait={kill_wait}
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={processors} RealMemory=1000
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={processors} RealMemory=1000
PartitionName=all Nodes={nodes[0]},{nodes[1]} Default=YES MaxTime=60 State=UP
"""
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
        self.environment = {"PATH": PATH, "SLURM_CONF": str(directory / "slurm.conf")}

    def __call__(self, *words: str, check: bool = True) -> str:
        """What one of Slurm's programs prints."""
        done = subprocess.run(words, capture_output=True, text=True, env=self.environment, timeout=60)
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

    def is_up(self) -> bool:
        return self("sinfo", "-h", "-o", "%T %D", check=False).split() == ["idle", str(len(self.nodes))]

    def end(self, *names: str) -> None:
        """End the daemons whose pid files are NAMES."""
        pids = [int(path.read_text()) for name in names if (path := self.directory / name).is_file()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        assert within(20, lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids)), names
        for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/slurm_n{os.getpid()}?"):
            for below in sorted(path.rglob("*/"), reverse=True):
                below.rmdir()
            path.rmdir()


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
        assert within(30, made.is_up), made("sinfo", "-N", check=False)
        yield made


def _nodes() -> list[str]:
    """Two names that no other cluster here has: Slurm names control groups after its nodes."""
    return [f"n{os.getpid()}{letter}" for letter in "ab"]


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
