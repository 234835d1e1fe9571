"""A process that mydocker forks to inspect a running container: how it begins, and what it reports."""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.kernel.processes import fork_with_pipe
from mydocker.kernel.signals import reset, signal
from mydocker.message import decode
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

_NOBODY = 65534
_CHUNK = 1 << 16


class Problem(Record):
    """The message of a helper that has no result: the reason."""

    problem: str


class HelperProcess:
    """A helper while it runs. `descriptor` is readable when there is news; `take` then returns the facts, if they are
    whole."""

    def __init__(
        self, work: Callable[[int, int], NoReturn], *, results: tuple[type[Record], ...], silence: str
    ) -> None:
        """Fork it to WORK, which gets a pipe for the report, one of RESULTS or a Problem, and the pid of its parent.
        SILENCE is the problem of one that ends without a report."""
        self._raw, self._results, self._silence = b"", results, silence
        parent = os.getpid()
        self.pid, self.descriptor = fork_with_pipe()
        if self.pid == 0:
            work(self.descriptor, parent)

    def take(self) -> dict[str, Any] | None:
        """The facts; None as long as there is more to come."""
        data = os.read(self.descriptor, _CHUNK)
        self._raw += data
        if data:
            return None
        self.close()
        return (decode(self._raw, *self._results, Problem) or Problem(problem=self._silence)).as_dict()

    def close(self) -> None:
        """End it if it still runs, and close its pipe."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.descriptor)
            self.pid = 0


def settle(parent: int, kept: Iterable[int]) -> None:
    """In a helper, first of all: keep only the descriptors KEPT, and end when PARENT does, unless that is 0.

    The pipes go before anything can be waited for: while one is open here, its reader waits for its end, though
    the parent may have been killed already. Signals get their default actions.
    """
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    kernel.close_all_but((0, 1, 2, *kept))
    if parent:
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
