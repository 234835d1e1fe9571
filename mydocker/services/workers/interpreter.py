"""A fresh process of mydocker, for a Python program: it may have threads, and its signals are not to be taken.

A fork of such a program would inherit locks that are never released, so this is a new interpreter. What it is to work
on goes to it as a pickle in memory; its result comes back through pipes. It dies with the thread that waits for it.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import select
import sys
from contextlib import suppress

from mydocker.errors import HostError
from mydocker.kernel.signals import send, signal
from mydocker.paths import interpreter_words
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

RESULT = 3  # the descriptor on which it reports its result
_REQUEST = 4
_CHUNK = 1 << 16
_COURTESY = 10_000  # milliseconds for an interpreter that was interrupted to end its containers
_ABOVE = 10  # from where on descriptors of this program cannot be mistaken for those


class Interpreter(Record):
    """The process, and this program's ends of the pipes from it; -1 where it writes to this program's stdout or
    stderr."""

    pid: int
    pidfd: int
    stdout: int
    stderr: int
    result: int


def start(module: str, content: object, *, environ: Mapping[str, str], capture: bool, stdin: bool) -> Interpreter:
    """Start MODULE, named in full, whose `work_on(content, parent)` gets CONTENT and never returns.

    With STDIN it has this program's standard input, else none. Raises HostError if there is no interpreter for it.
    """
    if not sys.executable:
        raise HostError("cannot start a container: Python does not know its own program (sys.executable)")
    pipes = [_pipe() if is_piped else (-1, -1) for is_piped in (capture, capture, True)]
    request = _letter((content, os.getpid()))
    actions: list[Any] = [] if stdin else [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, writer, number) for number, (_, writer) in enumerate(pipes, 1) if writer >= 0]
    actions.append((os.POSIX_SPAWN_DUP2, request, _REQUEST))
    try:
        pid = os.posix_spawn(
            sys.executable, interpreter_words(__name__, module), environ, file_actions=actions, setsigmask=[]
        )
    except OSError as error:
        for reader, _ in pipes:
            if reader >= 0:
                os.close(reader)
        raise HostError(f"cannot start {sys.executable}: {error.strerror}") from None
    finally:
        for descriptor in (request, *(writer for _, writer in pipes if writer >= 0)):
            os.close(descriptor)
    stdout, stderr, result = (reader for reader, _ in pipes)
    return Interpreter(pid=pid, pidfd=os.pidfd_open(pid), stdout=stdout, stderr=stderr, result=result)


def receive(process: Interpreter) -> Any:
    """What PROCESS replies, at its end; None if it was killed. An exception meanwhile ends it."""
    try:
        reply = _read(process)
        return pickle.loads(reply) if reply else None
    except BaseException:
        end(process)
        raise
    finally:
        release(process)


def release(process: Interpreter) -> None:
    """PROCESS has ended, or is about to: leave nothing of it, but for its stdout and stderr."""
    with suppress(ChildProcessError):  # the program waits for all its children elsewhere
        os.waitpid(process.pid, 0)
    os.close(process.result)
    os.close(process.pidfd)


def _read(process: Interpreter) -> bytes:
    os.set_blocking(process.result, True)
    parts = []
    while part := os.read(process.result, _CHUNK):
        parts.append(part)
    return b"".join(parts)


def end(process: Interpreter, number: int = signal.SIGINT) -> None:
    """Send PROCESS signal NUMBER, and kill it when its result has come or it takes too long."""
    ended = select.poll()
    ended.register(process.pidfd, select.POLLIN)
    try:
        send(process.pidfd, number)
        os.set_blocking(process.result, True)
        while os.read(process.result, _CHUNK):
            pass
        ended.poll(_COURTESY)
    finally:
        send(process.pidfd, signal.SIGKILL)  # its workers, and so their containers, end with it


def reply(value: object) -> None:
    """In the new interpreter, at its end: VALUE for `receive`."""
    with open(RESULT, "wb") as file:
        pickle.dump(value, file)


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    return _raised(reader), _raised(writer)


def _letter(content: object) -> int:
    """A file in memory that has CONTENT: unlike a pipe it takes any size before it is read."""
    descriptor = _raised(os.memfd_create("request"))
    with open(descriptor, "wb", closefd=False) as file:
        pickle.dump(content, file)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _raised(descriptor: int) -> int:
    """DESCRIPTOR under a number that the process does not use, so that none lands on another."""
    raised = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(descriptor)
    return raised


def main(module: str) -> None:
    """The beginning of the process."""
    os.closerange(_REQUEST + 1, os.sysconf("SC_OPEN_MAX"))  # what the parent lets its children inherit
    with open(_REQUEST, "rb") as file:
        content, parent = pickle.load(file)
    os.set_inheritable(RESULT, False)
    __import__(module, fromlist=["work_on"]).work_on(content, parent)
