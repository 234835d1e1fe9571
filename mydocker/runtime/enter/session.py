"""One command executed in a container that runs, with the container's own isolation and no more rights.

mydocker ── fork ──> the supervisor, in the host's namespaces ── fork ──> the entrant, which enters those of the
                         └── clone(2), CLONE_PARENT, by the entrant ──> the command

The supervisor is the parent of the command: it passes signals on, waits for the end, and stays when mydocker is killed,
as Docker's shim does (supervisor.py). The entrant gives up everything that the container lacks before the command is in
its pid namespace (entrant.py).
"""

from __future__ import annotations

import os

from mydocker.errors import (
    REPORT_LIMIT,
    CommandNotExecutableError,
    CommandNotFoundError,
    ErrorReport,
    LaunchError,
    NotInContainerError,
)
from mydocker.kernel.signals import Signals
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command import Stack, Started
from mydocker.runtime.enter.entrant import Entry
from mydocker.runtime.enter.supervisor import KILL, Charge, supervise
from mydocker.runtime.streams import NULL, StreamPipes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.enter.container import Container, ExecPlan
    from mydocker.runtime.streams.terminal import Terminal
    from mydocker.specs.model import User

_TERM = "xterm"  # as Docker sets it


def plan_command(
    plan: ExecPlan,
    argv: tuple[str, ...],
    *,
    environment: Mapping[str, str | None],
    user: User | None = None,
    working_dir: str | None = None,
    stdin_open: bool = False,
    tty: bool = False,
) -> ExecPlan:
    """The plan of ARGV in the container of PLAN, with its environment and ENVIRONMENT, in which None unsets a variable.
    Raises LaunchError."""
    check_command(plan.label, working_dir)
    variables = {**plan.environment, **({"TERM": _TERM} if tty else {}), **environment}
    changed = {"user": user.user, "group": user.group} if user else {}
    return plan.replace(
        argv=argv,
        environment={name: value for name, value in variables.items() if value is not None},
        working_dir=working_dir or plan.working_dir,
        stdin_open=stdin_open,
        tty=tty,
        **changed,
    )


def check_command(label: str, working_dir: str | None) -> None:
    """Raise LaunchError for a command that cannot be executed in a container whose own has a LABEL of that kind, if it
    is not empty, or in WORKING_DIR."""
    if label:
        raise LaunchError(
            f"no command can be executed in a container that has {label} of its own: it would be without one",
            hint="run it as part of the container's own command",
        )
    if working_dir is not None and not working_dir.startswith("/"):
        raise NotInContainerError(f"working directory {working_dir!r}: expected an absolute path")


def execute(container: Container, plan: ExecPlan) -> Outcome:
    """Execute the command of PLAN, which `plan_command` has made, in CONTAINER, joined with the standard streams;
    how it ended.

    Raises LaunchError with its own exit code if the command never started. The caller has one thread only.
    """
    with Stack() as stack:
        signals = stack.enter(Signals())
        streams = _terminal(plan) if plan.tty else StreamPipes(plan)
        stack.enter_any(streams)
        ends = tuple(streams.child_ends) if isinstance(streams, StreamPipes) else ()
        outputs = [end for end in streams.parent_ends[1:] if end != NULL] if isinstance(streams, StreamPipes) else []
        channels = () if isinstance(streams, StreamPipes) else (streams.child_end.fileno(),)
        started = _start(container, plan, stack, ends=ends, outputs=outputs, channels=channels)
        streams.close_child_ends()
        from mydocker.runtime.command.supervise import watch  # only now, while the others are already at work

        return watch(plan, started, signals=signals, streams=streams)


def execute_detached(container: Container, plan: ExecPlan) -> None:
    """The same without streams, and without waiting for more than its start."""
    with Stack() as stack:
        stack.enter(Signals())
        started = _start(container, plan, stack, ends=() if plan.tty else (NULL,) * 3, outputs=[], channels=())
        report = b""
        while text := os.read(started.report, REPORT_LIMIT):
            report += text
        if report:
            os.waitpid(started.pid, 0)
            kinds = (LaunchError, NotInContainerError, CommandNotExecutableError, CommandNotFoundError)
            raise ErrorReport.decode(report).as_error(*kinds)


def _terminal(plan: ExecPlan) -> Terminal:
    from mydocker.runtime.streams.terminal import Terminal

    return Terminal(forward_input=plan.stdin_open)


def _start(
    container: Container,
    plan: ExecPlan,
    stack: Stack,
    *,
    ends: tuple[int, ...],
    outputs: list[int],
    channels: tuple[int, ...],
) -> Started:
    """Fork the supervisor, which starts the command; what is needed to watch it, which STACK owns."""
    cgroups = tuple(stack.close_later(each) for each in _open_cgroups(plan))
    with Stack() as others:
        report, report_end = os.pipe()
        stack.close_later(report)
        others.close_later(report_end)
        lifeline, line = os.pipe()
        others.close_later(lifeline)
        kill = stack.enter(_KillSwitch(line))
        keeper, *senders = _keeper(others) if plan.tty else (-1,)
        entry = Entry(
            plan=plan.replace(run_dir="", cgroups=()),  # what a program of the container might read of the host
            namespaces=dict(container.namespaces),
            root=container.root,
            streams=ends,
            terminals=(*channels, *senders),
            report=report_end,
            cgroups=cgroups,
        )
        charge = Charge(entry=entry, lifeline=lifeline, outputs=tuple(outputs), keeper=keeper)
        pid = os.fork()
        if pid == 0:
            supervise(charge, container=container.process)
        pidfd = stack.close_later(os.pidfd_open(pid))
    lifeline_file: BinaryIO = kill  # type: ignore[assignment]  # it has what a watch needs of one
    return Started(pid=pid, pidfd=pidfd, report=report, lifeline=lifeline_file)


def _keeper(opened: Stack) -> tuple[int, int]:
    """The two ends of a socket over which the supervisor gets the master side of a terminal, and the entrant sends it;
    OPENED owns them."""
    import socket

    receiver, sender = socket.socketpair()
    return opened.enter(receiver).fileno(), opened.enter(sender).fileno()


def _open_cgroups(plan: ExecPlan) -> tuple[int, ...]:
    if not plan.cgroups:
        return ()
    from mydocker.runtime.cgroup import cgroup

    try:
        return cgroup.open_cgroups(plan.cgroups)
    except OSError as error:
        hint = "an ordinary user's cgroup can be entered from the same session only: see systemd-run(1), --scope"
        raise LaunchError(f"cannot enter the container's cgroup: {error.strerror}", hint=hint) from None


class _KillSwitch:
    """The pipe to the supervisor. Its end means that mydocker is gone, and the command goes on; `close` ends it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.closed = descriptor, False

    def __enter__(self) -> _KillSwitch:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def close(self) -> None:
        """Kill the command."""
        self.closed = True
        try:  # noqa: SIM105  # as everywhere where containers are started
            os.write(self.descriptor, KILL)
        except BrokenPipeError:  # it has ended
            pass
