"""The keeper's socket: a request is one message of JSON, `{"do": …}`, and so is its answer.

The socket keeps the boundaries of messages (SOCK_SEQPACKET, unix(7)). After `attach`, the messages are frames: the
first byte says what the rest is.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress

from mydocker.errors import HostError, LaunchError
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

NAME = "control"
STDIN, STDOUT, STDERR, RESIZE, ENDED = b"\0", b"\1", b"\2", b"\3", b"\4"  # the first byte of a frame
END_OF_STDIN = b"\5"
FRAME = 1 << 15  # bytes of output in a frame
_MESSAGE = 1 << 16
PATIENCE = 20.0  # seconds that a keeper has for an answer: it never waits for anything


def listen(directory: str) -> socket.socket:
    """The socket of the keeper of the container in DIRECTORY, in place of one that was left behind. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(f"{directory}/{NAME}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:  # a path in the socket's address has 107 bytes at most (unix(7))
        listener.bind(f"/proc/self/fd/{descriptor}/{NAME}")
        listener.listen(16)
    finally:
        os.close(descriptor)
    return listener


def connect(directory: str) -> socket.socket:
    """A connection to the keeper of the container in DIRECTORY. Raises LaunchError if it has none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(PATIENCE)  # of connect(2) too, as long as the backlog is full
    try:
        descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{descriptor}/{NAME}")
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        connection.close()
        raise LaunchError("the container is not running") from None
    except (TimeoutError, BlockingIOError):
        connection.close()
        raise _silent() from None
    except OSError as error:
        connection.close()
        raise HostError(f"cannot reach the keeper of the container: {error.strerror}") from None
    return connection


class SilentKeeperError(HostError):
    """A keeper that does not answer."""


def _silent() -> SilentKeeperError:
    return SilentKeeperError(
        f"the keeper of the container does not answer within {PATIENCE:.0f} s",
        hint="it may have been stopped (kill -CONT its process); 'mydocker rm -f' ends it, and the container",
    )


def ask(directory: str, do: str, **words: Any) -> dict[str, Any]:
    """The answer of the keeper of the container in DIRECTORY; raises LaunchError if there is none, or it refuses."""
    with connect(directory) as connection:
        return request(connection, do, **words)


def request(connection: socket.socket, do: str, **words: Any) -> dict[str, Any]:
    """The same, over CONNECTION, which stays open. Raises SilentKeeperError if nothing comes."""
    try:
        connection.settimeout(PATIENCE)
        connection.send(json.dumps({"do": do, **words}).encode())
        answer = checked(receive(connection))
        connection.settimeout(None)
    except TimeoutError:
        raise _silent() from None
    except (BrokenPipeError, ConnectionResetError):  # the latter, if it ends before it has accepted the connection
        raise _ended() from None
    return answer


def ask_for_end(directory: str, do: str, *, within: float | None = None, **words: Any) -> dict[str, Any]:
    """The same as `ask`, for a request that is answered at once and again at the end of the container. Raises
    TimeoutError if that has not come WITHIN seconds."""
    with connect(directory) as connection:
        request(connection, do, **words)
        connection.settimeout(within)
        return checked(receive(connection))


def receive(connection: socket.socket) -> bytes:
    """The next message; empty at the end. Raises OSError.

    Who closes a socket of which it has not read everything resets the connection, which is said first; what it had
    sent before is still to be read.
    """
    for _ in range(2):
        with suppress(ConnectionResetError):
            return connection.recv(_MESSAGE)
    return b""


def _ended() -> LaunchError:
    return LaunchError("the container has ended, and its keeper with it")


def attach(directory: str) -> socket.socket:
    """A connection that gets what the container in DIRECTORY writes from now on. Raises as `ask` does."""
    connection = connect(directory)
    try:
        request(connection, "attach")
    except BaseException:
        connection.close()
        raise
    return connection


def checked(raw: bytes) -> dict[str, Any]:
    """The answer in RAW. Raises LaunchError if it is a refusal, or none."""
    try:
        answer = json.loads(raw)
    except ValueError:
        raise _ended() from None
    if "refused" in answer:
        raise LaunchError(answer["refused"], hint=answer.get("hint") or None)
    return dict(answer)
