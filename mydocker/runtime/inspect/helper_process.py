"""A process that mydocker forks to inspect a running container: its set-up, and the message of its failure."""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.kernel.signals import reset
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Iterable


_NOBODY = 65534


class Problem(Record):
    """The message of a helper that has no result: the reason."""

    problem: str


def settle(parent: int, kept: Iterable[int]) -> None:
    """In a helper, first of all: keep only the descriptors KEPT, and end when PARENT does.

    The pipes go before anything can be waited for: while one is open here, its reader waits for its end, though
    the parent may have been killed already. Signals get their default actions.
    """
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    kernel.close_all_but((0, 1, 2, *kept))
    kernel.die_with_parent(parent)
    reset()


def drop_privileges() -> None:
    """Keep no capability, and root's user only where there is no other."""
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        except OSError:  # a user namespace with one id, or a container without CAP_SETUID
            pass
    kernel.set_capabilities(0)
