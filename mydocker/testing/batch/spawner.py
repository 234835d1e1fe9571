"""The spawner: a small process that forks the workers of a batch.

mydocker ── fork(2) ──> the spawner
    └── clone(2), by the spawner (CLONE_PARENT) ──> a worker

A fork copies a page table, and each container is one; so workers descend from a process that has imported what they
need and nothing else, before this one reads files and fills its memory. They are children of this process all the same,
which waits for them and whose end is theirs.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from mydocker import kernel
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.workers.worker import settle
from mydocker.testing.batch.pool_worker import serve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

_REPLY = 16  # bytes, more than a process number has
_PATIENCE = 5.0  # seconds to wait for a reply: it may have been stopped


class Spawner:
    """Context manager: the spawner is there between enter and exit, unless the host has no process for it. Without it,
    or if it was killed, the first `spawn` starts one.

    The workers get ENVIRON, and nothing else of this process, which has one thread.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.pid, self.pidfd = 0, -1
        self.channel: socket.socket | None = None

    def __enter__(self) -> Spawner:
        with suppress(OSError):
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def spawn(self) -> tuple[int, int, socket.socket]:
        """A new worker: its pid, its pidfd, and where it takes its orders. Raises OSError if there can be none."""
        own_end, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with worker_end:
                pid = self._request(worker_end)
            try:
                return pid, os.pidfd_open(pid), own_end
            except OSError:
                own_end.close()  # so that it ends
                os.waitpid(pid, 0)
                raise
        except BaseException:
            own_end.close()
            raise

    def end(self) -> None:
        """End it; a later `spawn` starts another one."""
        if self.channel:
            self.channel.close()
            self.channel = None
            send(self.pidfd, signal.SIGKILL)
            os.close(self.pidfd)
            with suppress(ChildProcessError):  # the caller has SIGCHLD ignored
                os.waitpid(self.pid, 0)

    def _request(self, worker_end: socket.socket) -> int:
        """The number of a worker that takes its orders at WORKER_END."""
        if self.channel:
            with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
                return self._reply(self.channel, worker_end)
            self.end()  # it was killed, or stopped
        return self._reply(self._start(), worker_end)

    def _reply(self, channel: socket.socket, worker_end: socket.socket) -> int:
        socket.send_fds(channel, [b"1"], [worker_end.fileno()])
        reply = channel.recv(_REPLY)
        if not reply:
            raise ConnectionResetError
        number = int(reply)
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return number

    def _start(self) -> socket.socket:
        own_end, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # none is for the spawner
        try:
            with its_end:
                self.pid = os.fork()
                if self.pid == 0:
                    _stand_by(its_end, parent, self.environ)
            self.pidfd = os.pidfd_open(self.pid)
        except OSError:
            own_end.close()  # so that it ends, if there is one
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        own_end.settimeout(_PATIENCE)
        self.channel = own_end
        return own_end


def _stand_by(requests: socket.socket, parent: int, environ: Mapping[str, str]) -> NoReturn:
    """In the spawner, to its end."""
    try:
        settle(parent)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # its workers wait for processes
        nothing = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):  # who reads what mydocker writes does not wait for this process
            os.dup2(nothing, number)
        kernel.close_all_but((0, 1, 2, requests.fileno()))
        while True:
            _, descriptors, _, _ = socket.recv_fds(requests, 1, 1)
            if not descriptors:
                break
            orders = socket.socket(fileno=descriptors[0])
            requests.send(str(_fork_worker(orders, parent, environ)).encode())
            orders.close()
    finally:
        os._exit(0)


def _fork_worker(orders: socket.socket, parent: int, environ: Mapping[str, str]) -> int:
    """The number of a new worker, a child of process PARENT as this one is; or that of an error, negative."""
    try:
        pid, pidfd = kernel.clone(kernel.CLONE_PARENT)
    except OSError as error:
        return -(error.errno or 1)
    if pid == 0:
        serve(orders, parent, environ)
    os.close(pidfd)
    return pid
