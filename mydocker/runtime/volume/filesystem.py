"""A file system that a volume's options name, such as nfs, mounted for one container; imported only where there is one.

It is made in the host's network, as Docker's is: a server need not be reachable from the container's.
"""

from __future__ import annotations

import errno

from mydocker import kernel
from mydocker.errors import LaunchError
from mydocker.kernel.beneath import make_target
from mydocker.runtime.plan.operations import Operation, attach

_ATTRIBUTES = {
    "ro": kernel.ATTR_RDONLY,
    "nosuid": kernel.ATTR_NOSUID,
    "nodev": kernel.ATTR_NODEV,
    "noexec": kernel.ATTR_NOEXEC,
}
_ADDRESS = "addr"  # of the server: the kernel takes no name
_HINT = "only root can mount it, and the kernel needs the module of its type: see /proc/filesystems"


class MountedFilesystem(Operation):
    """File system `fstype` of `device`, with options as in mount(8)."""

    fstype: str
    device: str
    options: tuple[str, ...] = ()
    attributes: int = 0

    @property
    def title(self) -> str:
        return f"the {self.fstype} volume at"

    @property
    def of_host(self) -> bool:
        """Whether it is to be prepared in the host's network."""
        return True

    def ahead(self) -> Operation:
        attributes, options = self.attributes, []
        for word in self.options:
            if word in _ATTRIBUTES:
                attributes |= _ATTRIBUTES[word]
                continue
            key, equals, value = word.partition("=")
            options.append((key, _address(value) if key == _ADDRESS else value if equals else None))
        try:
            tree = kernel.new_filesystem(self.fstype, options, attributes=attributes, source=self.device)
        except OSError as error:
            why = "unknown to this kernel" if error.errno == errno.ENODEV else error.strerror
            raise LaunchError(
                f"cannot mount {self.device} at {self.target}: {self.fstype}: {why}", hint=_HINT
            ) from None
        return PreparedTree(target=self.target, what=self.title, tree=tree)


class PreparedTree(Operation):
    """The detached mount `tree`, attached to a directory, with `attributes` besides its own. `what` is its title;
    `follow`: as for a Bind."""

    what: str
    tree: int
    attributes: int = 0
    follow: bool = True

    @property
    def title(self) -> str:
        return self.what

    def apply(self, root: int) -> None:
        if self.attributes:
            kernel.set_attributes(self.tree, self.attributes)
        attach(self.tree, make_target(root, self.target, directory=True, follow=self.follow))


def _address(name: str) -> str:
    import socket

    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LaunchError(f"cannot find the server {name!r} of a volume: {error.strerror}") from None
    return str(found[0][4][0])
