"""What the child of a container with a user namespace of its own gets from the host's root, which has done the rest."""

from __future__ import annotations

import os

from mydocker import kernel
from mydocker.kernel.beneath import make_target, open_if_present
from mydocker.record import Record
from mydocker.runtime.plan.operations import Operation, attach
from mydocker.runtime.volume.filesystem import PreparedTree

PLACES = "places"  # in the memory of a run: the current directory of the child, which may make directories in it


class Attached(Operation):
    """The detached mount `tree`, of `what`, attached at the target; `if_missing`: unless something is there.

    With a `place` the host's root has attached it there, before the container's mount namespace became one: so the
    container cannot take a flag from it, such as read-only (mount_namespaces(7), "restrictions on mount namespaces").
    """

    what: str
    tree: int = -1
    place: str = ""
    directory: bool
    follow: bool = True
    if_missing: bool = False
    is_private: bool = True  # whether no mount propagates to or from it

    @property
    def title(self) -> str:
        return self.what

    def apply(self, root: int) -> None:
        if self.if_missing and (found := open_if_present(root, self.target, follow=True)) is not None:
            os.close(found)
            return
        tree = kernel.clone_tree(self.place, recursive=True) if self.place else self.tree
        attach(tree, make_target(root, self.target, directory=self.directory, follow=self.follow))

    def placed(self, place: str) -> Attached:
        """By the host's root: attach the tree at PLACE, a new file or directory."""
        if self.directory:
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        attach(self.tree, os.open(place, os.O_PATH | os.O_CLOEXEC))
        return self.replace(tree=-1, place=place)


class HostPart(Record):
    """Descriptors of the root and, for those who look into the container, of the scratch directory, attached nowhere;
    and the operations that are left."""

    root: int
    scratch: int | None
    operations: tuple[Operation, ...]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Those that the child needs."""
        trees = [each.tree for each in self.operations if isinstance(each, (Attached, PreparedTree))]
        trees = [tree for tree in trees if tree >= 0]
        return (self.root, *trees, *([] if self.scratch is None else [self.scratch]))

    def attach_root(self) -> int:
        """In the child: a descriptor of the root, at its place. The current directory is one in which it may make
        others to mount on."""
        attach(os.dup(self.root), os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return self.root
