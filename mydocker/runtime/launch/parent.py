"""Carrying out a LaunchPlan: clone the child, stand by it, and say how it ended.

mydocker ── fork(2) ───> the janitor, which cleans up if mydocker is killed
    └────── clone(2) ──> the child, PID 1 of its namespaces, soon the user's command
"""

from __future__ import annotations

import errno
import os

from mydocker import kernel
from mydocker.errors import HostError, hint_for
from mydocker.image.store.store import Store
from mydocker.kernel.signals import Signals, send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.launch.child import Handover, become
from mydocker.runtime.launch.cleanup_process import Attention, Janitor
from mydocker.runtime.launch.run_directory import RunDirectory
from mydocker.runtime.seccomp.filter import program
from mydocker.runtime.streams.pipes import StreamPipes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.runtime.inspect.container_view import Window
    from mydocker.runtime.launch.outcome import Outcome
    from mydocker.runtime.plan.plan import LaunchPlan
    from mydocker.runtime.streams.terminal import Terminal

FLAGS = {
    "mount": kernel.CLONE_NEWNS,
    "pid": kernel.CLONE_NEWPID,
    "uts": kernel.CLONE_NEWUTS,
    "ipc": kernel.CLONE_NEWIPC,
    "net": kernel.CLONE_NEWNET,
    "cgroup": kernel.CLONE_NEWCGROUP,
}


def launch(
    plan: LaunchPlan,
    *,
    window: Window | None = None,
    janitor: Janitor | None = None,
    ended: Callable[[], None] | None = None,
) -> Outcome:
    """Run PLAN to its end, which leaves nothing behind. The caller has one thread only.

    Through `window` the container can be looked at before it is taken down. Who has a `janitor` lends it. `ended` is
    called when the container has ended and been looked at, and is still to be cleared away.
    Raises LaunchError with its own exit code if the command never started, HostError if the host refuses.
    """
    _occupy_standard_descriptors()
    if janitor is None:
        with Janitor() as janitor:
            return launch(plan, window=window, janitor=janitor, ended=ended)
    with (
        Signals() as signals,
        janitor.attend(plan.run_dir, warded="pid" not in plan.namespaces) as attention,
        RunDirectory(plan.run_dir, image=plan.image_digest),
    ):
        if window and window.prepare:
            window.prepare(plan)
        outcome = _explained(_without_orphans(plan, signals, attention, window))
        if window:
            window.use(plan, outcome)
        if ended:
            ended()
        return outcome


def _explained(outcome: Outcome) -> Outcome:
    """OUTCOME, with who may have killed the container, if that was neither we nor its own memory limit."""
    by_us = outcome.timed_out or outcome.stopped
    if not outcome.was_killed or by_us or outcome.oom_killed or outcome.killed_by:
        return outcome
    from mydocker.runtime.cgroup.outer_memory import explain_kill

    return outcome.replace(killed_by=explain_kill())


def _without_orphans(plan: LaunchPlan, signals: Signals, attention: Attention, window: Window | None) -> Outcome:
    if "pid" in plan.namespaces:
        return _with_limits(plan, signals, attention, window)
    from mydocker.runtime.launch.orphans import Orphans

    with Orphans():
        return _with_limits(plan, signals, attention, window)


def _with_limits(plan: LaunchPlan, signals: Signals, attention: Attention, window: Window | None) -> Outcome:
    if not plan.cgroups:
        return _with_streams(plan, signals, attention, window)
    from mydocker.runtime.cgroup.cgroup import Cgroups

    with Cgroups(plan.cgroups, run_dir=plan.run_dir) as cgroups:
        outcome = _with_streams(plan, signals, attention, window, doors=cgroups.doors)
        return cgroups.counted(outcome)


def _with_streams(
    plan: LaunchPlan,
    signals: Signals,
    attention: Attention,
    window: Window | None,
    *,
    doors: tuple[int, ...] = (),
) -> Outcome:
    if not plan.tty:
        with StreamPipes(plan) as pipes:
            return _run(plan, signals, attention, pipes, window, doors)
    from mydocker.runtime.streams.terminal import Terminal

    with Terminal(forward_input=plan.stdin_open) as terminal:
        return _run(plan, signals, attention, terminal, window, doors)


