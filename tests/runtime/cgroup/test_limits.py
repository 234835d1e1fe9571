"""Limits: what the kernel holds a container to, how running out of memory is reported, and what is left behind."""

from __future__ import annotations

import json
import os
import pathlib
import stat
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab.command import Command, Result
from lab.processes import sleeping, within_a_second

from mydocker.errors import LaunchError
from mydocker.runtime.cgroup.controllers import demands
from mydocker.specs.model import ContainerSpec
from mydocker.specs.model.parts import BlockLimits

root = pytest.mark.root

MEMORY = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
PROCESSES = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null"
TIME = "cut -d' ' -f1 /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null"


def _cgroups(container: str) -> list[pathlib.Path]:
    """The cgroups of a container, in all hierarchies."""
    found = os.walk("/sys/fs/cgroup")  # which passes over what others remove meanwhile
    return [pathlib.Path(top, name) for top, names, _ in found for name in names if name == f"mydocker-{container}"]


def _nothing_left(cidfile: pathlib.Path) -> bool:
    """No cgroup of the container whose id is in CIDFILE."""
    container = cidfile.read_text()[:12]
    assert container
    return within_a_second(lambda: not _cgroups(f"{container}*"))


def _settings(spec: ContainerSpec, version: str) -> dict[str, str]:
    return {x.file: x.value for demand in demands(spec) for x in getattr(demand, version)}


def test_what_is_written_in_either_version() -> None:
    spec = ContainerSpec(mem_limit=64 << 20, cpus=0.5, cpuset=(0, 2), pids_limit=9)
    common = {"cpuset.cpus": "0,2", "pids.max": "9"}
    assert _settings(spec, "v1") == common | {
        "memory.limit_in_bytes": "67108864",
        "memory.memsw.limit_in_bytes": "134217728",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "50000",
    }
    assert _settings(spec, "v2") == common | {
        "memory.max": "67108864",
        "memory.swap.max": "67108864",
        "cpu.max": "50000 100000",
    }
    assert demands(ContainerSpec()) == ()


@pytest.mark.parametrize(("both", "v1", "v2"), [(64 << 20, "67108864", "0"), (-1, "-1", "max")])
def test_swap(both: int, v1: str, v2: str) -> None:
    """Docker counts memory and swap together, as cgroup v1 does; v2 counts swap alone."""
    spec = ContainerSpec(mem_limit=64 << 20, memswap_limit=both)
    assert _settings(spec, "v1")["memory.memsw.limit_in_bytes"] == v1
    assert _settings(spec, "v2")["memory.swap.max"] == v2


def test_what_no_machine_has_is_refused() -> None:
    with pytest.raises(LaunchError, match="more than the"):
        demands(ContainerSpec(cpus=(os.cpu_count() or 1) + 0.5))
    with pytest.raises(LaunchError, match="needs a limit on memory"):
        demands(ContainerSpec(memswap_limit=1 << 30))


@root
@pytest.mark.parametrize(
    ("options", "script", "expected"),
    [
        (("-m", "64m"), MEMORY, b"67108864\n"),
        (("--memory", "1g", "--memory-swap", "1g"), MEMORY, b"1073741824\n"),
        (("--pids-limit", "20"), PROCESSES, b"20\n"),
        (("--cpus", "0.5"), TIME, b"50000\n"),
        (("--cpuset-cpus", "0"), "nproc", b"1\n"),
        (("--cpuset-cpus", "0"), "grep Cpus_allowed_list /proc/self/status", b"Cpus_allowed_list:\t0\n"),
        (("-m", "64m", "--pids-limit", "20"), f"{PROCESSES}; {MEMORY}; :", b"20\n67108864\n"),
        (("-m", "6m"), "echo started", b"started\n"),
        (("-m", "64m"), "touch /sys/fs/cgroup/x 2>&1 | grep -c Read-only", b"1\n"),
        (("-m", "64m"), "grep -h memory /proc/self/cgroup; grep ^0: /proc/self/cgroup", None),
    ],
)
def test_limits_seen_inside(
    alpine: Command, tmp_path: pathlib.Path, options: tuple[str, ...], script: str, expected: bytes | None
) -> None:
    cidfile = tmp_path / "id"
    done = alpine("run", "--cidfile", str(cidfile), *options, "alpine", "sh", "-c", f"{script} || true")
    assert (done.stderr, done.code) == (b"", 0)
    if expected is None:  # a cgroup namespace of its own: what it is limited by is its root
        assert {line.split(b":")[2] for line in done.stdout.splitlines()} == {b"/"}
    else:
        assert done.stdout == expected
    assert _nothing_left(cidfile)


