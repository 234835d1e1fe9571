"""A terminal of the container's own (-t): made inside, its master side handed out, and joined with ours.

Nothing here waits: whoever reads or writes too slowly holds up neither the other direction nor our watch over time and
signals. Imported only where a container has a terminal: `socket` and `termios` are not on the warm path.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
import struct
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.runtime.signals import signal

_CHUNK = select.PIPE_BUF  # what a pipe takes at once if it is ready for anything (pipe(7))
_TIOCSPTLCK = 0x40045431  # ioctl_tty(2)
_TIOCGPTN = 0x80045430
_CONSOLE = "/dev/console"


def take_new_terminal(*, owner: int, channel: int) -> None:
    """In the container: make a terminal in its own devpts, our controlling one, on descriptors 0-2 and on
    /dev/console; send the master side over the socket CHANNEL."""
    try:
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        hint = "leave out -t; a volume over /dev opens no devices, and a bare directory has none"
        raise LaunchError(
            f"cannot make a terminal from the container's /dev/ptmx: {error.strerror}", hint=hint
        ) from None
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    (number,) = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, struct.pack("i", 0)))
    name = f"/dev/pts/{number}"
    slave = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    _copy_size(slave)  # the command may ask for it at once
    os.fchown(slave, owner, -1)
    _bind_console(name)
    with socket.socket(fileno=channel) as out:
        socket.send_fds(out, [b"t"], [master])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)


def _copy_size(terminal: int) -> None:
    """Give TERMINAL the size of ours, if one of the standard descriptors is one."""
    for descriptor in (0, 1, 2):
        if os.isatty(descriptor):
            size = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
            return


def _bind_console(name: str) -> None:
    os.close(os.open(_CONSOLE, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    target = os.open(_CONSOLE, os.O_PATH | os.O_CLOEXEC)
    tree = kernel.clone_tree(name)
    kernel.attach(tree, target)
    os.close(tree)
    os.close(target)


class Terminal:
    """Joins our stdin and stdout with a container's terminal. Context manager: our own terminal is raw meanwhile
    and restored at the end. As any job of a shell, we stop where we would take it from the foreground.

    `lost`: nobody is at our side any more; the terminal was closed, or the reader of a pipe has gone.
    """

    def __init__(self, *, forward_input: bool) -> None:
        self.forward_input = forward_input
        self.saved: list[object] | None = None
        self.master = -1
        self.lost = False
        self.flows: list[_Flow] = []
        self.opened: list[int] = []
        self.ours, self.theirs = socket.socketpair()

    def __enter__(self) -> Terminal:
        if self.forward_input:
            if not os.isatty(0):
                raise LaunchError("the input device is not a TTY", hint="leave out -t, or run from a terminal")
            try:
                self.saved = _take_terminal()
            except termios.error as error:  # EIO: in the background of a shell that has gone, nobody could continue us
                hint = "leave out -i or -t, or run it in the foreground"
                raise LaunchError(f"cannot use the terminal: {error.args[1]}", hint=hint) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self.saved is not None and _in_foreground():
            with suppress(termios.error):  # it is closed
                # not TCSADRAIN, which would wait for a terminal that takes nothing
                termios.tcsetattr(0, termios.TCSANOW, self.saved)  # type: ignore[arg-type]  # as tcgetattr gave it
        for end in (self.ours, self.theirs):
            end.close()
        self.hang_up()
        for descriptor in self.opened:
            os.close(descriptor)

    def receive(self) -> None:
        """Take the master side that the container sends, unless it ended without, and start to carry."""
        self.theirs.close()
        _, received, _, _ = socket.recv_fds(self.ours, 1, 1)
        if not received:
            return
        [self.master] = received
        self.resize()
        os.set_blocking(self.master, False)
        self.flows.append(_Flow(self.master, self._anew(1, os.O_WRONLY)))
        if self.forward_input:
            self.flows.append(_Flow(self._anew(0, os.O_RDONLY), self.master))

    def _anew(self, descriptor: int, mode: int) -> int:
        """DESCRIPTOR opened once more, to be non-blocking: the one that we were given is our caller's as well, and must
        stay as it is. What cannot be opened, such as a socket, is used itself: it takes _CHUNK bytes once poll says so,
        and a file always does."""
        if not os.isatty(descriptor) and not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return descriptor
        path = "/dev/tty" if _controls(descriptor) else f"/proc/self/fd/{descriptor}"
        try:
            opened = os.open(path, mode | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return descriptor
        self.opened.append(opened)
        return opened

    def resize(self) -> None:
        """Give the container's terminal the size of ours, if ours is one."""
        if self.master >= 0:
            _copy_size(self.master)

    def resume(self) -> None:
        """After SIGCONT: a shell has used our terminal in its own way meanwhile."""
        if self.saved is not None:
            with suppress(termios.error):  # it is closed
                _take_terminal()
        self.resize()

    def waits(self) -> dict[int, int]:
        """The events to poll for, of each descriptor."""
        events: dict[int, int] = {}
        for flow in self.flows:
            events[flow.next] = events.get(flow.next, 0) | flow.event
        return events

    def carry(self, descriptor: int, events: int) -> None:
        """Pass on what can be now that EVENTS have come for DESCRIPTOR."""
        for flow in [*self.flows]:
            if flow.next == descriptor and events & (flow.event | select.POLLHUP | select.POLLERR):
                try:
                    with _as_a_job():
                        flow.step()
                except BlockingIOError:  # others have been quicker
                    continue
                except OSError as error:
                    if error.errno not in (errno.EIO, errno.EPIPE):
                        raise
                    self._end(flow)

    def _end(self, flow: _Flow) -> None:
        """It has come to the end of one side. Nobody having the container's side open is an end of output only."""
        if flow.next != self.master:
            self.lost = True
        elif flow.waiting:
            flow.waiting = b""
            return
        self.flows.remove(flow)

    def end_input(self) -> None:
        """Carry only what the container wrote, up to its end."""
        self.flows = [flow for flow in self.flows if flow.source == self.master]

    def hang_up(self) -> None:
        """Close the container's terminal, as by pulling out the plug: its session gets SIGHUP, and no more input."""
        self.flows.clear()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


