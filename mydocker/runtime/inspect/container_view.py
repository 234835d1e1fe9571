"""A view of a container: its tree, what it wrote and its processes, inspected from outside the container.

The child sends descriptors of its root, scratch directory, namespaces and of itself over a socket. Holding
its mount namespace keeps every mount in it, volumes and overlays, after the last process has gone (namespaces(7),
"Namespace lifetime"); nothing in the image has to run. Nor has anything to be opened later through
a process in the container: an init of mydocker's there lets only root do that (init.py). Imported only where a
container is inspected.
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

    from mydocker.runtime.command.outcome import Outcome
    from mydocker.runtime.inspect.ownership import Ownership
    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.user_namespace.outside import OwnersInside

_MOST = 11  # descriptors that are sent: four, and one for each kind of namespace


class ContainerView(Record):
    """Descriptors of the root (O_PATH), the scratch directory and the first process of a container made by `plan`.

    `begun` is readable once its command has been executed, after all that comes before it, or never will be.
    `namespaces` are descriptors by name, one of each namespace that the container does not share with the host.
    `ownership` knows the owners of files where the kernel does not.
    """

    root: int
    scratch: int
    process: int
    begun: int
    namespaces: Mapping[str, int]
    plan: LaunchPlan
    ownership: Ownership | OwnersInside | None = None
    outcome: Outcome | None = None  # once it has ended
    image: int | None = None  # the mounted file of its image, where that is not mounted in `scratch`

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
    """Calls `look` once, when the container has ended and before anything of it is removed; `prepare` when the
    run's directory exists, and nothing of the container yet.

    Context manager: the descriptors live as long as it does.
    """

    def __init__(
        self, look: Callable[[ContainerView], None], *, prepare: Callable[[LaunchPlan], None] | None = None
    ) -> None:
        self.look, self.prepare = look, prepare
        self.receiver, sender = socket.socketpair()
        self.senders = [sender]
        self.watcher = 0
        self.dismissed: Callable[[], None] | None = None
        self.kinds: tuple[str, ...] = ("mount",)  # the namespaces that are sent

    def __enter__(self) -> ViewReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._dismiss()
        self.receiver.close()
        self._close_senders()

    def _close_senders(self) -> None:
        for channel in self.senders:
            channel.close()

    def set_watcher(
        self, plan: LaunchPlan, watch: Callable[[ContainerView], None], *, dismissed: Callable[[], None] | None = None
    ) -> None:
        """Before the launch: fork a helper process that calls `watch`, which need not end, once there is a view.
        `dismissed` is called before it is killed.

        It has separate descriptors, and enters the user namespace of a rootless container, and so has that one's ids
        and its rights over what these own. It is gone before `use` looks.
        """
        self.dismissed = dismissed
        receiver, sender = socket.socketpair()
        self.senders.append(sender)
        self.kinds += tuple(kind for kind in plan.separate_namespaces if kind not in self.kinds)
        parent = os.getpid()
        self.watcher = os.fork()
        if self.watcher == 0:
            try:
                self._watch(receiver, plan, watch, parent)
            finally:
                os._exit(0)
        receiver.close()

    def _watch(
        self, receiver: socket.socket, plan: LaunchPlan, watch: Callable[[ContainerView], None], parent: int
    ) -> None:
        self._close_senders()
        self.receiver.close()
        for descriptors in received(receiver):
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
        """The part of this that the child needs."""
        return ViewSender(channels=tuple(channel.fileno() for channel in self.senders), kinds=self.kinds)

    def use(self, plan: LaunchPlan, outcome: Outcome) -> None:
        """In the parent: receive the descriptors, inspect, and close them, which releases the container's mounts."""
        self._dismiss()
        self._close_senders()
        for descriptors in received(self.receiver):
            try:
                self.look(self._view(plan, descriptors).replace(outcome=outcome))
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _view(self, plan: LaunchPlan, descriptors: tuple[int, ...]) -> ContainerView:
        from mydocker.runtime.inspect.ownership import owners_of

        root, scratch, process, begun, *namespaces = descriptors
        if plan.auto_ids:  # which it has got since PLAN was made
            from mydocker.runtime.user_namespace.ranges import settled

            plan = settled(plan)
        separate = {
            kind: each for kind, each in zip(self.kinds, namespaces, strict=True) if kind in plan.separate_namespaces
        }
        view = ContainerView(root=root, scratch=scratch, process=process, begun=begun, namespaces=separate, plan=plan)
        return view.replace(ownership=owners_of(plan, root=root, scratch=scratch))


class ViewSender(Record):
    """The child's side of a view: sockets, and the kinds of namespaces to send."""

    channels: tuple[int, ...]
    kinds: tuple[str, ...]

    def send_fds(self, root: int, run_dir: str, *, scratch: int | None = None) -> int:
        """In the child, when the tree is complete and before the root changes; the other end of `begun`. SCRATCH is a
        copy of the mounts in the scratch directory, if there is one.

        That stays open until execve(2) in this process only: mydocker's init closes everything, and it is not
        inherited by what is executed before the command.
        """
        if scratch is None:  # what is mounted there goes with the old root
            scratch = kernel.clone_tree(f"{run_dir}/scratch", recursive=True)
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


def received(channel: socket.socket) -> Iterator[tuple[int, ...]]:
    """What the child has sent; nothing, if it ended before."""
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(_MOST * struct.calcsize("i")))
    for _, _, raw in ancillary:
        yield struct.unpack(f"{len(raw) // struct.calcsize('i')}i", raw)
