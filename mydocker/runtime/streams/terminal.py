"""A separate terminal for the container (-t): made inside, its master side sent to mydocker, and joined with the
caller's.

Nothing here waits: a slow reader or writer holds up neither the other direction nor the watch over time and
signals. Imported only where a container has a terminal: `socket` and `termios` are not on the warm path.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mydocker import kernel
from mydocker.errors import LaunchError, NoTerminalError
from mydocker.kernel.signals import signal
from mydocker.runtime.streams.relay import HANG_UPS, Flow, Relay, is_controlling

_TIOCSPTLCK = 0x40045431  # ioctl_tty(2)
_TIOCGPTN = 0x80045430
_TIOCGPTPEER = 0x5441
_PTMX = os.makedev(5, 2)  # linux: devices.txt
_CONSOLE = "/dev/console"
_INTERRUPT = b"\x03"  # Ctrl-C
_INSISTING = 3  # presses in a row
_HELD = 1 << 18  # bytes, more than what is written can be ahead of what is read (drivers/tty/tty_buffer.c: 64 KiB)


def take_new_terminal(*, owner: int, channel: int) -> None:
    """In the container: make a terminal in its own devpts, the controlling one, on descriptors 0-2 and on
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
    _copy_size(slave)  # the command may read it at once
    os.fchown(slave, owner, -1)
    _bind_console(name)
    with socket.socket(fileno=channel) as out:
        socket.send_fds(out, [b"t"], [master])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)


