"""A warm start, counted: what a run of an image that is present asks of the kernel."""

from __future__ import annotations

import collections
import pathlib
import re
import sys
from dataclasses import replace

import pytest
from lab.command import Command, Result

import mydocker

pytestmark = pytest.mark.root

OPENED = re.compile(r'\b(?:openat2?)\([^"]*"([^"]+)".*\bO_RDONLY(?!.*\bO_(?:PATH|DIRECTORY)).* = \d+$')


def _traced(alpine: Command, trace: pathlib.Path, calls: str) -> list[str]:
    """The lines of strace(1) for the system CALLS of one warm run, all its processes included."""
    assert alpine("run", "--network", "none", "alpine", "true").code == 0  # compiles the filter, if none has before
    watched = replace(alpine, prefix=["strace", "-f", "-qq", "-e", f"trace={calls}", "-o", str(trace)])
    assert watched("run", "--network", "none", "alpine", "true") == Result(b"", b"", 0)
    return trace.read_text(errors="replace").splitlines()


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


def test_no_program_runs_but_the_command(alpine: Command, tmp_path: pathlib.Path) -> None:
    """mydocker, and the command that it runs: no helper, no shell. One clone for the container, one for its cleanup
    process."""
    lines = _traced(alpine, tmp_path / "trace", "execve,clone,clone3,fork,vfork")
    assert len([line for line in lines if "execve(" in line and line.endswith("= 0")]) == 2
    assert len([line for line in lines if re.search(r"\b(clone3?|v?fork)\(", line)]) == 2


def test_nobody_is_asked_over_a_network(alpine: Command, tmp_path: pathlib.Path) -> None:
    lines = _traced(alpine, tmp_path / "trace", "connect,sendto,socket")
    assert [line for line in lines if "connect(" in line or "sendto(" in line] == []
