"""containers/<id>/: what one run keeps on disk while it lives, locked, and removed when it ends.

    root/                         where the new root is mounted, in the run's own mount namespace
    scratch/                      overlay's upper and work directories, unless in memory
    hosts hostname resolv.conf    bound over those of the image's /etc

The lock is a flock(2) on the directory itself, shared with the janitor: a directory that can be locked belongs to
nobody, and the next run sweeps it away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from mydocker.errors import StoreError

LOCALHOST = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


class RunDirectory:
    """Context manager: creates `path` and holds its lock; removes it at the end."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = -1

    def __enter__(self) -> RunDirectory:
        try:
            self._create()
        except OSError as error:
            raise StoreError(f"cannot create {self.path}: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        remove_tree(self.path)
        os.close(self.lock)

    def _create(self) -> None:
        """A sweeper may take a directory between its creation and its lock: then it is created again."""
        while self.lock < 0:
            try:  # noqa: SIM105  # contextlib is not on the warm path
                os.mkdir(self.path, 0o700)
            except FileExistsError:
                pass
            try:
                lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                continue
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                self.lock = lock
            else:
                os.close(lock)
        os.mkdir("root", 0o755, dir_fd=self.lock)
        os.mkdir("scratch", 0o755, dir_fd=self.lock)

    def write_etc(self, *, hostname: str, share_network: bool) -> None:
        """Write the generated /etc files. With the host's network, its names resolve as on the host."""
        names = (_host_file("/etc/hosts") if share_network else "") or LOCALHOST
        self._write("hosts", f"{names.rstrip()}\n127.0.1.1\t{hostname}\n")
        self._write("hostname", f"{hostname}\n")
        self._write("resolv.conf", _host_file("/etc/resolv.conf"))

    def _write(self, name: str, text: str) -> None:
        with open(f"{self.path}/{name}", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)  # whatever the caller's umask is


def _host_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def sweep(containers: str) -> None:
    """Remove the directories of runs that ended without removing theirs."""
    for name in os.listdir(containers):
        path = f"{containers}/{name}"
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(path)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def remove_tree(path: str) -> None:
    """Remove directory PATH and all in it, following no symlink, whatever its depth.

    Directories below are first moved up into PATH, so that no path grows and no recursion is needed.
    What vanishes meanwhile is no error.
    """
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    moved = 0
    try:
        pending = _empty(top, top, 0)
        moved = len(pending)
        while pending:
            name = pending.pop()
            directory = _open_directory(name, top)
            try:
                below = _empty(directory, top, moved)
            finally:
                os.close(directory)
            moved += len(below)
            pending += below
            os.rmdir(name, dir_fd=top)
        os.rmdir(path)
    finally:
        os.close(top)


def _empty(directory: int, top: int, serial: int) -> list[str]:
    """Unlink the files of DIRECTORY and move its directories up into TOP; the new names of those."""
    moved: list[str] = []
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
            continue
        new = f".removed-{serial + len(moved)}"
        try:
            os.rename(name, new, src_dir_fd=directory, dst_dir_fd=top)
        except PermissionError:  # moving a directory writes its `..`
            os.chmod(name, stat.S_IRWXU, dir_fd=directory)
            os.rename(name, new, src_dir_fd=directory, dst_dir_fd=top)
        moved.append(new)
    return moved


def _open_directory(name: str, top: int) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=top)
    except OSError as error:
        if error.errno != errno.EACCES:
            raise
        os.chmod(name, stat.S_IRWXU, dir_fd=top)
        return os.open(name, flags, dir_fd=top)
