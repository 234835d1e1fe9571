"""The child: it builds the container's tree around itself, gives up its privileges and becomes the command.

Runs in the new namespaces as PID 1, after clone(2), with all signals blocked. A failure goes back as text through
a close-on-exec pipe, so that it is never taken for the command's own. Once the root has changed nothing
may be imported or looked up: what is found there belongs to the image (CVE-2019-14271).
"""

from __future__ import annotations

import errno
import os

from mydocker import kernel
from mydocker.errors import ErrorReport, LaunchError, hint_for
from mydocker.kernel import signals
from mydocker.kernel.beneath import make_directory
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.executable import execute, find_command
from mydocker.runtime.command.privileges import (
    drop_privileges,
    enter_root,
    forbid_imports,
    leave_keyring,
    rights_of,
)
from mydocker.runtime.command.users import Identity, look_up
from mydocker.runtime.launch.run_directory import write_etc
from mydocker.runtime.streams import chown_streams, take_streams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from mydocker.runtime.inspect.container_view import ViewSender
    from mydocker.runtime.network import Lease
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.plan.operations import Operation
    from mydocker.runtime.user_namespace.part import HostPart

NETWORK_SETTINGS = (("ip_unprivileged_port_start", b"0"), ("ping_group_range", b"0 2147483647"))


