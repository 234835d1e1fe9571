"""Descriptors of a process that is forked: what closes them, and what does not."""

from __future__ import annotations

import gc
import os

import pytest

from mydocker import kernel

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
