"""A worker of a pool: it runs what it is ordered to, one case after another, and reports on each through the pipes that
come with its order.

An order is a file in memory, of any size. It comes over a socket, together with the write ends for stdout, stderr and
the finding, and the read end for the decision, if there is one. The worker closes the finding when all of the case is
cleared away: that is the end of a case. One cleanup process waits to clean up after each case that it runs.
"""

from __future__ import annotations

import os
import pickle
import socket
from contextlib import ExitStack

import mydocker.specs.model.expect  # noqa: F401  # of which orders are, so every worker would import it
from mydocker import kernel
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.launch.cleanup_process import CleanupProcess
from mydocker.services.workers.worker import Role, Workplace, attempt, report_refusal, settle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from mydocker.specs.model import ContainerSpec
    from mydocker.specs.model.expect import Expect

_DESCRIPTORS = 5  # with an order, at most


class Order(Record):
    """Run this container, as its role says, and find what is expected of it."""

    container: ContainerSpec
    expect: Expect | None
    role: Role


def letter_of(order: Order) -> int:
    """A descriptor of a file in memory that has ORDER. Raises OSError."""
    letter = os.memfd_create("order")
    os.write(letter, pickle.dumps(order))  # whole: it is memory
    return letter


def serve(orders: socket.socket, parent: int, environ: Mapping[str, str]) -> NoReturn:
    """In the worker, a child of process PARENT, to its end: obey ORDERS."""
    try:
        settle(parent)
        kernel.close_all_but((0, 1, 2, orders.fileno()))
        _obey(orders, environ)
    except KeyboardInterrupt:  # a signal for a case that had just ended
        pass
    finally:
        os._exit(0)


def _obey(orders: socket.socket, environ: Mapping[str, str]) -> None:
    """Run what is ordered, until the socket is closed."""
    with ExitStack() as stack:
        try:
            cleanup_process = stack.enter_context(CleanupProcess())
        except OSError as error:
            if descriptors := _receive(orders):
                report_refusal(descriptors[3], error)
            return
        place = Workplace(environ, cleanup_process)
        while True:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            descriptors = _receive(orders)
            if not descriptors:
                break
            _carry_out(place, *descriptors)


def _receive(orders: socket.socket) -> list[int]:
    """The descriptors of the next order; none at the end."""
    _, descriptors, _, _ = socket.recv_fds(orders, 1, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    return descriptors


def _carry_out(place: Workplace, letter: int, stdout: int, stderr: int, finding: int, decision: int = -1) -> None:
    order: Order = pickle.loads(os.pread(letter, os.fstat(letter).st_size, 0))
    os.close(letter)
    nothing = os.open("/dev/null", os.O_RDWR)
    for source, number in ((nothing, 0), (stdout, 1), (stderr, 2)):
        os.dup2(source, number)
    os.close(stdout)
    os.close(stderr)
    attempt(order.container, place, expect=order.expect, finding=finding, role=order.role, decision=decision)
    for number in (1, 2):
        os.dup2(nothing, number)
    for descriptor in (nothing, decision, finding):  # the finding last
        if descriptor >= 0:
            os.close(descriptor)
