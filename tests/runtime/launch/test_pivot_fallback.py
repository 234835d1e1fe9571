"""Containers where pivot_root is refused: the same inside, and no way out."""

from __future__ import annotations

import os
import pathlib
import pwd
import sys
from dataclasses import replace

import pytest
from lab.command import Command, Result, python_of
from lab.places import LAB

pytestmark = pytest.mark.root

NOPIVOT = LAB / "nopivot.py"
TARGETS = "cut -d' ' -f5 /proc/self/mountinfo | sort"

# the oldest way out of a chroot: a directory that is kept open outside of an inner one (chroot(2), NOTES)
CLIMB = """\
import os
before = os.stat("/")
os.makedirs("/tmp/inner")
outside = os.open("/", os.O_RDONLY)
os.chroot("/tmp/inner")
os.fchdir(outside)
for _ in range(100):
    os.chdir("..")
os.chroot(".")
print(os.path.samestat(before, os.stat("/")), os.path.exists("/proc/1/root"))
"""


def _without_pivot(mydocker: Command, *, python: str = os.path.realpath(sys.executable)) -> Command:
    return replace(mydocker, prefix=[*mydocker.prefix, python, "-I", "-c", NOPIVOT.read_text()])


def test_the_filter_refuses_pivot_root(alpine: Command) -> None:
    """Else nothing is tested here."""
    python = replace(_without_pivot(alpine), program=pathlib.Path(os.path.realpath(sys.executable)))
    done = python("-c", f"import sys; sys.path.insert(0, {str(NOPIVOT.parents[2])!r}); from mydocker import kernel; "
                  "kernel.pivot_root('.', '.')")  # fmt: skip
    assert b"PermissionError: [Errno 1] Operation not permitted (pivot_root)" in done.stderr


@pytest.mark.parametrize("network", ["host", "none"])
def test_it_looks_the_same_inside(alpine: Command, network: str) -> None:
    arguments = ("run", "--network", network, "-h", "box", "alpine", "sh", "-c", f"{TARGETS}; ls / /dev; pwd; echo $$")
    usual = alpine(*arguments)
    assert usual.code == 0
    assert _without_pivot(alpine)(*arguments) == usual


def test_nothing_is_left_behind(alpine: Command) -> None:
    before = pathlib.Path("/proc/self/mountinfo").read_text()
    assert _without_pivot(alpine)("run", "alpine", "touch", "/x") == Result(b"", b"", 0)
    assert pathlib.Path("/proc/self/mountinfo").read_text() == before
    assert os.listdir(alpine.store / "containers") == []


def test_there_is_no_way_up(alpine: Command) -> None:
    python = os.path.realpath(sys.executable)
    done = _without_pivot(alpine)("run", "--rootfs", "/", python, "-I", "-c", CLIMB)
    assert done == Result(b"True True\n", b"", 0)


def test_the_outer_proc_is_gone(alpine: Command) -> None:
    """Where a whole proc can be seen, a user namespace could mount one without masks (mount_namespaces(7))."""
    again = "mkdir /tmp/p && unshare --user --map-root-user --mount --pid --fork mount -t proc proc /tmp/p"
    done = _without_pivot(alpine)("run", "--security-opt", "seccomp=unconfined", "--rootfs", "/", "sh", "-c", again)
    assert done.code != 0 and b"permission denied" in done.stderr, done


@pytest.mark.rootless
def test_an_ordinary_user(second_user: Command, user: pwd.struct_passwd) -> None:
    """The mounts of the user's machine cannot be unmounted there, only covered."""
    confined = _without_pivot(second_user, python=python_of(user))
    assert confined("run", "--network", "none", "alpine", "sh", "-c", "echo $$; ls /sys/class/net") == Result(
        b"1\nlo\n", b"", 0
    )
