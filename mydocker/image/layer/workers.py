"""Unpacker: confined processes that turn one compressed layer into one directory.

    we -- archive --> grandchild     inflates, verifies the diff ID, scans and writes, with few rights
    we -- orders ---> child          the word that the archive was verified, too: it writes the whiteouts
    we <-- report --- child          nothing if all is well, else an ErrorReport

What a stranger has made is decompressed and parsed where a mistake of mydocker's, or of the C code for that, can do no
harm; and each layer has a processor to itself.
"""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from mydocker import kernel, programs
from mydocker.errors import ErrorReport, HostError, ImageError, MydockerError, StoreError
from mydocker.image.layer import sandbox, whiteout
from mydocker.image.layer.ahead import ahead
from mydocker.image.layer.extract import FULL, ROOM, Extraction
from mydocker.image.layer.scan import Scan
from mydocker.image.model.digest import DigestReader
from mydocker.image.tar.inflate import inflate
from mydocker.image.tar.tarsplit import Writer
from mydocker.record import Record

if TYPE_CHECKING:
    from mydocker.idmap import IdMap
    from mydocker.image.model.limits import Limits
    from mydocker.reference import Digest

_PIECE = 120 << 10  # bytes that are read at once, see blob.py
_PIPE = 1 << 20  # /proc/sys/fs/pipe-max-size, for all users
_VERIFIED = b"verified"
_TURN = 0.0002  # seconds: a thread that computes gives the interpreter's lock to one that starts the next system call
_PRIVILEGED = "in a container, give it --cap-add SYS_ADMIN (and --security-opt apparmor=unconfined)"
_USER_NAMESPACES = "this takes user namespaces, which the host may forbid (kernel.unprivileged_userns_clone, AppArmor)"
_KINDS = (ImageError, StoreError, HostError)  # what an unpacker may report; of anything else, the first


class Task(Record):
    """What is to be unpacked, by what is said of it: `directory` exists, and `lock` gets the skeleton. `lock` stays
    held until the last process that unpacks is gone."""

    what: str
    diff_id: Digest
    compression: str
    directory: str
    lock: int
    ids: IdMap | None  # of the user namespace that an ordinary user unpacks in
    devices: bool
    limits: Limits
    threads: int = 0  # besides the one that writes: up to 2 processors more for this layer


def prepare() -> None:
    """Import what every unpacker will need, while there is no more than one process to do it."""
    from isal import igzip_lib, isal_zlib  # noqa: F401  # they are used in the processes


class Unpacker:
    """Started by a process of one thread (fork(2)); used by any one thread from then on."""

    def __init__(self, task: Task) -> None:
        self._what = task.what
        archive, self._archive = os.pipe()
        _widen(self._archive)
        orders, self._orders = os.pipe()
        self._report, report = os.pipe()
        pid = os.fork()
        if pid == 0:
            _child(task, archive, orders, report)
        self._process = os.pidfd_open(pid)
        for descriptor in (archive, orders, report):
            os.close(descriptor)

    def write(self, piece: bytes) -> None:
        """Feed the blob, as it is stored. Raises the error that ended unpacking, if it has ended."""
        try:
            written = os.write(self._archive, piece)
            while written < len(piece):
                written += os.write(self._archive, memoryview(piece)[written:])
        except BrokenPipeError:
            self._raise_failure(self._wait() or _report(ImageError, f"{self._what}: unpacking has stopped"))

    def complete(self) -> None:
        """The blob is complete and verified: let the layer be finished, whiteouts included."""
        self._archive = _close(self._archive)
        with suppress(BrokenPipeError):  # the report says why
            os.write(self._orders, _VERIFIED)
        self._orders = _close(self._orders)

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

    def _wait(self) -> bytes:
        """The report. Both processes hold the pipe, so its end is the end of both."""
        self._archive, self._orders = _close(self._archive), _close(self._orders)
        report = _read_all(self._report)
        self._report = _close(self._report)
        ended = os.waitid(os.P_PIDFD, self._process, os.WEXITED)
        self._process = _close(self._process)
        if ended and ended.si_status and not report:
            return _report(ImageError, f"{self._what}: the unpacking process was killed")
        return report

    def _raise_failure(self, report: bytes) -> None:
        if not report:
            return
        error = ErrorReport.decode(report).as_error(*_KINDS)
        message, hint = (
            programs.printable(text.encode(errors="replace")) for text in (error.message, error.hint or "")
        )
        if isinstance(error, HostError) and not hint:
            hint = _PRIVILEGED if os.geteuid() == 0 else _USER_NAMESPACES
        raise type(error)(message, hint=hint or None)


