"""A window into a container: its tree and what it wrote, to be looked at from outside once it has ended.

The child hands out descriptors of its mount namespace, its root and its scratch directory over a socket. Holding
the namespace keeps every mount in it, volumes and overlays, after the last process has gone (namespaces(7), "Namespace
lifetime"); nothing in the image has to run. Imported only where somebody wants to look.
"""

from __future__ import annotations

import os
import socket
import struct

from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from mydocker.runtime.plan import LaunchPlan

_HANDED_OUT = struct.Struct("3i")  # namespace, root, scratch


class View(Record):
    """Descriptors of the root (O_PATH) and of the scratch directory of a container that was made by `plan`."""

    root: int
    scratch: int
    plan: LaunchPlan


class Window:
    """Calls `look` once, when the container has ended and before anything of it is taken down.

    Context manager: the descriptors live as long as it does.
    """

    def __init__(self, look: Callable[[View], None]) -> None:
        self.look = look
        self.ours, self.theirs = socket.socketpair()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.ours.close()
        self.theirs.close()

    def hand_out(self, root: int, run_dir: str) -> None:
        """In the child, when the tree is complete and before the root changes."""
        namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        scratch = os.open(f"{run_dir}/scratch", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        rights = _HANDED_OUT.pack(namespace, root, scratch)
        self.theirs.sendmsg([b"w"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        os.close(namespace)
        os.close(scratch)

    def use(self, plan: LaunchPlan) -> None:
        """In the parent: take the descriptors, look, and let go of them, and so of the container's mounts."""
        self.theirs.close()
        _, ancillary, _, _ = self.ours.recvmsg(1, socket.CMSG_SPACE(_HANDED_OUT.size))
        for _, _, raw in ancillary:
            namespace, root, scratch = _HANDED_OUT.unpack(raw)
            try:
                self.look(View(root=root, scratch=scratch, plan=plan))
            finally:
                for descriptor in (scratch, root, namespace):
                    os.close(descriptor)