@root
def test_no_limit_makes_no_cgroup(alpine: Command) -> None:
    assert json.loads(alpine("run", "--dry-run", "alpine", "true").stdout)["cgroups"] == []


@root
def test_more_processes_than_allowed(alpine: Command) -> None:
    """The shell itself, and nine more; the tenth is refused."""
    script = "i=0; while [ $i -lt 9 ]; do sleep 1000 & i=$((i+1)); done; echo nine; sleep 1000 & wait"
    done = alpine("run", "--pids-limit", "10", "alpine", "sh", "-c", script)
    assert done.stdout == b"nine\n"
    assert b"can't fork" in done.stderr
    assert done.code != 0


@root
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("tail", "/dev/zero"), 137),
        (("sh", "-c", "tail /dev/zero; echo $?; exit 5"), 5),
    ],
)
def test_out_of_memory(alpine: Command, tmp_path: pathlib.Path, command: tuple[str, ...], code: int) -> None:
    cidfile = tmp_path / "id"
    done = alpine("run", "--cidfile", str(cidfile), "-m", "16m", "--memory-swap", "16m", "alpine", *command)
    assert done.code == code
    assert done.stdout == (b"137\n" if code == 5 else b"")
    if code == 137:
        assert done.stderr == b"mydocker: out of memory: the container needed more than its memory limit\n"
    assert _nothing_left(cidfile)


@root
def test_a_sequence_tells_what_ran_out_of_memory(alpine: Command, tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "name: greedy\nimage: alpine\nmem_limit: 16m\nmemswap_limit: 16m\ncommand: tail /dev/zero\n"
        "---\nname: killed\nimage: alpine\nmem_limit: 16m\ncommand: [sh, -c, 'exit 137']\n"
    )
    done = alpine("up", "--keep-going", str(tmp_path / "s.yaml"))
    greedy, killed = done.stderr.decode().splitlines()
    assert greedy.startswith("greedy: out of memory, killed by signal 9 (")
    assert killed.startswith("killed: exit code 137 (")
    assert done.code == 137
    (tmp_path / "one.yaml").write_text("image: alpine\nmem_limit: 16m\nmemswap_limit: 16m\ncommand: tail /dev/zero\n")
    assert alpine("up", str(tmp_path / "one.yaml")).stderr.startswith(b"mydocker: out of memory: ")


@root
def test_kill_leaves_no_cgroup(alpine: Command) -> None:
    process = alpine.start("run", "-m", "64m", "--pids-limit", "9", "alpine", "sh", "-c", "hostname; sleep 60; true")
    assert process.stdout
    container = process.stdout.readline().decode().strip()
    assert _cgroups(container)
    process.kill()
    process.communicate()
    assert within_a_second(lambda: not _cgroups(container))


@root
def test_the_next_run_sweeps_what_a_killed_one_left(alpine: Command) -> None:
    """As after the death of mydocker and of its cleanup process too: a run directory without a lock that names its
    cgroups."""
    plan = json.loads(alpine("run", "--dry-run", "-m", "64m", "alpine", "true").stdout)
    stale = plan["cgroups"][0]["path"]
    os.mkdir(stale)
    left = alpine.store / "containers" / "0123456789ab"
    left.mkdir()
    (left / "cgroups").write_text(f"{stale}\n{stale}-never-made")
    assert alpine("run", "alpine", "true") == Result(b"", b"", 0)
    assert not left.exists()
    assert not os.path.exists(stale)


@root
def test_without_a_pid_namespace_nothing_survives_either(alpine: Command, tmp_path: pathlib.Path) -> None:
    mark, cidfile = f"1234.{os.getpid()}", tmp_path / "id"
    options = ("--namespaces", "mount,cgroup", "-m", "64m", "--cidfile", str(cidfile))
    done = alpine("run", *options, "alpine", "sh", "-c", f"sleep {mark} & echo")
    assert (done.stdout, done.stderr, done.code) == (b"\n", b"", 0)
    assert within_a_second(lambda: sleeping(mark) == [])  # dead at least: reaping it is its parent's task
    assert _nothing_left(cidfile)


@root
def test_a_limit_and_a_terminal(alpine: Command) -> None:
    assert alpine("run", "-t", "-m", "64m", "alpine", "echo", "x").stdout == b"x\r\n"


