"""The name server of a container whose networks have names: at 127.0.0.11, for programs that ask DNS themselves.

    programs in the container ── sockets in its network namespace ──> the process ──> the host's name servers

The child makes the sockets before its command runs, so no question comes too early, and sends them to the process
(process.py), which answers from the container's /etc/hosts: both always agree. It forwards everything else, from the
host's network, so a name server on the host's loopback can be used as it is. The servers that `--dns` sets are the
container's own choice, and are asked from its network.
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.kernel import port_rewrite, sockets
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network import FORWARDING, NAME_SERVER, NAME_SERVER_PORT

if TYPE_CHECKING:
    from mydocker.runtime.plan import LaunchPlan

_DNS_PORT = 53
_LATER = "name_server"  # in the run directory: which process is one that the container has got since it runs


class NameServer:
    """The process for the container of PLAN, and before that the pair of sockets by which it gets those of the child.
    `child_end` is the child's."""

    def __init__(self, plan: LaunchPlan) -> None:
        self._plan = plan
        self.child_end, self._end = sockets.pair()
        self.pid = self._pidfd = self._lifeline = -1

    def start(self) -> None:
        """Start the process, while the child is at work. Raises OSError."""
        from mydocker.runtime.network.name_server import process

        try:
            self.pid, self._pidfd, self._lifeline = process.start(self._plan, self._end)
        finally:
            self._close_pair()

    def close(self) -> None:
        """End it, at once: it owes nobody anything. Nothing if it has not been started."""
        self._close_pair()
        if self._pidfd < 0:
            return
        send(self._pidfd, signal.SIGKILL)
        try:  # noqa: SIM105  # contextlib is not on the warm path
            os.waitpid(self.pid, 0)
        except ChildProcessError:  # the caller ignores SIGCHLD, so the kernel has reaped it (wait(2))
            pass
        for descriptor in (self._pidfd, self._lifeline):
            os.close(descriptor)
        self._pidfd = self._lifeline = -1

    def _close_pair(self) -> None:
        for descriptor in (self.child_end, self._end):
            if descriptor >= 0:
                os.close(descriptor)
        self.child_end = self._end = -1


def send_sockets(plan: LaunchPlan, channel: int) -> None:
    """In the child, once it has its interfaces: make the sockets, and send them through CHANNEL, which is closed. With
    `--dns`, the container's namespaces follow, a user namespace first. Raises OSError."""
    kinds = [*(["user"] if plan.rootless else []), "net"] if plan.dns else []
    opened = []
    try:
        for kind in (sockets.DATAGRAM, sockets.STREAM):
            opened.append(sockets.bind_to_loopback(kind, NAME_SERVER, NAME_SERVER_PORT))
        port_rewrite.load(NAME_SERVER, _DNS_PORT, NAME_SERVER_PORT)
        opened += [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
        try:  # noqa: SIM105  # contextlib is not on the warm path
            sockets.send_descriptors(channel, opened)
        except BrokenPipeError:  # the process was killed: nobody serves, and the names are in /etc/hosts as well
            pass
    finally:
        for descriptor in (*opened, channel):
            os.close(descriptor)


def set_forwarding(run_dir: str, *, allowed: bool, new: bool = False) -> None:
    """Whether the name server of the container with RUN_DIR forwards questions to the host's: not for one that has no
    way to the outside, which could send data by them (CVE-2024-29018). With `new`, the file is made."""
    flags = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if new else 0)
    try:
        descriptor = os.open(f"{run_dir}/{FORWARDING}", flags, 0o600)
    except FileNotFoundError:  # it has none, or has ended
        return
    try:
        if allowed:
            os.write(descriptor, b"1")
    finally:
        os.close(descriptor)


def note(run_dir: str, pid: int) -> None:
    """Write down that PID is the name server of the container with RUN_DIR, which has got it since it runs. Raises
    OSError."""
    os.symlink(f"{pid} {kernel.start_time(pid)}", f"{run_dir}/{_LATER}")


def end_noted(run_dir: str) -> None:
    """End the name server that the container with RUN_DIR has got since it runs, if it has."""
    try:
        pid, started = map(int, os.readlink(f"{run_dir}/{_LATER}").split())
        pidfd = os.pidfd_open(pid)
    except OSError:  # it has none, or that has ended
        return
    from mydocker.kernel.processes import has_ended

    try:
        if kernel.start_time(pid) == started:
            send(pidfd, signal.SIGKILL)
            has_ended(pidfd, None)
    except OSError:
        pass
    finally:
        os.close(pidfd)
