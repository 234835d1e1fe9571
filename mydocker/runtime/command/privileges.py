"""What the command may still do: its user, its capabilities, its system calls; it loses everything else before it
begins.

Runs in the child, inside the new root: nothing may be imported or looked up there any more.
"""

from __future__ import annotations

import errno
import os
import sys

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.users import MORE_IDS, Identity, take_identity

if TYPE_CHECKING:
    from mydocker.runtime.plan import LaunchPlan


class Rights(Record):
    """What a plan leaves to its command."""

    capabilities: int
    no_new_privileges: bool
    syscall_filter: bytes | None  # the program for seccomp(2); None for none
    filter_flags: int  # of seccomp(2)
    may_set_groups: bool  # whether the ids of the container's user namespace allow that
    adds_groups: bool  # whether it has groups besides those of its user
    stands_by: bool  # whether this process waits among processes of the image before the command is executed


def rights_of(plan: LaunchPlan, program: bytes) -> Rights:
    """Those of PLAN, whose filter is PROGRAM."""
    return Rights(
        capabilities=plan.capabilities,
        no_new_privileges=plan.no_new_privileges,
        syscall_filter=program if plan.seccomp else None,
        filter_flags=plan.seccomp.flags if plan.seccomp else 0,
        may_set_groups=plan.rootless is None or plan.rootless.has_groups,
        adds_groups=bool(plan.groups),
        stands_by=bool(plan.init or plan.pre_start),
    )


def drop_privileges(rights: Rights, identity: Identity, *, death_signal: int) -> None:
    """Give up all capabilities that RIGHTS do not grant, change to the user, and submit to the filter.

    Loading a filter takes CAP_SYS_ADMIN or no_new_privs (seccomp(2)). So that capability stays until execve(2), which
    leaves root with the bounding set and others with nothing (capabilities(7)), and is the only call after it. Where
    this process first waits among processes of the image, which might use it for its privileges, the capability goes at
    once. DEATH_SIGNAL is what the process gets when its parent ends.
    """
    granted = rights.capabilities if identity.uid == 0 else 0
    keep = rights.syscall_filter and not rights.no_new_privileges
    kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    kernel.limit_bounding_set(rights.capabilities)
    if rights.adds_groups and not rights.may_set_groups:
        raise LaunchError("groups cannot be added in a rootless container that has only root's", hint=MORE_IDS)
    if keep and identity.uid != 0:
        kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
    take_identity(identity, groups=rights.may_set_groups)
    _set_capabilities(granted, meanwhile=kernel.CAP_SYS_ADMIN if keep else 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, death_signal)  # changing the user has cleared it
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # and set this as fs.suid_dumpable says (prctl(2))
    if rights.no_new_privileges:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if rights.syscall_filter is not None:
        _load(rights.syscall_filter, flags=rights.filter_flags)
    if keep and not granted & kernel.CAP_SYS_ADMIN and rights.stands_by:
        _give_up_the_rest(granted)


def _set_capabilities(granted: int, *, meanwhile: int) -> None:
    try:
        kernel.set_capabilities(granted | meanwhile)
    except OSError as error:
        if error.errno != errno.EPERM:  # this process lacks a capability that it tries to keep
            raise
        kernel.set_capabilities(granted)


def _give_up_the_rest(granted: int) -> None:
    try:
        kernel.set_capabilities(granted)
    except OSError as error:
        message = f"the system call filter forbids capset(2), which init and pre_start take: {error.strerror}"
        raise LaunchError(message, hint="allow capset in the profile, or set no-new-privileges") from None


def _load(program: bytes, *, flags: int) -> None:
    """Submit this process to PROGRAM; without CAP_SYS_ADMIN that takes no_new_privs (seccomp(2), EACCES)."""
    try:
        kernel.load_filter(program, flags=flags)
    except OSError as error:
        if error.errno != errno.EACCES:
            raise
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.load_filter(program, flags=flags)


def leave_keyring() -> None:
    """Share no session keyring with mydocker's caller."""
    try:
        kernel.join_session_keyring()
    except OSError as error:  # refused in containers, absent in some kernels; nothing is shared then either
        if error.errno not in (errno.EPERM, errno.ENOSYS, errno.EDQUOT):
            raise


def enter_root(root: int) -> None:
    """Make directory ROOT the root, in which Python finds nothing to import."""
    os.fchdir(root)
    os.chroot(".")
    forbid_imports()
    os.chdir("/")


def forbid_imports() -> None:
    """Import nothing any more: what is in the root belongs to the image (CVE-2019-14271)."""
    sys.path.clear()
    sys.meta_path.clear()
