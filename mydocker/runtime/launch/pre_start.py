"""The commands of `pre_start`: each runs to its end in the container, in the place of the command and before it.

Nothing is imported, opened by name or read here after the root has changed. This process waits as the container's
first: undumpable meanwhile, so that none of them reaches mydocker's program or memory through /proc (CVE-2019-5736).
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.errors import CommandNotFoundError, LaunchError, MydockerError
from mydocker.kernel.signals import reset, signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command.executable import find_command
from mydocker.runtime.streams.read_pipe import listen

if TYPE_CHECKING:
    from mydocker.runtime.plan import LaunchPlan

_SHOWN = 1000  # bytes of the end of what a command printed, for the message of its failure


def run_pre_start(plan: LaunchPlan, *, root: int, environment: dict[str, str]) -> str:
    """Run the commands of PLAN one after the other; then the path of the plan's own command, which they may have
    created.

    They get no input, and what they print is not passed on. What one leaves running is killed, if this process is PID
    1. Raises LaunchError for one that fails.
    """
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    search = environment.get("PATH", "")
    for argv in plan.pre_start:
        try:
            command = find_command(root, argv[0], search)
        except CommandNotFoundError as error:
            raise LaunchError(f"pre_start: {error.message}") from None
        _run(command, argv, environment, alone="pid" in plan.namespaces)
    return find_command(root, plan.argv[0], search)


def _run(command: str, argv: tuple[str, ...], environment: dict[str, str], *, alone: bool) -> None:
    reader, writer = os.pipe()
    silent, other_end = os.pipe()
    os.close(other_end)
    pid = os.fork()
    if pid == 0:
        _become(command, argv, environment, streams=(silent, writer, writer))
    os.close(writer)
    os.close(silent)
    shown, _ = listen(pid, reader, add=lambda kept, more: (kept + more)[-_SHOWN:])
    _, status = os.waitpid(pid, 0)
    os.close(reader)
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
