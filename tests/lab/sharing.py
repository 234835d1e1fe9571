"""Several workers of pytest-xdist on one machine: how many, and what each has for itself."""

from __future__ import annotations

import ctypes
import os
import pathlib
import subprocess

CLONE_NEWNS = 0x00020000


def workers(names: list[str]) -> int:
    """How many share the tests of NAMES: two for each CPU, as half of the time is waiting for what was started; or none
    where single files are named, which is soon done."""
    return 2 * len(os.sched_getaffinity(0)) if all(os.path.isdir(name) for name in names) else 0


def enter_mount_namespace() -> None:
    """What is mounted from here on is seen, counted and left behind by this process and its children alone.

    Root's mount stays shared where it was (as systemd has it), but not with the machine (mount_namespaces(7)).
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    mounts = [line.split() for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    if any(fields[4] == "/" and fields[6].startswith("shared:") for fields in mounts):
        subprocess.run(["mount", "--make-rshared", "/"], check=True)
