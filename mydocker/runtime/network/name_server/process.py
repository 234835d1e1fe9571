"""The process of a container's name server, which has its sockets from the child that becomes the container's command.

It ends with the process that started it, whatever ends that one, or with the container, if that runs already. It is in
the host's namespaces; with `--dns`, it is in the network namespace of the container, for an ordinary user in the user
namespace as well, but in no other. Everything that it reads comes from programs that are not trusted, or from the
network, and it has no privileges.
"""

from __future__ import annotations

import errno
import os
from time import monotonic

from mydocker import kernel
from mydocker.kernel.processes import fork_with_pipe
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect.helper_process import drop_privileges, settle
from mydocker.runtime.network import FORWARDING, HOSTS, NAME_SERVER_SOCKETS

if TYPE_CHECKING:
    from typing import NoReturn

    from mydocker.runtime.network.name_server.datagrams import Datagrams
    from mydocker.runtime.network.name_server.streams import Streams
    from mydocker.runtime.plan import LaunchPlan

TITLE = "mydocker-names"
_SPARE = 32  # descriptors for all but queries


def start(plan: LaunchPlan, channel: int) -> tuple[int, int, int]:
    """Start the process for the container of PLAN, which gets its sockets by CHANNEL: its pid, its pidfd, and the
    descriptor that it ends with. Raises OSError."""
    waiting, lifeline = os.pipe()
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # none is for it
    try:
        pid = os.fork()
        if pid == 0:
            _be_server(plan, channel, parent, waiting)
        return pid, os.pidfd_open(pid), lifeline
    except OSError:
        os.close(lifeline)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(waiting)


def start_apart(plan: LaunchPlan, channel: int, pidfd: int) -> int:
    """The same for a container that runs already, whose first process is that of PIDFD: the pid of a process that is no
    child of this one, and ends with the container. Raises OSError."""
    helper, pipe = fork_with_pipe()
    if helper == 0:
        try:
            pid = os.fork()
            if pid == 0:
                _be_server(plan, channel, 0, pidfd)
            os.write(pipe, b"%d" % pid)
        finally:
            os._exit(0)
    with open(pipe, "rb") as file:
        written = file.read()
    os.waitpid(helper, 0)
    if not written:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return int(written)


def _be_server(plan: LaunchPlan, channel: int, parent: int, lifeline: int) -> NoReturn:
    """PARENT is 0 if the end of another process is enough to end this one."""
    try:
        settle(parent, (lifeline, channel))
        server = _prepare(parent, plan, channel)
        if server:
            server.serve(lifeline)
    finally:
        os._exit(0)


def _prepare(parent: int, plan: LaunchPlan, channel: int) -> _Server | None:
    """Receive, import, open, enter and limit, in this order: what comes later takes away what the earlier needs. None
    if the child has ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.setsid()  # Ctrl-C is for the container
    os.chdir("/")
    from mydocker.kernel.process_title import retitle

    retitle(TITLE)
    received = _received(channel)
    if len(received) < NAME_SERVER_SOCKETS:
        return None
    server = _Server(plan, received[:NAME_SERVER_SOCKETS])
    if plan.dns:
        from mydocker.kernel.enter import enter_namespace

        for namespace in received[NAME_SERVER_SOCKETS:]:
            enter_namespace(namespace)
            os.close(namespace)
    drop_privileges()
    if parent:
        kernel.die_with_parent(parent)  # only now: new credentials clear it
    return server


def _received(channel: int) -> list[int]:
    """The descriptors that the child has sent."""
    import _socket as socket

    pipe = socket.socket(fileno=channel)
    _, control, _, _ = pipe.recvmsg(1, socket.CMSG_SPACE(4 * (NAME_SERVER_SOCKETS + 2)), socket.MSG_CMSG_CLOEXEC)
    pipe.close()
    found = b"".join(content for level, kind, content in control if (level, kind) == (1, socket.SCM_RIGHTS))
    return [*memoryview(found).cast("i")]


class _Server:
    def __init__(self, plan: LaunchPlan, received: list[int]) -> None:
        import _socket as socket

        from mydocker.runtime.network.name_server import datagrams, streams
        from mydocker.runtime.network.name_server.host_names import HostNames
        from mydocker.runtime.network.name_server.source import Source
        from mydocker.runtime.network.name_server.upstream import Upstream
        from mydocker.runtime.network.port_relay.loop import EPOLLIN, Loop

        both = [socket.socket(fileno=descriptor) for descriptor in received]
        for each in both:
            each.setblocking(False)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        names = HostNames(os.open(f"{plan.run_dir}/{HOSTS}", flags))
        forwarding = -1 if plan.dns else os.open(f"{plan.run_dir}/{FORWARDING}", flags)
        upstream = Upstream(plan.dns)
        upstream.servers()  # the file is read once while it can be, whoever may read it later
        source = Source(names, upstream, forwarding=forwarding)
        room = _descriptors() - _SPARE
        connections = max(min(streams.MOST, room // 4 // streams.SOCKETS), 1)
        queries = max(min(datagrams.MOST, (room - connections * streams.SOCKETS) // datagrams.SOCKETS), 1)
        self._loop, self._watched = Loop(), EPOLLIN
        self._datagrams: Datagrams = datagrams.Datagrams(self._loop, both[0], source, most=queries)
        self._streams: Streams = streams.Streams(self._loop, both[1], source, most=connections)
        self._has_ended = False

    def serve(self, lifeline: int) -> None:
        """Serve until the other end of LIFELINE is closed. It sleeps while there is nothing to do."""
        self._loop.watch(lifeline, self._watched, self._end)
        while not self._has_ended:
            times = [each for each in (self._datagrams.next_time, self._streams.next_time) if each is not None]
            self._loop.turn(max(min(times) - monotonic(), 0) if times else None)
            if times:
                self._datagrams.tick()
                self._streams.tick()

    def _end(self, _: int) -> None:
        self._has_ended = True


def _descriptors() -> int:
    """How many descriptors this process may open: as many as it is allowed."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
