"""Carrying out a LaunchPlan: clone the child, watch it, and report how it ended.

mydocker ── fork(2) ───> the cleanup process, which cleans up if mydocker is killed
    └────── clone(2) ──> the child, PID 1 of its namespaces, soon the user's command
"""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.errors import refused_namespaces
from mydocker.image.store import Store
from mydocker.kernel.signals import Signals, send, signal
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command import Stack, Started
from mydocker.runtime.launch.child import ChildFds, child_main, is_connected_meanwhile
from mydocker.runtime.launch.cleanup_process import CleanupProcess, RunWatch
from mydocker.runtime.launch.run_directory import RunDirectory, record_plan
from mydocker.runtime.seccomp import program
from mydocker.runtime.streams import StreamPipes

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from mydocker.runtime.cgroup.cgroup import Cgroups
    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.command.supervise import Companion
    from mydocker.runtime.image_file import ImageMount
    from mydocker.runtime.inspect.container_view import ViewReceiver
    from mydocker.runtime.launch.orphans import Orphans
    from mydocker.runtime.network.connections import Connections
    from mydocker.runtime.plan import LaunchPlan
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
    view_receiver: ViewReceiver | None = None,
    cleanup_process: CleanupProcess | None = None,
    ended: Callable[[], None] | None = None,
    companion: Companion | None = None,
) -> Outcome:
    """Run PLAN to its end, which leaves nothing behind. The caller has one thread only.

    VIEW_RECEIVER inspects the container before it is taken down. CLEANUP_PROCESS is one that the caller already has.
    ENDED is called when it has ended and has been inspected, and before it is removed. COMPANION takes part meanwhile.
    Raises LaunchError with its own exit code if the command never started, HostError if the host refuses.
    """
    _occupy_standard_descriptors()
    with Stack() as run:
        cleanup_process = cleanup_process or run.enter(CleanupProcess())
        duty = cleanup_process.watch(plan.run_dir, has_init=plan.has_outer_init, shared_blob=plan.shared_blob)
        signals = run.enter(Signals())
        run.enter(duty)
        run.enter(RunDirectory(plan.run_dir, links=_links(plan), scratch=plan.scratch, shared_blob=plan.shared_blob))
        plan = _with_range(plan)
        _prepare(plan, view_receiver)
        image = _image(plan, run)
        connections = _connections(plan, cleanup_process, run)
        with Stack() as container:
            container.enter_any(_orphans(plan))
            cgroups = _cgroups(plan, container)
            streams = _streams(plan, container, companion)
            started = _start(plan, container, streams, duty, view_receiver, connections, cgroups, image)
            from mydocker.runtime.command.supervise import watch  # only now, while the child is already at work

            begun = _recorder(plan, started)
            outcome = watch(plan, started, signals=signals, streams=streams, companion=companion, begun=begun)
            outcome = _explained(cgroups.counted(outcome) if cgroups else outcome, connections)
        if view_receiver:
            view_receiver.use(plan, outcome)
        if ended:
            ended()
        return outcome


def _with_range(plan: LaunchPlan) -> LaunchPlan:
    """PLAN with the ids that it gets now, if it is to get a range that is free."""
    if not plan.auto_ids:
        return plan
    from mydocker.runtime.user_namespace.ranges import lease

    return lease(plan)


def _prepare(plan: LaunchPlan, view_receiver: ViewReceiver | None) -> None:
    if view_receiver and view_receiver.prepare:
        view_receiver.prepare(plan)


def _links(plan: LaunchPlan) -> dict[str, str | None]:
    """What the run directory says from the beginning, see run_directory.py."""
    hostname = plan.hostname if plan.hostname != plan.container_id[:12] else None
    return {"image": plan.image_digest, "name": plan.name, "hostname": hostname}


def _with_plan(started: Started, plan: LaunchPlan, fds: ChildFds) -> Started:
    """STARTED with what its plan says: where it shares the pid namespace of another container, its end does not end
    what it leaves behind."""
    left_in = tuple(each.path for each in plan.cgroups) if "pid" in plan.joined_namespaces else None
    return started.replace(program=fds.syscall_filter, left_in=left_in)


def _recorder(plan: LaunchPlan, started: Started) -> Callable[[], None]:
    return lambda: record_plan(plan, started.pid, started.program)


def _orphans(plan: LaunchPlan) -> Orphans | None:
    if not plan.has_outer_init:
        return None
    from mydocker.runtime.launch.orphans import Orphans

    return Orphans()


def _image(plan: LaunchPlan, run: Stack) -> ImageMount | None:
    """What the child mounts the file of its image with, which RUN owns; None: its image is no file."""
    if not plan.image_file:
        return None
    from mydocker.runtime.image_file import ImageMount

    return run.enter(ImageMount(plan.image_file))


