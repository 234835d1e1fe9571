"""What the command may still do: its user, its capabilities, its system calls; it loses everything else before it
begins.

Runs in the child, inside the new root: nothing may be imported or looked up there any more.
"""

from __future__ import annotations

import errno

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime import seccomp
from mydocker.runtime.plan.users import MORE_IDS, Identity, take_identity
from mydocker.specs.values.capability import mask

if TYPE_CHECKING:
    from mydocker.runtime.plan import LaunchPlan

SYS_ADMIN = mask("SYS_ADMIN")


def drop_privileges(plan: LaunchPlan, identity: Identity, syscall_filter: bytes, *, death_signal: int) -> None:
    """Give up all capabilities that the plan does not grant, change to the user, and submit to the filter.

    Loading a filter takes CAP_SYS_ADMIN or no_new_privs (seccomp(2)). So that capability stays until execve(2), which
    leaves root with the bounding set and others with nothing (capabilities(7)), and is the only call after it. Where
    this process first waits among processes of the image, which might use it for its privileges, the capability goes at
    once. DEATH_SIGNAL is what the process gets when its parent ends.
    """
    granted = plan.capabilities if identity.uid == 0 else 0
    keep = syscall_filter and not plan.no_new_privileges
    kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    _limit_bounding_set(plan.capabilities)
    has_groups = plan.rootless is None or not plan.rootless.is_single
    if plan.groups and not has_groups:
        raise LaunchError("groups cannot be added in a rootless container that has only root's", hint=MORE_IDS)
    if keep and identity.uid != 0:
        kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
    take_identity(identity, groups=has_groups)
    _set_capabilities(granted, meanwhile=SYS_ADMIN if keep else 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, death_signal)  # changing the user has cleared it
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # and set this as fs.suid_dumpable says (prctl(2))
    if plan.no_new_privileges:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if plan.seccomp:
        seccomp.load(syscall_filter, flags=plan.seccomp.flags)
    if keep and not granted & SYS_ADMIN and (plan.init or plan.pre_start):
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


def _limit_bounding_set(mask: int) -> None:
    for number in range(64):
        if not mask >> number & 1:
            try:
                kernel.prctl(kernel.PR_CAPBSET_DROP, number)
            except OSError:  # EINVAL: past the last that this kernel knows
                return
