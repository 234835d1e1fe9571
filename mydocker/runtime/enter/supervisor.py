"""The parent of a command that was executed in a container: it passes signals on, and ends as the command ended.

It is in the host's namespaces, where no process of the container sees it, and holds no more than one end of each pipe.
When mydocker is killed it stays, and takes what the command writes, as Docker does for the command of a client that is
gone. It always waits for the command: a container ends only when each process in it has been waited for
(zap_pid_ns_processes).
"""

from __future__ import annotations

import os
import select

from mydocker import kernel
from mydocker.errors import USAGE_FAILURE
from mydocker.kernel.process_title import retitle
from mydocker.kernel.signals import signal, take
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.enter.entrant import enter

if TYPE_CHECKING:
    from typing import NoReturn

    from mydocker.runtime.enter.entrant import Entry

KILL = b"k"  # what mydocker writes to end the command
TITLE = "mydocker-exec-supervisor"
_CHUNK = 1 << 16
_SIGNAL_BASE = 128  # a shell's exit code for a program that signal n has ended is 128+n


class Charge(Record):
    """What the supervisor gets: the pipe whose end means that mydocker is gone, mydocker's ends of the command's
    outputs, and the socket over which the master side of a terminal comes."""

    entry: Entry
    lifeline: int
    outputs: tuple[int, ...]
    keeper: int = -1  # without a terminal


def supervise(charge: Charge, *, container: int) -> NoReturn:
    """Start the command, and wait for its end. CONTAINER is the pidfd of the container's first process."""
    try:
        os.setsid()  # what is typed on mydocker's terminal is not for this process
        nothing = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        kept = (charge.lifeline, container, *charge.outputs, *([charge.keeper] if charge.keeper >= 0 else []))
        kernel.close_all_but((0, 1, 2, *kept, *charge.entry.descriptors))
        os.chdir("/")
        _Supervisor(charge, container, kept).run()
    finally:
        os._exit(USAGE_FAILURE)


class _Supervisor:
    """`without_namespace`: no pid namespace ends what the command leaves behind when the container ends."""

    def __init__(self, charge: Charge, container: int, kept: tuple[int, ...]) -> None:
        self.charge, self.container, self.kept = charge, container, kept
        self.without_namespace = charge.entry.plan.without_pid_namespace
        self.pid = 0
        self.poll = select.poll()
        self.outputs = [*charge.outputs]
        self.drained: set[int] = set()

    def run(self) -> NoReturn:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if self.without_namespace:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        self.pid = self._start()
        arrivals = kernel.signal_descriptor([int(number) for number in signal.valid_signals()])
        kernel.close_all_but((0, 1, 2, arrivals, *self.kept))
        self._take_terminal()
        if self.without_namespace:  # now, and not when it is needed: mydocker may have been replaced by then
            import mydocker.runtime.launch.init  # noqa: F401
        for descriptor in (arrivals, self.charge.lifeline, *((self.container,) if self.without_namespace else ())):
            self.poll.register(descriptor, select.POLLIN)
        self._collect()  # it may have ended before
        while True:
            for descriptor, _ in self.poll.poll():
                if descriptor == arrivals:
                    self._take_signal(take(arrivals))
                elif descriptor == self.charge.lifeline:
                    self._read_lifeline()
                elif descriptor == self.container:
                    self._end_all()
                else:
                    self._drain(descriptor)

    def _start(self) -> int:
        """The number of the command's process, a child of this one, which the entrant has cloned."""
        born, born_end = os.pipe()
        entrant = os.fork()
        if entrant == 0:
            os.close(born)
            enter(self.charge.entry, born_end)
        os.close(born_end)
        retitle(TITLE)  # only now, while the entrant is already at work
        with open(born, "rb") as file:
            text = file.read(16)
        os.waitpid(entrant, 0)
        pid = int(text) if text.isdigit() else 0
        # in a container that may trace the command, that might have written another number
        if not pid or pid == entrant or not _is_child(pid):
            os._exit(USAGE_FAILURE)
        return pid

    def _take_terminal(self) -> None:
        """Hold the master side of the command's terminal, so that it lasts as long as the command."""
        if not self.charge.entry.terminals:
            return
        import socket

        with socket.socket(fileno=self.charge.keeper) as channel:
            channel.setblocking(False)
            try:
                _, received, _, _ = socket.recv_fds(channel, 1, 1)
            except BlockingIOError:
                received = []
        self.outputs += received

    def _take_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._collect()
        else:
            _send(self.pid, number)

    def _read_lifeline(self) -> None:
        if os.read(self.charge.lifeline, 1) == KILL:
            _send(self.pid, signal.SIGKILL)
            return
        self.poll.unregister(self.charge.lifeline)
        for descriptor in self.outputs:  # nobody else reads them any more
            self.poll.register(descriptor, select.POLLIN)

    def _drain(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the end of a terminal
            data = b""
        if not data:
            self.poll.unregister(descriptor)

    def _collect(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else _SIGNAL_BASE - code)

    def _end_all(self) -> None:
        """The container has ended: kill the command, and what it has started, of which this process is the parent when
        their own is gone."""
        from mydocker.runtime.launch.init import children

        processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        while True:
            for pid in children(processes):
                _send(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                os._exit(_SIGNAL_BASE + signal.SIGKILL)


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
