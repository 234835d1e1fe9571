"""The process of a command from what it is made of to its end: its user, its file, its limits and privileges, and who
watches it. Shared by launch/, for the command of a container, and enter/, for others in it; here is what both hold.
"""

from __future__ import annotations

import os

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import BinaryIO, Protocol, TypeVar

    from mydocker.runtime.image_file import ImageMount

    Resource = TypeVar("Resource")

    class Watched(Protocol):
        """What the watch over a command, and its streams, need of its plan."""

        @property
        def run_dir(self) -> str: ...
        @property
        def stop_signal(self) -> int: ...
        @property
        def grace(self) -> float: ...
        @property
        def timeout(self) -> float | None: ...
        @property
        def stdin_open(self) -> bool: ...
        @property
        def stdin(self) -> str | None: ...
        @property
        def attach(self) -> tuple[str, ...]: ...


class Stack:
    """Several resources at once: the last one entered is left first, whatever leaving another one raises.

    A small contextlib.ExitStack, which is not on the warm path.
    """

    def __init__(self) -> None:
        self._exits: list[Callable[[], object]] = []

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enter(self, resource: AbstractContextManager[Resource]) -> Resource:
        """Enter RESOURCE, which is left with the stack; what entering it returned."""
        entered = resource.__enter__()
        self._exits.append(lambda: resource.__exit__(None, None, None))
        return entered

    def enter_any(self, resource: AbstractContextManager[object] | None) -> None:
        """Enter RESOURCE, if there is one."""
        if resource:
            self.enter(resource)

    def close_later(self, descriptor: int) -> int:
        """DESCRIPTOR, which is closed with the stack."""
        self._exits.append(lambda: os.close(descriptor))
        return descriptor

    def close(self) -> None:
        """Leave all now. The stack is empty then, and may be closed again."""
        while self._exits:
            try:
                self._exits.pop()()
            except BaseException:
                self.close()
                raise


class Started(Record):
    """The process of a command, the read end of the pipe by which it reports a failure, and what keeps its init
    waiting, if it has one (launch/init.py). `image`: the file of its image, mounted, if it is one; `program`: that of
    its filter; `left_in`: the cgroups in which it may leave processes behind that its end does not end, None if there
    are no such processes."""

    pid: int
    pidfd: int
    report: int
    lifeline: BinaryIO | None
    image: ImageMount | None = None
    program: bytes = b""
    left_in: tuple[str, ...] | None = None
