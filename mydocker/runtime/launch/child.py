"""The child: it builds the container's tree around itself, gives up its privileges and becomes the command.

Runs in the new namespaces as PID 1, after clone(2), with all signals blocked. A failure goes back as text through
a close-on-exec pipe, so that it is never taken for the command's own. Once the root has changed nothing
may be imported or looked up: what is found there belongs to the image (CVE-2019-14271).
"""

from __future__ import annotations

import errno
import os
import sys

from mydocker import kernel
from mydocker.errors import LaunchError, MydockerError, hint_for, refused_by_host
from mydocker.kernel import signals
from mydocker.kernel.beneath import make_directory
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.launch.privileges import drop_privileges
from mydocker.runtime.launch.run_directory import write_etc
from mydocker.runtime.plan.executable import execute, find_command
from mydocker.runtime.plan.users import Identity, look_up
from mydocker.runtime.streams.pipes import own_streams, take_streams
from mydocker.specs.values.capability import mask

if TYPE_CHECKING:
    from typing import NoReturn

    from mydocker.runtime.inspect.container_view import WindowEnd
    from mydocker.runtime.plan.plan import LaunchPlan

NETWORK_SETTINGS = (("ip_unprivileged_port_start", b"0"), ("ping_group_range", b"0 2147483647"))


