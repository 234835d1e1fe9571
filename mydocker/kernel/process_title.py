"""The command line and environment of this process as other processes read them in /proc; not on the warm path."""

from __future__ import annotations

from mydocker.kernel.clib import UnsignedLong, function

STANDING_BY = "mydocker-init"  # the name of a helper process that stays among those of an image
ENTERING = "mydocker-exec"  # and one that joins them, until it executes a command


def retitle(title: str) -> None:
    """Show TITLE as this process's command line, and nothing as its environment.

    Both are its own memory, where execve(2) has put them one after the other; what Python has made of them stays. Needs
    /proc, which reports where they are (proc(5), /proc/pid/stat, arg_start to env_end).
    """
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()  # from the third field on
    start, end = int(fields[45]), int(fields[48])
    shown = title.encode()[: end - start].ljust(end - start, b"\0")
    function("memcpy")(UnsignedLong(start), shown, UnsignedLong(len(shown)))
