"""The name server of a container that has none, as it was started in the default network, and joins one with names.

Its process (name_server/process.py) has no run of mydocker as its parent: it ends with the container's first process,
and the run directory says which process it is, so that the run ends it before its network namespace has to be gone. It
stays when the container leaves its networks again, as with Docker: programs may have read /etc/resolv.conf once.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.kernel import sockets
from mydocker.kernel.enter import Inside
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.inspect import running_plan
from mydocker.runtime.network import FORWARDING, HOSTS, RESOLV_CONF, joined_container, name_server, resolvers

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.runtime.inspect.running_plan import Running

_LIMIT = 1 << 16  # bytes of a file that is still changed


def provide(run_dir: str, *, allowed: bool, where_bridges_are: Callable[[Callable[[], None]], None]) -> None:
    """Give the container with RUN_DIR a name server that its /etc/resolv.conf leads to, unless it has one, or its own
    programs have changed the file. ALLOWED: see `name_server.set_forwarding`. WHERE_BRIDGES_ARE does something where
    the container's network can be entered. Raises LaunchError, HostError, OSError."""
    try:
        found = running_plan.read(run_dir)
    except LaunchError:  # of another version of mydocker
        return
    if found is None or os.path.islink(f"{run_dir}/{HOSTS}"):  # its command has not begun, or there is no room
        return
    try:
        file = os.open(f"{run_dir}/{RESOLV_CONF}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # of another version of mydocker, or in memory
        return
    try:
        text = os.read(file, _LIMIT)
        if os.fstat(file).st_mtime > found.created or len(text) == _LIMIT or not _claim(run_dir):
            return
        name_server.set_forwarding(run_dir, allowed=allowed)
        if _start_or_forget(found, where_bridges_are):
            served = resolvers.served(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            os.pwrite(file, served, 0)
            os.ftruncate(file, len(served))
    finally:
        os.close(file)


def _claim(run_dir: str) -> bool:
    """Whether the container has no name server, and nobody else gives it one."""
    try:
        os.close(os.open(f"{run_dir}/{FORWARDING}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return True
    except FileExistsError:
        return False


def _start_or_forget(found: Running, where_bridges_are: Callable[[Callable[[], None]], None]) -> bool:
    """As `_start`; where that fails, the next network that the container joins may give it one."""
    try:
        return _start(found, where_bridges_are)
    except BaseException:
        with suppress(OSError):
            os.unlink(f"{found.plan.run_dir}/{FORWARDING}")
        raise


def _start(found: Running, where_bridges_are: Callable[[Callable[[], None]], None]) -> bool:
    """Start the process, and send it its sockets; False if a program of the container has their port."""
    from mydocker.runtime.network.name_server import process

    plan = found.plan
    pidfd = _open_first(found)
    theirs, ours = sockets.pair()
    done, doing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def send_sockets() -> None:  # perhaps in another process
        with Inside("net", joined_container.open_network(plan.run_dir)):
            try:
                name_server.send_sockets(plan, os.dup(ours))
                os.write(doing, b"+")
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise

    try:
        name_server.note(plan.run_dir, process.start_apart(plan, theirs, pidfd))
        where_bridges_are(send_sockets)
        return _has_come(done)
    finally:
        for each in (pidfd, theirs, ours, done, doing):  # without sockets, it ends
            os.close(each)


def _has_come(pipe: int) -> bool:
    """Whether something has been written to PIPE."""
    try:
        return bool(os.read(pipe, 1))
    except BlockingIOError:
        return False


def _open_first(found: Running) -> int:
    """A pidfd of the container's first process. Raises LaunchError if it has ended."""
    with suppress(OSError):
        pidfd = os.pidfd_open(found.pid)
        if kernel.start_time(found.pid) == found.start_time:
            return pidfd
        os.close(pidfd)
    raise LaunchError(f"container {os.path.basename(found.plan.run_dir)} has ended")