class Handover(Record):
    """What the parent has opened and read for the child."""

    report: int  # the pipe for failures
    word: tuple[int, int]  # a pipe by which we hear that we may begin: our end is seen to, our id maps are written
    streams: tuple[int, ...]  # the ends of pipes that become 0 to 2, NULL for /dev/null; none with a terminal
    terminal: int | None  # a socket over which the master of a new terminal is sent
    doors: tuple[int, ...]  # the open cgroup.procs of the cgroups to join
    lifeline: tuple[int, int] | None  # the warden's, in place of a pid namespace
    syscall_filter: bytes  # the program for seccomp(2), empty for none
    window: WindowEnd | None  # where descriptors of our tree are handed out

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that the child needs of what its parent has open."""
        return (0, 1, 2, *self.word, *(self.lifeline or ()), *self.later)

    @property
    def later(self) -> tuple[int, ...]:
        """Those that it still needs once it may begin, besides the standard ones."""
        channels = self.window.channels if self.window else ()
        streams = (each for each in (*self.streams, self.terminal) if each is not None and each >= 0)
        return (self.report, *self.doors, *channels, *streams)


def become(plan: LaunchPlan, given: Handover) -> NoReturn:
    """Carry out PLAN and execute its command; never returns."""
    try:
        kernel.close_all_but(given.descriptors)  # the run directory, the janitor's pipe, and where results are reported
        _wait_for_word(*given.word)
        if given.lifeline:
            from mydocker.runtime.launch.init import fork_under_warden

            fork_under_warden(*given.lifeline)
        elif _is_traceable_while_standing_by(plan):
            from mydocker.runtime.launch.clean_child import execute_anew

            execute_anew(plan, given)
    except BaseException as error:
        _fail(given.report, error)
    carry_out(plan, given)


def _is_traceable_while_standing_by(plan: LaunchPlan) -> bool:
    """Whether a process of mydocker's stays among processes of the image that may read its memory (ptrace(2)).

    The memory of an ordinary user's fork belongs to the host's user namespace, in which no container has SYS_PTRACE.
    """
    return bool((plan.init or plan.before) and plan.capabilities & mask("SYS_PTRACE") and not plan.rootless)


def carry_out(plan: LaunchPlan, given: Handover) -> NoReturn:
    """All that follows once the child may begin."""
    try:
        _run(plan, given)
    except BaseException as error:
        _fail(given.report, error)
    os._exit(LaunchError.exit_code)


def _fail(report: int, error: BaseException) -> NoReturn:
    """Report why there is no container. A defect, too: it must not run on in a half-built one."""
    if isinstance(error, MydockerError):
        _tell(report, error)
    elif isinstance(error, OSError):
        about = f": {error.filename}" if error.filename else ""
        _tell(report, LaunchError(f"cannot start the container: {error.strerror}{about}", hint=hint_for(error)))
    elif isinstance(error, MemoryError):
        _tell(report, refused_by_host(error))
    else:
        _tell(report, LaunchError(f"cannot start the container: {type(error).__name__}: {error}"))
    os._exit(LaunchError.exit_code)


def _wait_for_word(hearing: int, giving: int) -> None:
    """Until our parent lets us begin. If it was killed before, or could not map our ids, there is nothing to do."""
    os.close(giving)
    if not os.read(hearing, 1):
        os._exit(LaunchError.exit_code)
    os.close(hearing)


def _tell(report: int, error: MydockerError) -> None:
    text = f"{error.exit_code}\n{error.hint or ''}\n{error.message}"
    os.write(report, text.encode(errors="surrogateescape")[:4096])


def _run(plan: LaunchPlan, given: Handover) -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signals.signal.SIGKILL)
    import_ahead(plan)
    if plan.init or plan.before:  # we shall stand by among processes of the image
        from mydocker.kernel.process_title import STANDING_BY, retitle

        retitle(STANDING_BY)
    attributes = -1
    if plan.exec_label:
        from mydocker.runtime.plan import mac_label

        attributes = mac_label.open_attributes()
    os.setsid()
    os.umask(0o022)
    if plan.oom_score_adj is not None:
        from mydocker.runtime.launch import oom_score

        oom_score.apply(plan.oom_score_adj)
    if plan.rootless and plan.rootless.is_single:
        from mydocker import idmap

        idmap.assign_own(plan.rootless)
    if plan.cgroups:
        _join_cgroups(plan, given.doors)
    _name_and_connect(plan)
    root = _build_tree(plan)
    begun = given.window.hand_out(root, plan.run_dir) if given.window else -1
    if not plan.argv:  # the tree is all that is wanted
        os._exit(0)
    _take_streams(plan, root, given)
    change_root(root, pivot="mount" in plan.namespaces)
    turn_into_command(
        plan,
        terminal=given.terminal,
        attributes=attributes,
        syscall_filter=given.syscall_filter,
        until_executed=(given.report, begun),
    )


def _take_streams(plan: LaunchPlan, root: int, given: Handover) -> None:
    """Let go of the caller's standard streams; with a terminal, that is done last (turn_into_command), for its size is
    still to be copied."""
    if given.terminal is not None:
        return
    take_streams(given.streams, root=root)
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

    ATTRIBUTES is from `labels.open_attributes`; it and all but the standard descriptors close, UNTIL_EXECUTED only by
    execve(2). DEATH_SIGNAL is what the command gets when its parent ends, 0 for nothing. What is imported here must
    have been imported before the root changed.
    """
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    identity = look_up(root, plan.user, plan.groups)
    environment = {**plan.environment, "HOME": plan.environment.get("HOME") or identity.home}
    _connect_streams(identity, terminal)
    _enter_directory(root, plan.working_dir)
    command = "" if plan.before else find_command(root, plan.argv[0], environment.get("PATH", ""))
    kernel.close_all_but((0, 1, 2, root, attributes, *until_executed))
    kernel.close_on_exec_from(3)
    _set_attributes(plan, attributes)
    kernel.prctl(
        kernel.PR_SET_DUMPABLE, 0
    )  # a healthcheck's command may run already, with the same rights from here on
    drop_privileges(plan, identity, syscall_filter, death_signal=death_signal)
    if plan.before:
        from mydocker.runtime.launch.pre_start import run_before

        command = run_before(plan, root=root, environment=environment)
    if plan.init:
        from mydocker.runtime.launch.init import fork_under_init

        fork_under_init()
    signals.reset()
    execute(command, plan.argv, environment)


def _set_attributes(plan: LaunchPlan, attributes: int) -> None:
    """Those of a process that are no rights: its limits, its umask, its label."""
    if plan.ulimits:
        from mydocker.runtime.launch import rlimits

        rlimits.apply(plan.ulimits)
    os.umask(plan.umask)
    if plan.exec_label:
        from mydocker.runtime.plan import mac_label

        mac_label.apply(plan.exec_label, attributes)
        os.close(attributes)


