"""The holder's process: it makes the namespaces, has them attached, and ends a moment after its last user."""

from __future__ import annotations

import os
import time

from mydocker import idmap, kernel
from mydocker.errors import ErrorReport, HostError, refused_namespaces
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.network.rootless import ALIVE, START, USERS, find_locked, lock, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from mydocker.idmap import IdMap
    from mydocker.runtime.network.rootless import Holder

IDLE_TIME = 1.0  # seconds that the namespaces are kept after the last user, as another one often follows
_TITLE = "mydocker-network"
_READY = b"ready"
_KILLED = b"HostError\n\nthe process that holds the network's namespaces was killed before it was ready"
# connections of relays end here first: their ports are free again after a second, instead of a minute
_SETTINGS = (("tcp_tw_reuse", "1"), ("ip_local_port_range", "1024 65535"))


def enter_or_start(directory: str, ids: IdMap) -> Holder:
    """The holder of DIRECTORY, which is started with IDS if there is none. HostError if this host can't have one."""
    try:
        start = lock(f"{directory}/{START}")
        try:
            holder = find_locked(directory)
            if holder is None:
                _start(directory, ids)
                holder = find_locked(directory)
        finally:
            os.close(start)
    except OSError as error:
        raise refused(error) from None
    if holder is None:
        raise HostError("the process that holds the network's namespaces was killed as soon as it was ready")
    return holder


def _start(directory: str, ids: IdMap) -> None:
    """Start the holder of DIRECTORY, which has none, with IDS. It is no child of this process.

    The caller has the lock START. HostError if this host can't have one.
    """
    alive = os.open(f"{directory}/{ALIVE}", os.O_RDWR | os.O_CLOEXEC)
    reader, writer = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # none is for the holder
    try:
        kernel.lock(alive)  # for the holder, which shares it from its start
        os.ftruncate(alive, 0)
        pid = os.fork()
        if pid == 0:
            _beget(directory, ids, alive=alive, report=writer)
        os.close(writer)
        writer = -1
        os.waitpid(pid, 0)
        report = b"".join(iter(lambda: os.read(reader, 4096), b""))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for descriptor in (alive, reader, writer):
            if descriptor >= 0:
                os.close(descriptor)
    if report != _READY:
        raise ErrorReport.decode(report or _KILLED).as_error(HostError)


def _beget(directory: str, ids: IdMap, *, alive: int, report: int) -> NoReturn:
    """Start the holder, whose parent does not stay, and end."""
    try:
        if os.fork() == 0:
            _be_holder(directory, ids, alive=alive, report=report)
    except BaseException as error:
        _complain(report, error)
    finally:
        os._exit(0)


def _be_holder(directory: str, ids: IdMap, *, alive: int, report: int) -> NoReturn:
    try:
        try:
            os.setsid()
            _keep_only(alive, report)
            attachment = _make_namespaces(ids)
            os.pwrite(alive, f"{os.getpid()} {attachment}\n".encode(), 0)
            os.write(report, _READY)
        except BaseException as error:
            _complain(report, error)
            raise
        os.close(report)
        _stay(directory, alive)
    finally:
        os._exit(0)


def _complain(report: int, error: BaseException) -> None:
    os.write(report, ErrorReport.of(error, doing="hold the network's namespaces").encode())


def _keep_only(*descriptors: int) -> None:
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    kernel.close_all_but((0, 1, 2, *descriptors))
    os.chdir("/")
    os.umask(0o077)


def _make_namespaces(ids: IdMap) -> str:
    """Enter new namespaces, and have them attached to the outside; by which program."""
    from mydocker.kernel.process_title import retitle
    from mydocker.runtime.network.rootless import attachment

    retitle(_TITLE)
    _make(lambda: idmap.enter(ids))
    go, let_go = os.pipe()
    reader, writer = os.pipe()
    holder = os.getpid()
    if os.fork() == 0:  # it stays in the host's network
        attachment.be_attached(holder, go=go, report=writer)
    os.close(go)
    os.close(writer)
    _make(lambda: kernel.unshare(kernel.CLONE_NEWNET))
    kernel.set_interface_up("lo")
    for name, value in _SETTINGS:
        _set(f"/proc/sys/net/ipv4/{name}", value)
    os.write(let_go, b"1")
    os.close(let_go)
    report = b"".join(iter(lambda: os.read(reader, 4096), b""))
    os.close(reader)
    if report.decode() not in attachment.PROGRAMS:
        raise ErrorReport.decode(report or _KILLED).as_error(HostError)
    return report.decode()


def _make(namespaces: Callable[[], None]) -> None:
    """Call what makes NAMESPACES. Raises HostError."""
    try:
        namespaces()
    except OSError as error:
        raise refused_namespaces(error, is_users=True) from None


def _set(path: str, value: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:  # read-only, as inside another container
        return
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def _stay(directory: str, alive: int) -> None:
    """Wait until nobody uses the namespaces. Who comes next either has the lock START before, or starts another one."""
    while True:
        with _Locked(f"{directory}/{USERS}"):
            pass
        time.sleep(IDLE_TIME)
        with _Locked(f"{directory}/{START}"):
            try:
                with _Locked(f"{directory}/{USERS}", wait=False):
                    os.ftruncate(alive, 0)  # the locks go one after the other
                    os._exit(0)
            except BlockingIOError:
                continue


class _Locked:
    """Context manager: the file at PATH is locked."""

    def __init__(self, path: str, *, wait: bool = True) -> None:
        self._path, self._wait = path, wait

    def __enter__(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            kernel.lock(self._descriptor, wait=self._wait)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