class _Flow:
    """Bytes on their way from one descriptor to another. Until the second has taken all of them no more are read from
    the first: so whoever writes there waits, too, and nothing grows."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink
        self.waiting = b""

    @property
    def next(self) -> int:
        """The descriptor that is to be used next."""
        return self.sink if self.waiting else self.source

    @property
    def event(self) -> int:
        """What makes that possible."""
        return select.POLLOUT if self.waiting else select.POLLIN

    def step(self) -> None:
        """Read or write once. OSError, EIO at the end of the source, too: terminals have two ways to say so."""
        if self.waiting:
            self.waiting = self.waiting[os.write(self.sink, self.waiting) :]
            return
        self.waiting = os.read(self.source, _CHUNK)
        if not self.waiting:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def _take_terminal() -> list[object]:
    """Make ours raw, once we are in its foreground; the modes that it had then. termios.error."""
    with _as_a_job():
        termios.tcflow(0, termios.TCOON)  # changes nothing, and stops us in the background (tcflow(3p))
        before = termios.tcgetattr(0)
        tty.setraw(0, termios.TCSANOW)
    return before


@contextmanager
def _as_a_job() -> Iterator[None]:
    """A shell's signals for jobs that want its terminal reach us at once: we stop, and go on in the foreground.

    Blocked, as all are while a container runs, they would let us change the terminal under the shell's hands (tty(4)).
    """
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTTIN, signal.SIGTTOU))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _controls(descriptor: int) -> bool:
    """Whether terminal DESCRIPTOR is that of our session, which /dev/tty opens for whoever belongs there."""
    try:
        return os.tcgetpgrp(descriptor) >= 0
    except OSError:
        return False


def _in_foreground() -> bool:
    """Whether a shell has left the terminal to us, or there is none that could."""
    return not _controls(0) or os.tcgetpgrp(0) == os.getpgrp()