def open_terminal(root: int, *, owner: int, channels: tuple[int, ...]) -> int:
    """In a container that runs already: make a terminal in its devpts, and send the master side over the sockets
    CHANNELS; a descriptor of the other side, for `take_terminal`.

    Programs of the container may have replaced what is in /dev: nothing there is opened but the device itself, and the
    other side by no name.
    """
    try:
        master = kernel.open_inside(root, "/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
        if os.fstat(master).st_rdev != _PTMX:
            raise OSError(errno.ENXIO, "it is not the device")
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        message = f"cannot make a terminal from the container's /dev/ptmx: {error.strerror}"
        raise LaunchError(message, hint="leave out -t") from None
    os.fchown(slave, owner, -1)
    for number in channels:
        with socket.socket(fileno=number) as out:
            socket.send_fds(out, [b"t"], [master])
    os.close(master)
    return slave


def take_terminal(slave: int) -> None:
    """Make SLAVE the controlling terminal of this process, the leader of a session, and descriptors 0 to 2."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)


def _copy_size(terminal: int) -> None:
    """Give TERMINAL the size of the caller's, if one of the standard descriptors is a terminal."""
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


class Terminal(Relay):
    """Joins mydocker's stdin and stdout with a container's terminal. Context manager: the caller's terminal is raw
    meanwhile and restored at the end. As any job of a shell, mydocker stops where it would take the terminal from the
    foreground.
    """

    def __init__(self, *, forward_input: bool) -> None:
        super().__init__()
        self.forward_input = forward_input
        self.saved: list[object] | None = None
        self.master = -1
        self.typed: _Typed | None = None
        self.parent_end, self.child_end = socket.socketpair()

    def __enter__(self) -> Terminal:
        if self.forward_input:
            if not os.isatty(0):
                raise NoTerminalError("the input device is not a TTY", hint="leave out -t, or run from a terminal")
            try:
                self.saved = _take_terminal()
            except termios.error as error:  # EIO: in the background of a shell that has gone, and cannot continue it
                hint = "leave out -i or -t, or run it in the foreground"
                raise LaunchError(f"cannot use the terminal: {error.args[1]}", hint=hint) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self.saved is not None and _in_foreground():
            with suppress(termios.error):  # it is closed
                # not TCSADRAIN, which would wait for a terminal that takes nothing
                termios.tcsetattr(0, termios.TCSANOW, self.saved)  # type: ignore[arg-type]  # as tcgetattr gave it
        for end in (self.parent_end, self.child_end):
            end.close()
        self.hang_up()
        self.close()

    def close_child_ends(self) -> None:
        """Once the container has its end of the socket."""
        self.child_end.close()

    def receive(self) -> None:
        """Take the master side that the container sends, unless it ended before, and start to relay."""
        _, received, _, _ = socket.recv_fds(self.parent_end, 1, 1)
        if not received:
            return
        [self.master] = received
        self.resize()
        os.set_blocking(self.master, False)
        self.flows.append(Flow(self.master, self.open_again(1, os.O_WRONLY)))
        if self.forward_input:
            self.typed = _Typed(self.open_again(0, os.O_RDONLY), self.master)
            self.flows.append(self.typed)

    def resize(self) -> None:
        """Give the container's terminal the size of the caller's, if there is one."""
        if self.master >= 0:
            _copy_size(self.master)

    def resume(self) -> None:
        """After SIGCONT: a shell has used the terminal with its own modes meanwhile."""
        if self.saved is not None:
            with suppress(termios.error):  # it is closed
                _take_terminal()
        self.resize()

    def end(self, flow: Flow, error: EOFError | OSError) -> None:
        """That no process has the container's side open is an end of output only."""
        if isinstance(error, OSError) and error.errno not in (errno.EIO, *HANG_UPS):
            self.refuse(error, is_input=flow.sink == self.master)
        if flow.next != self.master:
            self.lost = True
        elif flow.waiting:
            flow.waiting = b""
            return
        self.flows.remove(flow)

    def end_input(self) -> None:
        """Carry only what has been written by now: a process that goes on may have the terminal open."""
        self.flows = [flow for flow in self.flows if flow.source == self.master]
        for flow in self.flows:
            flow.left = _HELD

    def waits(self) -> dict[int, int]:
        """After the command's end, no longer for what may still be written."""
        self.flows = [flow for flow in self.flows if flow.left is None or flow.waiting or _is_readable(flow)]
        return super().waits()

    def is_interrupted_in_vain(self, pid: int) -> bool:
        """Whether the user types nothing but Ctrl-C, and it would be for process PID."""
        if not self.typed or self.typed.interrupts < _INSISTING or self.master < 0:
            return False
        with suppress(OSError, termios.error):  # it is closed
            return bool(termios.tcgetattr(self.master)[3] & termios.ISIG) and os.tcgetpgrp(self.master) == pid
        return False

    def hang_up(self) -> None:
        """Close the container's terminal, as on a hang-up: its session gets SIGHUP, and no more input."""
        self.flows.clear()
        self.lost = False
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


def _is_readable(flow: Flow) -> bool:
    """Whether there is more to read, or the end, and not yet as much as a terminal can hold. Polling a terminal waits
    for what is on its way through the kernel (n_tty_poll in drivers/tty/n_tty.c)."""
    source = select.poll()
    source.register(flow.source, select.POLLIN)
    return bool(flow.left and source.poll(0))


class _Typed(Flow):
    """What is typed; `interrupts` counts how often in a row that was Ctrl-C."""

    interrupts = 0

    def read(self) -> bytes:
        typed = super().read()
        self.interrupts = self.interrupts + len(typed) if not typed.strip(_INTERRUPT) else 0
        return typed


def _take_terminal() -> list[object]:
    """Make the caller's terminal raw, once mydocker is in its foreground; the modes that it had then. termios.error."""
    with _as_a_job():
        termios.tcflow(0, termios.TCOON)  # changes nothing, and stops this process in the background (tcflow(3p))
        before = termios.tcgetattr(0)
        tty.setraw(0, termios.TCSANOW)
    return before


@contextmanager
def _as_a_job() -> Iterator[None]:
    """Let a shell's signals for jobs that use its terminal arrive at once: this process stops, and goes on in the
    foreground.

    Blocked, as all are while a container runs, they would let mydocker change the terminal while the shell uses it
    (tty(4)).
    """
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTTIN, signal.SIGTTOU))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_foreground() -> bool:
    """Whether mydocker is in the terminal's foreground, or no shell controls the terminal."""
    return not is_controlling(0) or os.tcgetpgrp(0) == os.getpgrp()
