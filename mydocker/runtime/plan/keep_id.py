"""The caller's entries in the account files of a container with keep-id, where the image has none for their numbers.

Without them `whoami`, ssh and others fail. Their content is Podman's (libpod, addCurrentUserPasswdEntry): no password,
the home of the host if the container has that directory, and /bin/sh. Files that the image lacks are not created.
"""

from __future__ import annotations

import os
import stat

from mydocker import kernel
from mydocker.kernel.beneath import open_if_present
from mydocker.record import TYPE_CHECKING
from mydocker.runtime.command.users import FILE_LIMIT
from mydocker.runtime.plan.operations import Operation

if TYPE_CHECKING:
    from mydocker.runtime.plan.host import Host
    from mydocker.specs.model import ContainerSpec


class Account(Operation):
    """A line at the end of the account file at the target, unless it has one for `number`. With a `home`, that follows
    if there is such a directory in the container, else `otherwise`, and then a shell."""

    number: int
    line: str
    home: str = ""
    otherwise: str = "/"

    def apply(self, root: int) -> None:
        try:
            file = kernel.open_inside(
                root,
                self.target,
                os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY,
                resolve=kernel.RESOLVE_IN_ROOT | kernel.RESOLVE_NO_SYMLINKS,
            )
        except OSError:  # there is none, or a link, which may lead anywhere
            return
        with open(file, "rb+", buffering=0) as accounts:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_LIMIT:
                return
            content = accounts.read(FILE_LIMIT)
            if any(_number(line) == str(self.number).encode() for line in content.split(b"\n")):
                return
            accounts.write((b"\n" if content and not content.endswith(b"\n") else b"") + self._line(root))

    def lines(self) -> tuple[bytes, ...]:
        """The lines of which one may have been added: with `home`, and without."""
        if not self.home:
            return (os.fsencode(f"{self.line}\n"),)
        return tuple(os.fsencode(f"{self.line}:{home}:/bin/sh\n") for home in (self.home, self.otherwise))

    def _line(self, root: int) -> bytes:
        if not self.home:
            return self.lines()[0]
        home = open_if_present(root, self.home, follow=True)
        if home is not None:
            os.close(home)
        return self.lines()[1 if home is None else 0]


def accounts_of_caller(spec: ContainerSpec, host: Host, *, working_dir: str) -> tuple[Operation, ...]:
    """The entries of the user and the group that run mydocker, as far as this machine has names for them."""
    import grp
    import pwd

    targets = {mount.target for mount in spec.volumes}
    try:
        user = pwd.getpwuid(host.uid)
    except KeyError:
        return ()
    mounted = any(f"{user.pw_dir}/".startswith(f"{target}/") for target in targets)
    otherwise = user.pw_dir if mounted else working_dir
    line = f"{user.pw_name}:*:{host.uid}:{host.gid}:{user.pw_gecos}"
    entries = [Account(target="/etc/passwd", number=host.uid, line=line, home=user.pw_dir, otherwise=otherwise)]
    try:
        name = grp.getgrgid(host.gid).gr_name
    except KeyError:
        pass
    else:
        entries.append(Account(target="/etc/group", number=host.gid, line=f"{name}:x:{host.gid}:{user.pw_name}"))
    return tuple(entry for entry in entries if entry.target not in targets)


def _number(line: bytes) -> bytes:
    return (line.split(b":") + [b""] * 3)[2]
