"""Descriptors of a process that is forked: what closes them, and what does not."""

from __future__ import annotations

import errno
import gc
import os

import pytest

from mydocker import kernel
from mydocker.kernel.processes import fork_with_pipe

pytestmark = pytest.mark.unit


class _Owner:
    """Closes its descriptor when it is collected, as files and sockets do; it refers to itself."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.myself = descriptor, self

    def __del__(self) -> None:
        try:
            os.close(self.descriptor)
        except OSError:
            os._exit(9)  # it was closed by close_all_but, and by nobody since


def test_garbage_of_the_parent_closes_no_new_descriptor() -> None:
    gc.disable()
    try:
        number = os.open("/dev/null", os.O_RDONLY)
        _Owner(number)  # garbage from now on
        child = os.fork()
        if child == 0:
            try:
                kernel.close_all_but((0, 1, 2))
                opened = os.open("/dev/zero", os.O_RDONLY)
                while opened < number:
                    opened = os.open("/dev/zero", os.O_RDONLY)
                gc.collect()
                os._exit(0 if os.read(number, 1) == b"\0" else 8)
            except BaseException:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        gc.collect()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)
    finally:
        gc.enable()


def test_a_fork_that_fails_leaves_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(BlockingIOError):
        fork_with_pipe()
    assert os.listdir("/proc/self/fd") == before


def test_a_fork_with_a_pipe() -> None:
    pid, pipe = fork_with_pipe()
    if pid == 0:
        os.write(pipe, b"hello")
        os._exit(3)
    with open(pipe, "rb") as file:  # which ends with the child alone
        assert file.read() == b"hello"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
