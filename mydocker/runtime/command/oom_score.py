"""The OOM score: how readily the kernel kills a process when memory runs out (proc_pid_oom_score_adj(5)).

Set while the host's /proc is in sight.
"""

from __future__ import annotations

from mydocker.errors import LaunchError

_FILE = "/proc/self/oom_score_adj"


def apply(score: int) -> None:
    """Set SCORE, from -1000 to 1000, on this process and its descendants. Raises LaunchError where it is too low."""
    try:
        with open(_FILE, "r+b", buffering=0) as file:
            file.write(b"%d" % score)
    except PermissionError:
        with open(_FILE, "rb") as file:
            present = int(file.read())
        raise LaunchError(
            f"oom_score_adj {score}: this host does not let mydocker lower its own, which is {present}",
            hint=f"set {present} or more, or give mydocker CAP_SYS_RESOURCE",
        ) from None
