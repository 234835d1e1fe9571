"""A command executed alongside a container's own, in its namespaces, with its user and no more rights: a healthcheck,
or one of `exec` under `expect`.

mydocker ── fork ──> an overseer, which enters the namespaces ── fork ──> the command, in the pid namespace as well

Until it is executed, the command is a process of mydocker's among those of an image: no descriptor of the host is left
in it, it imports nothing, and since it cannot be dumped none of them may trace it or read what it executes
(CVE-2016-9962, CVE-2019-5736).
"""

from __future__ import annotations

import errno
import os
import sys
import time

from mydocker import kernel
from mydocker.errors import LaunchError, MydockerError, refused_by_host
from mydocker.kernel.enter import be_root, enter_namespace
from mydocker.kernel.process_title import ENTERING, retitle
from mydocker.kernel.signals import signal
from mydocker.message import send
from mydocker.record import TYPE_CHECKING, Record
from mydocker.runtime.cgroup import cgroup
from mydocker.runtime.command.privileges import enter_root, leave_keyring
from mydocker.runtime.inspect.helper_process import HelperProcess, Problem, settle
from mydocker.runtime.launch import child
from mydocker.runtime.launch.parent import prepare_isolation
from mydocker.runtime.streams import give_streams
from mydocker.runtime.streams.read_pipe import listen_to_all

if TYPE_CHECKING:
    from typing import NoReturn

    from mydocker.runtime.inspect.container_view import ContainerView
    from mydocker.runtime.plan import LaunchPlan

OUTPUT_LIMIT = 4096  # bytes of a healthcheck's output that are kept, as Docker does


class Exec(HelperProcess):
    """One such command while it runs. The facts are `exit_code` (None: it did not end in time), `seconds`, and
    `output`, or `stdout`, `stderr` and which of them were `cut`; or the `problem`."""

    def __init__(
        self,
        view: ContainerView,
        argv: tuple[str, ...],
        *,
        timeout: float,
        separate: bool = False,
        limit: int = OUTPUT_LIMIT,
    ) -> None:
        """ARGV, for TIMEOUT seconds at most, in the running container of VIEW. Of what it writes, LIMIT bytes are kept,
        of standard output and standard error each if these are to be `separate`.

        Raises LaunchError where it would not be safe.
        """
        plan = view.plan
        if plan.exec_label:
            raise LaunchError("no command is executed in a container that has an AppArmor profile or an SELinux label")
        may_trace = plan.capabilities & kernel.CAP_SYS_PTRACE and not plan.ids
        if may_trace and not plan.capabilities & kernel.CAP_SYS_ADMIN:
            raise LaunchError("no command is executed in a container that has SYS_PTRACE: it could take over mydocker")
        program = prepare_isolation(plan)

        def oversee(writer: int, parent: int) -> NoReturn:
            changed = plan.replace(argv=argv, pre_start=(), init=False, tty=False, stdin=None, stdin_open=True)
            terms = Terms(timeout=timeout, separate=separate, limit=limit)
            _oversee(view.replace(plan=changed), program, terms, writer, parent)

        super().__init__(oversee, results=(CommandResult, SeparateResult), silence="it was killed")


class CommandResult(Record):
    """The result of a command; without an exit code it did not end in time."""

    exit_code: int | None
    seconds: float
    output: str


class SeparateResult(Record):
    """The same with separate outputs, and the names of those that were cut."""

    exit_code: int | None
    seconds: float
    stdout: str
    stderr: str
    cut: tuple[str, ...]


class Terms(Record):
    """How a command is executed: see `Exec`."""

    timeout: float
    separate: bool
    limit: int


def _oversee(view: ContainerView, program: bytes, terms: Terms, writer: int, parent: int) -> NoReturn:
    try:
        settle(parent, (writer, view.root, *view.namespaces.values()))
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        retitle(ENTERING)  # the container's processes see the command line of every process in their pid namespace
        send(writer, _run(view, program, terms))
    except MydockerError as error:
        send(writer, Problem(problem=error.message))
    except OSError as error:
        send(writer, Problem(problem=refused_by_host(error).message))
    finally:
        os._exit(0)


