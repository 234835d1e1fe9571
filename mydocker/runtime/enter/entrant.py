"""The process that enters a container, gives up what the container lacks, and begets the command there.

It is in the container's namespaces but for that of processes, so that no program of the image sees it or may trace it.
Only the process that it clones is in there: it has no descriptor but its streams, the container's root, and two pipes
for messages to mydocker (CVE-2016-9962, CVE-2024-21626), and cannot be dumped until execve(2) (CVE-2019-5736).

A container with SYS_PTRACE may trace it all the same. There the entrant is executed anew first, as an interpreter that
knows this command alone, from a read-only mount of the program; and it gives up everything before it clones.
"""

from __future__ import annotations

import os
import sys

from mydocker import kernel
from mydocker.errors import ErrorReport, HostError, LaunchError, NotInContainerError, hint_for
from mydocker.kernel import signals
from mydocker.kernel.beneath import open_existing
from mydocker.kernel.enter import be_root, enter_namespace
from mydocker.kernel.process_title import ENTERING, retitle
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.command.executable import execute, find_command
from mydocker.runtime.command.privileges import Rights, drop_privileges, enter_root, leave_keyring
from mydocker.runtime.command.users import Identity, look_up
from mydocker.runtime.streams import chown_streams, take_streams

if TYPE_CHECKING:
    from typing import NoReturn

    from mydocker.runtime.enter.container import ExecPlan


class Entry(Record):
    """What the entrant gets; numbers are descriptors."""

    plan: ExecPlan
    namespaces: dict[str, int]
    root: int  # of a container that has no mount namespace, else -1
    streams: tuple[int, ...]  # what become 0 to 2; none with a terminal
    terminals: tuple[int, ...]  # sockets to which the master side of a new terminal is sent
    report: int  # the pipe for a failure
    cgroups: tuple[int, ...]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Those that must be open."""
        files = (each for each in (self.root, *self.streams) if each >= 0)
        return (*self.namespaces.values(), *files, *self.terminals, self.report, *self.cgroups)


def enter(entry: Entry, born: int) -> NoReturn:
    """Start the command of ENTRY, as a child of this process's parent, and write its number to pipe BORN."""
    try:
        kernel.close_all_but((0, 1, 2, born, *entry.descriptors))
        if is_traceable(entry.plan):
            _execute_anew(entry, born)
        _enter(entry, born)
    except BaseException as error:
        _report(entry.report, error)
    finally:
        os._exit(LaunchError.exit_code)


def is_traceable(plan: ExecPlan) -> bool:
    """Whether programs of the container may trace what cannot be dumped. The memory of a fork belongs to the host's
    user namespace, in which no container that has its own has SYS_PTRACE."""
    return bool(plan.rights.capabilities & kernel.CAP_SYS_PTRACE and not plan.is_rootless and not plan.root_owner)


def _execute_anew(entry: Entry, born: int) -> None:
    """Go on as a new program, of a read-only mount that is nowhere in a tree: it is the interpreter that the command's
    process shows as its own until it is executed, and no process can write to it."""
    if not sys.executable:
        raise HostError("cannot enter the container: Python does not know its own program (sys.executable)")
    import pickle  # which few containers need

    from mydocker.paths import interpreter_words

    letter = os.memfd_create("entry", 0)
    with open(letter, "wb", closefd=False) as file:
        pickle.dump((entry, born), file)
    os.lseek(letter, 0, os.SEEK_SET)
    for descriptor in (born, *entry.descriptors):
        os.set_inheritable(descriptor, True)
    program = kernel.clone_tree(os.path.realpath(sys.executable))
    kernel.set_attributes(program, kernel.ATTR_RDONLY | kernel.ATTR_NODEV)
    os.execve(program, interpreter_words(__name__, str(letter)), {})


def main(letter: str) -> NoReturn:
    """The beginning of the new program."""
    import pickle

    with open(int(letter), "rb") as file:
        entry, born = pickle.load(file)
    try:
        for descriptor in (born, *entry.descriptors):
            os.set_inheritable(descriptor, False)
        _enter(entry, born)
    except BaseException as error:
        _report(entry.report, error)
    finally:
        os._exit(LaunchError.exit_code)


