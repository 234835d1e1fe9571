"""IdMap: which ids a rootless container has, and which of the host's they are (user_namespaces(7)).

An ordinary user may map only itself; newuidmap(1) and newgidmap(1) also map the ranges that /etc/subuid and /etc/subgid
grant it. With ranges, root inside is the user and 1, 2, 3… are the granted ids in order, as for Podman; without, or
where those programs are missing or cannot gain privileges, there is only root.

Used by the store, whose layers have owners, and by the runtime. On the warm path of an ordinary user only.
"""

from __future__ import annotations

import errno
import os

from mydocker import kernel
from mydocker.errors import ErrorReport, HostError, MydockerError, refused_namespaces
from mydocker.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

EXTENTS = 300  # the kernel takes 340 lines; two more may be needed below
HIGHEST = 2**31 - 1  # the largest id that a container's user may have
PROGRAMS = ("newuidmap", "newgidmap")
_DONE = b"+"
_KILLED = b"\n\nthe process that assigns the ranges of ids was killed"


class Extent(Record):
    """COUNT ids from INSIDE on are those of the host from OUTSIDE on."""

    inside: int
    outside: int
    count: int


class IdMap(Record):
    """The ids of users and of groups that exist inside. One extent of one id each: there is no other user."""

    users: tuple[Extent, ...]
    groups: tuple[Extent, ...]

    @property
    def is_single(self) -> bool:
        return sum(extent.count for extent in (*self.users, *self.groups)) == 2

    @property
    def has_groups(self) -> bool:
        """Whether there is more than one group: with one alone, setgroups(2) is denied."""
        return sum(extent.count for extent in self.groups) > 1

    @property
    def key(self) -> str:
        """A short name for this map: files that were unpacked with one map have other owners in any other."""
        import binascii

        return f"{binascii.crc32(repr((self.users, self.groups)).encode()):08x}"

    def is_same(self, other: IdMap) -> bool:
        """Whether OTHER maps the same ids, however they are cut into extents: the kernel cuts what spans several of an
        outer namespace."""
        return [*map(_merged, (self.users, self.groups))] == [*map(_merged, (other.users, other.groups))]

    def has_group(self, group: int) -> bool:
        """Whether GROUP, a number inside, is mapped."""
        return any(0 <= group - extent.inside < extent.count for extent in self.groups)

    @property
    def first_groups(self) -> int:
        """How many groups there are from 0 on without a gap."""
        count = 0
        for extent in sorted(self.groups, key=lambda extent: extent.inside):
            count += extent.count if extent.inside == count else 0
        return count

    @property
    def inverted(self) -> IdMap:
        """The map the other way round."""
        return IdMap(users=_inverted(self.users), groups=_inverted(self.groups))

    def outside(self, user: int, group: int) -> tuple[int, int] | None:
        """What USER and GROUP, numbers inside, are outside; None if one of them is not mapped."""
        found = looked_up(self.users, user), looked_up(self.groups, group)
        return None if found[0] is None or found[1] is None else (found[0], found[1])


def looked_up(extents: tuple[Extent, ...], inside: int) -> int | None:
    """What the id INSIDE is outside, by EXTENTS; None if it is not mapped."""
    return next((x.outside + inside - x.inside for x in extents if 0 <= inside - x.inside < x.count), None)


def of_caller(*, ranges: bool = True) -> IdMap:
    """The map with all ids that the calling user is granted; root inside is the user. Without RANGES, only that."""
    user, group = os.geteuid(), os.getegid()
    users, groups = list(granted("/etc/subuid", user)), list(granted("/etc/subgid", user))
    if not ranges or not users or not groups or not can_use_ranges():
        users = groups = []
    return IdMap(users=_with_root(user, users), groups=_with_root(group, groups))


def keep_id(ids: IdMap, *, user: int, group: int) -> IdMap:
    """IDS, in which root is the user, changed so that the user's own ids are the same inside as outside.

    The ids of root and the user are exchanged, and all others stay: files of an image keep their owners but for root's,
    which are the user's.
    """
    return IdMap(users=_swapped(ids.users, user), groups=_swapped(ids.groups, group))


def granted(path: str, user: int) -> Iterator[tuple[int, int]]:
    """The ranges (first, count) that subuid(5) file PATH grants USER, by name or number."""
    lines = _lines(path)
    return _ranges(lines, _name(user) if lines else "", str(user))


def granted_to(path: str, name: str) -> Iterator[tuple[int, int]]:
    """The same of NAME, as it stands there: a name or a number, which need not be an account's."""
    return _ranges(_lines(path), name)


def _lines(path: str) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [line.strip().split(":") for line in file]
    except OSError:
        return []


def _ranges(lines: list[list[str]], *names: str) -> Iterator[tuple[int, int]]:
    for line in lines:
        if len(line) == 3 and line[0] in names and _is_number(line[1]) and _is_number(line[2]):
            yield int(line[1]), int(line[2])


