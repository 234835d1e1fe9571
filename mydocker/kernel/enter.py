"""setns(2): entering a namespace of another process. Python has it from 3.12 on; not on the warm path."""

from __future__ import annotations

from mydocker.kernel import _call


def enter_namespace(descriptor: int) -> None:
    """Move this process, of one thread, into the namespace that DESCRIPTOR, from /proc/PID/ns, holds open.

    A pid namespace is for children only. A pidfd would enter all namespaces at once, but only
    those of a process that this one may trace (setns(2)).
    """
    _call("setns", descriptor, 0)
