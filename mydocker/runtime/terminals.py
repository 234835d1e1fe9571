"""A terminal of the container's own (-t): made inside, its master side handed out, and joined with ours.

Imported only where a container has a terminal: `socket` and `termios` are not on the warm path.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
import tty

from mydocker import kernel
from mydocker.errors import LaunchError

_CHUNK = 65536
_TIOCSPTLCK = 0x40045431  # ioctl_tty(2)
_TIOCGPTN = 0x80045430
_CONSOLE = "/dev/console"


def take_new_terminal(*, owner: int, channel: int) -> None:
    """In the container: make a terminal in its own devpts, our controlling one, on descriptors 0-2 and on
    /dev/console; send the master side over the socket CHANNEL."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    (number,) = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, struct.pack("i", 0)))
    name = f"/dev/pts/{number}"
    slave = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    os.fchown(slave, owner, -1)
    _bind_console(name)
    with socket.socket(fileno=channel) as out:
        socket.send_fds(out, [b"t"], [master])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)


def _bind_console(name: str) -> None:
    os.close(os.open(_CONSOLE, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    target = os.open(_CONSOLE, os.O_PATH | os.O_CLOEXEC)
    tree = kernel.clone_tree(name)
    kernel.attach(tree, target)
    os.close(tree)
    os.close(target)


class Terminal:
    """Joins our stdin and stdout with a container's terminal. Context manager: our own terminal is raw meanwhile
    and restored at the end."""

    def __init__(self, *, forward_input: bool) -> None:
        self.forward_input = forward_input
        self.saved: list[object] | None = None
        self.master = -1
        self.ours, self.theirs = socket.socketpair()

    def __enter__(self) -> Terminal:
        if self.forward_input:
            if not os.isatty(0):
                raise LaunchError("the input device is not a TTY", hint="leave out -t, or run from a terminal")
            self.saved = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSANOW)
        return self

    def __exit__(self, *_: object) -> None:
        if self.saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self.saved)  # type: ignore[arg-type]  # as tcgetattr gave it
        for end in (self.ours, self.theirs):
            end.close()
        if self.master >= 0:
            os.close(self.master)

    def receive(self) -> int:
        """Take the master side that the container sends; -1 if it ended without."""
        self.theirs.close()
        _, received, _, _ = socket.recv_fds(self.ours, 1, 1)
        if received:
            self.master = received[0]
            self.resize()
        return self.master

    def resize(self) -> None:
        """Give the container's terminal the size of ours, if ours is one."""
        for descriptor in (0, 1, 2):
            if self.master >= 0 and os.isatty(descriptor):
                size = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8)
                fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)
                return

    def carry_input(self) -> bool:
        """Pass on what was typed; False at its end."""
        data = os.read(0, _CHUNK)
        _write_all(self.master, data or b"\x04")  # the end of a pipe is typed as Ctrl-D
        return bool(data)

    def carry_output(self) -> bool:
        """Pass on what the container wrote; False once nobody has its side open (EIO)."""
        try:
            data = os.read(self.master, _CHUNK)
        except OSError:
            return False
        _write_all(1, data)
        return bool(data)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
