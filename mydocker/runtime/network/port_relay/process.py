"""The relay: a process for each container with published ports, which serves what the kernel does not forward.

    clients ── sockets that `reserve` has bound on the host ──> relay ── connections ──> the container's address

It ends with the process that holds its lifeline, whatever ends that one: the kernel closes a pipe. Untrusted on both
sides, it looks at nothing that it passes on, and has no privileges.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from time import monotonic

from mydocker import kernel
from mydocker.errors import ErrorReport, HostError, LaunchError, refused_by_host
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.helper_process import drop_privileges, settle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from mydocker.runtime.network.port_relay import Listener, Reservation
    from mydocker.runtime.network.port_relay.tcp import Tcp

_TITLE = "mydocker-ports"
_TICK = 1.0  # seconds between looks at what no event reports
_LAST_WORDS = 0.5  # seconds, for what the container has sent before it ended
_PATIENCE = 2.0  # seconds, for its end
_SPARE = 64  # descriptors for all but connections
_READY = b"ready"


class PortRelay:
    """Context manager: relays from the sockets of a reservation to a container, between enter and exit."""

    def __init__(self, reservation: Reservation, address: str, *, namespaces: Sequence[int] = ()) -> None:
        """ADDRESS is the container's. NAMESPACES are descriptors of those to reach it from, a user namespace first;
        none where that is the caller's."""
        self._reservation, self._address, self._namespaces = reservation, address, tuple(namespaces)

    def __enter__(self) -> PortRelay:
        """The reservation's sockets are the relay's from now on. HostError if the namespaces cannot be entered."""
        waiting, self._lifeline = os.pipe()
        reader, writer = os.pipe()
        parent = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # none is for the relay
        try:
            self.pid = os.fork()
            if self.pid == 0:
                self._be_relay(parent, waiting, writer)
        except OSError as error:
            os.close(self._lifeline)
            os.close(reader)
            raise refused_by_host(error) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(waiting)
            os.close(writer)
        self._reservation.close()
        with open(reader, "rb") as report:
            words = report.read()
        if words != _READY:
            self.close()
            raise ErrorReport.decode(words or _KILLED).as_error(HostError, LaunchError)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it pass on what has arrived already, and end it; nothing if it has been ended."""
        if self._lifeline < 0:
            return
        with suppress(BrokenPipeError):  # it has ended
            os.write(self._lifeline, b"end")  # another process may still have the pipe, from a fork
        os.close(self._lifeline)
        self._lifeline = -1
        _wait(self.pid)

    def _be_relay(self, parent: int, lifeline: int, report: int) -> NoReturn:
        try:
            listeners = self._reservation.listeners
            sockets = (listener.socket.fileno() for listener in listeners)
            settle(parent, (lifeline, report, *sockets, *self._namespaces))
            try:
                relay = _prepare(parent, listeners, self._address, self._namespaces)
                os.write(report, _READY)
            except BaseException as error:
                os.write(report, ErrorReport.of(error, doing="relay published ports").encode())
                raise
            os.close(report)
            relay.serve(lifeline)
        finally:
            os._exit(0)


def _wait(pid: int) -> None:
    """Wait for the end of child PID, which is killed if it takes too long."""
    pidfd = os.pidfd_open(pid)
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)  # readable once the process has ended (pidfd_open(2))
    if not ended.poll(_PATIENCE * 1000):
        send(pidfd, signal.SIGKILL)
    os.close(pidfd)
    os.waitpid(pid, 0)


_KILLED = b"HostError\n\nthe process that relays published ports was killed before it was ready"


def _prepare(parent: int, listeners: Sequence[Listener], address: str, namespaces: Sequence[int]) -> _Relay:
    """Import, enter and limit, in this order: what comes later takes away what the earlier needs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # splice(2) has no flag against it
    os.setsid()  # Ctrl-C is for the container
    from mydocker.kernel.enter import enter_namespace
    from mydocker.kernel.process_title import retitle

    retitle(_TITLE)
    limit = _raise_limit()
    relay = _Relay(listeners, address, limit=limit)
    for namespace in namespaces:
        enter_namespace(namespace)
        os.close(namespace)
    drop_privileges()
    kernel.die_with_parent(parent)  # only now: new credentials clear it
    return relay


def _raise_limit() -> int:
    """Let this process open as many descriptors as it may; how many."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class _Relay:
    def __init__(self, listeners: Sequence[Listener], address: str, *, limit: int) -> None:
        from mydocker.runtime.network.port_relay import tcp, udp
        from mydocker.runtime.network.port_relay.loop import EPOLLIN, Loop

        self._watched = EPOLLIN
        self._loop = Loop()
        room = max(limit - _SPARE - len(listeners), tcp.DESCRIPTORS)
        datagrams = [listener for listener in listeners if listener.port.protocol == "udp"]
        clients = min(udp.MOST, room // 4) if datagrams else 0
        streams = [listener for listener in listeners if listener.port.protocol == "tcp"]
        most = max(min(tcp.MOST, (room - clients) // tcp.DESCRIPTORS), 1)
        self._tcp: Tcp = tcp.Tcp(self._loop, streams, address, most=most)
        self._udp = udp.Udp(self._loop, datagrams, address, most=max(clients, 1))
        self._has_ended = False

    def serve(self, lifeline: int) -> None:
        """Relay until the other end of LIFELINE is closed."""
        self._loop.watch(lifeline, self._watched, self._end)
        tick = monotonic() + _TICK
        while not self._has_ended:
            self._turn(_TICK if self._tcp.is_paused or self._udp.has_clients else None)
            if monotonic() >= tick:
                self._udp.forget_idle()
                self._tcp.resume()
                tick = monotonic() + _TICK
        self._finish(lifeline)

    def _turn(self, timeout: float | None) -> int:
        happened = self._loop.turn(0 if self._tcp.is_busy else timeout)
        if self._tcp.is_busy:
            self._tcp.go_on()
            happened += 1
        return happened

    def _end(self, _: int) -> None:
        self._has_ended = True

    def _finish(self, lifeline: int) -> None:
        """Pass on what has arrived already."""
        self._loop.forget(lifeline)
        self._tcp.stop_accepting()
        until = monotonic() + _LAST_WORDS
        while (left := until - monotonic()) > 0:
            if not self._turn(left if self._tcp.is_behind else 0):
                return
