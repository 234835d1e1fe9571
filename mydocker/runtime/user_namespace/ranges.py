"""Automatic ranges of ids: `--userns auto` takes ids of `containers` in /etc/subuid that no other container has.

A lease is a link in directory `ids`, next to the containers: `u-FIRST-COUNT` or `g-FIRST-COUNT`, whose target is the
run directory of its owner, or the directory of a container that stays. It is live while the run directory is locked
(run_directory.py), or the other one is there: what such a container wrote belongs to its range. Leases are taken, and
those of the dead removed, under the lock of `ids`. Owners have the lock of their run directory before.

The map stands in the link `ids` of the owner's directory, for its next start and for those who look into it.
"""

from __future__ import annotations

import os

from mydocker import idmap, kernel
from mydocker.errors import LaunchError, StoreError, hint_for
from mydocker.idmap import Extent, IdMap
from mydocker.image.store_root import is_held
from mydocker.kernel.beneath import UnreadableFileError, open_regular
from mydocker.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mydocker.runtime.plan import LaunchPlan
    from mydocker.runtime.user_namespace.words import AutoRange

USER = "containers"
SMALLEST, LARGEST = 1024, 65536  # containers-storage.conf(5), auto-userns-min-size and -max-size
_LINK = "ids"
_FILES = {"u": "/etc/subuid", "g": "/etc/subgid"}
_NOBODY = 65534
_FILE_LIMIT = 1 << 20  # bytes of an account file that are read


def size_for(lowerdirs: tuple[str, ...], user: str | int) -> int:
    """How many ids an image with the layers LOWERDIRS needs for its accounts and USER, as Podman counts: the largest
    number but nobody's. LaunchError if that is above LARGEST."""
    numbers = [user] if isinstance(user, int) else []
    for path, columns in (("etc/passwd", (2, 3)), ("etc/group", (2,))):
        for line in _account_lines(lowerdirs, path):
            fields = line.split(b":")
            if fields[0] not in (b"nobody", b"nogroup"):
                words = [fields[column] for column in columns if column < len(fields)]
                numbers += [int(word) for word in words if word.isdigit() and len(word) <= 10]
    needed = max((number + 1 for number in numbers if number != _NOBODY), default=0)
    if needed > LARGEST:
        raise LaunchError(
            f"the image needs {needed} ids, and userns_mode auto has {LARGEST} at most",
            hint=f"set auto:size={needed}, if {USER} has as many in /etc/subuid, or a map of your own",
        )
    return max(SMALLEST, needed)


def _account_lines(lowerdirs: tuple[str, ...], path: str) -> list[bytes]:
    """The lines of file PATH in the topmost of LOWERDIRS that has it; a link in there is followed within its layer."""
    for directory in reversed(lowerdirs):
        layer = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            file = open_regular(layer, path)
        except (OSError, UnreadableFileError):
            continue
        finally:
            os.close(layer)
        with open(file, "rb") as text:
            return text.read(_FILE_LIMIT).split(b"\n")
    return []


def first_ids(asked: AutoRange) -> IdMap:
    """The map of ASKED where all ranges are free. Raises LaunchError if this host has none."""
    return asked.ids(*(_free(kind, asked, []) for kind in _FILES))


def lease(plan: LaunchPlan) -> LaunchPlan:
    """PLAN with ids that no other container has; those of its last start, if it has had one. Its run directory is
    there, and locked. Raises LaunchError, StoreError."""
    owner = _owner(plan)
    directory = f"{os.path.dirname(plan.containers)}/ids"
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            kernel.lock(lock)
            if recorded(owner) is None:
                _take(plan, owner, lock)
        finally:
            os.close(lock)
    except OSError as error:
        raise StoreError(f"cannot take ids: {error.strerror}: {directory}", hint=hint_for(error)) from None
    return settled(plan)


def settled(plan: LaunchPlan) -> LaunchPlan:
    """PLAN with the ids that it has got, if it is to get some when it starts, and has."""
    ids = recorded(_owner(plan)) if plan.auto_ids else None
    if ids is None or ids == plan.own_ids:
        return plan
    operations = tuple(
        each.replace(ids=ids) if getattr(each, "ids", None) == plan.own_ids else each for each in plan.operations
    )
    return plan.replace(own_ids=ids, operations=operations)


def recorded(owner: str) -> IdMap | None:
    """The map of the container with directory OWNER, if it has got one."""
    try:
        text = os.readlink(f"{owner}/{_LINK}")
    except OSError:
        return None
    users, groups = (tuple(_extent(word) for word in part.split(",")) for part in text.split(" "))
    return IdMap(users=users, groups=groups)


def _owner(plan: LaunchPlan) -> str:
    return os.path.dirname(plan.scratch) if plan.scratch else plan.run_dir


def _take(plan: LaunchPlan, owner: str, ids: int) -> None:
    assert plan.auto_ids is not None
    asked, first = plan.auto_ids, dict[str, int]()
    taken = [*_live(ids)]
    for kind in _FILES:
        first[kind] = _free(kind, asked, [each for other, each in taken if other == kind])
    for kind, start in first.items():
        os.symlink(owner, f"{kind}-{start}-{asked.size}", dir_fd=ids)
    found = asked.ids(first["u"], first["g"])
    os.symlink(f"{_written(found.users)} {_written(found.groups)}", f"{owner}/{_LINK}")


def _live(ids: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The ranges in use, as (kind, (first, count)); the leases of the dead are removed."""
    for name in os.listdir(ids):
        owner = os.readlink(name, dir_fd=ids)
        # of a container that stays, or of a run
        if os.path.isdir(owner) if os.path.basename(os.path.dirname(owner)) == "background" else is_held(owner):
            kind, start, count = name.split("-")
            yield kind, (int(start), int(count))
        else:
            os.unlink(name, dir_fd=ids)


def _free(kind: str, asked: AutoRange, taken: list[tuple[int, int]]) -> int:
    """The first id of a range of KIND with the size of ASKED that USER has and that is not TAKEN. LaunchError."""
    path, size = _FILES[kind], asked.size
    ranges = [*idmap.granted_to(path, USER)]
    if not ranges:
        hint = f"add a line such as {USER}:2147483647:2147483648 to it, or set uidmap and gidmap"
        raise LaunchError(f"userns_mode auto: {path} has no ids for {USER}", hint=hint)
    chosen = asked.users if kind == "u" else asked.groups
    taken = sorted([*taken, *((each.outside, each.count) for each in chosen)])
    for first, count in ranges:
        end = first + count
        for used, length in taken:
            if used < first + size and used + length > first:
                first = used + length
        if first + size <= end:
            return first
    raise LaunchError(
        f"userns_mode auto: no {size} ids of {USER} are free in {path}",
        hint=f"grant {USER} more, set a smaller auto:size=N, or remove containers, which keep theirs",
    )


def _written(extents: tuple[Extent, ...]) -> str:
    return ",".join(f"{each.inside}:{each.outside}:{each.count}" for each in extents)


def _extent(word: str) -> Extent:
    inside, outside, count = map(int, word.split(":"))
    return Extent(inside=inside, outside=outside, count=count)