def _report(report: int, error: BaseException) -> None:
    if isinstance(error, OSError):
        file = f": {error.filename}" if error.filename else ""
        error = LaunchError(f"cannot enter the container: {error.strerror}{file}", hint=hint_for(error))
    os.write(report, ErrorReport.of(error, doing="enter the container").encode())


def _enter(entry: Entry, born: int) -> None:
    plan = entry.plan
    _import_ahead(entry)
    retitle(ENTERING)
    os.umask(0o022)
    if plan.oom_score_adj is not None:
        from mydocker.runtime.command import oom_score

        oom_score.apply(plan.oom_score_adj)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # from here on, its files in /proc are root's
    if entry.cgroups:
        from mydocker.runtime.cgroup import cgroup

        cgroup.join(entry.cgroups)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    if plan.root_owner:
        _prepare_mapped(entry, plan.root_owner)
    for kind in sorted(entry.namespaces, key=lambda kind: kind != "user"):  # that one has the rights over the others
        enter_namespace(entry.namespaces[kind])
    if plan.root_owner:
        be_root()
    # a mount namespace comes with its root, which no program of the image has changed (setns(2))
    root = entry.root if entry.root >= 0 else os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if entry.streams:
        take_streams(entry.streams, root=root, null=null)
    leave_keyring()
    enter_root(root)
    _become(entry, born)


def _prepare_mapped(entry: Entry, owner: tuple[int, int]) -> None:
    """What only the host's root may do, for a container with ids that it has given: OWNER is root there."""
    from mydocker.runtime.streams import give_streams

    give_streams(entry.streams, owner)
    if entry.plan.ulimits:
        from mydocker.runtime.command import rlimits

        rlimits.allow(entry.plan.ulimits)


def _import_ahead(entry: Entry) -> None:
    """Import what few commands need, as long as what is found is mydocker's."""
    if entry.terminals:
        import mydocker.runtime.streams.terminal
    if entry.plan.ulimits:
        import mydocker.runtime.command.rlimits  # noqa: F401


def _become(entry: Entry, born: int) -> None:
    """In the container's root, where nothing may be imported."""
    plan = entry.plan
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    identity = _identity(root, plan)
    environment = {**plan.environment, "HOME": plan.environment.get("HOME") or identity.home}
    slave = -1
    if entry.terminals:
        from mydocker.runtime.streams import terminal

        slave = terminal.open_terminal(root, owner=identity.uid, channels=entry.terminals)
    else:
        chown_streams(identity.uid)
    _enter_directory(root, plan.working_dir)
    command = find_command(root, plan.argv[0], environment.get("PATH", ""))
    kernel.close_all_but((0, 1, 2, root, slave, born, entry.report))
    kernel.close_on_exec_from(3)
    # as of an init, the capability that loading a filter takes is given up as well, before anybody sees this process
    early, late = (plan.rights.replace(stands_by=True), None) if is_traceable(plan) else (None, plan.rights)
    _give_up(plan, early, identity)
    pid, _ = kernel.clone(kernel.CLONE_PARENT)
    if pid:
        os.write(born, str(pid).encode())
        os._exit(0)
    os.close(born)
    os.setsid()
    if slave >= 0:
        terminal.take_terminal(slave)
    _give_up(plan, late, identity)
    signals.reset()
    execute(command, plan.argv, environment)


def _give_up(plan: ExecPlan, rights: Rights | None, identity: Identity) -> None:
    """Take the limits of PLAN, and lose what RIGHTS do not leave; nothing if there are none."""
    if rights is None:
        return
    if plan.ulimits:
        from mydocker.runtime.command import rlimits

        rlimits.apply(plan.ulimits)
    os.umask(plan.umask)
    drop_privileges(rights, identity, death_signal=0)


def _identity(root: int, plan: ExecPlan) -> Identity:
    try:
        return look_up(root, plan.user, plan.group, plan.groups)
    except LaunchError as error:
        raise NotInContainerError(error.message, hint=error.hint) from None


def _enter_directory(root: int, path: str) -> None:
    """Change to PATH, which must be there; never through a magic link of /proc (CVE-2024-21626)."""
    try:
        directory = open_existing(root, path, directory=True)
        os.fchdir(directory)
    except OSError as error:
        raise NotInContainerError(f"working directory {path} in the container: {error.strerror}") from None
    if not os.getcwd().startswith("/"):  # "(unreachable)/…": getcwd(3)
        raise NotInContainerError(f"working directory {path} is outside of the container")