def _connections(plan: LaunchPlan, cleanup_process: CleanupProcess, run: Stack) -> Connections | None:
    """Its places in networks, which RUN leaves at the end; None: it is in none."""
    if not plan.networks:
        return None
    from mydocker.runtime.network.connections import Connections

    if plan.rootless:
        from mydocker.runtime.network.rootless.connections import RootlessConnections

        return _entered(RootlessConnections(plan), run)
    later, forget = cleanup_process.take_down_later, cleanup_process.forget_later
    return _entered(Connections(plan, take_down_later=later, forget_later=forget), run)


def _entered(connections: Connections, run: Stack) -> Connections:
    run.enter(connections)
    return connections


def _cgroups(plan: LaunchPlan, container: Stack) -> Cgroups | None:
    """Its cgroups, which CONTAINER removes at the end; None: it has none."""
    if not plan.cgroups:
        return None
    from mydocker.runtime.cgroup.cgroup import Cgroups

    return container.enter(Cgroups(plan.cgroups, run_dir=plan.run_dir))


def _streams(plan: LaunchPlan, container: Stack, companion: Companion | None) -> StreamPipes | Terminal:
    """The standard streams, which CONTAINER leaves at the end."""
    streams: StreamPipes | Terminal
    if companion:
        streams = companion.streams(plan)
    elif plan.tty:
        from mydocker.runtime.streams.terminal import Terminal

        streams = Terminal(forward_input=plan.stdin_open)
    else:
        streams = StreamPipes(plan)
    container.enter(streams)
    return streams


def _start(
    plan: LaunchPlan,
    container: Stack,
    streams: StreamPipes | Terminal,
    duty: RunWatch,
    view_receiver: ViewReceiver | None,
    connections: Connections | None,
    cgroups: Cgroups | None,
    image: ImageMount | None,
) -> Started:
    """Clone the child, and let it begin; what is needed to watch it, which CONTAINER owns."""
    child_ends = container.enter(Stack())
    report, report_end = _pipe(container, child_ends)
    start = _pipe(child_ends, child_ends)
    lifeline_end, lifeline = _lifeline(container, child_ends) if plan.has_outer_init else (-1, None)
    fds = ChildFds(
        report=report_end,
        start=start,
        streams=tuple(streams.child_ends) if isinstance(streams, StreamPipes) else (),
        terminal=None if isinstance(streams, StreamPipes) else streams.child_end.fileno(),
        cgroups=cgroups.fds if cgroups else (),
        lifeline=(lifeline_end, lifeline.fileno()) if lifeline else None,
        syscall_filter=prepare_isolation(plan),
        view_sender=view_receiver.sender() if view_receiver else None,
        **_of_networks(connections),
        **_other_namespaces(plan, child_ends),
        image=image.source if image else None,
    )
    pid, pidfd = _clone(plan, fds, connections)
    container.close_later(pidfd)
    duty.watch_child(pid)
    try:
        _let_begin(plan, pid, start[1], connections)
    except BaseException:  # nothing will watch it
        send(pidfd, signal.SIGKILL)
        kernel.wait(pid)
        raise
    child_ends.close()
    streams.close_child_ends()
    return _with_plan(Started(pid=pid, pidfd=pidfd, report=report, lifeline=lifeline, image=image), plan, fds)


def _of_networks(connections: Connections | None) -> dict[str, Any]:
    """What the child needs of CONNECTIONS."""
    if not connections:
        return {}
    name_server = connections.name_server.child_end if connections.name_server else None
    return {"leases": connections.leases, "resolver": connections.resolver, "name_server": name_server}


def _pipe(reading: Stack, writing: Stack) -> tuple[int, int]:
    """A pipe, whose read end READING owns, and WRITING its write end."""
    read_end, write_end = os.pipe()
    return reading.close_later(read_end), writing.close_later(write_end)


def _lifeline(container: Stack, child_ends: Stack) -> tuple[int, BinaryIO]:
    """The read end, and the write end of the pipe whose closing makes the child's init kill everything."""
    read_end, write_end = os.pipe()
    return child_ends.close_later(read_end), container.enter(open(write_end, "wb", buffering=0))


def prepare_isolation(plan: LaunchPlan) -> bytes:
    """Check what PLAN requires of the host's security modules; the program of the system call filter."""
    if plan.exec_label:
        from mydocker.runtime.plan.mac_label import check_host

        check_host(plan.exec_label)
    if not plan.seccomp:
        return b""
    return program(plan.seccomp, store=Store(plan.store))


