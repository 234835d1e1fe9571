"""A warm start, counted: what a run of an image that is present, and a command in a running container, ask of the
kernel."""

from __future__ import annotations

import collections
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab.command import Command, Result

import mydocker

pytestmark = pytest.mark.root

OPENED = re.compile(r'\b(?:openat2?)\([^"]*"([^"]+)".*\bO_RDONLY(?!.*\bO_(?:PATH|DIRECTORY)).* = \d+$')


CALL = re.compile(r"^\d+ +\w+\(", re.MULTILINE)
RUN = ("run", "--network", "none", "alpine", "true")
EXEC = ("exec", "idle", "true")


def _traced(alpine: Command, trace: pathlib.Path, calls: str, *words: str) -> list[str]:
    """The lines of strace(1) for the system CALLS of the second of two equal commands, by default runs, all its
    processes included."""
    words = words or RUN
    assert alpine(*words).code == 0  # compiles the filter, if none has before
    watched = replace(alpine, prefix=["strace", "-f", "-qq", "-e", f"trace={calls}", "-o", str(trace)])
    assert watched(*words) == Result(b"", b"", 0)
    return _lines(trace)


def _lines(trace: pathlib.Path) -> list[str]:
    """Those of TRACE, each with the whole of a call, which strace(1) writes in two where another process has its turn
    meanwhile."""
    begun: dict[str, str] = {}
    lines = []
    for line in trace.read_text(errors="replace").splitlines():
        process = line.partition(" ")[0]
        if line.endswith("<unfinished ...>"):
            begun[process] = line.removesuffix("<unfinished ...>")
        elif resumed := re.match(r"\d+ +<\.\.\. \w+ resumed>(.*)", line):
            lines.append(begun.pop(process, "") + resumed[1])
        else:
            lines.append(line)
    return [*lines, *begun.values()]


def _counted(alpine: Command, directory: pathlib.Path, *words: str) -> tuple[int, int]:
    """How many system calls Python's own start makes, and a command of mydocker's with all its processes."""
    trace = directory / "python"
    subprocess.run(["strace", "-f", "-qq", "-o", trace, sys.executable, "-c", "pass"], check=True)
    own = len(CALL.findall(trace.read_text(errors="replace")))
    return own, len(CALL.findall("\n".join(_traced(alpine, directory / "trace", "all", *words))))


@pytest.fixture
def idle(alpine: Command) -> Iterator[str]:
    """The name of a container that runs in the background, next to others."""
    names = ("idle", "other", "third")
    for name in names:
        started = alpine("run", "-d", "--network", "none", "--name", name, "alpine", "sleep", "600")
        assert started.code == 0, started
    yield names[0]
    alpine("rm", "-f", *names)


