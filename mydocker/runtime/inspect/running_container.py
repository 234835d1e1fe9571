"""A ContainerView of a container that another process of mydocker runs.

Its run directory says by a process number and a start time which process is its first, and by which plan it was made.
A pidfd is opened first and compared with that, and checked once more when everything is open: what was opened is of
the container, or nothing is returned, whatever process has the number by now. Namespaces come from /proc/PID/ns, the
root from the mount namespace itself, in a process that enters it: never from /proc/PID/root, which a program of the
image can change. A user namespace is the one below this process's own, not one that a program has made since.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from mydocker import idmap, kernel
from mydocker.errors import ErrorReport, HostError, ImageError, LaunchError, MydockerError
from mydocker.image.store_root import is_held
from mydocker.kernel.enter import enter_namespace
from mydocker.kernel.process_title import ENTERING, retitle
from mydocker.kernel.processes import has_ended
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.enter.container import forbidden, not_running, open_namespaces
from mydocker.runtime.inspect.container_view import ContainerView
from mydocker.runtime.inspect.ownership import owners_of
from mydocker.runtime.inspect.running_plan import Running, read
from mydocker.runtime.user_namespace.outside import scratch_by_numbers

if TYPE_CHECKING:
    from mydocker.idmap import IdMap
    from mydocker.image.model import ImageFile
    from mydocker.runtime.plan import LaunchPlan

_REPORT = 1 << 12  # bytes


@contextmanager
def open_running(run_dir: str) -> Iterator[ContainerView]:
    """A view of the container that runs with run directory RUN_DIR; its descriptors live as long as the context.

    Raises NotRunningError, and HostError where this user may not look into it.
    """
    found = read(run_dir) if is_held(run_dir) else None
    if found is None:
        raise not_running(run_dir)
    with ExitStack() as opened:
        try:
            view = _open(found, opened)
        except (FileNotFoundError, ProcessLookupError):
            raise not_running(run_dir) from None
        except PermissionError as error:
            raise forbidden(error) from None
        yield view


def _open(found: Running, opened: ExitStack) -> ContainerView:
    """Raises ProcessLookupError or FileNotFoundError if it has ended."""
    plan = found.plan
    process, namespaces = open_namespaces(
        found.pid,
        found.start_time,
        plan.separate_namespaces,
        without_pid_namespace=plan.has_outer_init,
        below_holder=bool(plan.networks and plan.rootless),
        keep=lambda descriptor: _keep(opened, descriptor),
    )
    root = _keep(opened, _open_root(plan, namespaces))
    scratch = _keep(opened, os.open(f"{plan.run_dir}/scratch", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    scratch = _keep(opened, scratch_by_numbers(scratch, plan.own_ids)) if plan.own_ids else scratch
    begun, other_end = os.pipe()
    os.close(other_end)  # the command has been executed: before that, there is no plan
    _keep(opened, begun)
    if has_ended(process):
        raise ProcessLookupError
    view = ContainerView(root=root, scratch=scratch, process=process, begun=begun, namespaces=namespaces, plan=plan)
    return view.replace(ownership=owners_of(plan, root=root, scratch=scratch))


def _keep(opened: ExitStack, descriptor: int) -> int:
    opened.callback(os.close, descriptor)
    return descriptor


def _open_root(plan: LaunchPlan, namespaces: dict[str, int]) -> int:
    """The root of the container: that of its mount namespace (setns(2)), or the directory that PLAN names."""
    if "mount" not in namespaces:
        return os.open(plan.root.mount(plan.run_dir), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return fetch(namespaces, lambda: os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))


def open_image(file: ImageFile, opened: ExitStack, *, user: int | None = None, ids: IdMap | None = None) -> int:
    """The file system in FILE, mounted once more, for user namespace USER, or a new one with IDS: what a container has
    below its overlay is in no directory of its mount namespace. Raises ImageError, HostError, OSError."""
    from mydocker.runtime.image_file import ImageMount

    mount = opened.enter_context(ImageMount(file))
    if mount.server is None:
        return _keep(opened, mount.tree())

    def mounted() -> int:
        if ids is not None:
            idmap.enter(ids)
        if user is not None or ids is not None:
            idmap.unshare(kernel.CLONE_NEWNS)
        return mount.tree()

    return _keep(opened, fetch({} if user is None else {"user": user}, mounted))


def fetch(namespaces: dict[str, int], action: Callable[[], int]) -> int:
    """The descriptor that ACTION opens in a process in the user and mount NAMESPACES. OSError, MydockerError."""
    receiver, sender = socket.socketpair()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        receiver.close()
        _send(sender, namespaces, action, parent)
    sender.close()
    with receiver:
        message, descriptors, _, _ = socket.recv_fds(receiver, _REPORT, 1)
    os.waitpid(pid, 0)
    if descriptors:
        os.set_inheritable(descriptors[0], False)
        return descriptors[0]
    if not message:
        raise HostError("a helper process of mydocker was killed before it reported a result")
    number, _, error = message.partition(b"\n")
    if number.isdigit():
        raise OSError(int(number), os.strerror(int(number)))
    raise ErrorReport.decode(error).as_error(HostError, LaunchError, ImageError)


def _send(sender: socket.socket, namespaces: dict[str, int], action: Callable[[], int], parent: int) -> None:
    """In the helper, which no process of the container sees: it is not in its pid namespace, and cannot be dumped."""
    try:
        try:
            kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
            retitle(ENTERING)
            for kind in ("user", "mount"):
                if kind in namespaces:
                    enter_namespace(namespaces[kind])
            kernel.die_with_parent(parent)
            socket.send_fds(sender, [b"+"], [action()])
        except OSError as error:
            sender.send(f"{error.errno or 5}\n".encode())
        except MydockerError as error:
            sender.send(b"!\n" + ErrorReport.of(error).encode()[: _REPORT - 2])
    finally:
        os._exit(0)
