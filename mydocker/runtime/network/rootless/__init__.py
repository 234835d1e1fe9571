"""The networks of an ordinary user: in namespaces that a process, the holder, keeps while any container uses them.

    holder            a user namespace with the user's ids, and a network namespace with the bridges: there an ordinary
      │               user may do what root may do on the host
      └── attachment  pasta or slirp4netns, which joins that network namespace to the host's network

A container's user namespace is made inside the holder's, so that the holder may connect it.

    <directory>/.holder         the holder's pid, and what it is attached with; locked as long as it lives
    <directory>/.holder.start   locked by who looks for the holder, or starts it, or by the holder that is about to end
    <directory>/.holder.users   locked, shared, by each process that uses it

So a pid in the file is the holder's if the file is locked before and after its namespaces have been opened.
"""

from __future__ import annotations

import os

from mydocker import idmap, kernel
from mydocker.errors import HostError, hint_for
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from mydocker.idmap import IdMap

ALIVE, START, USERS = ".holder", ".holder.start", ".holder.users"
RESOLVERS = {"pasta": "169.254.1.1", "slirp4netns": "10.0.2.3"}  # who asks there, asks the host's resolver


class Holder:
    """Context manager: the namespaces, which stay at least until it is left, or this process ends."""

    def __init__(self, process: int, attachment: str, *, user: int, network: int, users: int) -> None:
        """USER and NETWORK are descriptors of the namespaces, USERS that of a lock."""
        self.process, self.attachment = process, attachment
        self.user, self.network, self._users = user, network, users

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it end, a moment later, if no other process uses it."""
        for descriptor in (self.user, self.network, self._users):
            if descriptor >= 0:
                os.close(descriptor)
        self.user = self.network = self._users = -1

    @property
    def resolver(self) -> str:
        """The address that leads to the host's resolver, also to one on the host's loopback."""
        return RESOLVERS[self.attachment]

    @property
    def ids(self) -> IdMap:
        """The ids of its user namespace, as they are: what the user is granted may have changed since."""
        return idmap.of_process(self.process)


def find(directory: str) -> Holder | None:
    """The holder of DIRECTORY, if it lives."""
    try:
        start = os.open(f"{directory}/{START}", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        kernel.lock(start)
        return find_locked(directory)
    except OSError as error:
        raise refused(error) from None
    finally:
        os.close(start)


def find_locked(directory: str) -> Holder | None:
    """As `find`. The caller has the lock START, so no holder starts or ends but by being killed."""
    alive = os.open(f"{directory}/{ALIVE}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    opened: list[int] = []
    try:
        words = os.pread(alive, 100, 0).split()
        if len(words) == 2 and _is_locked(alive):
            opened.append(lock(f"{directory}/{USERS}", shared=True))
            for kind in ("user", "net"):
                opened.append(os.open(f"/proc/{int(words[0])}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC))
            if _is_locked(alive):
                users, user, network = opened
                opened = []
                return Holder(int(words[0]), words[1].decode(), user=user, network=network, users=users)
    except FileNotFoundError:  # it has ended meanwhile
        pass
    finally:
        for descriptor in (*opened, alive):
            os.close(descriptor)
    return None


def _is_locked(descriptor: int) -> bool:
    try:
        kernel.lock(descriptor, shared=True, wait=False)
    except BlockingIOError:
        return True
    return False


def lock(path: str, *, shared: bool = False) -> int:
    """A descriptor of the file at PATH, made if need be, with its lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        kernel.lock(descriptor, shared=shared)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def refused(error: OSError) -> HostError:
    about = f" ({error.filename})" if error.filename else ""
    return HostError(f"cannot set up the networks of this user{about}: {error.strerror}", hint=hint_for(error))