def prepare_walls(plan: LaunchPlan) -> bytes:
    """What of the isolation is read from the host; the program of the system call filter."""
    if plan.exec_label:
        from mydocker.runtime.plan.mac_label import check_host

        check_host(plan.exec_label)
    if not plan.seccomp:
        return b""
    return program(plan.seccomp, store=Store(plan.store))


def _run(
    plan: LaunchPlan,
    signals: Signals,
    attention: Attention,
    streams: StreamPipes | Terminal,
    window: Window | None,
    doors: tuple[int, ...],
) -> Outcome:
    syscall_filter = prepare_walls(plan)
    report, failing = os.pipe()
    word = os.pipe()
    lifeline = None if "pid" in plan.namespaces else os.pipe()
    handover = Handover(
        report=failing,
        word=word,
        streams=tuple(streams.theirs) if isinstance(streams, StreamPipes) else (),
        terminal=None if isinstance(streams, StreamPipes) else streams.theirs.fileno(),
        doors=doors,
        lifeline=lifeline,
        syscall_filter=syscall_filter,
        window=window.end_inside() if window else None,
    )
    try:
        pid, pidfd = _clone(plan, handover)
        try:
            if isinstance(streams, StreamPipes):
                streams.close_theirs()
            attention.answer_for(pid)
            _begin_or_abandon(plan, pid, pidfd, word, lifeline or ())
            from mydocker.runtime.launch.supervise import Started, watch  # here, for the child is at work meanwhile

            if lifeline:
                os.close(lifeline[0])
            started = Started(pid=pid, pidfd=pidfd, report=report, lifeline=lifeline[1] if lifeline else None)
            return watch(plan, started, signals=signals, streams=streams)
        finally:
            os.close(pidfd)
    finally:
        os.close(report)


def _clone(plan: LaunchPlan, handover: Handover) -> tuple[int, int]:
    """The child, as its pid and pidfd."""
    try:
        pid, pidfd = kernel.clone(_namespaces(plan))
    except OSError as error:
        for descriptor in (handover.report, *handover.word, *(handover.lifeline or ())):
            os.close(descriptor)
        raise _refused(plan, error) from None
    if pid == 0:
        become(plan, handover)
    os.close(handover.report)
    return pid, pidfd


def _begin_or_abandon(plan: LaunchPlan, pid: int, pidfd: int, word: tuple[int, int], lifeline: tuple[int, ...]) -> None:
    try:
        _let_begin(plan, pid, *word)
    except BaseException:
        _abandon(pid, pidfd, lifeline)
        raise


def _let_begin(plan: LaunchPlan, pid: int, hearing: int, giving: int) -> None:
    """Give the child the word, once its id maps are written: only we, outside of its user namespace, may write those of
    more than one id (user_namespaces(7))."""
    try:
        if plan.rootless and not plan.rootless.is_single:
            from mydocker import idmap

            idmap.assign(pid, plan.rootless)
        os.write(giving, b"1")  # no broken pipe, as long as we hold its other end too
    finally:
        os.close(giving)
        os.close(hearing)


def _abandon(pid: int, pidfd: int, lifeline: tuple[int, ...]) -> None:
    """It never began, and nobody will watch it."""
    send(pidfd, signal.SIGKILL)
    kernel.wait(pid)
    for descriptor in lifeline:
        os.close(descriptor)


def _namespaces(plan: LaunchPlan) -> int:
    """Those to enter at once. A cgroup namespace has our cgroups as its root: with new ones, the child joins first."""
    flags = sum(FLAGS[name] for name in plan.namespaces) | (kernel.CLONE_NEWUSER if plan.rootless else 0)
    return flags & ~kernel.CLONE_NEWCGROUP if plan.cgroups else flags


def _refused(plan: LaunchPlan, error: OSError) -> HostError:
    """clone(2) failed: which permission or limit is missing."""
    hint: str | None
    if error.errno == errno.EPERM and plan.rootless:
        hint = "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, or run as root"
    elif error.errno == errno.EPERM:
        hint = "inside another container, start that one with --cap-add SYS_ADMIN"
    elif error.errno in (errno.ENOSPC, errno.EUSERS):
        hint = "raise the limits in /proc/sys/user/max_*_namespaces"
    else:
        hint = hint_for(error)
    return HostError(f"this host refuses to create namespaces: {error.strerror}", hint=hint)


def _occupy_standard_descriptors() -> None:
    """Where one of 0-2 is closed, /dev/null takes its place, so that no file of ours ends up there."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open("/dev/null", os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(descriptor, True)