def _run(view: ContainerView, program: bytes, terms: Terms) -> CommandResult | SeparateResult:
    plan = view.plan
    child.import_ahead(plan)
    pipes = [os.pipe() for _ in range(1 + terms.separate)]
    writers = tuple(writer for _, writer in pipes)
    cgroup_fds = cgroup.open_cgroups((each.path, each.optional) for each in plan.cgroups)
    if plan.own_ids:
        _prepare_mapped(plan, writers)
    sys.path.clear()  # from here on, what is found there is the image's
    sys.meta_path.clear()
    for kind in sorted(view.namespaces, key=lambda kind: kind != "user"):  # it gives the right to enter the others
        if kind != "user" or not _is_own(view.namespaces[kind]):
            enter_namespace(view.namespaces[kind])
    if plan.own_ids:
        be_root()
    pid = _fork()
    if pid == 0:
        _become(plan, program, root=view.root, outputs=writers, cgroup_fds=cgroup_fds)
    for writer in writers:
        os.close(writer)
    return _wait(pid, tuple(reader for reader, _ in pipes), terms)


def _prepare_mapped(plan: LaunchPlan, writers: tuple[int, ...]) -> None:
    """What only the host's root may do for the command of a container with ids that it has given."""
    owner = plan.own_ids.outside(0, 0) if plan.own_ids else None
    if owner:
        give_streams(writers, owner)
    if plan.ulimits:
        from mydocker.runtime.command import rlimits

        rlimits.allow(plan.ulimits)


def _is_own(namespace: int) -> bool:
    """Whether this process is in user NAMESPACE already, as a watcher is and a keeper is not: setns(2) enters none
    twice."""
    return os.path.samestat(os.fstat(namespace), os.stat("/proc/self/ns/user"))


def _fork() -> int:
    try:
        return os.fork()
    except OSError as error:  # fork(2): the pid namespace has ended
        if error.errno != errno.ENOMEM:
            raise
        raise LaunchError("the container has ended") from None


def _become(
    plan: LaunchPlan, program: bytes, *, root: int, outputs: tuple[int, ...], cgroup_fds: tuple[int, ...]
) -> NoReturn:
    """In the command's process, until it is executed."""
    code = LaunchError.exit_code
    try:
        os.dup2(outputs[0], 1)
        os.dup2(outputs[-1], 2)
        kernel.close_all_but((0, 1, 2, root, *cgroup_fds))
        os.setsid()
        cgroup.join(cgroup_fds)
        leave_keyring()
        enter_root(root)
        child.turn_into_command(plan, terminal=None, attributes=-1, syscall_filter=program, death_signal=signal.SIGKILL)
    except MydockerError as error:
        os.write(2, error.message.encode(errors="surrogateescape"))
        code = error.exit_code
    except OSError as error:
        os.write(2, str(error).encode(errors="surrogateescape"))
    finally:
        os._exit(code)


def _wait(pid: int, outputs: tuple[int, ...], terms: Terms) -> CommandResult | SeparateResult:
    """Until its end, or the end of its time. What others write to its pipes after its end is dropped."""
    began = time.monotonic()
    most = terms.limit + 1
    kept, over = listen_to_all(pid, outputs, add=lambda kept, more: (kept + more)[:most], until=began + terms.timeout)
    seconds = time.monotonic() - began
    for number in (-pid, pid):  # its session, where no pid namespace ends what it has left; then it
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    exit_code = (128 - code if code < 0 else code) if over else None
    if not terms.separate:
        output = kept[0][: terms.limit].decode(errors="replace")
        return CommandResult(exit_code=exit_code, seconds=seconds, output=output)
    stdout, stderr = (raw[: terms.limit].decode(errors="surrogateescape") for raw in kept)
    cut = tuple(name for name, raw in zip(("stdout", "stderr"), kept, strict=True) if len(raw) > terms.limit)
    return SeparateResult(exit_code=exit_code, seconds=seconds, stdout=stdout, stderr=stderr, cut=cut)