def test_nothing_is_read_twice(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Of the store, the host and the image's programs; the interpreter's own start is not ours."""
    opened = [
        found[1] for line in _traced(alpine, tmp_path / "trace", "openat,openat2") if (found := OPENED.search(line))
    ]
    ours = [path for path in opened if path.startswith((str(alpine.store), "/etc/", "/bin/")) or "/mydocker/" in path]
    assert any(path.startswith(f"{alpine.store}/refs/") for path in ours)
    assert "/bin/true" in ours
    counted = collections.Counter(path for path in ours if path != "/etc/ld.so.cache")
    assert {path: count for path, count in counted.items() if count > 1} == {}


def test_modules_are_found_without_a_search(alpine: Command, tmp_path: pathlib.Path) -> None:
    """But for the three that Python finds itself: the package, what a process begins with, and what finds the rest."""
    lines = _traced(alpine, tmp_path / "trace", "%file,getdents64")
    place = f'"{pathlib.Path(mydocker.__file__).parent}/'
    calls = collections.Counter(line.split(place)[1].split('"')[0] for line in lines if place in line)
    found = {name for name in calls if name.endswith(".pyc")}
    assert len(found) > 40
    modules = re.sub(rf"__pycache__/|\.{sys.implementation.cache_tag}(?=\.pyc)", "", " ".join(found)).split()
    assert {name for name in modules if calls[name[:-1]] > 1} <= {"__init__.pyc", "__main__.pyc", "bytecode.pyc"}
    assert sum(calls.values()) <= 3 * len(found) + 15


def test_a_run_makes_few_system_calls(alpine: Command, tmp_path: pathlib.Path) -> None:
    """In all its processes, besides those of Python's own start: how many there are to hide depends on the kernel."""
    own, every = _counted(alpine, tmp_path, *RUN)
    assert 800 < every - own < 1150


def test_a_device_is_not_looked_for(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Its place is a directory that has just been mounted: it is bound to a file that is made for it."""
    lines = _traced(alpine, tmp_path / "trace", "openat,openat2")
    assert (
        len([line for line in lines if re.search(r'openat\(\d+.*"(null|zero|full|u?random|tty)", .*O_EXCL', line)]) == 6
    )
    assert [line for line in lines if re.search(r'openat2\(\d+, "/dev/(zero|full|u?random|tty)"', line)] == []


def test_no_program_runs_but_the_command(alpine: Command, tmp_path: pathlib.Path) -> None:
    """mydocker, and the command that it runs: no helper, no shell. One clone for the container, one for its cleanup
    process."""
    lines = _traced(alpine, tmp_path / "trace", "execve,clone,clone3,fork,vfork")
    assert len([line for line in lines if "execve(" in line and line.endswith("= 0")]) == 2
    assert len([line for line in lines if re.search(r"\b(clone3?|v?fork)\(", line)]) == 2


def test_nobody_is_asked_over_a_network(alpine: Command, tmp_path: pathlib.Path) -> None:
    lines = _traced(alpine, tmp_path / "trace", "connect,sendto,socket")
    assert [line for line in lines if "connect(" in line or "sendto(" in line] == []


@pytest.mark.usefixtures("idle")
def test_a_command_in_a_container_reads_one_file_of_the_store(alpine: Command, tmp_path: pathlib.Path) -> None:
    """That which the container's start has left for it; nothing of other containers, however many there are."""
    lines = _traced(alpine, tmp_path / "trace", "openat,openat2", *EXEC)
    opened = [found[1] for line in lines if (found := OPENED.search(line))]
    assert [path.rpartition("/")[2] for path in opened if path.startswith(str(alpine.store))] == ["exec"]
    ours = [path for path in opened if path.startswith(("/etc/", "/bin/")) or "/mydocker/" in path]
    assert "/bin/true" in ours
    counted = collections.Counter(
        path for path in ours if path not in ("/etc/ld.so.cache", "/etc/passwd", "/etc/group")
    )
    assert {path: count for path, count in counted.items() if count > 1} == {}


@pytest.mark.usefixtures("idle")
def test_a_command_in_a_container_takes_three_processes(alpine: Command, tmp_path: pathlib.Path) -> None:
    """mydocker, the supervisor, the entrant, and the command: no process just fetches something, and no interpreter
    starts but the first."""
    lines = _traced(alpine, tmp_path / "trace", "execve,clone,clone3,fork,vfork", *EXEC)
    assert len([line for line in lines if "execve(" in line and line.endswith("= 0")]) == 2
    assert len([line for line in lines if re.search(r"\b(clone3?|v?fork)\(", line)]) == 3


@pytest.mark.usefixtures("idle")
def test_a_command_in_a_container_asks_no_other_process(alpine: Command, tmp_path: pathlib.Path) -> None:
    """Neither the container's keeper, nor anybody over a network."""
    lines = _traced(alpine, tmp_path / "trace", "socket,socketpair,connect,sendto,sendmsg", *EXEC)
    assert [line for line in lines if "--- SIG" not in line] == []


@pytest.mark.usefixtures("idle")
def test_a_command_in_a_container_makes_few_system_calls(alpine: Command, tmp_path: pathlib.Path) -> None:
    """In all its processes, besides those of Python's own start: five for each module, ten for each process, and those
    that it is for. It was three times as many with argparse, the whole plan and all containers."""
    own, every = _counted(alpine, tmp_path, *EXEC)
    assert 300 < every - own < 640


@pytest.mark.usefixtures("idle")
def test_a_list_reads_three_files_of_each_container_once(alpine: Command, tmp_path: pathlib.Path) -> None:
    """What it is, what has become of it, and whether it has a keeper: so it takes time in proportion to them. It does
    not look at its run directory, as at that of one in the foreground."""
    trace = tmp_path / "trace"
    watched = replace(alpine, prefix=["strace", "-f", "-qq", "-e", "trace=openat,openat2,readlink", "-o", str(trace)])
    listed = watched("ps", "-a")
    assert listed.code == 0 and len(listed.stdout.splitlines()) >= 4, listed
    opened = [found[1] for line in _lines(trace) if (found := OPENED.search(line))]
    ours = sorted(path.removeprefix(f"{alpine.store}/background/") for path in opened if str(alpine.store) in path)
    ids = {path.partition("/")[0] for path in ours}
    assert ours == sorted(f"{each}/{name}" for each in ids for name in ("config.json", "keeper", "state"))
    assert len(ids) == len(listed.stdout.splitlines()) - 1
    assert f'readlink("{alpine.store}/' not in trace.read_text()
