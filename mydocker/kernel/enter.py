"""setns(2): entering the namespaces of another process. Python has it from 3.12 on; not on the warm path."""

from __future__ import annotations

from mydocker.kernel import _call


def enter_namespaces(process: int, namespaces: int) -> None:
    """Move this process, of one thread, into those NAMESPACES (CLONE_NEW…) of the one that pidfd PROCESS names.

    All at once (Linux 5.8). A pid namespace is for children only. OSError: ESRCH if it has ended.
    """
    _call("setns", process, namespaces)
