"""A terminal with somebody at it: what is typed, what is shown, its size, and the plug."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.command import Command

PATIENCE = 100.0  # seconds for anything to be shown


@dataclass
class Screen:
    """The side of a terminal where people are; `shown` is all that has been read of it."""

    master: int
    slave: int
    shown: bytes = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self) -> list[object]:
        return termios.tcgetattr(self.slave)

    def is_raw(self) -> bool:
        flags = self.modes()[3]
        assert isinstance(flags, int)
        return not flags & termios.ICANON

    def type(self, text: bytes) -> None:
        """All of TEXT, looking at what is shown meanwhile, as whoever types it does."""
        os.set_blocking(self.master, False)
        deadline = time.monotonic() + PATIENCE
        while text:
            ready = select.select([self.master], [self.master], [], max(0, deadline - time.monotonic()))
            assert ready[0] or ready[1], f"{len(text)} bytes were not taken; shown: {self.shown[-200:]!r}"
            if ready[0]:
                self.shown += os.read(self.master, 65536)
            if ready[1]:
                try:
                    text = text[os.write(self.master, text[:1024]) :]
                except BlockingIOError:
                    continue

    def stuff(self, size: int) -> int:
        """Type SIZE bytes, short lines, and never look; how many were taken when nothing moved for half a second."""
        os.set_blocking(self.master, False)
        taken = 0
        while taken < size and select.select([], [self.master], [], 0.5)[1]:
            try:
                taken += os.write(self.master, b"x\n" * 512)
            except BlockingIOError:
                time.sleep(0.05)
        return taken

    def until(self, pattern: bytes) -> re.Match[bytes]:
        """Wait until PATTERN, a regular expression, is shown; what came up to there has been seen."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.shown)):
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{pattern!r} was not shown: {self.shown[-1000:]!r}"
            self.shown += os.read(self.master, 65536)
        self.shown = self.shown[found.end() :]
        return found

    def close(self) -> None:
        """Pull the plug."""
        for descriptor in (self.slave, self.master):
            if descriptor >= 0:
                os.close(descriptor)
        self.slave = self.master = -1


@contextmanager
def screen(*, rows: int = 24, columns: int = 80) -> Iterator[Screen]:
    master, slave = pty.openpty()
    opened = Screen(master, slave)
    opened.resize(rows, columns)
    try:
        yield opened
    finally:
        opened.close()


def start_at(at: Screen, command: Command, *arguments: str) -> subprocess.Popen[bytes]:
    """COMMAND as the leader of a session that has the terminal AT."""
    leader = Command(command.program, command.environment, command.directory, ["setsid", "--ctty"], command.store)
    return leader.start(*arguments, stdin=at.slave, stdout=at.slave, stderr=at.slave)


def shell_at(at: Screen, command: Command) -> subprocess.Popen[bytes]:
    """A shell with job control at terminal AT; `$mydocker` is the program of COMMAND."""
    environment = {**command.environment, "PS1": "ready> ", "mydocker": str(command.program)}
    shell = Command("/bin/bash", environment, command.directory, ["setsid", "--ctty"], command.store)  # type: ignore[arg-type]
    return shell.start("--norc", "--noprofile", "--noediting", "-i", stdin=at.slave, stdout=at.slave, stderr=at.slave)