class ChildFds(Record):
    """What the parent has opened and read for the child."""

    report: int  # the pipe for failures
    # a pipe: the child may begin once its id maps are written and its cleanup process knows it, see `_wait_for_start`
    start: tuple[int, int]
    streams: tuple[int, ...]  # the ends of pipes that become 0 to 2, NULL for /dev/null; none with a terminal
    terminal: int | None  # a socket over which the master of a new terminal is sent
    cgroups: tuple[int, ...]  # the open cgroup.procs of the cgroups to join
    lifeline: tuple[int, int] | None  # the pipe of the init that takes the place of a pid namespace
    syscall_filter: bytes  # the program for seccomp(2), empty for none
    view_sender: ViewSender | None  # where descriptors of the container's tree are sent
    leases: tuple[Lease, ...] = ()  # of its networks
    resolver: str = ""  # a name server for it, in place of the host's
    network: int | None = None  # the network namespace to enter, of another container
    ipc: int | None = None  # the IPC namespace to enter, in the same way
    host_network: int | None = None  # for operations that need it (Operation.of_host)
    name_server: int | None = None  # where the sockets of its name server are sent
    image: int | None = None  # the `source` of an ImageMount
    built: HostPart | None = None  # what has been done for one with a user namespace that root gives it

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors of its parent that the child needs."""
        return (0, 1, 2, *self.start, *(self.lifeline or ()), *self.after_start)

    @property
    def after_start(self) -> tuple[int, ...]:
        """Those that it still needs once it may begin, besides the standard ones."""
        channels = self.view_sender.channels if self.view_sender else ()
        single = (self.terminal, self.network, self.ipc, self.host_network, self.name_server, self.image)
        others = (each for each in (*self.streams, *single) if each is not None and each >= 0)
        return (self.report, *self.cgroups, *channels, *others, *(self.built.descriptors if self.built else ()))


def child_main(plan: LaunchPlan, fds: ChildFds, *, is_clean: bool = False) -> NoReturn:
    """Carry out PLAN and execute its command; never returns. `is_clean`: it was executed anew (clean_child.py)."""
    try:
        if not is_clean:
            kernel.close_all_but(fds.descriptors)  # the run directory, the cleanup process's pipe, a worker's messages
            _wait_for_start(plan, *fds.start)
            if fds.lifeline:
                from mydocker.runtime.launch.init import fork_under_outer_init

                fork_under_outer_init(*fds.lifeline)
            elif _is_traceable_while_standing_by(plan):
                from mydocker.runtime.launch.clean_child import execute_anew

                execute_anew(plan, fds)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signals.signal.SIGKILL)
        import_ahead(plan)
        _retitle(plan)
        attributes = _open_attributes(plan)
        os.setsid()
        os.umask(0o022)
        _set_oom_score(plan)
        _map_single_id(plan, fds)
        _join_cgroups(plan, fds.cgroups)
        _take_names(plan, fds)
        root = _build_and_connect(plan, fds)
        begun = _send_view(fds, root, plan.run_dir) if fds.view_sender else -1
        if not plan.argv:  # nothing but the tree is needed
            os._exit(0)
        _take_streams(plan, root, fds)
        _change_root(root, pivot="mount" in plan.namespaces)
        turn_into_command(
            plan,
            terminal=fds.terminal,
            attributes=attributes,
            syscall_filter=fds.syscall_filter,
            until_executed=(fds.report, begun),
        )
    except BaseException as error:
        _report(fds.report, error)
    os._exit(LaunchError.exit_code)


def _wait_for_start(plan: LaunchPlan, start_end: int, start: int) -> None:
    """Wait until the parent lets the child begin. If it was killed before, or could not map its ids, there is nothing
    to do. This process may have no id in its user namespace until then."""
    os.close(start)
    if not os.read(start_end, 1):
        os._exit(LaunchError.exit_code)
    if not is_connected_meanwhile(plan):
        os.close(start_end)
    if plan.own_ids:
        from mydocker.kernel.enter import be_root

        be_root()


def is_connected_meanwhile(plan: LaunchPlan) -> bool:
    """Whether the child of PLAN builds its tree while its parent gives it interfaces. Not where something in the tree
    is about them, nor where another process or program goes on for it before, nor where it is in a user namespace."""
    is_plain = not (plan.ids or plan.has_outer_init or plan.init or plan.pre_start)
    return bool(plan.networks) and is_plain and not any(operation.of_network for operation in plan.operations)


def _build_and_connect(plan: LaunchPlan, fds: ChildFds) -> int:
    """Mount the root and everything in it, and connect the container to its networks; a descriptor of the root."""
    if not is_connected_meanwhile(plan):
        _connect(plan, fds)
        return _build_tree(plan, fds)
    root = _build_tree(plan, fds)
    start_end, _ = fds.start
    if not os.read(start_end, 1):  # as in `_wait_for_start`
        os._exit(LaunchError.exit_code)
    os.close(start_end)
    _connect(plan, fds)
    return root


def _is_traceable_while_standing_by(plan: LaunchPlan) -> bool:
    """Whether a process of mydocker's stays among processes of the image that may read its memory (ptrace(2)).

    The memory of a fork belongs to the host's user namespace, in which no container with its own has SYS_PTRACE.
    """
    return bool((plan.init or plan.pre_start) and plan.capabilities & kernel.CAP_SYS_PTRACE and not plan.ids)


def _report(report: int, error: BaseException) -> None:
    """Report why the container cannot start. A defect is reported too: the child must not go on in a half-built
    container."""
    if isinstance(error, OSError):
        file = f": {error.filename}" if error.filename else ""
        error = LaunchError(f"cannot start the container: {error.strerror}{file}", hint=hint_for(error))
    os.write(report, ErrorReport.of(error).encode())


def _retitle(plan: LaunchPlan) -> None:
    """Title this process as a helper where it stays among processes of the image."""
    if plan.init or plan.pre_start:
        from mydocker.kernel.process_title import STANDING_BY, retitle

        retitle(STANDING_BY)


def _set_oom_score(plan: LaunchPlan) -> None:
    if plan.oom_score_adj is None or plan.own_ids:  # which may not lower it, and has it already
        return
    from mydocker.runtime.command import oom_score

    oom_score.apply(plan.oom_score_adj)


def _open_attributes(plan: LaunchPlan) -> int:
    """Where the label of the command is written later, as the image's /proc can't be trusted; -1 if it has none."""
    if not plan.exec_label:
        return -1
    from mydocker.runtime.plan import mac_label

    return mac_label.open_attributes()


def _map_single_id(plan: LaunchPlan, fds: ChildFds) -> None:
    """A process may map its own id itself; the parent has mapped those of more than one, and, in a network, that too
    (rootless/connections.py). The user namespace of another container has its ids."""
    if plan.rootless and plan.rootless.is_single and not fds.leases and not plan.joined:
        from mydocker import idmap

        idmap.assign_own(plan.rootless)


def _send_view(fds: ChildFds, root: int, run_dir: str) -> int:
    assert fds.view_sender
    return fds.view_sender.send_fds(root, run_dir, scratch=fds.built.scratch if fds.built else None)


def _take_streams(plan: LaunchPlan, root: int, fds: ChildFds) -> None:
    """Close the caller's standard streams; with a terminal, that is done last (turn_into_command), as its size
    must be copied first."""
    if fds.terminal is not None:
        return
    take_streams(fds.streams, root=root)
    if plan.stdin is not None:
        from mydocker.runtime.streams import stdin_text

        stdin_text.be_standard_input(plan.stdin)


def turn_into_command(
    plan: LaunchPlan,
    *,
    terminal: int | None,
    attributes: int,
    syscall_filter: bytes,
    until_executed: tuple[int, ...] = (),
    death_signal: int = 0,
) -> None:
    """In the container's namespaces and root: give up what PLAN does not grant, and execute its command.

    ATTRIBUTES is from `mac_label.open_attributes`; it and all but the standard descriptors close, UNTIL_EXECUTED only
    by execve(2). DEATH_SIGNAL is what the command gets when its parent ends, 0 for nothing. What is imported here must
    have been imported before the root changed.
    """
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    identity = look_up(root, plan.user.user, plan.user.group, plan.groups)
    environment = {**plan.environment, "HOME": plan.environment.get("HOME") or identity.home}
    _connect_streams(identity, terminal)
    _enter_directory(root, plan.working_dir)
    command = "" if plan.pre_start else find_command(root, plan.argv[0], environment.get("PATH", ""))
    kernel.close_all_but((0, 1, 2, root, attributes, *until_executed))
    kernel.close_on_exec_from(3)
    _set_attributes(plan, attributes)
    # a healthcheck's command may run already, with the same rights from here on
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    drop_privileges(rights_of(plan, syscall_filter), identity, death_signal=death_signal)
    if plan.pre_start:
        from mydocker.runtime.launch.pre_start import run_pre_start

        command = run_pre_start(plan, root=root, environment=environment)
    if plan.init:
        from mydocker.runtime.launch.init import fork_under_init

        fork_under_init()
    signals.reset()
    execute(command, plan.argv, environment)


def _set_attributes(plan: LaunchPlan, attributes: int) -> None:
    """Apply the settings that are no privileges: limits, umask, label."""
    if plan.ulimits:
        from mydocker.runtime.command import rlimits

        rlimits.apply(plan.ulimits)
    os.umask(plan.umask)
    if plan.exec_label:
        from mydocker.runtime.plan import mac_label

        mac_label.apply(plan.exec_label, attributes)
        os.close(attributes)


def import_ahead(plan: LaunchPlan) -> None:
    """Import what is needed after the root has changed, when only loaded modules can be used."""
    if plan.tty:
        import mydocker.runtime.streams.terminal
    if plan.ulimits:
        import mydocker.runtime.command.rlimits
    if plan.stdin is not None:
        import mydocker.runtime.streams.stdin_text
    if plan.pre_start:
        import mydocker.runtime.launch.pre_start
    if plan.init:
        import mydocker.runtime.launch.init  # noqa: F401


def _join_cgroups(plan: LaunchPlan, cgroup_fds: tuple[int, ...]) -> None:
    if not plan.cgroups:
        return
    from mydocker.runtime.cgroup import cgroup

    cgroup.join(cgroup_fds)
    for descriptor in cgroup_fds:
        os.close(descriptor)
    if "cgroup" in plan.namespaces:  # now, so that the joined cgroup is its root (cgroup_namespaces(7))
        kernel.unshare(kernel.CLONE_NEWCGROUP)


def _take_names(plan: LaunchPlan, fds: ChildFds) -> None:
    """Take the names that a container has for itself: of IPC objects, of a host, of keys."""
    if fds.ipc is not None:
        from mydocker.kernel.enter import enter_namespace

        enter_namespace(fds.ipc)
        os.close(fds.ipc)
    if "uts" in plan.namespaces:
        kernel.sethostname(plan.hostname)
        if plan.domainname:
            kernel.setdomainname(plan.domainname)
    leave_keyring()


def _connect(plan: LaunchPlan, fds: ChildFds) -> None:
    if fds.leases:
        from mydocker.runtime.network import bridge

        bridge.configure(fds.leases)
        _open_network(plan)
        if fds.name_server is not None:
            from mydocker.runtime.network import name_server

            name_server.send_sockets(plan, fds.name_server)
    elif fds.network is not None:
        from mydocker.kernel.enter import enter_namespace

        enter_namespace(fds.network)
        os.close(fds.network)
    elif plan.loopback:
        try:  # noqa: SIM105  # contextlib is not on the warm path
            kernel.set_interface_up("lo")
        except PermissionError:  # without CAP_NET_ADMIN, as inside another container, it stays down
            pass
        _open_network(plan)


def _open_network(plan: LaunchPlan) -> None:
    """Docker's settings of a container's separate network: any user may bind a low port, and ping without CAP_NET_RAW.

    Left as they are where a user namespace has too few groups for the range, or where /proc/sys is read-only.
    """
    for name, value in NETWORK_SETTINGS:
        if plan.own_ids and name == "ping_group_range":
            value = b"0 %d" % (plan.own_ids.first_groups - 1)
        try:
            setting = os.open(f"/proc/sys/net/ipv4/{name}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.write(setting, value)
        except OSError:
            pass
        finally:
            os.close(setting)


def _build_tree(plan: LaunchPlan, fds: ChildFds) -> int:
    """Mount the root and everything in it; a descriptor of the root."""
    root, operations = _begin_tree(plan, fds)
    for operation in operations:
        try:
            operation.apply(root)
        except OSError as error:
            if error.errno == errno.EROFS and not _has_room(plan):
                error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            operation_name = f"{operation.title} {operation.target}"
            raise LaunchError(f"cannot set up {operation_name}: {error.strerror}", hint=hint_for(error)) from None
    return root


def _begin_tree(plan: LaunchPlan, fds: ChildFds) -> tuple[int, Sequence[Operation]]:
    """Mount the root; a descriptor of it, and what is left of the operations."""
    if fds.built:
        leave_propagation()
        return fds.built.attach_root(), fds.built.operations
    operations = [operation.ahead() for operation in plan.operations] if fds.host_network is None else _ahead(plan, fds)
    if "mount" in plan.namespaces:
        leave_propagation()
    root = os.open(plan.root.mount(plan.run_dir, image=fds.image), os.O_PATH | os.O_DIRECTORY)
    if "mount" in plan.namespaces:
        write_etc(plan, fds.leases, resolver=fds.resolver)
    return root, operations


def _ahead(plan: LaunchPlan, fds: ChildFds) -> list[Operation]:
    """What is left of the operations of PLAN, some of which begin in the host's network."""
    from mydocker.kernel.enter import Inside

    assert fds.host_network is not None
    with Inside("net", fds.host_network):
        return [operation.ahead() for operation in plan.operations]


