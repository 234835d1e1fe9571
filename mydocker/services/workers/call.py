"""A function that is called in a fresh process, for a Python program that may have threads: what forks, or enters
namespaces, cannot be done in such a program itself.

An exception in the waiting program, such as KeyboardInterrupt, ends the process before it is raised further.
"""

from __future__ import annotations

import os
import pickle
import select
from contextlib import ExitStack

from mydocker.errors import HostError, MydockerError, refused_by_host
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING, Record
from mydocker.services.workers import interpreter
from mydocker.services.workers.worker import settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

_CHUNK = 1 << 16


class Reply(Record):
    """What the function returned, or raised."""

    value: Any = None
    error: MydockerError | None = None


def call(action: Callable[P, T], *args: P.args, **keys: P.kwargs) -> T:
    """What ACTION, a function at the top of a module, returns in a fresh process. Raises the MydockerError that it
    raises, and HostError if there is no process for it, or it is killed."""
    process = interpreter.start(__name__, (action, args, keys), environ=os.environ, capture=False, stdin=False)
    value: T = _value(interpreter.receive(process))
    return value


def call_captured(action: Callable[P, T], *args: P.args, **keys: P.kwargs) -> tuple[T, bytes, bytes]:
    """The same, with what was written to its stdout and its stderr."""
    process = interpreter.start(__name__, (action, args, keys), environ=os.environ, capture=True, stdin=False)
    with ExitStack() as stack:
        stack.callback(interpreter.release, process)
        pipes = stack.enter_context(ExitStack())
        for descriptor in (process.stdout, process.stderr):
            pipes.callback(os.close, descriptor)
        try:
            written = _read(process)
        except BaseException:
            pipes.close()  # so that it does not wait for room in them
            interpreter.end(process, signal.SIGTERM)
            raise
    reply = written[process.result]
    value: T = _value(pickle.loads(reply) if reply else None)
    return value, written[process.stdout], written[process.stderr]


def _read(process: interpreter.Interpreter) -> dict[int, bytes]:
    """All that comes from PROCESS until it has replied."""
    parts: dict[int, list[bytes]] = {process.stdout: [], process.stderr: [], process.result: []}
    poll = select.poll()
    for descriptor in parts:
        poll.register(descriptor, select.POLLIN)
    left = set(parts)
    while process.result in left:
        for descriptor, _ in poll.poll():
            if _take(descriptor, parts[descriptor]):
                poll.unregister(descriptor)
                left.discard(descriptor)
    for descriptor in left:  # written before the reply; another process may have the pipe open still
        while not _take(descriptor, parts[descriptor], or_nothing=True):
            pass
    return {descriptor: b"".join(each) for descriptor, each in parts.items()}


def _take(descriptor: int, parts: list[bytes], *, or_nothing: bool = False) -> bool:
    """Read a part; whether it was the last one."""
    try:
        part = os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return or_nothing
    parts.append(part)
    return not part


def _value(reply: Reply | None) -> Any:
    if reply is None:
        raise HostError("a process of mydocker was killed before it reported a result")
    if reply.error is not None:
        raise reply.error
    return reply.value


def work_on(content: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]], parent: int) -> NoReturn:
    """Be the process."""
    try:
        settle(parent)
        interpreter.reply(_reply(*content))
    finally:
        os._exit(0)


def _reply(action: Callable[..., Any], args: tuple[Any, ...], keys: dict[str, Any]) -> Reply:
    try:
        return Reply(value=action(*args, **keys))
    except MydockerError as error:
        return Reply(error=error)
    except (OSError, MemoryError) as error:
        return Reply(error=refused_by_host(error))
    except Exception as error:  # a defect, reported to the user
        return Reply(error=HostError(f"mydocker failed: {type(error).__name__}: {error}"))
