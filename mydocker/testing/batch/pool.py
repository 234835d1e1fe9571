"""The worker pool of a batch: workers run one case after another, since to fork one costs a third of a container's
time.

A worker has the specs from its batch, by number, and gets with each order the pipes for that case alone. It closes the
finding when all of the case is cleared away: that is the end of a case. Outputs of two cases cannot mix. One cleanup
process waits to clean up after each case that a worker runs.
"""

from __future__ import annotations

import gc
import os
import select
import socket
from contextlib import ExitStack, suppress

from mydocker.kernel.signals import send, signal
from mydocker.message import decode, encode
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch.cleanup_process import CleanupProcess
from mydocker.services.workers.messages import Order
from mydocker.services.workers.worker import Role, Worker, attempt, report_refusal, settle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from mydocker.specs.model.case import CaseSpec

_ORDER = 4096  # bytes, more than an order has
STUCK = 1.0  # seconds that a process which was killed is waited for


def _pipes(count: int) -> list[tuple[int, int]]:
    """COUNT pipes, or none."""
    made: list[tuple[int, int]] = []
    try:
        for _ in range(count):
            made.append(os.pipe())
    except OSError:
        for descriptor in (each for pipe in made for each in pipe):
            os.close(descriptor)
        raise
    return made


class WorkerPool:
    """The workers, busy and idle. With `keep`, they report the outcome while a container is still there (worker.py);
    with `follow`, what they pull; with `publish`, the ports of their specs are the host's as well.

    The caller has one thread, and blocks the signals that are not meant for the workers.
    """

    def __init__(
        self,
        specs: Mapping[int, CaseSpec],
        *,
        environ: Mapping[str, str],
        keep: bool,
        follow: bool = False,
        publish: bool = False,
    ) -> None:
        self.specs, self.environ, self.keep, self.follow, self.publish = specs, environ, keep, follow, publish
        self.idle: list[tuple[int, int]] = []  # pid and pidfd
        self.sockets: dict[int, socket.socket] = {}  # where each takes its orders, by its pid

    def start(self, number: int, *, role: Role) -> Worker:
        """Start the spec of that NUMBER. Raises OSError if there can be no worker for it."""
        pid, pidfd = self.idle.pop() if self.idle else self._spawn()
        try:
            *pipes, (decision, decision_writer) = _pipes(4) if self.keep else [*_pipes(3), (-1, -1)]
        except OSError:
            self._dismiss(pid, pidfd)
            raise
        sent = [writer for _, writer in pipes] + ([decision] if self.keep else [])
        order = encode(Order(number=number, service=role.service, health=role.health))
        with suppress(OSError):  # it was killed: its pipes end
            socket.send_fds(self.sockets[pid], [order], sent)
        for writer in sent:
            os.close(writer)
        stdout, stderr, finding = (reader for reader, _ in pipes)
        for reader in (stdout, stderr, finding):
            os.set_blocking(reader, False)
        return Worker(pid=pid, pidfd=pidfd, stdout=stdout, stderr=stderr, finding=finding, decision=decision_writer)

    def take_back(self, worker: Worker, *, reusable: bool) -> None:
        """Its case has ended.

        One that was sent signals, of which one may still be under way, is not REUSABLE, nor one that ended by itself.
        """
        ended = select.poll()
        ended.register(worker.pidfd, select.POLLIN)
        if reusable and not ended.poll(0):
            self.idle.append((worker.pid, worker.pidfd))
        else:
            self._dismiss(worker.pid, worker.pidfd)

    def end(self) -> None:
        """Dismiss those that are idle, so that their processes and descriptors are free."""
        idle, self.idle = self.idle, []
        for pid, _ in idle:
            self.sockets[pid].close()  # it ends, and its cleanup process before it
        for pid, pidfd in idle:
            self._dismiss(pid, pidfd, kill=False)

    def _spawn(self) -> tuple[int, int]:
        parent_end, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            parent_end.close()
            raise
        else:
            if pid == 0:
                self._serve(worker_end, parent)
        finally:
            worker_end.close()
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            parent_end.close()  # so that it ends
            os.waitpid(pid, 0)
            raise
        self.sockets[pid] = parent_end
        return pid, pidfd

    def _dismiss(self, pid: int, pidfd: int, *, kill: bool = True) -> None:
        """It holds nothing any more. One that does not leave the kernel is not waited for: it ends when it does."""
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        if kill or not ended.poll(STUCK * 1000):
            send(pidfd, signal.SIGKILL)
        if ended.poll(STUCK * 1000):
            os.waitpid(pid, 0)
        os.close(pidfd)
        self.sockets.pop(pid).close()

    def _serve(self, orders: socket.socket, parent: int) -> NoReturn:
        """In the worker, to its end.

        What it shares with the batch is never garbage, and a collection would copy every page of it.
        """
        gc.freeze()
        try:
            settle(parent)
            os.closerange(3, orders.fileno())  # the ends of pipes that are other workers'
            os.closerange(orders.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
            self._obey(orders)
        except KeyboardInterrupt:  # a signal for a case that had just ended
            pass
        finally:
            os._exit(0)

    def _obey(self, orders: socket.socket) -> None:
        """Run what is ordered, until the socket is closed."""
        with ExitStack() as stack:
            try:
                cleanup_process = stack.enter_context(CleanupProcess())
            except OSError as error:
                _, descriptors, _, _ = socket.recv_fds(orders, _ORDER, 4)
                report_refusal(descriptors[2], error)
                return
            while True:
                signal.pthread_sigmask(signal.SIG_SETMASK, [])
                order, descriptors, _, _ = socket.recv_fds(orders, _ORDER, 4, socket.MSG_CMSG_CLOEXEC)
                if not order:
                    break
                self._carry_out(decode(order, Order), cleanup_process, *descriptors)

    def _carry_out(
        self,
        order: Order | None,
        cleanup_process: CleanupProcess | None,
        stdout: int,
        stderr: int,
        finding: int,
        decision: int = -1,
    ) -> None:
        nothing = os.open("/dev/null", os.O_RDWR)
        for source, number in ((nothing, 0), (stdout, 1), (stderr, 2)):
            os.dup2(source, number)
        os.close(stdout)
        os.close(stderr)
        assert order  # from the batch itself, whole: a message of a sequenced socket is not cut (unix(7))
        role = Role(service=order.service, health=order.health, follow=self.follow, publish=self.publish)
        spec = self.specs[order.number]
        attempt(
            spec.container,
            expect=spec.expect,
            environ=self.environ,
            finding=finding,
            role=role,
            decision=decision,
            cleanup_process=cleanup_process,
        )
        for number in (1, 2):
            os.dup2(nothing, number)
        for descriptor in (nothing, decision, finding):  # the finding last
            if descriptor >= 0:
                os.close(descriptor)