def import_ahead(plan: LaunchPlan) -> None:
    """Import what is needed after the root has changed, when it is too late for more than to find it loaded."""
    if plan.tty:
        import mydocker.runtime.streams.terminal
    if plan.ulimits:
        import mydocker.runtime.launch.rlimits
    if plan.stdin is not None:
        import mydocker.runtime.streams.stdin_text
    if plan.before:
        import mydocker.runtime.launch.pre_start
    if plan.init:
        import mydocker.runtime.launch.init  # noqa: F401


def _join_cgroups(plan: LaunchPlan, doors: tuple[int, ...]) -> None:
    from mydocker.runtime.cgroup import cgroup

    cgroup.join(doors)
    for door in doors:
        os.close(door)
    if "cgroup" in plan.namespaces:  # now, so that what we have joined is its root (cgroup_namespaces(7))
        kernel.unshare(kernel.CLONE_NEWCGROUP)


def _name_and_connect(plan: LaunchPlan) -> None:
    if "uts" in plan.namespaces:
        kernel.sethostname(plan.hostname)
        if plan.domainname:
            kernel.setdomainname(plan.domainname)
    if plan.loopback:
        try:  # noqa: SIM105  # contextlib is not on the warm path
            kernel.set_interface_up("lo")
        except PermissionError:  # without CAP_NET_ADMIN, as inside another container, it stays down
            pass
        _open_network(plan)
    leave_keyring()


def _open_network(plan: LaunchPlan) -> None:
    """Docker's settings of a container's own network: any user may bind a low port, and ping without CAP_NET_RAW.

    Left as they are where a user namespace has too few groups for the range, or where /proc/sys is read-only.
    """
    for name, value in NETWORK_SETTINGS:
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


def leave_keyring() -> None:
    """Share no session keyring with our caller."""
    try:
        kernel.join_session_keyring()
    except OSError as error:  # refused in containers, absent in some kernels; nothing is shared then either
        if error.errno not in (errno.EPERM, errno.ENOSYS, errno.EDQUOT):
            raise


def _build_tree(plan: LaunchPlan) -> int:
    """Mount the root and everything in it; a descriptor of the root."""
    operations = [operation.ahead() for operation in plan.operations]
    if "mount" in plan.namespaces:
        leave_propagation()
    root = os.open(plan.root.mount(plan.run_dir), os.O_PATH | os.O_DIRECTORY)
    if "mount" in plan.namespaces:
        write_etc(plan)
    for operation in operations:
        try:
            operation.apply(root)
        except OSError as error:
            if error.errno == errno.EROFS and not _has_room(plan):
                error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            what = f"{type(operation).__name__.lower()} {operation.target}"
            raise LaunchError(f"cannot set up {what}: {error.strerror}", hint=hint_for(error)) from None
    return root


def _has_room(plan: LaunchPlan) -> bool:
    """Whether anything could be written: where overlayfs finds no room for its work directory, it is read-only."""
    found = os.statvfs(f"{plan.run_dir}/scratch")
    return bool(found.f_bavail and found.f_favail)


def leave_propagation() -> None:
    """From now on no mount of ours reaches the host; the first call that AppArmor's profile for containers refuses."""
    try:
        kernel.set_propagation("/", kernel.MS_REC | kernel.MS_SLAVE)
    except PermissionError as error:
        hint = "inside another container, start that one with --cap-add SYS_ADMIN --security-opt apparmor=unconfined"
        raise LaunchError(f"this host refuses to mount anything: {error.strerror}", hint=hint) from None


def change_root(root: int, *, pivot: bool) -> None:
    """Make ROOT the root, and make sure that Python finds nothing to import in it."""
    os.fchdir(root)
    if not pivot:
        os.chroot(".")
    elif not _pivot():
        from mydocker.runtime.launch.pivot_fallback import move_to_top

        move_to_top()
    sys.path.clear()
    sys.meta_path.clear()
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
        own_streams(identity.uid)
        return
    from mydocker.runtime.streams import terminal as terminals

    terminals.take_new_terminal(owner=identity.uid, channel=terminal)


def _enter_directory(root: int, path: str) -> None:
    """Change to PATH, created if missing; never through a magic link of /proc (CVE-2024-21626)."""
    directory = make_directory(root, path)
    os.fchdir(directory)
    if not os.getcwd().startswith("/"):  # "(unreachable)/…": getcwd(3)
        raise LaunchError(f"working directory {path} is outside of the container")