def can_use_ranges() -> bool:
    """Whether newuidmap and newgidmap are there and may gain the privileges that they need."""
    from mydocker import programs

    try:
        for program in PROGRAMS:
            programs.find(program)
    except HostError:
        return False
    return not kernel.prctl(kernel.PR_GET_NO_NEW_PRIVS)


def assign(process: int, ids: IdMap) -> None:
    """Give IDS to the user namespace of PROCESS, a child of this process. HostError if the host's programs refuse."""
    from mydocker import programs

    maps = ((PROGRAMS[0], ids.users), (PROGRAMS[1], ids.groups))
    try:
        programs.Running([(program, str(process), *_numbers(extents)) for program, extents in maps]).wait()
    except HostError as error:
        hint = "the ranges of this user in /etc/subuid and /etc/subgid must be free to use; see mydocker doctor"
        raise HostError(error.message, hint=error.hint or hint) from None


def assign_own(ids: IdMap) -> None:
    """Give IDS, a single one, to the new user namespace of this process; that needs no program of the host."""
    [user], [group] = ids.users, ids.groups
    lines = (("setgroups", "deny"), ("uid_map", _line(user)), ("gid_map", _line(group)))
    for name, line in lines:
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def of_process(process: int) -> IdMap:
    """The ids of the user namespace of PROCESS, which is a child of the caller's (user_namespaces(7))."""
    maps = []
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{process}/{name}", encoding="utf-8") as file:
            lines = [[int(number) for number in line.split()] for line in file]
        maps.append(tuple(Extent(inside=inside, outside=outside, count=count) for inside, outside, count in lines))
    return IdMap(users=maps[0], groups=maps[1])


def inside(outer: IdMap, ids: IdMap) -> IdMap:
    """IDS, a map to the host's ids, for a user namespace in one that has OUTER: a map to the ids that exist there.

    HostError if OUTER lacks an id.
    """
    return IdMap(users=_through(outer.users, ids.users), groups=_through(outer.groups, ids.groups))


def write(process: int, ids: IdMap) -> None:
    """Give IDS, a map to the ids of this process's user namespace, to the new one of PROCESS in it. The caller is root
    there, so it takes no program of the host."""
    for name, extents in (("uid_map", ids.users), ("gid_map", ids.groups)):
        descriptor = os.open(f"/proc/{process}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, "".join(f"{_line(extent)}\n" for extent in extents).encode())
        finally:
            os.close(descriptor)


def enter(ids: IdMap) -> None:
    """Move this process, of one thread, into a new user namespace that has IDS. OSError, HostError."""
    if ids.is_single:
        unshare(kernel.CLONE_NEWUSER)
        assign_own(ids)
        return
    waiting, ready = os.pipe()
    reader, writer = os.pipe()
    helper = os.fork()  # it stays outside, where newuidmap has its privileges
    if helper == 0:
        _help(ids, waiting, ready, writer)
    os.close(waiting)
    os.close(writer)
    try:
        unshare(kernel.CLONE_NEWUSER)
        os.write(ready, b"1")
    finally:
        os.close(ready)
        report = b"".join(iter(lambda: os.read(reader, 4096), b""))
        os.close(reader)
        os.waitpid(helper, 0)
    if report != _DONE:
        raise ErrorReport.decode(report or _KILLED).as_error(HostError)


def unshare(namespaces: int) -> None:
    """Enter new NAMESPACES, flags of unshare(2). OSError, or HostError if this user, or one around, may have no more of
    them."""
    try:
        kernel.unshare(namespaces)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EUSERS):  # which elsewhere is a full disk
            raise refused_namespaces(error, is_users=bool(namespaces & kernel.CLONE_NEWUSER)) from None
        raise


