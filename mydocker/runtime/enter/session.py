"""One command executed in a container that runs, with the container's own isolation and no more rights.

mydocker ── fork ──> the supervisor, in the host's namespaces ── fork ──> the entrant, which enters those of the
                         └── clone(2), CLONE_PARENT, by the entrant ──> the command

The supervisor is the parent of the command: it passes signals on, waits for the end, and stays when mydocker is killed,
as Docker's shim does (supervisor.py). The entrant gives up everything that the container lacks before the command is in
its pid namespace (entrant.py).
"""

from __future__ import annotations

import os
import socket

from mydocker.errors import (
    REPORT_LIMIT,
    CommandNotExecutableError,
    CommandNotFoundError,
    ErrorReport,
    LaunchError,
)
from mydocker.kernel.signals import Signals
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.cgroup import cgroup
from mydocker.runtime.enter.entrant import Entry
from mydocker.runtime.enter.supervisor import KILL, Charge, supervise
from mydocker.runtime.launch.child import Started
from mydocker.runtime.launch.parent import Stack, prepare_isolation
from mydocker.runtime.launch.supervise import watch
from mydocker.runtime.streams import NULL, StreamPipes
from mydocker.runtime.streams.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.runtime.launch.outcome import Outcome
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.specs.model import User

_TERM = "xterm"  # as Docker sets it


def plan_command(
    plan: LaunchPlan,
    argv: tuple[str, ...],
    *,
    environment: Mapping[str, str | None],
    user: User | None = None,
    working_dir: str | None = None,
    stdin_open: bool = False,
    tty: bool = False,
) -> LaunchPlan:
    """The plan of ARGV in the container of PLAN, with its environment and ENVIRONMENT, in which None unsets a variable.
    Raises LaunchError."""
    if plan.exec_label:
        label = "an AppArmor profile" if plan.exec_label.apparmor else "an SELinux label"
        raise LaunchError(
            f"no command can be executed in a container that has {label} of its own: it would be without one",
            hint="run it as part of the container's own command",
        )
    if working_dir is not None and not working_dir.startswith("/"):
        raise LaunchError(f"working directory {working_dir!r}: expected an absolute path")
    variables = {**plan.environment, **({"TERM": _TERM} if tty else {}), **environment}
    return plan.replace(
        argv=argv,
        environment={name: value for name, value in variables.items() if value is not None},
        user=user or plan.user,
        working_dir=working_dir or plan.working_dir,
        stdin_open=stdin_open,
        tty=tty,
        **{"stdin": None, "pre_start": (), "init": False, "timeout": None, "attach": ("stdin", "stdout", "stderr")},
    )


def execute(view: ContainerView, plan: LaunchPlan) -> Outcome:
    """Execute the command of PLAN, which `plan_command` has made, in the container of VIEW, joined with the standard
    streams; how it ended.

    Raises LaunchError with its own exit code if the command never started. The caller has one thread only.
    """
    with Stack() as stack:
        signals = stack.enter(Signals())
        streams = Terminal(forward_input=plan.stdin_open) if plan.tty else StreamPipes(plan)
        stack.enter_any(streams)
        ends = tuple(streams.child_ends) if isinstance(streams, StreamPipes) else ()
        outputs = [end for end in streams.parent_ends[1:] if end != NULL] if isinstance(streams, StreamPipes) else []
        channels = () if isinstance(streams, StreamPipes) else (streams.child_end.fileno(),)
        started = _start(view, plan, stack, ends=ends, outputs=outputs, channels=channels)
        streams.close_child_ends()
        return watch(plan, started, signals=signals, streams=streams)


def execute_detached(view: ContainerView, plan: LaunchPlan) -> None:
    """The same without streams, and without waiting for more than its start."""
    with Stack() as stack:
        stack.enter(Signals())
        started = _start(view, plan, stack, ends=() if plan.tty else (NULL,) * 3, outputs=[], channels=())
        report = b""
        while text := os.read(started.report, REPORT_LIMIT):
            report += text
        if report:
            os.waitpid(started.pid, 0)
            kinds = (LaunchError, CommandNotExecutableError, CommandNotFoundError)
            raise ErrorReport.decode(report).as_error(*kinds)


def _start(
    view: ContainerView,
    plan: LaunchPlan,
    stack: Stack,
    *,
    ends: tuple[int, ...],
    outputs: list[int],
    channels: tuple[int, ...],
) -> Started:
    """Fork the supervisor, which starts the command; what is needed to watch it, which STACK owns."""
    program = prepare_isolation(plan)
    cgroups = tuple(stack.close_later(each) for each in _open_cgroups(plan))
    with Stack() as others:
        report, report_end = os.pipe()
        stack.close_later(report)
        others.close_later(report_end)
        lifeline, line = os.pipe()
        others.close_later(lifeline)
        kill = stack.enter(_KillSwitch(line))
        keeper, sender = socket.socketpair()
        others.enter(keeper)
        others.enter(sender)
        entry = Entry(
            plan=plan.replace(operations=()),  # what a program of the container might read of the host
            program=program,
            namespaces=dict(view.namespaces),
            root=view.root,
            streams=ends,
            terminals=(*channels, sender.fileno()) if plan.tty else (),
            report=report_end,
            cgroups=cgroups,
        )
        charge = Charge(entry=entry, lifeline=lifeline, outputs=tuple(outputs), keeper=keeper.fileno())
        pid = os.fork()
        if pid == 0:
            supervise(charge, container=view.process)
        pidfd = stack.close_later(os.pidfd_open(pid))
    lifeline_file: BinaryIO = kill  # type: ignore[assignment]  # it has what a watch needs of one
    return Started(pid=pid, pidfd=pidfd, report=report, lifeline=lifeline_file)


def _open_cgroups(plan: LaunchPlan) -> tuple[int, ...]:
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
