"""A window into a container: its tree, what it wrote and its processes, to be looked at from outside.

The child hands out descriptors of its root, scratch directory, namespaces and of itself over a socket. Holding
its mount namespace keeps every mount in it, volumes and overlays, after the last process has gone (namespaces(7),
"Namespace lifetime"); nothing in the image has to run. Nor has anything to be opened through a process of it later:
one of ours that stays in the container lets nobody but root do that (init.py). Imported only where somebody wants to
look.
"""

from __future__ import annotations

import os
import select
import socket
import struct

from mydocker import kernel
from mydocker.kernel.enter import enter_namespace
from mydocker.kernel.signals import signal
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mydocker.runtime.inspect.ownership import Ownership
    from mydocker.runtime.launch.outcome import Outcome
    from mydocker.runtime.plan.plan import LaunchPlan

_MOST = 11  # descriptors that are handed out: four, and of each kind of namespace one


class ContainerView(Record):
    """Descriptors of the root (O_PATH), the scratch directory and the first process of a container made by `plan`.

    `begun` is readable once its command has been executed, after all that comes before it, or never will be.
    `namespaces` are descriptors as well, by name: as long as it runs, of all that are its own. `ownership` tells whose
    files are, where the kernel does not.
    """

    root: int
    scratch: int
    process: int
    begun: int
    namespaces: Mapping[str, int]
    plan: LaunchPlan
    ownership: Ownership | None = None
    outcome: Outcome | None = None  # once it has ended

    def has_begun(self) -> bool:
        """Whether the command has been executed. Raises ProcessLookupError if the container has ended."""
        poll = select.poll()
        for descriptor in (self.process, self.begun):
            poll.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(0)]
        if self.process in ready:
            raise ProcessLookupError
        return self.begun in ready


class ViewReceiver:
    """Calls `look` once, when the container has ended and before anything of it is taken down; `prepare` when the
    run's directory is there, and nothing of the container yet.

    Context manager: the descriptors live as long as it does.
    """

    def __init__(
        self, look: Callable[[ContainerView], None], *, prepare: Callable[[LaunchPlan], None] | None = None
    ) -> None:
        self.look, self.prepare = look, prepare
        self.ours, theirs = socket.socketpair()
        self.theirs = [theirs]
        self.watcher = 0
        self.dismissed: Callable[[], None] | None = None
        self.kinds: tuple[str, ...] = ("mount",)  # the namespaces that are handed out

    def __enter__(self) -> ViewReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._dismiss()
        self.ours.close()
        self._close_theirs()

    def _close_theirs(self) -> None:
        for channel in self.theirs:
            channel.close()

    def set_watcher(
        self, plan: LaunchPlan, watch: Callable[[ContainerView], None], *, dismissed: Callable[[], None] | None = None
    ) -> None:
        """Before the launch: have a process of our own that calls `watch`, which need not end, once there is a view.
        `dismissed` is called before it is killed.

        It has descriptors of its own, and is in the user namespace of a rootless container, and so has its ids and its
        rights over what it owns. It is gone before `use` looks.
        """
        self.dismissed = dismissed
        ours, theirs = socket.socketpair()
        self.theirs.append(theirs)
        self.kinds += tuple(kind for kind in _own_kinds(plan) if kind not in self.kinds)
        parent = os.getpid()
        self.watcher = os.fork()
        if self.watcher == 0:
            try:
                self._watch(ours, plan, watch, parent)
            finally:
                os._exit(0)
        ours.close()

    def _watch(
        self, ours: socket.socket, plan: LaunchPlan, watch: Callable[[ContainerView], None], parent: int
    ) -> None:
        self._close_theirs()
        self.ours.close()
        for descriptors in _received(ours):
            view = self._view(plan, descriptors)
            if plan.rootless:
                enter_namespace(view.namespaces["user"])
            kernel.die_with_parent(parent)  # only now: new credentials clear it
            watch(view)

    def _dismiss(self) -> None:
        if self.watcher:
            if self.dismissed:
                self.dismissed()
            os.kill(self.watcher, signal.SIGKILL)
            os.waitpid(self.watcher, 0)
            self.watcher = 0

    def sender(self) -> ViewSender:
        """What the child needs."""
        return ViewSender(channels=tuple(channel.fileno() for channel in self.theirs), kinds=self.kinds)

    def use(self, plan: LaunchPlan, outcome: Outcome) -> None:
        """In the parent: take the descriptors, look, and let go of them, and so of the container's mounts."""
        self._dismiss()
        self._close_theirs()
        for descriptors in _received(self.ours):
            try:
                self.look(self._view(plan, descriptors).replace(outcome=outcome))
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _view(self, plan: LaunchPlan, descriptors: tuple[int, ...]) -> ContainerView:
        from mydocker.runtime.inspect.ownership import by_archive

        root, scratch, process, begun, *namespaces = descriptors
        own = {kind: each for kind, each in zip(self.kinds, namespaces, strict=True) if kind in _own_kinds(plan)}
        view = ContainerView(root=root, scratch=scratch, process=process, begun=begun, namespaces=own, plan=plan)
        return view.replace(ownership=by_archive(plan, root=root, scratch=scratch))


class ViewSender(Record):
    """The child's side of a window: sockets, and the kinds of namespaces to hand out."""

    channels: tuple[int, ...]
    kinds: tuple[str, ...]

    def send_fds(self, root: int, run_dir: str) -> int:
        """In the child, when the tree is complete and before the root changes; the other end of `begun`.

        That stays open here until execve(2), and in nobody else: not in an init of ours, which closes all, nor in what
        is executed before the command.
        """
        scratch = kernel.clone_tree(
            f"{run_dir}/scratch", recursive=True
        )  # what is mounted there goes with the old root
        process = os.pidfd_open(os.getpid())
        begun, other_end = os.pipe()
        links = [f"/proc/self/ns/{'mnt' if kind == 'mount' else kind}" for kind in self.kinds]
        namespaces = [os.open(link, os.O_RDONLY | os.O_CLOEXEC) for link in links]
        rights = struct.pack(f"{4 + len(namespaces)}i", root, scratch, process, begun, *namespaces)
        for number in self.channels:
            with socket.socket(fileno=number) as channel:
                channel.sendmsg([b"w"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        for descriptor in (scratch, process, begun, *namespaces):
            os.close(descriptor)
        return other_end


def _own_kinds(plan: LaunchPlan) -> tuple[str, ...]:
    return ("user", *plan.namespaces) if plan.rootless else plan.namespaces


def _received(channel: socket.socket) -> Iterator[tuple[int, ...]]:
    """What the child has handed out; nothing, if it ended before."""
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(_MOST * struct.calcsize("i")))
    for _, _, raw in ancillary:
        yield struct.unpack(f"{len(raw) // struct.calcsize('i')}i", raw)
