"""Inside the holder's namespaces: what is done there by helper processes, and containers that begin there.

A process cannot leave a user namespace again, so mydocker itself never enters.
"""

from __future__ import annotations

import gc
import os

from mydocker import idmap, kernel
from mydocker.errors import ErrorReport, HostError, LaunchError, NetworkError, StoreError, UsageError
from mydocker.kernel.enter import enter_namespace
from mydocker.kernel.processes import fork_with_pipe
from mydocker.kernel.signals import send, signal
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from mydocker.idmap import IdMap
    from mydocker.runtime.network.rootless import Holder

DONE, FAILED, REFUSED = b"+", b"-", b"!"  # the first byte of a report: a result, an ErrorReport, an error number
_KILLED = "a helper process of mydocker was killed before it reported a result"


def run_inside(holder: Holder, function: Callable[[], bytes | None]) -> bytes:
    """What FUNCTION returns, or nothing, done by a process in HOLDER's namespaces. Raises the MydockerError that it
    raised, and HostError for an OSError."""
    parent = os.getpid()
    pid, pipe = fork_with_pipe()
    if pid == 0:
        _run(holder, function, parent, pipe)
    report = _read(pipe)
    os.waitpid(pid, 0)
    return _result(report)


def _run(holder: Holder, function: Callable[[], bytes | None], parent: int, writer: int) -> NoReturn:
    gc.freeze()  # or the caller's garbage might close a descriptor that has a new owner here
    try:
        try:
            enter_namespace(holder.user)
            enter_namespace(holder.network)
            kernel.die_with_parent(parent)  # only now: new credentials clear it
            report = DONE + (function() or b"")
        except BaseException as error:
            report = FAILED + ErrorReport.of(error).encode()
        _write_report(writer, report)
    finally:
        os._exit(0)


def clone_inside(
    holder: Holder,
    namespaces: int,
    child: Callable[[], object],
    *,
    ids: IdMap,
    then: Callable[[int], None] | None = None,
) -> tuple[int, int]:
    """As kernel.clone, but for a user namespace inside HOLDER's: (pid, pidfd) of a child of this process, which calls
    CHILD and has IDS, the same as a container outside of HOLDER would have.

    THEN is called in HOLDER's namespaces with the child's pid, once it has its ids, to connect it. Raises OSError if
    clone(2) fails, else as `run_inside`; then there is no child.
    """
    ids = idmap.inside(holder.ids, ids)

    def begin() -> None:
        holder.close()  # the lock is its parent's
        child()

    def connect(pid: int) -> None:
        idmap.write(pid, ids)
        enter_namespace(holder.network)
        if then:
            then(pid)

    flags = namespaces | kernel.CLONE_NEWUSER
    return clone_by_helper(flags, begin, enter=lambda: enter_namespace(holder.user), then=connect)


def clone_by_helper(
    flags: int,
    child: Callable[[], object],
    *,
    enter: Callable[[], None],
    then: Callable[[int], None] | None = None,
) -> tuple[int, int]:
    """(pid, pidfd) of a child of this process that a helper process makes, with FLAGS, once it has called ENTER; the
    child calls CHILD, and the helper THEN, with the child's pid. Raises as `clone_inside`."""
    parent = os.getpid()
    helper, pipe = fork_with_pipe()
    if helper == 0:
        _clone(flags, child, enter, then, parent, pipe)
    whole = _read(pipe)
    os.waitpid(helper, 0)
    first, _, report = whole.partition(b"\n")
    if not first.isdigit():  # there is no child
        _result(whole)
        raise HostError(_KILLED)
    pid = int(first)
    pidfd = os.pidfd_open(pid)  # nobody else waits for it, so it is still its number
    try:
        _result(report)
    except BaseException:
        send(pidfd, signal.SIGKILL)
        kernel.wait(pid)
        os.close(pidfd)
        raise
    return pid, pidfd


def _clone(
    flags: int,
    child: Callable[[], object],
    enter: Callable[[], None],
    then: Callable[[int], None] | None,
    parent: int,
    writer: int,
) -> NoReturn:
    """In the helper: its parent becomes that of the process it clones."""
    report = FAILED
    try:
        try:
            enter()
            kernel.die_with_parent(parent)  # only now: new credentials clear it
            try:
                pid, pidfd = kernel.clone(flags | kernel.CLONE_PARENT)
            except OSError as error:
                os.write(writer, REFUSED + str(error.errno).encode())
                os._exit(0)
            if pid == 0:
                os.close(writer)
                child()
                os._exit(0)
            os.close(pidfd)
            os.write(writer, f"{pid}\n".encode())
            if then:
                then(pid)
            report = DONE
        except BaseException as error:
            report = FAILED + ErrorReport.of(error).encode()
        _write_report(writer, report)
    finally:
        os._exit(0)


def _read(reader: int) -> bytes:
    """All that is written to a pipe, of which this process has only the end READER, which is closed."""
    with open(reader, "rb") as file:
        return file.read()


def _write_report(writer: int, report: bytes) -> None:
    """In a helper: all of REPORT, however long that is."""
    with open(writer, "wb", closefd=False) as file:
        file.write(report)


def _result(report: bytes) -> bytes:
    kind, content = report[:1], report[1:]
    if kind == DONE:
        return content
    if kind == REFUSED:
        number = int(content)
        raise OSError(number, os.strerror(number))
    if kind == FAILED and content:
        raise ErrorReport.decode(content).as_error(HostError, LaunchError, NetworkError, UsageError, StoreError)
    raise HostError(_KILLED)
