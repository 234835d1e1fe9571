"""The standard streams of a container without a terminal: separate pipes, so that it never holds a descriptor of
mydocker's caller. It could open the file behind one anew (/dev/stdout), truncate a file, or read and change a
terminal.
"""

from __future__ import annotations

import os
import stat

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.runtime.command import Watched

NULL = -1  # in place of a descriptor: the container's own /dev/null


class StreamPipes:
    """For each standard descriptor, mydocker's end of a pipe (`parent_ends`) and the container's (`child_ends`), or
    NULL.

    No pipe is needed from or to /dev/null. Where the caller's stdout and stderr are the same file, so are the
    container's, and what it writes there stays in order. Context manager; mydocker closes `child_ends` once the
    container has them.
    """

    def __init__(self, plan: Watched) -> None:
        """Raises LaunchError if a standard descriptor is a directory."""
        self.parent_ends, self.child_ends = [NULL] * 3, [NULL] * 3
        states = [os.fstat(descriptor) for descriptor in (0, 1, 2)]
        self.modes = [state.st_mode for state in states]
        for number, state in enumerate(states):
            if stat.S_ISDIR(state.st_mode):
                raise LaunchError(f"descriptor {number} is a directory")
        try:
            self._open(plan, states)
        except BaseException:
            self.close_parent_ends()
            self.close_child_ends()
            raise

    def _open(self, plan: Watched, states: list[os.stat_result]) -> None:
        if plan.stdin_open and plan.stdin is None and not _is_null(states[0]):
            self.child_ends[0], self.parent_ends[0] = os.pipe()
        for number, name in ((1, "stdout"), (2, "stderr")):
            if name not in plan.attach or _is_null(states[number]):
                continue
            if number == 2 and self.child_ends[1] != NULL and os.path.samestat(states[1], states[2]):
                self.child_ends[2] = self.child_ends[1]
            else:
                self.parent_ends[number], self.child_ends[number] = os.pipe()

    def __enter__(self) -> StreamPipes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_parent_ends()
        self.close_child_ends()

    def release_parent_ends(self) -> list[int]:
        """Mydocker's ends; the caller of this method closes them."""
        released, self.parent_ends = self.parent_ends, [NULL] * 3
        return released

    def close_parent_ends(self) -> None:
        _close(self.parent_ends)

    def close_child_ends(self) -> None:
        _close(self.child_ends)


def _close(ends: list[int]) -> None:
    for descriptor in {*ends} - {NULL}:
        os.close(descriptor)
    ends[:] = [NULL] * 3


def _is_null(state: os.stat_result) -> bool:
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == os.makedev(1, 3)  # linux: devices.txt


def take_streams(ends: tuple[int, ...], *, root: int, null: int = NULL) -> None:
    """In the container: make ENDS its standard descriptors; ROOT is its root. NULL is the host's /dev/null, if that
    cannot be opened here any more."""
    for number, descriptor in enumerate(ends):
        os.dup2(_open_null(root, null) if descriptor == NULL else descriptor, number)


def _open_null(root: int, null: int) -> int:
    try:
        return kernel.open_inside(root, "/dev/null", os.O_RDWR)
    except OSError:  # a volume is mounted over /dev, and opens no devices; or a bare directory has none
        return os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC) if null == NULL else null


def chown_streams(user: int) -> None:
    """In the container: let USER open its pipes anew, as /dev/stdin, /dev/stdout and /dev/stderr do (proc(5), "fd").

    Those to a helper process of mydocker's as well. One that may not change an owner opens them to every user: only
    processes of the container can name them.
    """
    for descriptor in (0, 1, 2):
        state = os.fstat(descriptor)
        if stat.S_ISFIFO(state.st_mode) and state.st_uid != user:
            try:
                os.fchown(descriptor, user, -1)
            except OSError:
                os.fchmod(descriptor, 0o666)


def give_streams(ends: tuple[int, ...], owner: tuple[int, int]) -> None:
    """Before entering a user namespace in which this process's user does not exist: let OWNER, user and group, own the
    pipes ENDS, so that its root can give them to others."""
    for descriptor in ends:
        if descriptor != NULL:
            os.fchown(descriptor, *owner)