def _other_namespaces(plan: LaunchPlan, child_ends: Stack) -> dict[str, Any]:
    """The descriptors of namespaces that the child enters, or leaves for a moment."""
    return {
        "network": _other_network(plan, child_ends),
        "ipc": _other_ipc(plan, child_ends),
        "host_network": _host_network(plan, child_ends),
    }


def _other_network(plan: LaunchPlan, child_ends: Stack) -> int | None:
    """The network namespace of the container whose network PLAN's shares, if there is one. An ordinary user's begins in
    it (rootless/joined.py)."""
    if not plan.joined or plan.rootless:
        return None
    from mydocker.runtime.network.joined_container import open_network

    return child_ends.close_later(open_network(plan.joined))


def _host_network(plan: LaunchPlan, child_ends: Stack) -> int | None:
    """This process's network, if an operation of PLAN needs it."""
    if not any(operation.of_host for operation in plan.operations):
        return None
    return child_ends.close_later(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))


def _other_ipc(plan: LaunchPlan, child_ends: Stack) -> int | None:
    """The IPC namespace of the container that PLAN's shares it with, if there is one."""
    if "ipc" not in plan.joined_namespaces:
        return None
    from mydocker.runtime.network.joined_container import open_namespace

    return child_ends.close_later(open_namespace(plan.joined_namespaces["ipc"], "ipc"))


def _clone(plan: LaunchPlan, fds: ChildFds, connections: Connections | None) -> tuple[int, int]:
    """A child in new namespaces, which carries out PLAN: its pid and its pidfd."""
    try:
        if connections and (cloned := connections.clone(_namespaces(plan), lambda: child_main(plan, fds))):
            return cloned
        if plan.own_ids:
            from mydocker.runtime.user_namespace.clone import clone_mapped

            return clone_mapped(plan, fds, _namespaces(plan), lambda fds: child_main(plan, fds))
        if plan.joined and plan.rootless:
            from mydocker.runtime.network.rootless.joined import clone_joined

            shares = "pid" in plan.joined_namespaces
            return clone_joined(
                plan.joined, plan.rootless, _namespaces(plan), lambda: child_main(plan, fds), pid=shares
            )
        if "pid" in plan.joined_namespaces:
            from mydocker.runtime.join.namespaces import in_pid_namespace

            return in_pid_namespace(plan.joined_namespaces["pid"], lambda: _clone_child(plan, fds))
        return _clone_child(plan, fds)
    except OSError as error:
        raise refused_namespaces(error, is_users=plan.ids is not None) from None


def _clone_child(plan: LaunchPlan, fds: ChildFds) -> tuple[int, int]:
    pid, pidfd = kernel.clone(_namespaces(plan))
    if pid == 0:
        child_main(plan, fds)
    return pid, pidfd


def _let_begin(plan: LaunchPlan, pid: int, start: int, connections: Connections | None) -> None:
    """Let the child begin, once it has its interfaces, and its id maps are written: only a process outside of its user
    namespace, as this one, may write those of more than one id (user_namespaces(7)). If it `is_connected_meanwhile`, it
    begins at once, and goes on."""
    os.symlink(str(pid), f"{plan.run_dir}/process")
    if is_connected_meanwhile(plan):
        os.write(start, b"1")
    if connections:
        connections.attach(pid)
    if plan.rootless and not plan.rootless.is_single and not connections and not plan.joined:
        from mydocker import idmap

        idmap.assign(pid, plan.rootless)
    os.write(start, b"1")  # no broken pipe, as long as this process has its other end open as well
    if connections and connections.name_server:
        connections.name_server.start()  # while the child is at work


def _explained(outcome: Outcome, connections: Connections | None) -> Outcome:
    """OUTCOME, with the ports that were published, and with who may have killed the container, if that was neither
    mydocker nor its own memory limit."""
    if connections:
        outcome = outcome.replace(ports=connections.written_ports())
    by_mydocker = outcome.timed_out or outcome.stopped
    if not outcome.was_killed or by_mydocker or outcome.oom_killed or outcome.killed_by:
        return outcome
    from mydocker.runtime.cgroup.outer_memory import explain_kill

    return outcome.replace(killed_by=explain_kill())


def _namespaces(plan: LaunchPlan) -> int:
    """Those to enter at once. A new cgroup namespace has this process's cgroups as its root: the child joins its own
    first."""
    is_new_user = plan.rootless and not plan.joined
    flags = sum(FLAGS[name] for name in plan.namespaces) | (kernel.CLONE_NEWUSER if is_new_user else 0)
    return flags & ~kernel.CLONE_NEWCGROUP if plan.cgroups else flags


def _occupy_standard_descriptors() -> None:
    """Where one of 0-2 is closed, /dev/null takes its place, so that no file that mydocker opens ends up there."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open("/dev/null", os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(descriptor, True)
