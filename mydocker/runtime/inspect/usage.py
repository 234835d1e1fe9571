"""What a running container uses: from its cgroups where it has some that count, else summed over its processes.

Sums lack what processes used that have ended, but for those that the first process has waited for.
"""

from __future__ import annotations

import os
import time

from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.cgroup.cgroup import read
from mydocker.runtime.inspect.processes import all_pids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mydocker.runtime.cgroup.hierarchy import Cgroup
    from mydocker.runtime.inspect.container_view import ContainerView

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UNLIMITED = 1 << 60  # bytes; v1 has a number for "no limit"


class Usage(Record):
    """Bytes, and seconds of processor time, up to `at`, seconds of the monotonic clock. `network` and `disk` are what
    was received or read, and what was sent or written; None where nothing counts it for the container alone."""

    at: float
    cpu: float
    memory: int
    limit: int
    network: tuple[int, int] | None
    disk: tuple[int, int]
    tasks: int

    def load_since(self, before: Usage) -> float:
        """The share of a processor, 1.0 for all of one, that was used since BEFORE."""
        return max(0.0, (self.cpu - before.cpu) / max(self.at - before.at, 1e-9))


def usage(view: ContainerView) -> Usage:
    """What the container of VIEW uses now. Raises ProcessLookupError if it has ended."""
    pids = all_pids(view.process, view.namespaces)
    cgroups = view.plan.cgroups
    own = read("/proc", "meminfo").split()
    machine = int(own[own.index("MemTotal:") + 1]) << 10
    memory, limit = _memory(cgroups) or (sum(_resident(pid) for pid in pids), machine)
    cpu, tasks, disk = _cpu(cgroups), _tasks(cgroups), _disk(cgroups)
    return Usage(
        at=time.monotonic(),
        cpu=sum(map(_cpu_of, pids)) if cpu is None else cpu,
        memory=memory,
        limit=min(limit, machine),
        network=_network(pids) if "net" in view.namespaces else None,
        disk=_disk_of(pids) if disk is None else disk,
        tasks=sum(map(_tasks_of, pids)) if tasks is None else tasks,
    )


def _memory(cgroups: Iterable[Cgroup]) -> tuple[int, int] | None:
    """Used, without the page cache that is not in use, and the limit: as `docker stats` counts."""
    for cgroup in cgroups:
        used = _number(cgroup, "memory.current", "memory.usage_in_bytes")
        if used is not None:
            words = read(cgroup.path, "memory.stat").split()
            keyed = dict(zip(words[::2], words[1::2], strict=False))
            cache = int(keyed.get("inactive_file" if cgroup.version == 2 else "total_inactive_file", "0"))
            limit = _number(cgroup, "memory.max", "memory.limit_in_bytes")
            return max(0, used - cache), _UNLIMITED if limit is None else limit
    return None


def _cpu(cgroups: Iterable[Cgroup]) -> float | None:
    for cgroup in cgroups:
        words = read(cgroup.path, "cpu.stat").split()
        if "usage_usec" in words:
            return int(words[words.index("usage_usec") + 1]) / 1e6
        nanoseconds = _number(cgroup, "cpuacct.usage")
        if nanoseconds is not None:
            return nanoseconds / 1e9
    return None


def _tasks(cgroups: Iterable[Cgroup]) -> int | None:
    counts = (_number(cgroup, "pids.current") for cgroup in cgroups)
    return next((count for count in counts if count is not None), None)


def _disk(cgroups: Iterable[Cgroup]) -> tuple[int, int] | None:
    """io.stat of v2 has `8:0 rbytes=… wbytes=…`; v1's file has `8:0 Read …`."""
    for cgroup in cgroups:
        if text := read(cgroup.path, "io.stat"):
            pairs = [word.split("=") for word in text.split() if "=" in word]
            count = [sum(int(value) for key, value in pairs if key == name) for name in ("rbytes", "wbytes")]
            return count[0], count[1]
        if text := read(cgroup.path, "blkio.throttle.io_service_bytes_recursive"):
            lines = [line.split() for line in text.splitlines()]
            count = [sum(int(line[2]) for line in lines if line[1:2] == [name]) for name in ("Read", "Write")]
            return count[0], count[1]
    return None


def _number(cgroup: Cgroup, *names: str) -> int | None:
    return next((int(text) for name in names if (text := read(cgroup.path, name).strip()).isdigit()), None)


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat after the name."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _cpu_of(pid: int) -> float:
    fields = _stat(pid)
    return sum(int(each) for each in fields[11:15]) / _TICK


def _tasks_of(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[17]) if fields else 0


def _resident(pid: int) -> int:
    words = read(f"/proc/{pid}", "statm").split()
    return int(words[1]) * _PAGE if words else 0


def _disk_of(pids: Iterable[int]) -> tuple[int, int]:
    total = {"read_bytes:": 0, "write_bytes:": 0}
    for pid in pids:
        words = read(f"/proc/{pid}", "io").split()
        for name in total:
            total[name] += int(words[words.index(name) + 1]) if name in words else 0
    return total["read_bytes:"], total["write_bytes:"]


def _network(pids: Iterable[int]) -> tuple[int, int] | None:
    """Received and sent, by all interfaces but the loopback (proc_pid_net(5), dev), as the first process that may be
    read shows them."""
    for pid in pids:
        lines = [line.partition(":") for line in read(f"/proc/{pid}/net", "dev").splitlines()[2:]]
        if lines:
            counts = [rest.split() for name, _, rest in lines if name.strip() != "lo"]
            return sum(int(each[0]) for each in counts), sum(int(each[8]) for each in counts)
    return None