@root
def test_a_command_that_never_started_leaves_no_cgroup(alpine: Command, tmp_path: pathlib.Path) -> None:
    cidfile = tmp_path / "id"
    assert alpine("run", "--cidfile", str(cidfile), "-m", "64m", "alpine", "/nonexistent").code == 127
    assert _nothing_left(cidfile)


@root
@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("mount -o bind,ro /sys/fs/cgroup/$c /sys/fs/cgroup/$c", b"is read-only"),
        ("umount -R /sys/fs/cgroup", b"no cgroup controller 'memory'"),
    ],
)
def test_what_the_host_lacks(alpine: Command, prefix: str, message: bytes) -> None:
    """In a mount namespace of the test's own, the host is made one that cannot."""
    script = f'c=memory; [ -d /sys/fs/cgroup/$c ] || c=; {prefix}; exec "$@"'
    lesser = Command(
        alpine.program, alpine.environment, alpine.directory, ["unshare", "-m", "sh", "-c", script, "sh"], alpine.store
    )
    done = lesser("run", "-m", "64m", "alpine", "true")
    assert message in done.stderr
    assert b"hint: " in done.stderr
    assert b"Traceback" not in done.stderr
    assert (done.stdout, done.code) == (b"", 125)
    assert lesser("run", "alpine", "true") == Result(b"", b"", 0)


@root
@pytest.mark.parametrize("options", [("-m", "64m"), ("--cpus", "0.5"), ("--cpuset-cpus", "0"), ("--pids-limit", "9")])
def test_no_limit_without_delegation(second_user: Command, options: tuple[str, ...]) -> None:
    """An ordinary user whom nobody gave a cgroup gets an error that says so, never a limit that does not hold."""
    done = second_user("run", *options, "alpine", "true")
    assert done.stderr.startswith(b"mydocker: cannot limit ")
    assert b"\nhint: " in done.stderr
    assert (done.stdout, done.code) == (b"", 125)


@root
def test_a_processor_that_is_not_there(alpine: Command) -> None:
    done = alpine("run", "--cpuset-cpus", "0,4000", "alpine", "true")
    assert done.stderr.startswith(b"mydocker: this machine has no processor 4000 for a container")
    assert done.code == 125


@pytest.fixture
def outer() -> Iterator[pathlib.Path]:
    """A cgroup with a memory limit, such as a job's or a pod's."""
    top = pathlib.Path("/sys/fs/cgroup/memory")
    file, top = ("memory.limit_in_bytes", top) if top.is_dir() else ("memory.max", top.parent)
    path = top / f"outer-{os.getpid()}"
    path.mkdir()
    (path / file).write_text(str(96 << 20))
    yield path
    assert within_a_second(lambda: not (path / "cgroup.procs").read_text())
    path.rmdir()


def _inside(mydocker: Command, cgroup: pathlib.Path) -> Command:
    script = f'echo 0 > {cgroup}/cgroup.procs && exec "$@"'
    return replace(mydocker, prefix=("sh", "-c", script, "sh"))


@root
@pytest.mark.parametrize("options", [(), ("--init",), ("-m", "512m"), ("--pid", "host")])
def test_a_memory_limit_of_somebody_else_is_named(
    alpine: Command, outer: pathlib.Path, tmp_path: pathlib.Path, options: tuple[str, ...]
) -> None:
    words = (
        f"killed from outside the container, perhaps by the memory limit of {outer} (96 MiB), for which the kernel has"
    )
    limited = _inside(alpine, outer)
    done = limited("run", *options, "--result", str(tmp_path / "r"), "alpine", "tail", "/dev/zero")
    if "-m" in options and outer.parent == pathlib.Path("/sys/fs/cgroup"):
        # in v2 no cgroup with a limit lies below one that has processes (cgroups(7)), so here only its own holds
        assert done.code == 137 and done.stderr.startswith(b"mydocker: out of memory: "), done
        return
    assert done.code == 137 and done.stderr.startswith(f"mydocker: {words} ".encode()), done
    line = json.loads((tmp_path / "r").read_text())
    assert line["oom_killed"] is False and line["killed_by"].startswith(words)


