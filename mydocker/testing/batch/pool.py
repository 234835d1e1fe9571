"""The worker pool of a batch: workers run one case after another, since to fork one costs a third of a container's
time.

A worker gets with each order the pipes for that case alone, so outputs of two cases cannot mix (pool_worker.py).
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress

from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.services.workers.worker import Role, Worker
from mydocker.testing.batch.pool_worker import Order, letter_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mydocker.specs.model.case import CaseSpec
    from mydocker.testing.batch.spawner import Spawner

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
    """The workers, busy and idle, which SPAWNER forks. With `keep`, they report the outcome while a container is still
    there (worker.py); with `follow`, what they pull; with `publish`, the ports of their specs are the host's as well.

    The caller has one thread, and blocks the signals that are not meant for the workers.
    """

    def __init__(
        self,
        specs: Mapping[int, CaseSpec],
        *,
        spawner: Spawner,
        keep: bool,
        follow: bool = False,
        publish: bool = False,
    ) -> None:
        self.specs, self.spawner, self.keep, self.follow, self.publish = specs, spawner, keep, follow, publish
        self.idle: list[tuple[int, int]] = []  # pid and pidfd
        self.sockets: dict[int, socket.socket] = {}  # where each takes its orders, by its pid

    def start(self, number: int, *, role: Role) -> Worker:
        """Start the spec of that NUMBER. Raises OSError if there can be no worker for it."""
        letter = letter_of(self._order(number, role))
        try:
            return self._start(letter)
        finally:
            os.close(letter)

    def _start(self, letter: int) -> Worker:
        pid, pidfd = self.idle.pop() if self.idle else self._spawn()
        try:
            *pipes, (decision, decision_writer) = _pipes(4) if self.keep else [*_pipes(3), (-1, -1)]
        except OSError:
            self._dismiss(pid, pidfd)
            raise
        sent = [writer for _, writer in pipes] + ([decision] if self.keep else [])
        with suppress(OSError):  # it was killed: its pipes end
            socket.send_fds(self.sockets[pid], [b"1"], [letter, *sent])
        for descriptor in sent:
            os.close(descriptor)
        stdout, stderr, finding = (reader for reader, _ in pipes)
        for reader in (stdout, stderr, finding):
            os.set_blocking(reader, False)
        return Worker(pid=pid, pidfd=pidfd, stdout=stdout, stderr=stderr, finding=finding, decision=decision_writer)

    def _order(self, number: int, role: Role) -> Order:
        spec = self.specs[number]
        role = role.replace(follow=self.follow, publish=self.publish)
        return Order(container=spec.container, expect=spec.expect, role=role)

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
        pid, pidfd, self.sockets[pid] = self.spawner.spawn()
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