def _widen(pipe: int) -> None:
    with suppress(PermissionError):  # a user's pipes together are limited (pipe(7)); the usual size does as well
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


def _close(descriptor: int) -> int:
    if descriptor >= 0:
        os.close(descriptor)
    return -1


def _read_all(descriptor: int) -> bytes:
    return b"".join(iter(lambda: os.read(descriptor, _PIECE), b""))


def _child(task: Task, archive: int, orders: int, report: int) -> NoReturn:
    """The confined process, from fork to exit. It has no use for any other descriptor, and others would miss them."""
    gc.disable()  # or the caller's garbage, such as a socket, might close a descriptor that has a new owner here
    try:
        text = _failure(HostError, task, lambda: _enter(task, {archive, orders, report, task.lock}))
        text = text or _failure(ImageError, task, lambda: _unpack(task, archive, orders, report))
        if text:
            os.write(report, text)
        os._exit(1 if text else 0)
    finally:  # nothing may return into the caller's copy of the program
        os._exit(1)


def _enter(task: Task, kept: set[int]) -> None:
    os.setsid()  # Ctrl-C is for the parent, with whose end this process ends
    _keep_only(kept)
    sandbox.confine(task.directory, ids=task.ids)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0)  # files are made with the modes that the archive states


def _unpack(task: Task, archive: int, orders: int, report: int) -> None:
    """Have the layer written, and write its whiteouts; none if the archive turned out to be wrong, or whoever checks it
    is gone. The process that writes files may not set the attributes that whiteouts take."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, _failure(ImageError, task, lambda: _write_layer(task, archive, writer)))
        finally:
            os._exit(0)
    os.close(archive)  # or we would never learn that nobody reads it any more
    os.close(writer)
    result = _read_all(reader)
    *records, word = result.split(b"\0")
    _, status = os.waitpid(pid, 0)
    if status:  # it was killed
        os._exit(1)
    if word != _VERIFIED:
        os.write(report, result)
        os._exit(1)
    if _read_all(orders) == _VERIFIED:
        root = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        whiteout.apply(
            root,
            hidden=[path[1:] for path in records if path[:1] == b"h"],
            opaque=[path[1:] for path in records if path[:1] == b"o"],
            space="trusted.overlay" if task.ids is None else "user.overlay",
        )


def _write_layer(task: Task, archive: int, result: int) -> None:
    """Unpack ARCHIVE, and tell RESULT what of lower layers is hidden, once all has its diff ID."""
    sandbox.drop_capabilities()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    what = task.what
    tree = Extraction(
        os.open(".", os.O_RDONLY | os.O_DIRECTORY), what=what, owned=task.ids is None or not task.ids.is_single
    )
    skeleton = Writer(task.lock)
    scan = Scan(tree, what=what, devices=task.devices, skeleton=skeleton, limits=task.limits)
    stored = iter(lambda: os.read(archive, _PIECE), b"")
    plain = inflate(stored, compression=task.compression, what=what, limits=task.limits)
    if task.threads:
        sys.setswitchinterval(_TURN)
    verified = DigestReader(ahead(plain) if task.threads > 1 else plain, digest=task.diff_id, what=f"{what}: diff ID")
    scan.read(ahead(verified) if task.threads else verified)
    tree.finish()
    skeleton.finish()
    records = [b"h" + path for path in scan.hidden] + [b"o" + path for path in scan.opaque]
    with os.fdopen(result, "wb", closefd=False) as stream:
        stream.write(b"\0".join([*records, _VERIFIED]))


def _failure(kind: type[MydockerError], task: Task, action: Callable[[], None]) -> bytes:
    """What the report is to say if ACTION fails; of a KIND unless the error has one of _KINDS."""
    try:
        action()
        return b""
    except MydockerError as error:
        return _report(type(error) if type(error) in _KINDS else kind, error.message, hint=error.hint)
    except OSError as error:
        where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
        message = f"{task.what}: cannot be unpacked: {error.strerror}{where}"
        return _report(StoreError, message, hint=ROOM) if error.errno in FULL else _report(kind, message)
    except BaseException as error:
        return _report(kind, f"{task.what}: cannot be unpacked: {error!r}")


def _report(kind: type[MydockerError], message: str, *, hint: str | None = None) -> bytes:
    return ErrorReport.of(kind(message, hint=hint)).encode()


def _keep_only(kept: set[int]) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number, inheritable=True)
    first = 3
    for number in sorted(kept):
        os.closerange(first, number)
        first = number + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 20 else 1 << 20)
