"""Who the command runs as: a User looked up in the image's own /etc/passwd and /etc/group.

Never in the host's, and never through the C library, whose name services would load code of the image
(CVE-2019-14271). The files are untrusted: read through the root's descriptor, only if regular and not the kernel's
own, only up to a limit (CVE-2024-9676), and numbers must be in range (CVE-2024-40635).
"""

from __future__ import annotations

import errno
import os

from mydocker.errors import LaunchError, is_limit_of_host
from mydocker.kernel.beneath import UnreadableFileError, open_regular
from mydocker.record import Record

ID_LIMIT = 2**31 - 1
FILE_LIMIT = 16 * 2**20  # bytes; more than any real account file, and quick to read
_CHUNK = 1 << 16
MORE_IDS = "grant that user more ids in /etc/subuid and /etc/subgid (usermod --add-subuids), or run as root"


class Identity(Record):
    """The numbers that a process gets, and its home directory."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def look_up(
    root: int, user: str | int, group: str | int | None = None, more_groups: tuple[str | int, ...] = ()
) -> Identity:
    """USER, and GROUP, in the image below descriptor ROOT. An unknown name is an error, an unknown number is not.

    Without a group, that of the passwd entry and every group that lists the user as a member; with one, only that one;
    a number without an entry gets gid 0 and home `/`. The first of them is among the supplementary ones, too: else a
    process could drop it, and what denies the group access would deny it no more (CVE-2022-36109).
    """
    passwd = _entries(root, "/etc/passwd", 7)
    account = next((line for line in passwd if _is(user, line)), None)
    if account is None and isinstance(user, str):
        raise LaunchError(f"unable to find user {user!r} in the image's /etc/passwd")
    uid = user if isinstance(user, int) else 0
    gid, home = 0, "/"
    more: tuple[int, ...] = ()
    if account is not None:
        uid, gid, home = _number(account[2]), _number(account[3]), account[5] or "/"
    if group is not None:
        gid = _group(root, group)
    elif account is not None:
        more = _memberships(root, account[0])
    groups = dict.fromkeys((gid, *more, *(_group(root, each) for each in more_groups)))
    return Identity(uid=uid, gid=gid, groups=tuple(groups), home=home)


def _group(root: int, group: str | int) -> int:
    for line in _entries(root, "/etc/group", 4):
        if _is(group, line):
            return _number(line[2])
    if isinstance(group, str):
        raise LaunchError(f"unable to find group {group!r} in the image's /etc/group")
    return group


def _memberships(root: int, name: str) -> tuple[int, ...]:
    lines = _entries(root, "/etc/group", 4)
    return tuple(_number(line[2]) for line in lines if name in line[3].split(","))


def _is(name: str | int, line: list[str]) -> bool:
    """Whether a line is the account NAME: a number is never a name, though there may be one like it."""
    return line[2] == str(name) if isinstance(name, int) else line[0] == name


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= ID_LIMIT:
        return int(text)
    raise LaunchError(f"the image's account files hold an id out of range: {text[:40]!r}")


def _entries(root: int, path: str, columns: int) -> list[list[str]]:
    """The lines of an account file that have all their columns; none if it is missing or no regular file."""
    try:
        descriptor = open_regular(root, path)
    except UnreadableFileError:
        return []
    except OSError as error:
        if is_limit_of_host(error):
            raise
        return []
    content = b""
    try:
        if os.fstat(descriptor).st_size > FILE_LIMIT:
            raise LaunchError(f"{path} of the image is larger than {FILE_LIMIT} bytes")
        while len(content) < FILE_LIMIT and (more := os.read(descriptor, _CHUNK)):
            content += more
    except OSError as error:
        raise LaunchError(f"cannot read {path} of the image: {error.strerror}") from None
    finally:
        os.close(descriptor)
    fields = [line.strip().split(":") for line in content.decode(errors="surrogateescape").split("\n")]
    return [line for line in fields if len(line) >= columns and line[0]]


def names(root: int, path: str, number: int) -> tuple[str, ...]:
    """What account file PATH (passwd or group) of the image calls NUMBER."""
    columns = 7 if path.endswith("passwd") else 4
    return tuple(line[0] for line in _entries(root, path, columns) if line[2] == str(number))


def take_identity(identity: Identity, *, groups: bool) -> None:
    """Become IDENTITY; without GROUPS setgroups(2) is denied, and the caller's groups stay, unmapped."""
    who = f"user {identity.uid}:{identity.gid} with groups {', '.join(map(str, identity.groups))}"
    try:
        if groups:
            os.setgroups([*identity.groups])
        who = f"user {identity.uid}:{identity.gid}"
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    except OSError as error:
        if error.errno == errno.EINVAL:
            message = f"{who} does not exist in this container: its user namespace has no such id"
            raise LaunchError(message, hint=f"map more ids; for an ordinary user's container {MORE_IDS}") from None
        hint = "this takes CAP_SETUID and CAP_SETGID, which mydocker lacks itself"
        raise LaunchError(f"cannot become {who}: {error.strerror}", hint=hint) from None
