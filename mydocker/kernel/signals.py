"""Signals: held back while a container runs, taken one by one, and reset in the child.

`signal` is the interpreter's own `_signal`, which the standard module wraps in enums at a tenth of a warm start.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    import signal as signal
else:
    import _signal as signal

# SIGPIPE is about a pipe of mydocker's, whose reader has gone; Python ignores it
NOT_FORWARDED = (signal.SIGKILL, signal.SIGCHLD, signal.SIGSTOP, signal.SIGPIPE)
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)  # requests to end
_SIGINFO_SIZE = 128  # struct signalfd_siginfo (signalfd(2))


class Signals:
    """Context manager: signals to this process wait in `descriptor` instead of interrupting it."""

    def __enter__(self) -> Signals:
        numbers = [int(n) for n in signal.valid_signals() if n not in NOT_FORWARDED]
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
            # inherited from the caller; the kernel would reap the child, and its status with it (wait(2))
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        self.descriptor = kernel.signal_descriptor(numbers)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.before)

    def take(self) -> int:
        """The number of a signal that has come; call it when `descriptor` is readable."""
        return take(self.descriptor)


def take(descriptor: int) -> int:
    """The number of the next signal at DESCRIPTOR, which `kernel.signal_descriptor` has made."""
    return int.from_bytes(os.read(descriptor, _SIGINFO_SIZE)[:4], "little")


def send(pidfd: int, number: int) -> None:
    """Send signal NUMBER to the process of PIDFD, if there still is one."""
    try:  # noqa: SIM105  # contextlib is not on the warm path
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass


_RT_SIGTIMEDWAIT = {"x86_64": "128", "aarch64": "137"}  # asm/unistd.h


def is_heeded(pid: int, number: int) -> bool:
    """Whether signal NUMBER has any effect on process PID, the first of a pid namespace.

    The kernel keeps from it what it has no handler for (pid_namespaces(7)); what it blocks, it may still receive. While
    it waits in sigwaitinfo(2), what it waits for is not in its mask. True also where none of that can be read (proc(5),
    "status" and "syscall"). Only the first thread counts: a signal that it would ignore is sent to no other.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            masks = [int(line[7:], 16) for line in file if line.startswith(("SigCgt:", "SigBlk:"))]
    except (OSError, ValueError):
        return True
    is_in_mask = any(mask >> (number - 1) & 1 for mask in masks)
    return number == signal.SIGKILL or not masks or is_in_mask or _waits_for_signals(pid)


def _waits_for_signals(pid: int) -> bool:
    """Whether process PID is in sigwaitinfo(2); False where that can't be read."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="utf-8", errors="replace") as file:
            return file.read().partition(" ")[0] == _RT_SIGTIMEDWAIT.get(os.uname().machine)
    except OSError:
        return False


def reset() -> None:
    """Give every signal its default action and block none; Python ignores SIGPIPE and SIGXFSZ."""
    for number in range(1, signal.NSIG):
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