def _has_room(plan: LaunchPlan) -> bool:
    """Whether anything could be written: where overlayfs finds no room for its work directory, it is read-only."""
    if plan.own_ids:  # to which that directory is closed
        return True
    room = os.statvfs(f"{plan.run_dir}/scratch")
    return bool(room.f_bavail and room.f_favail)


def leave_propagation() -> None:
    """From now on no mount of this process reaches the host; the first call that AppArmor's profile for containers
    refuses."""
    try:
        kernel.set_propagation("/", kernel.MS_REC | kernel.MS_SLAVE)
    except PermissionError as error:
        hint = "inside another container, start that one with --cap-add SYS_ADMIN --security-opt apparmor=unconfined"
        raise LaunchError(f"this host refuses to mount anything: {error.strerror}", hint=hint) from None


def _change_root(root: int, *, pivot: bool) -> None:
    """Make ROOT the root, and make sure that Python finds nothing to import in it."""
    if not pivot:
        enter_root(root)
        return
    os.fchdir(root)
    if not _pivot():
        from mydocker.runtime.launch.pivot_fallback import move_to_top

        move_to_top()
    forbid_imports()
    os.chdir("/")


def _pivot() -> bool:
    """Exchange the root for the current directory; False where that is refused: Docker's seccomp filter does."""
    try:
        kernel.pivot_root(".", ".")  # the old root is now on top of the new one (pivot_root(2), NOTES)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL):  # EINVAL: the old root is an initramfs
            raise
        return False
    kernel.umount(".")
    return True


def _connect_streams(identity: Identity, terminal: int | None) -> None:
    if terminal is None:
        chown_streams(identity.uid)
        return
    from mydocker.runtime.streams import terminal as terminals

    terminals.take_new_terminal(owner=identity.uid, channel=terminal)


def _enter_directory(root: int, path: str) -> None:
    """Change to PATH, created if missing; never through a magic link of /proc (CVE-2024-21626)."""
    directory = make_directory(root, path)
    os.fchdir(directory)
    if not os.getcwd().startswith("/"):  # "(unreachable)/…": getcwd(3)
        raise LaunchError(f"working directory {path} is outside of the container")
