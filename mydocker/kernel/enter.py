"""setns(2): entering a namespace of another process. Python has it from 3.12 on; not on the warm path."""

from __future__ import annotations

import os

from mydocker.kernel import PR_SET_DUMPABLE, _call, prctl


def enter_namespace(descriptor: int) -> None:
    """Move this process, of one thread, into the namespace that DESCRIPTOR, from /proc/PID/ns, holds open.

    A pid namespace is for children only. A pidfd would enter all namespaces at once, but only
    those of a process that this one may trace (setns(2)).
    """
    _call("setns", descriptor, 0)


def be_root() -> None:
    """Become root of the user namespace that this process is in, having none of its ids: a process of the host's root
    that has entered one. No process in there can trace this one, or read its memory. OSError if root does not exist
    there."""
    os.setgroups([])  # or the host's would stay
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    prctl(PR_SET_DUMPABLE, 0)  # the kernel has set fs.suid_dumpable, which may be another value (prctl(2))


class Inside:
    """This process, of one thread, in the namespace that DESCRIPTOR holds open, and back in its own after the block.

    KIND is the name in /proc/PID/ns. DESCRIPTOR is closed. The block is not entered if that raises OSError.
    """

    def __init__(self, kind: str, descriptor: int) -> None:
        self.kind, self.descriptor = kind, descriptor
        self.own = -1

    def __enter__(self) -> None:
        try:
            self.own = os.open(f"/proc/self/ns/{self.kind}", os.O_RDONLY | os.O_CLOEXEC)
            enter_namespace(self.descriptor)
        except BaseException:
            if self.own >= 0:
                os.close(self.own)
            raise
        finally:
            os.close(self.descriptor)

    def __exit__(self, *error: object) -> None:
        try:
            enter_namespace(self.own)
        finally:
            os.close(self.own)
