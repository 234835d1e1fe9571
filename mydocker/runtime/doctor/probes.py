"""Probes: single steps of a container's start, each tried in a separate process that leaves nothing behind.

Each takes the run directory that it may use, does the step as a launch does it, and raises OSError or MydockerError.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.errors import MydockerError
from mydocker.idmap import Extent, IdMap
from mydocker.runtime.network.trial import attempt
from mydocker.runtime.plan.root import LayeredRoot
from mydocker.runtime.plan.standard_mounts import TTY_GROUP

_MOUNT = kernel.CLONE_NEWNS
_OTHERS = kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWNET | kernel.CLONE_NEWCGROUP


def namespaces(*, groups: bool) -> None:
    """New namespaces of every kind, and a host name and mounts in them; with GROUPS, what takes other groups."""
    kernel.unshare(_MOUNT | _OTHERS | kernel.CLONE_NEWPID)
    kernel.sethostname("probe")
    _separate_mounts()
    if groups:
        os.close(kernel.new_filesystem("devpts", [("newinstance", None), ("gid", TTY_GROUP)]))
        os.setgroups([int(TTY_GROUP)])


def loopback() -> None:
    kernel.unshare(kernel.CLONE_NEWNET)
    kernel.set_interface_up("lo")


def proc() -> None:
    """Mount the proc of a new pid namespace, whose first process is the next that is forked (unshare(2))."""
    kernel.unshare(_MOUNT | kernel.CLONE_NEWPID)
    why = attempt(lambda: os.close(kernel.new_filesystem("proc", [])), ids=None)
    if why:
        raise MydockerError(why)


def overlay(run_dir: str, *, in_memory: bool, user_xattrs: bool) -> None:
    """Write to, and remove from, a layer that is mounted as an image's is."""
    kernel.unshare(_MOUNT)
    _separate_mounts()
    layer = f"{run_dir}/lower"
    root = LayeredRoot(lowerdirs=(layer,), in_memory=in_memory, user_xattrs=user_xattrs).mount(run_dir)
    os.mkdir(f"{root}/made")
    os.rmdir(f"{root}/old/inside")
    os.rmdir(f"{root}/old")
    os.mkdir(f"{root}/old")  # which now hides the layer's: overlay's own mark, an extended attribute
    if os.listdir(f"{root}/old") or os.listdir(f"{layer}/old") != ["inside"]:
        raise MydockerError("it does not show what was written")


def own_ids(run_dir: str) -> None:
    """Mount the layer with other owners, below what is written with these."""
    kernel.unshare(_MOUNT)
    _separate_mounts()
    ids = IdMap(users=(Extent(inside=0, outside=1, count=1),), groups=(Extent(inside=0, outside=1, count=1),))
    root = LayeredRoot(lowerdirs=(f"{run_dir}/lower",), in_memory=True).mount(run_dir, ids=ids)
    if os.stat(root).st_uid != 1:
        raise MydockerError("it does not show other owners")


def pivot_root(run_dir: str) -> None:
    kernel.unshare(_MOUNT)
    _separate_mounts()
    root = f"{run_dir}/memory"
    kernel.mount("tmpfs", root, "tmpfs", 0, "")
    os.chdir(root)
    kernel.pivot_root(".", ".")


def _separate_mounts() -> None:
    """Hide later mounts from the host, and try one, which AppArmor may forbid."""
    kernel.set_propagation("/", kernel.MS_REC | kernel.MS_SLAVE)
    os.close(kernel.new_filesystem("tmpfs", []))