@root
def test_and_in_the_reports_of_several(alpine: Command, outer: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.smoke.yaml").write_text(
        "name: greedy\nimage: alpine\ncommand: tail /dev/zero\n---\nimage: alpine\ncommand: 'true'\n"
    )
    suspect = f"perhaps by the memory limit of {outer} (96 MiB)"
    words = f"killed by signal 9, killed from outside the container, {suspect}".encode()
    assert words in _inside(alpine, outer)("test", "x.smoke.yaml", cwd=tmp_path).stdout
    assert words in _inside(alpine, outer)("up", "--keep-going", "x.smoke.yaml", cwd=tmp_path).stderr


@root
def test_a_kill_that_no_limit_explains_is_not_explained(alpine: Command, outer: pathlib.Path) -> None:
    limited = _inside(alpine, outer)
    for mydocker in (alpine, limited):
        done = mydocker("run", "--init", "alpine", "sh", "-c", "kill -9 $$")
        assert (done.stderr, done.code) == (b"", 137)
    done = limited("run", "-m", "16m", "--memory-swap", "16m", "alpine", "tail", "/dev/zero")
    assert done.stderr == b"mydocker: out of memory: the container needed more than its memory limit\n"
    assert limited("run", "--timeout", "300ms", "--stop-timeout", "0", "alpine", "sleep", "60").stderr == b""


def test_what_is_written_for_shares_reservations_and_disks(tmp_path: pathlib.Path) -> None:
    """The conversions are runc's: the ends of the ranges are the same."""
    spec = ContainerSpec(
        mem_reservation=9 << 20, mem_swappiness=5, oom_kill_disable=True, cpu_quota=2000, cpu_period=5000
    )
    assert spec.limited
    assert _settings(spec, "v1") == {
        "memory.soft_limit_in_bytes": "9437184",
        "memory.swappiness": "5",
        "memory.oom_control": "1",
        "cpu.cfs_period_us": "5000",
        "cpu.cfs_quota_us": "2000",
    }
    assert _settings(spec, "v2") == {"memory.low": "9437184", "cpu.max": "2000 5000"}
    for shares, weight in ((2, "1"), (1024, "39"), (262_144, "10000")):
        assert _settings(ContainerSpec(cpu_shares=shares), "v2") == {"cpu.weight": weight}
    assert _settings(ContainerSpec(cpu_period=5000), "v2") == {"cpu.max": "max 5000"}
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(LaunchError, match=str(path)):
            demands(ContainerSpec(blkio_config=BlockLimits(read_bps=((str(path), 5),))))


@root
def test_disks_by_their_numbers(tmp_path: pathlib.Path) -> None:
    disk = tmp_path / "disk"
    os.mknod(disk, 0o600 | stat.S_IFBLK, os.makedev(7, 3))
    rates = {"read_bps": ((str(disk), 5),), "write_iops": ((str(disk), 6),)}
    limits = BlockLimits(weight=10, weight_device=((str(disk), 1000),), **rates)
    [demand] = demands(ContainerSpec(blkio_config=limits))
    assert (demand.name(1), demand.name(2)) == ("blkio", "io")
    assert [(each.file, each.value, each.other_file, each.other_value) for each in demand.v1] == [
        ("blkio.weight", "10", "blkio.bfq.weight", "10"),
        ("blkio.weight_device", "7:3 1000", "blkio.bfq.weight_device", "7:3 1000"),
        ("blkio.throttle.read_bps_device", "7:3 5", "", ""),
        ("blkio.throttle.write_iops_device", "7:3 6", "", ""),
    ]
    assert [(each.file, each.value, each.other_value) for each in demand.v2] == [
        ("io.weight", "default 1", "10"),
        ("io.weight", "7:3 10000", "7:3 1000"),
        ("io.max", "7:3 rbps=5", ""),
        ("io.max", "7:3 wiops=6", ""),
    ]


@root
def test_shares_and_reservations_hold(alpine: Command, tmp_path: pathlib.Path) -> None:
    cidfile = tmp_path / "id"
    script = (
        "cat /sys/fs/cgroup/cpu.weight /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null; "
        "cat /sys/fs/cgroup/memory.low /sys/fs/cgroup/memory/memory.soft_limit_in_bytes 2>/dev/null; "
        "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null | cut -d' ' -f1"
    )
    options = ("-c", "512", "--memory", "64m", "--memory-reservation", "32m", "--cpu-quota", "50000")
    done = alpine("run", "--cidfile", str(cidfile), *options, "alpine", "sh", "-c", script)
    assert done.code == 0, done
    shares, reservation, quota = done.stdout.split()
    assert shares in (b"512", b"20") and (reservation, quota) == (b"33554432", b"50000")
    assert _nothing_left(cidfile)