def perform(ids: IdMap | None, action: Callable[[], None], *, limit: float | None = None) -> None:
    """Do ACTION in a separate process, as root of a user namespace with IDS unless that is None.

    Raises the OSError or MydockerError that it raised, and TimeoutError after more than LIMIT seconds: it is killed
    then, which ends waiting that no other signal ends, for a file system that does not respond.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _perform(ids, action, parent, writer)
    os.close(writer)
    report = None
    try:
        report = _read_report(reader, limit)
    finally:
        os.close(reader)
        if report is None:
            os.kill(pid, 9)
        try:  # noqa: SIM105  # contextlib is not on the warm path
            os.waitpid(pid, 0)
        except ChildProcessError:  # the caller ignores SIGCHLD, so the kernel has reaped it (wait(2))
            pass
    if report is None:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    if not report:
        raise HostError("a helper process of mydocker was killed before it reported a result")
    number, _, error = report.partition(b"\n")
    if error:
        raise ErrorReport.decode(error).as_error(HostError)
    if number != b"0":
        raise OSError(int(number), os.strerror(int(number)))


def _perform(ids: IdMap | None, action: Callable[[], None], parent: int, writer: int) -> None:
    report = b""
    try:
        if ids is not None:
            _enter_or_refuse(ids)
        kernel.die_with_parent(parent)  # only now: new credentials clear it
        action()
        report = b"0"
    except MydockerError as error:
        report = b"%d\n%b" % (errno.EIO, ErrorReport.of(error).encode())
    except OSError as error:
        report = str(error.errno or errno.EIO).encode()
    except BaseException as error:  # a defect must not return into the caller's copy of the program
        defect = HostError(f"{type(error).__name__}: {error}")
        report = b"%d\n%b" % (errno.EIO, ErrorReport.of(defect).encode())
    finally:
        os.write(writer, report)
        os._exit(0)


def _enter_or_refuse(ids: IdMap) -> None:
    """Enter; PermissionError where the host does not grant these ids any more."""
    try:
        enter(ids)
    except HostError:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM)) from None


def _read_report(reader: int, limit: float | None) -> bytes | None:
    """All of a report, which ends with its writer; None if it does not come within LIMIT seconds."""
    import select

    from mydocker.kernel.processes import LONGEST_WAIT

    poll = select.poll()
    poll.register(reader, select.POLLIN)
    if not poll.poll(None if limit is None else min(limit * 1000, LONGEST_WAIT)):
        return None
    report = b""
    while data := os.read(reader, 4096):
        report += data
    return report


def _help(ids: IdMap, waiting: int, ready: int, report: int) -> None:
    try:
        os.close(ready)
        if os.read(waiting, 1):
            assign(os.getppid(), ids)
            os.write(report, _DONE)
    except BaseException as error:
        os.write(report, ErrorReport.of(error, doing="assign the ranges of ids").encode())
    finally:
        os._exit(0)


def _with_root(root: int, ranges: Iterable[tuple[int, int]]) -> tuple[Extent, ...]:
    """Root inside is ROOT; then RANGES follow each other, those that overlap an earlier one left out (the kernel's
    EINVAL)."""
    extents = [Extent(inside=0, outside=root, count=1)]
    following = 1
    for first, count in ranges:
        count = min(count, HIGHEST - following)
        if count > 0 and len(extents) < EXTENTS and not any(_overlap(first, count, extent) for extent in extents):
            extents.append(Extent(inside=following, outside=first, count=count))
            following += count
    return tuple(extents)


def _inverted(extents: tuple[Extent, ...]) -> tuple[Extent, ...]:
    return tuple(Extent(inside=each.outside, outside=each.inside, count=each.count) for each in extents)


def _overlap(first: int, count: int, extent: Extent) -> bool:
    return first < extent.outside + extent.count and extent.outside < first + count


def _swapped(extents: tuple[Extent, ...], user: int) -> tuple[Extent, ...]:
    """Inside, root and USER are exchanged; where USER is beyond the ranges, their last id becomes root."""
    root, *ranges = extents
    if user == 0:
        return extents
    kept = Extent(inside=user, outside=root.outside, count=1)
    if not ranges:
        return (kept,)
    last = ranges[-1].inside + ranges[-1].count - 1
    found = [kept]
    for extent in ranges:
        found += _traded(extent, min(user, last))
    return tuple(sorted(found, key=lambda extent: extent.inside))


def _traded(extent: Extent, taken: int) -> list[Extent]:
    """EXTENT with the id TAKEN, if it has it, as root."""
    before = taken - extent.inside
    if not 0 <= before < extent.count:
        return [extent]
    parts = (
        Extent(inside=extent.inside, outside=extent.outside, count=before),
        Extent(inside=0, outside=extent.outside + before, count=1),
        Extent(inside=taken + 1, outside=extent.outside + before + 1, count=extent.count - before - 1),
    )
    return [part for part in parts if part.count]


def _through(outer: tuple[Extent, ...], extents: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """EXTENTS to ids that OUTER has outside, as extents to those that it has inside. Neighbours are not made one: the
    kernel takes no extent that spans two of the outer namespace (map_id_range_down)."""
    found: list[Extent] = []
    for extent in extents:
        done = 0
        while done < extent.count:
            first = extent.outside + done
            each = next((each for each in outer if 0 <= first - each.outside < each.count), None)
            if each is None:
                hint = "what /etc/subuid and /etc/subgid grant has changed: end this user's containers, and start again"
                raise HostError(f"id {first} does not exist where the networks of this user are", hint=hint)
            offset = first - each.outside
            count = min(extent.count - done, each.count - offset)
            found.append(Extent(inside=extent.inside + done, outside=each.inside + offset, count=count))
            done += count
    return tuple(found)


def _merged(extents: tuple[Extent, ...]) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for each in sorted(extents, key=lambda extent: extent.inside):
        inside, outside, count = found[-1] if found else (0, 0, 0)
        if found and (inside + count, outside + count) == (each.inside, each.outside):
            found[-1] = inside, outside, count + each.count
        else:
            found.append((each.inside, each.outside, each.count))
    return found


def _name(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def _numbers(extents: tuple[Extent, ...]) -> list[str]:
    return [str(number) for extent in extents for number in (extent.inside, extent.outside, extent.count)]


def _line(extent: Extent) -> str:
    return f"{extent.inside} {extent.outside} {extent.count}"
