"""The commands of `pre_start`: each runs to its end in the container, in the place of the command and before it.

Nothing is imported, opened by name or read here after the root has changed. We wait as the container's first process:
undumpable meanwhile, so that none of them reaches our program or memory through /proc (CVE-2019-5736).
"""

from __future__ import annotations

import os
import select

from mydocker import kernel
from mydocker.errors import CommandNotFoundError, LaunchError, MydockerError
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.executable import find_command
from mydocker.runtime.signals import reset, signal

if TYPE_CHECKING:
    from mydocker.runtime.plan import LaunchPlan

_PR_SET_DUMPABLE = 4  # linux/prctl.h
_SHOWN = 1000  # bytes of the end of what a command printed, for the message of its failure
_WHOLE = 65536


def run_before(plan: LaunchPlan, *, root: int, environment: dict[str, str]) -> str:
    """Run the commands of PLAN one after the other; then the path of its own, which they may have made.

    They get no input, and what they print is not passed on. What one leaves running is killed, if we are PID 1. Raises
    LaunchError for one that fails.
    """
    kernel.prctl(_PR_SET_DUMPABLE, 0)
    search = environment.get("PATH", "")
    for argv in plan.before:
        try:
            command = find_command(root, argv[0], search)
        except CommandNotFoundError as error:
            raise LaunchError(f"pre_start: {error.message}") from None
        _run(command, argv, environment, alone="pid" in plan.namespaces)
    return find_command(root, plan.argv[0], search)


def _run(command: str, argv: tuple[str, ...], environment: dict[str, str], *, alone: bool) -> None:
    heard, said = os.pipe()
    silent, other_end = os.pipe()
    os.close(other_end)
    pid = os.fork()
    if pid == 0:
        _become(command, argv, environment, streams=(silent, said, said))
    os.close(said)
    os.close(silent)
    shown, status = _listen(pid, heard)
    os.close(heard)
    if alone:
        _end_the_rest()
    code = os.waitstatus_to_exitcode(status)
    if code:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        lines = shown.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        raise LaunchError(f"pre_start: {' '.join(argv)!r} ended with {how}" + (f": {last}" if last else ""))


def _become(command: str, argv: tuple[str, ...], environment: dict[str, str], *, streams: tuple[int, int, int]) -> None:
    try:
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        reset()
        os.execve(command, argv, environment)
    except OSError as error:
        os.write(2, f"cannot execute {command}: {error.strerror}\n".encode())
    finally:
        os._exit(MydockerError.exit_code)


def _listen(pid: int, heard: int) -> tuple[bytes, int]:
    """(the end of what PID prints until it ends, its status). Others may hold its pipe open for longer."""
    shown = b""
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    for descriptor in (pidfd, heard):
        poll.register(descriptor, select.POLLIN)
    ended = False
    while not ended:
        ready = [descriptor for descriptor, _ in poll.poll()]
        ended = pidfd in ready
        if heard in ready:
            more = os.read(heard, _WHOLE)
            shown = (shown + more)[-_SHOWN:]
            ended = ended and len(more) < _WHOLE
            if not more:
                poll.unregister(heard)
    os.close(pidfd)
    return shown, os.waitpid(pid, 0)[1]


def _end_the_rest() -> None:
    try:  # noqa: SIM105  # nothing may be imported here
        os.kill(-1, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
