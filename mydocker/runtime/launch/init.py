"""A process of mydocker's above the command: it passes signals on, collects orphans, and ends as the command ended.

As PID 1 of the container (--init): the command is a process like any other, with default actions for its signals.
As the outer init, without a pid namespace: there no PID 1's death kills the rest, so the outer init adopts every orphan
(PR_SET_CHILD_SUBREAPER) and kills every process that is left when the command ends or mydocker dies.

Nothing is imported, opened or read here after the root has changed. Both are made undumpable, so that no process of
the container can reach mydocker's program or memory through /proc (CVE-2019-5736).
"""

from __future__ import annotations

import os
import select

from mydocker import kernel
from mydocker.kernel.signals import signal, take
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command.outcome import SIGNAL_BASE

if TYPE_CHECKING:
    from typing import NoReturn

_FAILED = 125


def fork_under_init() -> None:
    """Fork; the parent stays as PID 1 and never returns. Call it with nothing left to do but to execute."""
    _fork_under(_Init())
    os.setpgid(0, 0)
    if os.isatty(0):  # job control: what is typed is for the command (credentials(7), "Sessions")
        os.tcsetpgrp(0, os.getpgid(0))


def fork_under_outer_init(lifeline: int, other_end: int) -> None:
    """Fork; the parent stays as the outer init and never returns. When pipe LIFELINE is at its end, it kills every
    process and exits.

    Call it first of all, while there are privileges and the host's /proc.
    """
    os.close(other_end)
    os.setsid()  # else it would get, and pass on, what is typed on the caller's terminal
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    _fork_under(_Init(lifeline=lifeline, processes=processes))
    os.close(processes)
    os.close(lifeline)


def _fork_under(init: _Init) -> None:
    """Fork; the parent becomes INIT, and the child returns once the parent is closed to it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    ready, working = os.pipe()
    pid = os.fork()
    if pid:
        init.stand_by(pid)
    os.close(working)
    os.read(ready, 1)  # returns when the parent closes its side
    os.close(ready)


class _Init:
    """Stands by a process. With `processes`, a descriptor of /proc, it leaves no descendant alive."""

    def __init__(self, *, lifeline: int = -1, processes: int = -1) -> None:
        self.pid, self.lifeline, self.processes = 0, lifeline, processes

    def stand_by(self, pid: int) -> NoReturn:
        self.pid = pid
        try:
            kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
            if self.lifeline < 0:
                kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            kernel.close_all_but(each for each in (self.lifeline, self.processes) if each >= 0)
            self._loop()
        finally:
            os._exit(_FAILED)

    def _loop(self) -> NoReturn:
        numbers = [int(number) for number in signal.valid_signals()]
        arrivals = kernel.signal_descriptor(numbers)
        poll = select.poll()
        for descriptor in (arrivals, self.lifeline):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self.lifeline:
                    self._end_all()
                    os._exit(_FAILED)  # no process waits for it
                number = take(arrivals)
                if number == signal.SIGCHLD:
                    self._collect()
                else:
                    _send(self.pid, number)

    def _collect(self) -> None:
        """Reap what has ended; one SIGCHLD may stand for many (signal(7))."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self._end_all()
                _end_like(status)

    def _end_all(self) -> None:
        """Kill this process's children until there are none: those of a killed child become its own."""
        while self.processes >= 0:
            for pid in children(self.processes):
                _send(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def children(processes: int) -> list[int]:
    """The children of this process, by PROCESSES, a descriptor of /proc."""
    pid = str(os.getpid()).encode()
    return [int(name) for name in os.listdir(processes) if name.isdigit() and _parent(processes, name) == pid]


def _parent(processes: int, name: str) -> bytes:
    """The parent of process NAME: the second field after the program's name, which may hold anything (proc(5))."""
    try:
        file = os.open(f"{name}/stat", os.O_RDONLY, dir_fd=processes)
    except OSError:
        return b""
    try:
        return os.read(file, 4096).rpartition(b")")[2].split()[1]
    except (OSError, IndexError):
        return b""
    finally:
        os.close(file)


def _send(pid: int, number: int) -> None:
    try:  # noqa: SIM105  # nothing may be imported here
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _end_like(status: int) -> NoReturn:
    """End with the status of the command; PID 1 cannot kill itself, so that it has the shell's number for a signal."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0 and os.getpid() != 1:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [-code])
    os._exit(code if code >= 0 else SIGNAL_BASE - code)
