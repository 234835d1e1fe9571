"""The commands of the host that go with a container in the background, before and after its runs (HostCommands).

As systemd executes them (systemd.service(5), "ExecStartPre="): one after the other, by whoever runs mydocker; one that
fails ends the list. They get no input, and what they write is read for the message of an error only.
"""

from __future__ import annotations

import os

from mydocker.errors import LaunchError
from mydocker.kernel.processes import has_ended
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mydocker.specs.model.parts import HostCommand

_TAIL = 4096  # bytes of output that are looked at
_DEFAULT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD)  # as a program expects them


def run_commands(
    commands: Sequence[HostCommand], *, key: str, environ: Mapping[str, str], timeout: float | None
) -> None:
    """Execute COMMANDS with ENVIRON, each for TIMEOUT seconds at most. Raises LaunchError for the first that fails,
    which is called by KEY, its setting."""
    for command in commands:
        why = _run(command.words, environ, timeout)
        if why and not command.may_fail:
            raise LaunchError(f"{key}={' '.join(command.words)}: {why}")


def start_commands(
    commands: Sequence[HostCommand], *, key: str, environ: Mapping[str, str], timeout: float | None
) -> int:
    """The same in another process, which does not hold up the caller: the read end of a pipe, from which comes why a
    command has failed, and its end."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.fork() == 0:
                try:
                    run_commands(commands, key=key, environ=environ, timeout=timeout)
                except LaunchError as error:
                    os.write(writer, error.message.encode("utf-8", "surrogateescape")[:_TAIL])
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    return reader


def _run(words: Sequence[str], environ: Mapping[str, str], timeout: float | None) -> str:
    """Why the command WORDS has failed, as the end of a sentence; empty if it has not."""
    output = os.memfd_create("output")
    try:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ]
        pid = os.posix_spawnp(
            words[0], [*words], {**environ}, file_actions=actions, setpgroup=0, setsigmask=[], setsigdef=_DEFAULT
        )
        status = _wait(pid, timeout)
        if status is None:
            return f"not finished after {timeout:g} s"
        if status == 0:
            return ""
        code = os.waitstatus_to_exitcode(status)
        how = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
        return f"{how}{_last_line(output)}"
    except OSError as error:
        return (error.strerror or "").lower()
    finally:
        os.close(output)


def _wait(pid: int, timeout: float | None) -> int | None:
    """The status of PID, the leader of a process group; None if it took too long, and was killed."""
    pidfd = os.pidfd_open(pid)
    try:
        ended = has_ended(pidfd, timeout)
        if not ended:
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        return status if ended else None
    finally:
        os.close(pidfd)


def _last_line(output: int) -> str:
    size = os.fstat(output).st_size
    text = os.pread(output, _TAIL, max(0, size - _TAIL)).decode("utf-8", "replace").strip()
    return f": {text.splitlines()[-1]}" if text else ""
