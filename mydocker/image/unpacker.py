"""Unpacker: a confined process that turns one tar stream into one directory.

    we -- archive --> GNU tar            it writes; its complaints go to its parent, our child
    we -- orders ---> our child          whiteouts, and the word that everything has been verified
    we <-- report --- our child          nothing if all is well, else a letter and a message

GNU tar, because it is several times as fast as anything in Python. It is executed by its path from between fork and
confinement, which no library does for us.
"""

from __future__ import annotations

import fcntl
import gc
import os
import re
import signal
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from mydocker import kernel, tools
from mydocker.errors import HostError, ImageError, MydockerError, StoreError
from mydocker.image import confine, whiteout

if TYPE_CHECKING:
    from mydocker.idmap import IdMap

OPTIONS = (
    "--extract",
    "--preserve-permissions",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=user.*",
    "--xattrs-include=security.capability",
    "--xattrs-exclude=user.overlay.*",  # overlayfs's own signs: an image must not forge them
    "--xattrs-exclude=trusted.*",
    "--delay-directory-restore",  # a directory may be closed, and filled later
    "--warning=no-timestamp",
    "--blocking-factor=512",  # 256 KiB at a time
    "--file=-",
)
_BATCH = 512 << 10  # bytes that are written to the pipe at once
_VECTORS = 512  # pieces; IOV_MAX is 1024
_PIPE = 1 << 20  # /proc/sys/fs/pipe-max-size, for all users
_SHOWN = 2000  # bytes of tar's complaints
_VERIFIED = b"verified"
_NO_ATTRIBUTE = re.compile(r": Cannot set '.*' extended attribute for file '.*': (.*)")
# no link or FIFO has a `user.` attribute, and some file systems have none at all: such are left out, as Docker does
_TOLERATED = ("Operation not permitted", "Operation not supported")
_NO_OWNER = re.compile(r"Cannot change ownership .*Invalid argument")
_FULL = ("No space left on device", "Disk quota exceeded", "Wrote only")  # the last is tar's word for a short write


