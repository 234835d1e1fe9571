"""What mydocker itself creates in a container's tree before the command runs, which is no change of the container's:
mount points, the working directory, /etc/mtab, and a line in an account file.

Such a file counts as mydocker's until the container changes it.
"""

from __future__ import annotations

import os
import stat

from mydocker.record import TYPE_CHECKING
from mydocker.runtime.plan.operations import Symlink

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.runtime.plan import LaunchPlan

LINK_LIMIT = 40  # as the kernel's own MAXSYMLINKS (path_resolution(7))
_FRESH = ("/dev/", "/proc/", "/sys/")  # always separate file systems of the container: nothing below is in its layer


class Prepared:
    """The paths that are created for a container of a plan, by their names after all links of the image.

    `real_path` resolves a path in the tree before the container ran: an image has links such as /var/run -> /run, and
    a mount point is created where they lead.
    """

    def __init__(self, plan: LaunchPlan, real_path: Callable[[str], str]) -> None:
        self._links = {
            operation.target: operation.to for operation in plan.operations if isinstance(operation, Symlink)
        }
        self._paths: set[str] = {*self._links}
        self._lines: dict[str, tuple[bytes, ...]] = {}
        for path in (*(operation.target for operation in plan.operations), plan.working_dir):
            if not path.startswith(_FRESH) and path not in self._links:
                self._add(real_path(path))
        if plan.rootless is not None:
            self._lines = _account_lines(plan)

    def _add(self, path: str) -> None:
        while path not in ("", "/"):
            self._paths.add(path)
            path = os.path.dirname(path)

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def is_as_made(self, path: str, status: os.stat_result, directory: int) -> bool:
        """Whether what is at PATH, the last name of which is in DIRECTORY, is what mydocker has created there."""
        if path not in self._paths:
            return False
        if stat.S_ISLNK(status.st_mode):
            return os.readlink(os.path.basename(path), dir_fd=directory) == self._links.get(path)
        is_own = status.st_uid == os.geteuid()  # this process has the ids with which the tree was built
        if stat.S_ISDIR(status.st_mode):  # in a directory that is setgid, it has inherited that (inode(7))
            return is_own and stat.S_IMODE(status.st_mode) & ~stat.S_ISGID == 0o755
        is_empty_file = stat.S_ISREG(status.st_mode) and status.st_size == 0
        return is_empty_file and is_own and stat.S_IMODE(status.st_mode) == 0o644

    def is_account_added(self, path: str, before: bytes, after: bytes) -> bool:
        """Whether account file PATH has become AFTER because mydocker has added the caller's entry to BEFORE."""
        gap = b"\n" if before and not before.endswith(b"\n") else b""
        return any(after == before + gap + line for line in self._lines.get(path, ()))

    def has_account(self, path: str) -> bool:
        """Whether mydocker may have added an entry to PATH."""
        return path in self._lines


def _account_lines(plan: LaunchPlan) -> dict[str, tuple[bytes, ...]]:
    """The entries that may have been added to account files, by their paths."""
    from mydocker.runtime.plan.keep_id import Account

    return {each.target: each.lines() for each in plan.operations if isinstance(each, Account)}


def real_path(path: str, read_link: Callable[[str], str | None]) -> str:
    """PATH without links; READ_LINK is the target of one, and None for a path that is none. What does not exist stays
    as it is."""
    pending, done = path.split("/")[::-1], list[str]()
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            del done[-1:]
        elif name not in ("", "."):
            target = read_link("/" + "/".join([*done, name]))
            if target is None:
                done.append(name)
                continue
            links += 1
            if links > LINK_LIMIT:
                return path
            pending += target.split("/")[::-1]
            done = [] if target.startswith("/") else done
    return "/" + "/".join(done)