class Unpacker:
    """Started by a process of one thread (fork(2)); used by any one thread from then on."""

    def __init__(self, directory: str, *, tar: str, lock: int, what: str, ids: IdMap | None) -> None:
        """Begin to unpack into DIRECTORY, which exists. LOCK stays held until the last of its processes is gone.

        IDS are those of the user namespace that an ordinary user unpacks in.
        """
        self._what = what
        archive, self._archive = os.pipe()
        _widen(self._archive)
        orders, self._orders = os.pipe()
        self._report, report = os.pipe()
        pid = os.fork()
        if pid == 0:
            _child(directory, tar, archive, orders, report, lock, ids)
        self._process = os.pidfd_open(pid)
        for descriptor in (archive, orders, report):
            os.close(descriptor)

    def write(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Feed the archive. Raises the error that ended tar, if it has ended."""
        batch: list[bytes | memoryview] = []
        size = 0
        for piece in pieces:
            batch.append(piece)
            size += len(piece)
            if size >= _BATCH or len(batch) >= _VECTORS:
                self._send(batch, size)
                batch, size = [], 0
        self._send(batch, size)

    def complete(self, *, hidden: list[bytes], opaque: list[bytes]) -> None:
        """The archive is complete and verified: let the layer be finished, whiteouts included."""
        self._archive = _close(self._archive)
        records = [b"h" + path for path in hidden] + [b"o" + path for path in opaque]
        try:
            with os.fdopen(self._orders, "wb") as orders:
                self._orders = -1
                orders.write(b"\0".join([*records, _VERIFIED]))
        except BrokenPipeError:
            pass  # the report says why

    def wait(self) -> None:
        """Wait until all of the layer has been written, though perhaps not to the disk. Raises what went wrong."""
        self._raise_failure(self._wait())

    def abort(self) -> None:
        """End it if it has not ended, and wait until nothing of it writes any more."""
        if self._process >= 0:
            self.kill()
            self._wait()

    def kill(self) -> None:
        """End it; its user, in whatever thread, learns of it as of any other failure."""
        if self._process >= 0:
            signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def _send(self, batch: list[bytes | memoryview], size: int) -> None:
        try:
            sent = os.writev(self._archive, batch) if batch else 0
            if sent < size:  # a signal interrupted it
                rest = memoryview(b"".join(batch))[sent:]
                while rest:
                    rest = rest[os.write(self._archive, rest) :]
        except BrokenPipeError:
            self._raise_failure(self._wait() or b"Iit stopped reading")

    def _wait(self) -> bytes:
        """The report. Tar holds the pipe as well, so its end is the end of both."""
        self._archive, self._orders = _close(self._archive), _close(self._orders)
        report = b""
        while data := os.read(self._report, _SHOWN):
            report += data
        self._report = _close(self._report)
        ended = os.waitid(os.P_PIDFD, self._process, os.WEXITED)
        self._process = _close(self._process)
        if ended and ended.si_status and not report:
            return b"Ithe unpacking process was killed"
        return report

    def _raise_failure(self, report: bytes) -> None:
        if not report:
            return
        kind, text = report[:1], tools.printable(report[1:])
        message = f"{self._what}: cannot be unpacked: {text}"
        if _NO_ATTRIBUTE.search(text):
            raise ImageError(message, hint="if the store's file system has no room for it, MYDOCKER_ROOT names another")
        if any(words in text for words in _FULL):
            raise StoreError(message, hint="free some space, or set MYDOCKER_ROOT to a larger file system")
        if _NO_OWNER.search(text):
            raise HostError(message, hint="the image has more users than /etc/subuid and /etc/subgid grant to this one")
        raise _host_error(message) if kind == b"H" else ImageError(message)


def _host_error(message: str) -> MydockerError:
    if os.geteuid() == 0:
        hint = "in a container, give it --cap-add SYS_ADMIN (and --security-opt apparmor=unconfined)"
    else:
        hint = "this takes user namespaces, which the host may forbid (kernel.unprivileged_userns_clone, AppArmor)"
    return HostError(message, hint=hint)


def _widen(pipe: int) -> None:
    with suppress(PermissionError):  # a user's pipes together are limited (pipe(7)); the usual size does as well
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


def _close(descriptor: int) -> int:
    if descriptor >= 0:
        os.close(descriptor)
    return -1


def _child(directory: str, tar: str, archive: int, orders: int, report: int, lock: int, ids: IdMap | None) -> NoReturn:
    """The confined process, from fork to exit. It has no use for any other descriptor, and others would miss them."""
    kind, text = b"H", b""
    gc.disable()  # or the caller's garbage, such as a socket, might close a descriptor that has a new owner here
    try:
        os.setsid()  # Ctrl-C is for our parent, whose end is ours
        _keep_only({archive, orders, report, lock})
        confine.confine(directory, ids=ids)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.umask(0o022)  # of directories that the archive does not mention
        os.set_inheritable(lock, True)
        os.set_inheritable(report, True)
        kind = b"I"
        text = _extract(tar, archive, own_files=ids is not None and ids.is_single)
        if not text:
            _carry_out(orders, in_namespace=ids is not None)
    except OSError as error:
        where = f": {os.fsdecode(error.filename)}" if error.filename else ""
        text = f"{error.strerror}{where}".encode(errors="replace")
    except MydockerError as error:
        text = error.message.encode(errors="replace")
    except BaseException as error:  # nothing may return into the caller's copy of the program
        text = repr(error).encode(errors="replace")
    if text:
        os.write(report, kind + text[:_SHOWN])
    os._exit(1 if text else 0)


def _keep_only(kept: set[int]) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number, inheritable=True)
    first = 3
    for number in sorted(kept):
        os.closerange(first, number)
        first = number + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 20 else 1 << 20)


def _extract(tar: str, archive: int, *, own_files: bool) -> bytes:
    """Run GNU tar to its end; what it says if it fails. OWN_FILES: there is no other owner."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(archive, 0, inheritable=True)
            os.dup2(writer, 2, inheritable=True)
            confine.drop_capabilities()
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            owner = "--no-same-owner" if own_files else "--same-owner"
            os.execve(tar, [tar, *OPTIONS, owner], {"PATH": tools.PATH, "LC_ALL": "C"})
        except BaseException as error:  # nothing may return into the caller's copy of the program
            os.write(2, f"{tar}: {error!r}".encode())
        finally:
            os._exit(127)
    os.close(archive)  # or its writer would never learn that tar has ended
    os.close(writer)
    said = lost = b""
    with os.fdopen(reader, "rb") as complaints:
        for line in complaints:  # all of them, or tar would wait for us
            said = (said + line)[:_SHOWN]
            lost = lost or (line if _is_loss(line) else b"")
    _, status = os.waitpid(pid, 0)
    return (said or b"tar ended with status %d" % os.waitstatus_to_exitcode(status)) if status else lost


def _is_loss(line: bytes) -> bool:
    """Whether tar says in LINE, a mere warning to it, that a file goes without an attribute that it could have."""
    found = _NO_ATTRIBUTE.search(line.decode(errors="replace"))
    return found is not None and found[1] not in _TOLERATED


def _carry_out(orders: int, *, in_namespace: bool) -> None:
    """Write the whiteouts; none if the archive turned out to be wrong, or whoever checks it is gone."""
    with os.fdopen(orders, "rb") as stream:
        *records, word = stream.read().split(b"\0")
    if word != _VERIFIED:
        return
    root = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    whiteout.apply(
        root,
        hidden=[path[1:] for path in records if path[:1] == b"h"],
        opaque=[path[1:] for path in records if path[:1] == b"o"],
        space="user.overlay" if in_namespace else "trusted.overlay",
    )
    os.close(root)
